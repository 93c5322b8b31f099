//! The worst that VirusTotal could send, in the sandbox and under the limits of every run, the deadline apart: the
//! guest maps it or says why not, and never costs an instance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fmt::Write as _;
use std::sync::LazyLock;

use connector_host::runtime::{
    Answer, CallError, Emission, Engine, Guest, Item, Limits, Mapper, Outcome, Question, Setting,
    Verdict,
};
use connector_tests::{host, stix};
use serde_json::{Value, json};

/// Some minutes after the newest notification of the fixtures.
const NOW: u64 = 1_767_261_900;

static GUEST: LazyLock<Guest> = LazyLock::new(|| {
    let component = host::component().unwrap_or_else(|error| panic!("{error:#}"));
    // The deadline is one of the clock, and a busy machine is no fault of the guest. What takes exponential time
    // does not end in this either.
    let limits = Limits {
        deadline: 30 * Limits::default().deadline,
        ..Limits::default()
    };
    let engine = Engine::new(8, limits, None).unwrap();
    Guest::load(&engine, &component).unwrap_or_else(|error| panic!("{error}"))
});

/// All that can be made is made, and no filter says no.
const EVERYTHING: &[(&str, &str)] = &[
    ("ENTITY_TYPES", "file,url,domain,ip_address"),
    ("MAX_AGE_DAYS", "0"),
    ("MAX_FILE_SIZE", "0"),
    ("AV_LIST", "Microsoft"),
    ("UPLOAD_ARTIFACT", "true"),
    ("GET_MALWARE_CONFIG", "true"),
    ("CREATE_FILE_INDICATORS", "true"),
    ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
    ("CREATE_IP_INDICATORS", "true"),
    ("CREATE_URL_INDICATORS", "true"),
];

/// Every filter says no, and quotes what it does not like.
const FILTERS: [&[(&str, &str)]; 3] = [
    &[("FILTER_WITH_TAG", "no such tag")],
    &[("EXTENSIONS", "none")],
    &[("ENTITY_TYPES", "url")],
];

