//! Whole rulesets in, self-contained rules out.

use proptest::prelude::*;

use super::*;

/// The text of a ruleset as VirusTotal sends it.
fn ruleset(response: &str) -> String {
    let response: serde_json::Value = serde_json::from_str(response).unwrap();
    response["data"]["attributes"]["rules"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Name and text of the example rulesets.
fn examples() -> [(&'static str, String); 4] {
    [
        (
            "loader",
            ruleset(include_str!("../../tests/fixtures/hunting_ruleset_1.json")),
        ),
        (
            "dropper_crlf",
            ruleset(include_str!(
                "../../tests/fixtures/hunting_ruleset_2_crlf.json"
            )),
        ),
        (
            "panel_urls",
            ruleset(include_str!(
                "../../tests/fixtures/hunting_ruleset_3_url.json"
            )),
        ),
        (
            "minimal",
            ruleset(include_str!(
                "../../tests/fixtures/hunting_ruleset_minimal.json"
            )),
        ),
    ]
}

/// The cut text.
fn text(ruleset: &str, name: &str) -> String {
    cut(ruleset, name).unwrap().text
}

fn unportable(ruleset: &str, name: &str) -> Vec<String> {
    cut(ruleset, name).unwrap().unportable
}

#[test]
fn every_rule_of_the_examples_is_cut_as_recorded() {
    for (file, source) in examples() {
        let outline = Outline::of(&source);
        assert!(!outline.rules.is_empty(), "{file}");
        for declaration in &outline.rules {
            let recorded = match cut(&source, declaration.name) {
                Ok(rule) => {
                    let about = serde_json::to_value(&Rule {
                        text: String::new(),
                        ..rule.clone()
                    })
                    .unwrap();
                    // Snapshots do not keep carriage returns as they are.
                    let visible = rule.text.replace('\r', "\u{240d}");
                    format!(
                        "{visible}\n\n{}",
                        serde_json::to_string_pretty(&about).unwrap()
                    )
                }
                Err(error) => error.to_string(),
            };
            insta::assert_snapshot!(format!("{file}-{}", declaration.name), recorded);
        }
    }
}

#[test]
fn rules_are_cut_byte_for_byte() {
    for (file, source) in examples() {
        let outline = Outline::of(&source);
        for declaration in &outline.rules {
            let Ok(rule) = cut(&source, declaration.name) else {
                continue;
            };
            assert!(
                rule.text.contains(declaration.text),
                "{file} {}",
                declaration.name
            );
            assert!(
                source.contains(declaration.text),
                "{file} {}",
                declaration.name
            );
        }
    }
}

#[test]
fn a_cut_rule_cut_again_is_the_same() {
    for (file, source) in examples() {
        for declaration in &Outline::of(&source).rules {
            let Ok(rule) = cut(&source, declaration.name) else {
                continue;
            };
            assert_eq!(
                cut(&rule.text, declaration.name).as_ref(),
                Ok(&rule),
                "{file}"
            );
        }
    }
}

#[test]
fn what_a_rule_needs_comes_with_it_in_source_order() {
    let source = r#"
        import "time"
        import "math"
        import "pe"
        import "pe"
        rule unrelated { condition: time.now() > 1 }
        rule first { condition: pe.is_pe }
        private rule second { condition: first and math.min(1, 2) == 1 }
        rule target : a b { condition: any of (second, first) } // comment }
        rule later { condition: target }
    "#;
    assert_eq!(
        text(source, "target"),
        "import \"math\"\nimport \"pe\"\n\n\
         private rule first { condition: pe.is_pe }\n\n\
         private rule second { condition: first and math.min(1, 2) == 1 }\n\n\
         rule target : a b { condition: any of (second, first) }"
    );
    assert_eq!(cut(source, "target").unwrap().tags, ["a", "b"]);
}

#[test]
fn global_rules_come_with_what_they_need() {
    let source = r#"
        import "pe"
        import "math"
        rule small { condition: filesize < 1MB }
        global rule one { condition: small }
        rule target { condition: true }
        global private rule two { condition: pe.is_pe }
        private global rule three { condition: true }
        rule unrelated { condition: math.min(1, 2) == 1 }
    "#;
    assert_eq!(
        text(source, "target"),
        "import \"pe\"\n\n\
         private rule small { condition: filesize < 1MB }\n\n\
         private global rule one { condition: small }\n\n\
         rule target { condition: true }\n\n\
         global private rule two { condition: pe.is_pe }\n\n\
         private global rule three { condition: true }"
    );
    // The wanted rule reports, even where it is global.
    assert!(text(source, "one").contains("\nglobal rule one {"));
}

#[test]
fn variables_and_fields_are_no_dependencies() {
    let source = r#"
        import "pe"
        rule section { condition: true }
        rule name { condition: true }
        rule target { condition: for any section in pe.sections : ( section.name == "x" ) }
    "#;
    assert_eq!(text(source, "target").matches("rule ").count(), 1);
    assert_eq!(unportable(source, "target"), [""; 0]);
}

#[test]
fn the_name_is_exact() {
    let source = "rule Abc { condition: true } rule Abcd { condition: false }";
    assert_eq!(text(source, "Abc"), "rule Abc { condition: true }");
    for name in ["abc", "Ab", "", "Abcde", "rule"] {
        let not_found = Error::NotFound {
            rule: name.to_owned(),
            known: 2,
        };
        assert_eq!(cut(source, name), Err(not_found), "{name}");
    }
}

#[test]
fn odd_bytes_around_and_in_rules_are_kept() {
    let cases = [
        (
            "byte order mark",
            "\u{feff}rule it { condition: true }",
            "rule it { condition: true }",
        ),
        (
            "line ends",
            "rule\r\nit\r\n{ condition: true\r\n}\r\n",
            "rule\r\nit\r\n{ condition: true\r\n}",
        ),
        (
            "braces in comments",
            "/* rule no { */ rule /* } */ it // {\n{ condition: /* } */ true }",
            "rule /* } */ it // {\n{ condition: /* } */ true }",
        ),
        (
            "braces in strings",
            r#"rule it { strings: $a = "}{\"" $b = /}"{2}/ condition: all of them }"#,
            r#"rule it { strings: $a = "}{\"" $b = /}"{2}/ condition: all of them }"#,
        ),
        (
            "no text between",
            "rule a{condition:true}rule it{condition:true}",
            "rule it{condition:true}",
        ),
    ];
    for (case, source, expected) in cases {
        assert_eq!(text(source, "it"), expected, "{case}");
    }
}

#[test]
fn of_two_rules_with_one_name_the_first_is_cut() {
    let source = "rule it { condition: true } rule it { condition: false }";
    assert_eq!(text(source, "it"), "rule it { condition: true }");
}

#[test]
fn errors_in_other_rules_do_not_matter() {
    let cases = [
        "rule bad { condition: nonsense nonsense }",
        "rule bad { strings: $a = \"unclosed condition: $a }",
        "rule bad { condition: ",
        "rule bad { meta: condition: true }",
        "rule bad { condition: true",
        "garbage",
        "include \"other.yar\"",
    ];
    for bad in cases {
        let source =
            format!("rule before {{ condition: true }}\n{bad}\nrule it {{ condition: before }}");
        assert_eq!(
            text(&source, "it"),
            "private rule before { condition: true }\n\nrule it { condition: before }",
            "{bad}"
        );
    }
}

#[test]
fn an_error_in_a_needed_rule_is_told() {
    let source = "rule bad {\n condition: 1 + }\n rule it { condition: bad }";
    let error = cut(source, "it").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot cut rule `it`: rule `bad` is not valid YARA-X: line 2 of it: expecting expression or identifier, found `}`"
    );
    let global = "global rule bad { condition: 1 + } rule it { condition: true }";
    assert!(matches!(cut(global, "it"), Err(Error::Syntax { broken, .. }) if broken == "bad"));
}

#[test]
fn what_the_platform_cannot_compile_is_named() {
    let source = r#"
        import "vt"
        import "pe"
        import "magic"
        rule helper { condition: magic.type() == "x" and positives > 3 }
        rule modules { condition: vt.metadata.new_file and pe.is_pe }
        rule variables { condition: new_file and tags contains "x" and kaspersky }
        rule needs { condition: helper and float32(0) == 1.0 }
        rule early { condition: late }
        rule late { condition: true }
        rule fine { condition: pe.is_pe and late }
    "#;
    let cases: &[(&str, &[&str])] = &[
        ("modules", &["module `vt`"]),
        (
            "variables",
            &[
                "external variable `new_file`",
                "external variable `tags`",
                "external variable `kaspersky`",
            ],
        ),
        (
            "needs",
            &[
                "module `magic` (in rule `helper`)",
                "external variable `positives` (in rule `helper`)",
                "function `float32`",
            ],
        ),
        ("early", &["rule `late`, which is declared only later"]),
        ("fine", &[]),
    ];
    for (name, expected) in cases {
        assert_eq!(unportable(source, name), *expected, "{name}");
    }
}

#[test]
fn a_rule_that_uses_itself_is_cut() {
    assert_eq!(
        unportable("rule it { condition: it }", "it"),
        ["rule `it`, which is declared only later"]
    );
}

#[test]
fn thousands_of_rules_in_a_chain_are_cut() {
    let mut source = "rule r0 { condition: true }".to_owned();
    for number in 1..5000 {
        source.push_str(&format!(
            "\nrule r{number} {{ condition: r{} and filesize > {number} }}",
            number - 1
        ));
    }
    let rule = cut(&source, "r4999").unwrap();
    assert_eq!(rule.text.matches("private rule ").count(), 4999);
    assert_eq!(rule.unportable, [""; 0]);
}

#[test]
fn a_million_bytes_of_names_are_read() {
    let names: Vec<String> = (0..50_000)
        .map(|number| format!("unknown_{number}"))
        .collect();
    // One rule is not as long as that.
    let mut source = String::new();
    for (part, names) in names.chunks(12_500).enumerate() {
        let condition = names.join(" or ");
        source.push_str(&format!(
            "global rule part_{part} {{ condition: {condition} }}\n"
        ));
    }
    source.push_str("rule it { condition: true }");
    assert_eq!(unportable(&source, "it").len(), 50_000);
}

#[test]
fn nesting_is_bounded() {
    let nests = |times: usize| {
        let twice = 2 * times;
        [
            format!("{}true{}", "(".repeat(twice), ")".repeat(twice)),
            format!("{}true", "not ".repeat(twice)),
            format!("{}1 > 0", "-".repeat(twice)),
            "1 + 1 - ".repeat(times) + "1 > 0",
            "for any i in (0..1) : ( ".repeat(times / 3),
            format!("{}1{} > 0", "@a[".repeat(times), "]".repeat(times)),
        ]
    };
    let cut_with = |condition: &str| {
        let source = format!("rule it {{ strings: $a = \"abc\" condition: {condition} }}");
        cut(&source, "it")
    };
    for condition in nests(10_000) {
        let error = cut_with(&condition).unwrap_err();
        assert!(matches!(error, Error::Syntax { .. }), "{error}");
    }
    // Some of these are not even given to the parser.
    for condition in nests(50_000) {
        let error = cut_with(&condition).unwrap_err();
        assert!(
            matches!(error, Error::Syntax { .. } | Error::Bounds(_)),
            "{error}"
        );
    }
}

/// Pieces from which nearly valid rulesets are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("rule a { condition: true }\n".to_owned()),
        Just("global rule b : x y { meta: date = \"2026-01-02\" condition: a }\n".to_owned()),
        Just(
            "private rule c { strings: $a = { 00 [2-3] ( 11 | 22 ) } condition: $a }\n".to_owned()
        ),
        Just("import \"pe\"\n".to_owned()),
        Just("rule d { condition: for any i in (0..pe.size) : ( i == c ) }".to_owned()),
        Just(
            "rule e { strings: $a = /x{2}[)]/ condition: any of them and with x = 1 : ( x ) }"
                .to_owned()
        ),
        Just("rule f { condition: any of (a, b*) }".to_owned()),
        "[{}()\"/\\\\*:$\\[\\]~|,.=é\u{0}\r\n ]{1,3}",
        "(rule|global|private|import|condition:|meta:|strings:|for|with|of|them|0x|1_0|-|not) ?",
    ]
}

proptest! {
    #[test]
    fn any_text_is_cut_or_refused(source in any::<String>(), name in any::<String>()) {
        let _ = cut(&source, &name);
    }

    #[test]
    fn what_is_cut_of_mutated_rulesets_stands_on_its_own(pieces in prop::collection::vec(piece(), 0..12)) {
        let source = pieces.concat();
        for name in ["a", "b", "c", "d", "e", "f"] {
            if let Ok(rule) = cut(&source, name) {
                prop_assert_eq!(text(&rule.text, name), rule.text);
            }
        }
    }

    #[test]
    fn examples_with_bytes_changed_are_cut_or_refused(
        example in 0..4_usize, at in any::<prop::sample::Index>(), length in 0..40_usize, inserted in ".{0,4}",
    ) {
        let (_, source) = &examples()[example];
        let characters: Vec<char> = source.chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        let mutated: String =
            characters[..start].iter().copied().chain(inserted.chars()).chain(characters[end..].iter().copied()).collect();
        for declaration in &Outline::of(source).rules {
            if let Ok(rule) = cut(&mutated, declaration.name) {
                prop_assert_eq!(text(&rule.text, declaration.name), rule.text);
            }
        }
    }
}
