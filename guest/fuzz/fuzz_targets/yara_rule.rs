//! Any text as a ruleset: what is cut out of it parses, holds the wanted rule, and is the same when cut again.
//!
//! The first line names the rule, the rest is the ruleset.

#![no_main]
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

#[allow(dead_code, reason = "not all targets need all of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use livehunt::contract::Question;
use serde_json::{Value, json};

fn digest(rule_name: &str, rules: &str) -> Value {
    let question = Question {
        kind: "lookup".to_owned(),
        subject: "intelligence/hunting_rulesets/1".to_owned(),
        part: rule_name.to_owned(),
    };
    let document = json!({"data": {"attributes": {"rules": rules}}}).to_string();
    let digest = support::mapper(&[]).digest(&question, &document).unwrap();
    serde_json::from_str(&digest).unwrap()
}

fuzz_target!(|input: &str| {
    let (rule_name, rules) = input.split_once('\n').unwrap_or(("", input));
    let digest_of = |rules: &str| digest(rule_name, rules);
    let first = digest_of(rules);
    match first["rule"]["text"].as_str() {
        Some(text) => {
            assert_eq!(support::yara_fault(text, rule_name), None);
            assert_eq!(digest_of(text)["rule"]["text"], text);
        }
        None => assert!(first["problem"].is_string()),
    }
});
