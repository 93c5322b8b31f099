//! What keeps a rule from compiling in OpenCTI.

use std::collections::{BTreeSet, HashSet};

use yara_x_parser::Parser;
use yara_x_parser::ast::{Expr, MetaValue, Pattern, Rule};
use yara_x_parser::cst::{Event, SyntaxKind};

use super::condition::{self, Name};
use super::{hex, patterns, regexp};

/// Bytes that YARA has room for in one text string or regular expression.
pub(super) const LONGEST_LITERAL: usize = 8190;

/// Bytes that YARA has room for in one identifier.
const LONGEST_IDENTIFIER: usize = 128;

/// What of this rule YARA 4.5 refuses although YARA-X takes it, in words, each once. `resolve` tells what the names of
/// its condition stand for.
pub(super) fn foreign_syntax(
    text: &str,
    rule: &Rule<'_>,
    resolve: &dyn Fn(&str) -> Name,
) -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    if text.contains('\0') {
        reasons.insert("NUL character".to_owned());
    }
    for event in Parser::new(text.as_bytes()) {
        let (Event::Token { kind, span } | Event::Begin { kind, span }) = event else {
            continue;
        };
        if let Some(reason) = text
            .get(span.range())
            .and_then(|part| foreign_part(kind, part))
        {
            reasons.insert(reason);
        }
    }
    for it in rule.meta.iter().flatten() {
        if matches!(it.value, MetaValue::Float(_)) {
            reasons.insert(format!(
                "metadata `{}` is a floating-point number",
                it.identifier.name
            ));
        }
    }
    let mut tags = HashSet::new();
    for tag in rule.tags.iter().flatten() {
        if !tags.insert(tag.name) {
            reasons.insert(format!("tag `{}` stands twice", tag.name));
        }
    }
    let patterns = rule.patterns.as_deref().unwrap_or_default();
    reasons.extend(patterns::check(patterns));
    reasons.extend(foreign_condition(&rule.condition, patterns, resolve));
    reasons
}

/// The condition, and strings that it does not use, which YARA takes for a mistake unless their names begin with `_`.
fn foreign_condition<'a>(
    condition: &'a Expr<'a>,
    patterns: &'a [Pattern<'a>],
    resolve: &dyn Fn(&str) -> Name,
) -> BTreeSet<String> {
    let strings: Vec<&str> = patterns
        .iter()
        .map(|it| it.identifier().name.get(1..).unwrap_or_default())
        .collect();
    let checked = condition::check(condition, &strings, resolve);
    let mut reasons = checked.reasons;
    for string in strings {
        if !string.starts_with('_') && !checked.used.contains(string) {
            reasons.insert(format!(
                "string `${string}`, which the condition does not use"
            ));
        }
    }
    reasons
}

fn foreign_part(kind: SyntaxKind, token: &str) -> Option<String> {
    match kind {
        SyntaxKind::WITH_KW => Some("`with` statement".to_owned()),
        SyntaxKind::INTEGER_LIT | SyntaxKind::FLOAT_LIT if token.contains('_') => {
            Some(format!("digits separated by underscores: `{token}`"))
        }
        SyntaxKind::INTEGER_LIT if !fits(token) => {
            Some(format!("`{token}` is greater than {}", i64::MAX))
        }
        SyntaxKind::STRING_LIT if token.starts_with("\"\"\"") => {
            Some("string of several lines".to_owned())
        }
        SyntaxKind::STRING_LIT => foreign_string(token),
        SyntaxKind::REGEXP => regexp::foreign(token, true),
        SyntaxKind::HEX_JUMP => hex::foreign_jump(token),
        SyntaxKind::WHITESPACE if !token.is_ascii() => Some("blank that is not ASCII".to_owned()),
        SyntaxKind::IDENT if token.len() > LONGEST_IDENTIFIER => {
            Some(format!("name of more than {LONGEST_IDENTIFIER} characters"))
        }
        _ => None,
    }
}