fn open(settings: &[(&str, &str)]) -> Mapper {
    let settings: Vec<Setting> = settings
        .iter()
        .map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    GUEST
        .open(&settings)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The first file of the fixtures, with the value at `pointer` replaced by JSON text.
fn file_with(pointer: &str, json: &str) -> String {
    const PLACE: &str = "here stands what is tried";
    let page = include_str!("../../guest/tests/fixtures/ioc_stream_page1.json");
    let mut page: Value = serde_json::from_str(page).unwrap();
    let mut document = page["data"][0].take();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = json!(PLACE);
    document
        .to_string()
        .replace(&json!(PLACE).to_string(), json)
}

/// The same as an object of another type, with an id and a URL.
fn network(object_type: &str, id: &str, url: &str) -> String {
    let page = include_str!("../../guest/tests/fixtures/ioc_stream_page1.json");
    let mut page: Value = serde_json::from_str(page).unwrap();
    let mut document = page["data"][0].take();
    document["type"] = json!(object_type);
    document["id"] = json!(id);
    document["attributes"]["url"] = json!(url);
    document.to_string()
}

fn item(document: String) -> Item {
    Item {
        id: "1".to_owned(),
        observed: NOW - 60,
        document,
    }
}

/// One conversation as a host has it, every ruleset being `ruleset`.
fn decide(mapper: &mut Mapper, item: &Item, ruleset: Option<&str>) -> Result<Verdict, CallError> {
    let mut answers: Vec<(Question, Answer)> = Vec::new();
    for _ in 0..4 {
        let verdict = mapper.map(item, &answers, NOW)?;
        let Outcome::Ask(questions) = verdict.outcome else {
            return Ok(verdict);
        };
        for question in questions {
            let answer = match ruleset.filter(|_| question.kind == "lookup") {
                Some(ruleset) => Answer::Found(mapper.digest(&question, ruleset.to_owned())?),
                None => Answer::Absent,
            };
            answers.push((question, answer));
        }
    }
    panic!("asks without end");
}

/// What is wrong with the end of a conversation: anything but a verdict of valid STIX, or words.
fn fault(result: Result<Verdict, CallError>) -> Option<String> {
    match result {
        Ok(Verdict {
            outcome: Outcome::Emit(Emission { objects, .. }),
            ..
        }) => {
            let objects: Vec<Value> = objects
                .iter()
                .map(|object| serde_json::from_str(&object.document).unwrap())
                .collect();
            let problems = stix::problems_of(&objects);
            (!problems.is_empty()).then(|| problems.join("; ").chars().take(500).collect())
        }
        Ok(_) | Err(CallError::Failure(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// A JSON list of so many elements.
fn list(length: usize, element: impl Fn(usize) -> String) -> String {
    let elements: Vec<String> = (0..length).map(element).collect();
    format!("[{}]", elements.join(","))
}

fn text(content: &str, times: usize) -> String {
    format!("\"{}\"", content.repeat(times))
}

const MEGABYTE: usize = 1 << 20;

/// Places of a notification that are read as a text.
const TEXTS: &[&str] = &[
    "/type",
    "/id",
    "/attributes/sha256",
    "/attributes/ssdeep",
    "/attributes/tlsh",
    "/attributes/type_extension",
    "/attributes/meaningful_name",
    "/context_attributes/hunting_info/rule_name",
    "/context_attributes/hunting_info/snippet",
    "/context_attributes/hunting_info/source_country",
    "/context_attributes/hunting_info/match_source",
    "/context_attributes/sources/0/id",
    "/context_attributes/sources/0/type",
    "/context_attributes/sources/0/label",
];

fn long_texts() -> Vec<(String, String)> {
    let contents = [
        ("letters", text("a", 5 * MEGABYTE)),
        ("quotes", text("\\\"", 2 * MEGABYTE)),
        ("backticks", text("`", 5 * MEGABYTE)),
        ("NULs", text("\\u0000", MEGABYTE)),
        ("bidi", text("\u{202e}\u{2066}", MEGABYTE)),
        ("lone surrogates", text("\\ud800", MEGABYTE)),
        ("line feeds", text("\\n", 2 * MEGABYTE)),
    ];
    let mut cases = Vec::new();
    for pointer in TEXTS {
        for (name, json) in &contents {
            cases.push((format!("{name} in {pointer}"), file_with(pointer, json)));
        }
    }
    cases.push((
        "highlights".to_owned(),
        file_with(
            "/context_attributes/hunting_info/snippet",
            &text("*begin_highlight*x*end_highlight*", 150_000),
        ),
    ));
    let long = "a".repeat(5 * MEGABYTE);
    for object_type in ["url", "domain", "ip_address"] {
        cases.push((
            format!("id of {object_type}"),
            network(object_type, &long, &format!("http://{long}")),
        ));
        cases.push((
            format!("URL of {object_type}"),
            network(object_type, "a.example", &format!("http://{long}")),
        ));
    }
    for length in [4_000, 31_000] {
        let url = format!("http://a.example/{}", "'\\\"".repeat(length / 3));
        cases.push((
            format!("quotes in a URL of {length}"),
            network("url", "x", &url),
        ));
    }
    cases
}

fn long_lists() -> Vec<(String, String)> {
    let lists = [
        ("10,000 texts", list(10_000, |it| format!("\"name {it}\""))),
        (
            "long texts",
            list(10_000, |it| format!("\"{it} {}\"", "x".repeat(500))),
        ),
        ("empty texts", list(1_700_000, |_| "\"\"".to_owned())),
        ("numbers", list(2_500_000, |it| (it % 10).to_string())),
        ("a huge text", format!("[{}]", text("x", 5 * MEGABYTE))),
        ("lists", list(1_000_000, |_| "[]".to_owned())),
    ];
    let mut cases = Vec::new();
    for pointer in [
        "/attributes/names",
        "/attributes/tags",
        "/attributes/type_tags",
        "/attributes/malware_config",
        "/context_attributes/tags",
        "/context_attributes/sources",
    ] {
        for (name, json) in &lists {
            cases.push((format!("{name} in {pointer}"), file_with(pointer, json)));
        }
    }
    let ruleset =
        |id: usize| format!(r#"{{"type":"hunting_ruleset","id":"{id}","label":"ruleset {id}"}}"#);
    for (name, json) in [
        ("10,000 rulesets", list(10_000, ruleset)),
        ("one ruleset 10,000 times", list(10_000, |_| ruleset(1))),
    ] {
        cases.push((
            name.to_owned(),
            file_with("/context_attributes/sources", &json),
        ));
    }
    let engines = |count: usize, result: &str| {
        let mut engines = String::from("{\"Microsoft\":{\"result\":");
        write!(engines, "{result}}}").unwrap();
        for number in 0..count {
            write!(engines, ",\"e{number}\":{{\"category\":\"x\"}}").unwrap();
        }
        engines + "}"
    };
    for (name, json) in [
        ("200,000 engines", engines(200_000, "null")),
        ("10,000 engines", engines(10_000, "\"x\"")),
        ("a huge result", engines(1, &text("`", 5 * MEGABYTE))),
    ] {
        cases.push((
            name.to_owned(),
            file_with("/attributes/last_analysis_results", &json),
        ));
    }
    cases
}

fn malware_configurations() -> Vec<(String, String)> {
    let connections = |json: &str| {
        format!(r#"{{"families":[{{"configs":[{{"net_info":{{"connections":{json}}}}}]}}]}}"#)
    };
    let hosts = list(10_000, |it| format!(r#"{{"host":"h{it}.example"}}"#));
    let refused = list(10_000, |it| format!(r#"{{"host":"- {it}"}}"#));
    [
        ("10,000 hosts", connections(&hosts)),
        ("10,000 refused hosts", connections(&refused)),
        (
            "a megabyte of separators",
            format!(r#"{{"c2":{}}}"#, text(",a;", MEGABYTE / 4)),
        ),
        (
            "a megabyte of hosts",
            format!(r#"{{"c2":{}}}"#, text("1.2.3.4,", MEGABYTE / 9)),
        ),
        (
            "100,000 families",
            format!(
                r#"{{"family":{}}}"#,
                list(100_000, |it| format!("\"{it}\""))
            ),
        ),
        ("a megabyte of numbers", list(MEGABYTE / 3, |_| "7".into())),
        (
            "a megabyte of objects",
            list(MEGABYTE / 8, |_| "{\"\":{}}".into()),
        ),
    ]
    .into_iter()
    .map(|(name, json)| {
        (
            name.to_owned(),
            file_with("/attributes/malware_config", &json),
        )
    })
    .collect()
}

fn odd_documents() -> Vec<(String, String)> {
    let good = file_with("/attributes/size", "1");
    let mut cases: Vec<(String, String)> = [
        ("open objects", "{\"a\":".repeat(MEGABYTE)),
        ("open lists", "[".repeat(5 * MEGABYTE)),
        (
            "an open text",
            format!("{{\"type\":\"{}", "a".repeat(5 * MEGABYTE)),
        ),
        (
            "backslashes",
            format!("{{\"type\":\"{}", "\\".repeat(5 * MEGABYTE)),
        ),
        ("blanks", " ".repeat(5 * MEGABYTE)),
        (
            "brackets that do not match",
            format!("{{\"type\":{}}}", "[}".repeat(MEGABYTE)),
        ),
        (
            "a million members",
            format!(
                "{{{}\"type\":\"file\",\"id\":\"x\"}}",
                "\"a\":0,".repeat(MEGABYTE)
            ),
        ),
        ("half a document", good[..good.len() / 2].to_owned()),
        (
            "twice the same members",
            good.replacen(
                '{',
                "{\"type\":7,\"attributes\":{},\"context_attributes\":[],",
                1,
            ),
        ),
    ]
    .map(|(name, json)| (name.to_owned(), json))
    .into();
    let values = [
        ("nested lists", "[".repeat(MEGABYTE) + &"]".repeat(MEGABYTE)),
        (
            "nested objects",
            "{\"a\":".repeat(MEGABYTE) + "0" + &"}".repeat(MEGABYTE),
        ),
        (
            "many members",
            format!("{{{}\"b\":1}}", "\"a\":0,".repeat(MEGABYTE)),
        ),
        ("a great number", "9".repeat(MEGABYTE)),
        ("a greater number", "1e999999999".to_owned()),
        ("the greatest number", u64::MAX.to_string()),
        ("a number less than 0", "-1".to_owned()),
        ("a fraction", "0.1".to_owned()),
        ("no JSON", "nonsense".to_owned()),
    ];
    for pointer in [
        "/attributes",
        "/attributes/size",
        "/attributes/first_submission_date",
        "/attributes/last_analysis_stats",
        "/attributes/last_analysis_results",
        "/attributes/malware_config",
        "/attributes/names",
        "/context_attributes",
        "/context_attributes/sources",
        "/context_attributes/hunting_info",
    ] {
        for (name, json) in &values {
            cases.push((format!("{name} in {pointer}"), file_with(pointer, json)));
        }
    }
    cases
}

/// Maps each document by a mapper with each of the settings; what goes wrong, with the case's name.
fn faults(settings: &[&[(&str, &str)]], cases: Vec<(String, String)>) -> Vec<String> {
    assert!(!cases.is_empty());
    let mut faults = Vec::new();
    for settings in settings {
        let mut mapper = open(settings);
        for (name, document) in &cases {
            let found = fault(decide(&mut mapper, &item(document.clone()), None));
            if let Some(found) = found {
                faults.push(format!("{name}: {found}"));
                // The instance may be one that trapped.
                mapper = open(settings);
            }
        }
    }
    faults
}

const NONE: [&str; 0] = [];

#[test]
fn long_texts_are_cut_or_refused() {
    assert_eq!(faults(&[EVERYTHING], long_texts()), NONE);
}

#[test]
fn long_lists_are_cut_or_refused() {
    assert_eq!(faults(&[EVERYTHING], long_lists()), NONE);
}

#[test]
fn great_malware_configurations_are_cut_or_refused() {
    assert_eq!(faults(&[EVERYTHING], malware_configurations()), NONE);
}

#[test]
fn documents_of_any_form_are_mapped_or_refused() {
    assert_eq!(faults(&[EVERYTHING], odd_documents()), NONE);
}

#[test]
fn filters_say_no_in_few_words() {
    assert_eq!(faults(&FILTERS, long_lists()), NONE);
    assert_eq!(faults(&FILTERS, long_texts()), NONE);
}

/// A ruleset whose rule `it` has this after its name.
fn rule(rest: &str) -> String {
    format!("import \"pe\"\nrule it {rest}")
}

fn condition(condition: &str) -> String {
    rule(&format!(
        "{{ strings: $a = \"abc\" condition: {condition} }}"
    ))
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    condition(&format!(
        "{}{inner}{}",
        open.repeat(times),
        close.repeat(times)
    ))
}

fn numbered(times: usize, each: impl Fn(usize) -> String) -> String {
    (0..times).map(each).collect()
}

/// Nests of a depth that the parser refuses, and of each that it might take.
fn nests() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for depth in [8, 12, 40, 80, 120, 160, 200, 240, 300, 490, 900, 100_000] {
        for (name, open, inner, close) in [
            ("parentheses", "(", "true", ")"),
            ("negations", "not ", "true", ""),
            ("minuses", "-", "1 > 0", ""),
            ("sums", "1 + 1 - ", "1 > 0", ""),
            ("ors", "true or false and ", "true", ""),
            ("loops", "for any i in (0..1) : ( ", "i == 1", " )"),
            ("loops over strings", "for any of them : ( ", "$", " )"),
            ("withs", "with x = pe.size : ( ", "x", " )"),
            ("indexes", "@a[", "1", "]"),
            ("lookups", "pe.sections[", "1", "]"),
            ("calls", "pe.f(", "1", ")"),
            ("fields", "pe.", "size", ""),
            ("definitions", "defined ", "pe.size", ""),
        ] {
            cases.push((format!("{depth} {name}"), nested(open, inner, close, depth)));
        }
        let (open, close) = ("( 11 | ".repeat(depth), " )".repeat(depth));
        cases.push((
            format!("{depth} alternatives"),
            rule(&format!(
                "{{ strings: $a = {{ 00 {open} 22 {close} }} condition: $a }}"
            )),
        ));
        let regexp = format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        cases.push((
            format!("{depth} groups"),
            rule(&format!("{{ strings: $a = /{regexp}/ condition: $a }}")),
        ));
    }
    cases
}

/// About a megabyte each: VirusTotal keeps no longer rulesets.
fn great_rules() -> Vec<(String, String)> {
    let strings = |each: &dyn Fn(usize) -> String| {
        let strings = numbered(20_000, each);
        rule(&format!("{{ strings: {strings} condition: any of them }}"))
    };
    let meta = |each: &dyn Fn(usize) -> String| {
        let meta = numbered(20_000, each);
        rule(&format!("{{ meta: {meta} condition: true }}"))
    };
    let long = "a".repeat(MEGABYTE);
    [
        (
            "text strings",
            strings(&|it| format!("$s{it} = \"text {it}\" ascii wide nocase\n")),
        ),
        (
            "hex strings",
            strings(&|it| format!("$s{it} = {{ 00 [2-3] ( 11 | 22 ) ?? {it:08x} }}\n")),
        ),
        (
            "regular expressions",
            strings(&|it| format!("$s{it} = /a(b|c)*[^{it}]{{2,3}}/is\n")),
        ),
        (
            "a long text",
            rule(&format!("{{ strings: $a = \"{long}\" condition: $a }}")),
        ),
        (
            "a long hex string",
            rule(&format!(
                "{{ strings: $a = {{ {} }} condition: $a }}",
                "AB ".repeat(MEGABYTE / 3)
            )),
        ),
        (
            "a long regular expression",
            rule(&format!("{{ strings: $a = /{long}/ condition: $a }}")),
        ),
        (
            "references",
            meta(&|it| format!("reference = \"https://a.example/{it}\"\n")),
        ),
        (
            "odd references",
            meta(&|it| format!("reference{it} = \"page {it} \u{202e}\\\"\"\n")),
        ),
        ("dates", meta(&|it| format!("date = \"{it}-{it}-{it}\"\n"))),
        (
            "names",
            condition(&(numbered(24_000, |it| format!("name_{it} or ")) + "true")),
        ),
        (
            "one name",
            condition(&("name or ".repeat(MEGABYTE / 8) + "name")),
        ),
        (
            "numbers with underscores",
            condition(&(numbered(60_000, |it| format!("{it}_0 == 1 or ")) + "true")),
        ),
        (
            "declarations",
            condition(&format!(
                "with {}z = 1 : ( {}true )",
                numbered(30_000, |it| format!("x{it} = 1, ")),
                numbered(30_000, |it| format!("x{it} == 1 or "))
            )),
        ),
        (
            "sets",
            condition(&format!(
                "for any i in ({}1) : ( i == 1 )",
                "1, ".repeat(MEGABYTE / 3)
            )),
        ),
        (
            "fields of fields",
            condition(&format!("pe{} == 1", ".size".repeat(MEGABYTE / 5))),
        ),
        (
            "concatenations",
            condition(&format!("pe.size == 1{}", " | 1".repeat(MEGABYTE / 4))),
        ),
        (
            "tags",
            rule(&format!(
                ": {} {{ condition: true }}",
                numbered(100_000, |it| format!("tag{it} "))
            )),
        ),
        (
            "a long tag",
            rule(&format!(": {long} {{ condition: true }}")),
        ),
        (
            "a long name in front",
            format!(
                "global rule {long} {{ condition: {}true }}\n{}",
                "float32(0) == 1.0 or ".repeat(100),
                rule("{ condition: true }")
            ),
        ),
        (
            "names after a long one",
            format!(
                "global rule {} {{ condition: {}true }}\n{}",
                &long[..MEGABYTE / 2],
                numbered(20_000, |it| format!("n{it} or ")),
                rule("{ condition: true }")
            ),
        ),
        ("open braces", rule(&"{".repeat(MEGABYTE))),
        ("open rules", rule("{ condition: ").repeat(MEGABYTE / 30)),
        ("an open comment", rule("{ condition: true /* ") + &long),
        ("an open text", rule("{ meta: a = \"") + &long),
        (
            "an open regular expression",
            rule("{ strings: $a = /") + &long,
        ),
        ("NULs", rule(&"\0".repeat(MEGABYTE))),
        (
            "NULs in a comment",
            rule(&format!(
                "{{ condition: true /*{}*/ }}",
                "\0".repeat(MEGABYTE)
            )),
        ),
        ("bidi", rule(&"\u{202e}".repeat(MEGABYTE / 3))),
        (
            "bidi in a text",
            rule(&format!(
                "{{ meta: description = \"{}\" condition: true }}",
                "\u{202e}".repeat(MEGABYTE / 3)
            )),
        ),
        ("carriage returns", rule(&"\r".repeat(MEGABYTE))),
        ("semicolons", rule(&";".repeat(MEGABYTE))),
        (
            "keywords",
            rule(&"rule global private import condition: ".repeat(MEGABYTE / 40)),
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

fn many_rules() -> Vec<(String, String)> {
    [
        (
            "a chain",
            numbered(20_000, |it| {
                let before = it
                    .checked_sub(1)
                    .map_or("true".to_owned(), |it| format!("r{it}"));
                format!("rule r{it} {{ condition: {before} }}\n")
            }) + "rule it { condition: r19999 }",
        ),
        (
            "global rules",
            numbered(20_000, |it| {
                format!("global rule r{it} {{ condition: {it} > 1 }}\n")
            }) + &rule("{ condition: true }"),
        ),
        (
            "private rules",
            numbered(20_000, |it| {
                format!("private rule r{it} {{ condition: {it} > 1 }}\n")
            }) + &rule("{ condition: true }"),
        ),
        (
            "rules of one name",
            rule("{ condition: true }\n").repeat(30_000),
        ),
        (
            "imports",
            numbered(50_000, |it| format!("import \"m{it}\"\n")) + &rule("{ condition: m7.x }"),
        ),
        (
            "includes",
            numbered(50_000, |it| format!("include \"f{it}\"\n")) + &rule("{ condition: true }"),
        ),
        (
            "broken rules",
            "rule a { condition: }\n".repeat(40_000) + &rule("{ condition: true }"),
        ),
        (
            "eight megabytes of rules",
            numbered(200_000, |it| format!("rule r{it} {{ condition: true }}\n"))
                + &rule("{ condition: true }"),
        ),
        (
            "calls inside calls",
            rule(&format!(
                "{{ condition: {}true }}\n",
                "f(f(f(f(f(f(1)))))) or ".repeat(5)
            ))
            .repeat(8_000),
        ),
        (
            "names in several rules",
            numbered(8, |part| {
                let names = numbered(6_000, |it| format!("name_{part}_{it} or "));
                format!("global rule part_{part} {{ condition: {names}true }}\n")
            }) + &rule("{ condition: true }"),
        ),
        (
            "a rule of five megabytes",
            condition(&("true or ".repeat(5 * MEGABYTE / 8) + "true")),
        ),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

/// Digests each ruleset for the rule `it`, and maps a notification of that rule.
fn ruleset_faults(cases: Vec<(String, String)>) -> Vec<String> {
    let notification = item(file_with(
        "/context_attributes/hunting_info/rule_name",
        "\"it\"",
    ));
    let mut faults = Vec::new();
    let mut mapper = open(EVERYTHING);
    for (name, rules) in cases {
        let attributes = json!({"name": "great", "rules": rules});
        let ruleset = json!({"data": {"attributes": attributes}}).to_string();
        // The host refuses a longer answer.
        assert!(ruleset.len() < 8_000_000, "{name}: {}", ruleset.len());
        if let Some(found) = fault(decide(&mut mapper, &notification, Some(&ruleset))) {
            faults.push(format!("{name}: {found}"));
            mapper = open(EVERYTHING);
        }
    }
    faults
}

#[test]
fn nested_conditions_are_cut_or_refused() {
    assert_eq!(ruleset_faults(nests()), NONE);
}

#[test]
fn great_rules_are_cut_or_refused() {
    assert_eq!(ruleset_faults(great_rules()), NONE);
}

#[test]
fn many_rules_are_cut_or_refused() {
    assert_eq!(ruleset_faults(many_rules()), NONE);
}
