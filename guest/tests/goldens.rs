//! The bundles of the example notifications, as they are delivered.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use livehunt::contract::{Answer, Failure, Outcome, Verdict};
use serde_json::{Value, json};
use support::{answer, emitted, item, items, map, map_with, mapper};

/// Settings under which all that can be made is made.
const EVERYTHING: &[(&str, &str)] = &[
    ("ENTITY_TYPES", "file,url,domain,ip_address"),
    ("MAX_AGE_DAYS", "0"),
    ("MAX_FILE_SIZE", "0"),
    ("UPLOAD_ARTIFACT", "true"),
    ("DELETE_NOTIFICATION", "true"),
    ("AV_LIST", "Microsoft,clamav,BitDefender,NoSuchEngine"),
    ("TLP_LEVEL", "amber+strict"),
    ("GET_MALWARE_CONFIG", "true"),
    ("CREATE_FILE_INDICATORS", "true"),
    ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
    ("CREATE_IP_INDICATORS", "true"),
    ("CREATE_URL_INDICATORS", "true"),
];

fn readable(result: Result<Verdict, Failure>) -> Value {
    let parsed = |json: &str| serde_json::from_str::<Value>(json).unwrap();
    let Verdict { outcome, remarks } = match result {
        Ok(verdict) => verdict,
        Err(failure) => return json!({"failure": format!("{failure:?}")}),
    };
    let outcome = match outcome {
        Outcome::Skip(skip) => json!({"skip": {"filter": skip.filter, "reason": skip.reason}}),
        Outcome::Ask(questions) => json!({"ask": format!("{questions:?}")}),
        Outcome::Emit(emission) => json!({
            "objects": emission.objects.iter().map(|it| parsed(&it.document)).collect::<Vec<_>>(),
            "artifacts": emission.artifacts.iter().map(|it| parsed(it)).collect::<Vec<_>>(),
            "acknowledge": emission.acknowledge,
        }),
    };
    let remarks: Vec<String> = remarks
        .iter()
        .map(|remark| format!("{:?}: {}", remark.severity, remark.message))
        .collect();
    json!({"outcome": outcome, "remarks": remarks})
}

fn name_of(document: &Value) -> String {
    let context = &document["context_attributes"];
    let rule = context["hunting_info"]["rule_name"].as_str();
    format!(
        "{}_{}",
        context["notification_id"].as_str().unwrap(),
        rule.unwrap_or("no_rule")
    )
}

#[test]
fn defaults() {
    let mapper = mapper(&[]);
    for document in items() {
        let result = map(&mapper, &item(&document));
        insta::assert_json_snapshot!(format!("defaults_{}", name_of(&document)), readable(result));
    }
}

#[test]
fn everything() {
    let mapper = mapper(EVERYTHING);
    for document in items() {
        let result = map(&mapper, &item(&document));
        insta::assert_json_snapshot!(
            format!("everything_{}", name_of(&document)),
            readable(result)
        );
    }
}