/// YARA's integers are 64 bits with a sign.
fn fits(literal: &str) -> bool {
    let (digits, factor) = match (literal.strip_suffix("KB"), literal.strip_suffix("MB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (literal, 1),
    };
    let number = if let Some(digits) = digits.strip_prefix("0x") {
        i64::from_str_radix(digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0o") {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse::<i64>()
    };
    number.is_ok_and(|number| number.checked_mul(factor).is_some())
}

fn foreign_string(literal: &str) -> Option<String> {
    let mut length = 0_usize;
    let mut rest = literal.trim_matches('"').chars();
    while let Some(it) = rest.next() {
        length += it.len_utf8();
        if it == '\\' {
            match rest.next() {
                Some('0') => return Some("escape `\\0` in a string".to_owned()),
                // Both hexadecimal digits belong to the one byte.
                Some('x') => _ = rest.nth(1),
                _ => {}
            }
        }
    }
    (length > LONGEST_LITERAL).then(|| format!("string of more than {LONGEST_LITERAL} bytes"))
}

#[cfg(test)]
mod tests {
    use yara_x_parser::ast::AST;

    use super::*;

    /// Each is asked of libyara too.
    #[test]
    fn reasons_are_what_yara_refuses() {
        let long = "a".repeat(LONGEST_LITERAL);
        let cases: &[(&str, Option<&str>)] = &[
            (
                "meta: a = -3 b = 0x10 c = \"\\r\\t\\n\\\\\\\"\\x00\" condition: 0o17 == 15",
                None,
            ),
            (
                "meta: a = 3.5 condition: true",
                Some("metadata `a` is a floating-point number"),
            ),
            (
                "meta: a = \"\"\"a\nb\"\"\" condition: true",
                Some("string of several lines"),
            ),
            (
                "meta: a = \"\\0\" condition: true",
                Some("escape `\\0` in a string"),
            ),
            ("meta: a = \"\\\\0\" condition: true", None),
            (&format!("meta: a = \"{long}\" condition: true"), None),
            (
                &format!("meta: a = \"{long}a\" condition: true"),
                Some("string of more than 8190 bytes"),
            ),
            (
                "condition: 1_000 == 1",
                Some("digits separated by underscores: `1_000`"),
            ),
            ("condition: 9223372036854775807 == 1", None),
            ("condition: 0x7fffffffffffffff == 1", None),
            (
                "condition: 9223372036854775808 == 1",
                Some("`9223372036854775808` is greater than 9223372036854775807"),
            ),
            (
                "condition: 9007199254740992KB == 1",
                Some("`9007199254740992KB` is greater than 9223372036854775807"),
            ),
            ("\u{a0}condition: true", Some("blank that is not ASCII")),
            (
                "condition: with x = 3 : ( x == 3 )",
                Some("`with` statement"),
            ),
            ("condition: uint32be(0) == int8(1)", None),
            ("condition: float32(0) == 1.0", Some("function `float32`")),
            ("condition: any of (one, two)", None),
            (
                "condition: any of (true, one)",
                Some("`of` over expressions"),
            ),
            (
                "condition: for any x in (\"a\", \"b\") : ( x == \"a\" )",
                None,
            ),
            (
                "condition: for any x in (1.0, 2.0) : ( x == 1.0 )",
                Some("`for` over other than integers or texts"),
            ),
            ("strings: $a = \"abc\" condition: 50% of them", None),
            (
                "strings: $a = \"abc\" condition: for 50% of them : ( $ )",
                Some("percentage in a `for`"),
            ),
            (
                "condition: for 50% i in (1, 2) : ( i == 1 )",
                Some("percentage in a `for`"),
            ),
            (
                "strings: $a = { AA [0-0] BB [-] CC [2] DD [3-] ~EE } condition: $a",
                None,
            ),
            (
                "strings: $a = { AA [0] BB } condition: $a",
                Some("jump `[0]` in a hex string"),
            ),
            (
                "strings: $a = { AA [-3] BB } condition: $a",
                Some("jump `[-3]` in a hex string"),
            ),
            (
                "strings: $a = /(?:ab)c/ condition: $a",
                Some("`(?` in a regular expression"),
            ),
            (
                "condition: \"abc\" matches /abc()/",
                Some("`()` in a regular expression"),
            ),
        ];
        for (body, expected) in cases {
            let text = format!("rule it {{ {body} }}");
            let ast = AST::from(text.as_str());
            assert_eq!(ast.errors(), [], "{body}");
            let reasons = foreign_syntax(&text, ast.rules().next().unwrap(), &|_| Name::Rule);
            assert_eq!(
                reasons.iter().map(String::as_str).collect::<Vec<_>>(),
                Vec::from_iter(*expected),
                "{body}"
            );
            let others = "rule one { condition: true } rule two { condition: true }";
            let refusal = yara_judge::refusal(&format!("{others} {text}"));
            assert_eq!(refusal.is_some(), expected.is_some(), "{body}: {refusal:?}");
        }
    }
}
