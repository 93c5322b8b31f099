//! What keeps a rule from compiling in OpenCTI.

use std::collections::BTreeSet;

use yara_x_parser::Parser;
use yara_x_parser::ast::dfs::{DFSEvent, DFSIter};
use yara_x_parser::ast::{Expr, Iterable, MetaValue, OfItems, Quantifier, Rule};
use yara_x_parser::cst::{Event, SyntaxKind};

use super::regexp;

/// The modules in the yara-python 4.5.4 wheel, with which OpenCTI checks an indicator's pattern.
const MODULES: &[&str] = &[
    "pe", "elf", "math", "time", "console", "string", "dotnet", "hash",
];

/// The functions that YARA has outside of modules. YARA-X has more.
const FUNCTIONS: &[&str] = &[
    "int8", "int16", "int32", "int8be", "int16be", "int32be", "uint8", "uint16", "uint32",
    "uint8be", "uint16be", "uint32be",
];

/// Bytes that YARA has room for in one text string or regular expression.
pub(super) const LONGEST_LITERAL: usize = 8190;

/// Bytes that YARA has room for in one identifier.
const LONGEST_IDENTIFIER: usize = 128;

/// Whether OpenCTI's YARA has that module.
pub(super) fn has_module(name: &str) -> bool {
    MODULES.contains(&name)
}

/// What of this rule's syntax YARA 4.5 refuses although YARA-X takes it, in words, each once.
///
/// Not looked at: what both refuse, and whether a module has the field that the rule reads.
pub(super) fn foreign_syntax(text: &str, rule: &Rule<'_>) -> BTreeSet<String> {
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
    for event in DFSIter::new(&rule.condition) {
        if let DFSEvent::Enter(expression) = event {
            reasons.extend(foreign_expression(expression));
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
        SyntaxKind::REGEXP => regexp::foreign(token),
        SyntaxKind::HEX_JUMP if is_foreign_jump(token) => {
            Some(format!("jump `{token}` in a hex string"))
        }
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

/// YARA wants a jump of `[0]` written `[0-0]`, and `[-3]` written `[0-3]`.
fn is_foreign_jump(jump: &str) -> bool {
    let inner = jump.trim_matches(['[', ']']).trim();
    inner.parse() == Ok(0_u32) || inner.strip_prefix('-').is_some_and(|end| !end.is_empty())
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

fn foreign_expression(expression: &Expr<'_>) -> Option<String> {
    match expression {
        // A method of a call's result has no object of its own; YARA has no such methods either.
        Expr::FuncCall(call)
            if call.object.is_none() && !FUNCTIONS.contains(&call.identifier.name) =>
        {
            Some(format!("function `{}`", call.identifier.name))
        }
        Expr::Of(of) => match &of.items {
            OfItems::BoolExprTuple(items)
                if !items.iter().all(|it| matches!(it, Expr::Ident(_))) =>
            {
                Some("`of` over expressions".to_owned())
            }
            _ => None,
        },
        Expr::ForOf(loop_) if matches!(loop_.quantifier, Quantifier::Percentage(_)) => {
            Some("percentage in a `for`".to_owned())
        }
        Expr::ForIn(loop_) if matches!(loop_.quantifier, Quantifier::Percentage(_)) => {
            Some("percentage in a `for`".to_owned())
        }
        Expr::ForIn(loop_) => match &loop_.iterable {
            Iterable::ExprTuple(items)
                if items.iter().any(|it| matches!(it, Expr::LiteralFloat(_))) =>
            {
                Some("`for` over floating-point numbers".to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use yara_x_parser::ast::AST;

    use super::*;

    /// Each answer was had from yara-python 4.5.4.
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
                Some("`for` over floating-point numbers"),
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
            let reasons = foreign_syntax(&text, ast.rules().next().unwrap());
            assert_eq!(
                reasons.iter().map(String::as_str).collect::<Vec<_>>(),
                Vec::from_iter(*expected),
                "{body}"
            );
        }
    }
}