/// The first item's emission under other settings and answers, by types and relationships.
#[test]
fn switches_and_answers() {
    /// Name, item, settings, and the answer to all questions where it is not the usual one.
    type Case<'a> = (
        &'a str,
        &'a Value,
        Vec<(&'a str, &'a str)>,
        Option<&'a Answer>,
    );

    let [file, url] = ["file", "url"].map(|object_type| {
        let of_type = |it: &Value| it["type"] == object_type;
        items().into_iter().find(of_type).unwrap()
    });
    let mut unportable = file.clone();
    unportable["context_attributes"]["hunting_info"]["rule_name"] =
        json!("VT_NewFromSubmitterCountry");
    let mut unknown_rule = file.clone();
    unknown_rule["context_attributes"]["hunting_info"]["rule_name"] = json!("NoSuchRule");
    let mut gone = file.clone();
    gone["context_attributes"]["sources"][0]["id"] = json!("404");
    let mut odd_id = file.clone();
    odd_id["context_attributes"]["sources"][0]["id"] = json!("../users");
    let mut not_downloadable = file.clone();
    not_downloadable["attributes"]["downloadable"] = json!(false);

    let of_network = |object_type: &str, id: &str| {
        let mut document = url.clone();
        document["type"] = json!(object_type);
        document["id"] = json!(id);
        document
    };
    let ipv4 = of_network("ip_address", "198.51.100.7");
    let ipv6 = of_network("ip_address", "2001:DB8:0::1");
    let not_an_ip_address = of_network("ip_address", "198.51.100.7.8");
    let not_a_domain = of_network("domain", "localhost");
    let mut url_without_text = url.clone();
    url_without_text["attributes"]["url"] = json!(null);

    let artifact = ("UPLOAD_ARTIFACT", "true");
    let network = ("ENTITY_TYPES", "url,domain,ip_address");
    let ip_indicators = ("CREATE_IP_INDICATORS", "true");
    let no_alert = ("CREATE_ALERT", "false");
    let no_file = ("CREATE_FILE", "false");
    let no_rule = ("CREATE_YARA_RULE", "false");
    let known =
        Answer::Found(r#"{"id":"artifact--627ad2f2-9372-5461-afef-c209b5d35c46"}"#.to_owned());
    let refused = Answer::Refused("503".to_owned());
    #[rustfmt::skip]
    let cases: Vec<Case<'_>> = vec![
        ("defaults", &file, vec![], None),
        ("nothing", &file, vec![no_alert, no_file, no_rule], None),
        ("file only", &file, vec![no_alert, no_rule], None),
        ("alert only", &file, vec![no_file, no_rule], None),
        ("rule only", &file, vec![no_alert, no_file], None),
        ("unportable: note", &unportable, vec![], None),
        ("unportable: note without file", &unportable, vec![no_file], None),
        ("unportable: note without anything", &unportable, vec![no_file, no_alert], None),
        ("unportable: indicator", &unportable, vec![("YARA_UNPORTABLE", "indicator")], None),
        ("unportable: skip", &unportable, vec![("YARA_UNPORTABLE", "skip")], None),
        ("rule not in its ruleset", &unknown_rule, vec![], None),
        ("ruleset gone", &gone, vec![], None),
        ("ruleset with an odd id", &odd_id, vec![], None),
        ("ruleset refused", &file, vec![], Some(&refused)),
        ("artifact", &file, vec![artifact, no_rule], None),
        ("artifact without alert", &file, vec![artifact, no_rule, no_alert], None),
        ("artifact alone", &file, vec![artifact, no_rule, no_alert, no_file], None),
        ("artifact known", &file, vec![artifact, no_rule], Some(&known)),
        ("artifact known and nothing else", &file, vec![artifact, no_rule, no_alert, no_file], Some(&known)),
        ("artifact refused", &file, vec![artifact, no_rule], Some(&refused)),
        ("artifact not downloadable", &not_downloadable, vec![artifact, no_rule], None),
        ("url without alert", &url, vec![network, no_alert, no_rule], None),
        ("url without text", &url_without_text, vec![network, no_rule], None),
        ("IPv4", &ipv4, vec![network, no_rule, ip_indicators], None),
        ("IPv6 without alert", &ipv6, vec![network, no_rule, ip_indicators, no_alert], None),
        ("not an IP address", &not_an_ip_address, vec![network, no_rule], None),
        ("not a domain", &not_a_domain, vec![network, no_rule], None),
    ];
    let mut table = String::new();
    for (name, document, settings, fixed) in cases {
        let mapper = mapper(&settings);
        let verdict = map_with(&mapper, &item(document), |question| {
            let fixed = fixed.filter(|_| question.kind != "known");
            fixed.cloned().unwrap_or_else(|| answer(&mapper, question))
        })
        .unwrap();
        table.push_str(&summary(name, verdict));
    }
    insta::assert_snapshot!("switches_and_answers", table);
}

fn summary(name: &str, verdict: Verdict) -> String {
    use std::fmt::Write as _;

    let remarks = verdict.remarks.clone();
    let emission = emitted(verdict);
    let mut text = format!("{name}\n");
    let mut shown = |document: &Value| {
        let kind = |id: &Value| id.as_str().unwrap().split("--").next().unwrap().to_owned();
        let mut line = document["type"].as_str().unwrap().to_owned();
        if line == "relationship" {
            line = format!(
                "{} {} {}",
                kind(&document["source_ref"]),
                document["relationship_type"].as_str().unwrap(),
                kind(&document["target_ref"])
            );
        }
        writeln!(text, "  {line}").unwrap();
    };
    for object in &emission.objects {
        shown(&serde_json::from_str(&object.document).unwrap());
    }
    for artifact in &emission.artifacts {
        let artifact: Value = serde_json::from_str(artifact).unwrap();
        shown(&json!({"type": format!("copy {}", artifact["source"])}));
        artifact["objects"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(&mut shown);
    }
    for remark in remarks {
        writeln!(text, "  {:?}: {}", remark.severity, remark.message).unwrap();
    }
    text
}
