//! Splitting a ruleset into rules that stand on their own.

use std::collections::BTreeSet;
use std::ops::Range;

use yara_x_parser::Parser;
use yara_x_parser::cst::{Event, SyntaxKind};

/// A rule with all that an engine needs to compile it.
#[derive(Debug, PartialEq)]
pub(crate) struct Rule<'text> {
    pub(crate) name: &'text str,
    pub(crate) text: String,
}

/// What a ruleset consists of.
#[derive(Debug)]
pub(crate) struct Split<'text> {
    /// Rules that report, in source order: private rules only serve others.
    pub(crate) rules: Vec<Rule<'text>>,
    /// The parser's first complaint; rules that do not parse, and those that need them, are left out.
    pub(crate) error: Option<String>,
}

/// A rule as it stands in the ruleset.
#[derive(Default)]
struct Declaration<'text> {
    name: &'text str,
    text: &'text str,
    span: Range<usize>,
    is_private: bool,
    is_global: bool,
    is_broken: bool,
    /// Every name in it; some are those of rules.
    names: BTreeSet<&'text str>,
}

/// Splits the text of a ruleset.
///
/// Each rule comes with all imports, the global rules, and the earlier rules whose names occur in it, all of these
/// made private: perhaps more than it needs, never less.
pub(crate) fn split(text: &str) -> Split<'_> {
    let (imports, declarations, error) = declarations(text);
    let reporting = (0..declarations.len()).filter(|it| !declarations[*it].is_private);
    let rules = reporting
        .map(|target| (target, needed(&declarations, target)))
        .filter(|(_, needed)| !needed.iter().any(|it| declarations[*it].is_broken))
        .map(|(target, needed)| Rule {
            name: declarations[target].name,
            text: standing_alone(&imports, &declarations, &needed, target),
        })
        .collect();
    Split { rules, error }
}

/// Positions of the rule itself and of all that it needs.
fn needed(declarations: &[Declaration<'_>], target: usize) -> BTreeSet<usize> {
    let mut needed = BTreeSet::from([target]);
    needed.extend((0..declarations.len()).filter(|it| declarations[*it].is_global));
    // A rule can only name earlier ones, so that one pass from the last to the first finds all.
    for position in (0..declarations.len()).rev() {
        if needed.contains(&position) {
            let named = (0..position).filter(|it| {
                declarations[position]
                    .names
                    .contains(declarations[*it].name)
            });
            needed.extend(named);
        }
    }
    needed
}

fn standing_alone(
    imports: &[&str],
    declarations: &[Declaration<'_>],
    needed: &BTreeSet<usize>,
    target: usize,
) -> String {
    let rules = needed.iter().map(|position| {
        let declaration = &declarations[*position];
        let hidden = *position != target && !declaration.is_private;
        format!(
            "{}{}",
            if hidden { "private " } else { "" },
            declaration.text
        )
    });
    let imports = imports.iter().map(|import| (*import).to_owned());
    imports.chain(rules).collect::<Vec<_>>().join("\n")
}

fn declarations(text: &str) -> (Vec<&str>, Vec<Declaration<'_>>, Option<String>) {
    let mut imports = Vec::new();
    let mut rules: Vec<Declaration<'_>> = Vec::new();
    let mut errors = Vec::new();
    let mut in_rule = false;
    for event in Parser::new(text.as_bytes()) {
        match event {
            Event::Begin {
                kind: SyntaxKind::IMPORT_STMT,
                span,
            } => imports.push(&text[span.range()]),
            Event::Begin {
                kind: SyntaxKind::RULE_DECL,
                span,
            } => {
                in_rule = true;
                rules.push(Declaration {
                    text: &text[span.range()],
                    span: span.range(),
                    ..Declaration::default()
                });
            }
            Event::End {
                kind: SyntaxKind::RULE_DECL,
                ..
            } => in_rule = false,
            Event::Token { kind, span } if in_rule => {
                if let Some(rule) = rules.last_mut() {
                    rule.token(kind, &text[span.range()]);
                }
            }
            Event::Error { message, span } => errors.push((message, span.start())),
            _ => {}
        }
    }
    for rule in &mut rules {
        rule.is_broken = errors.iter().any(|(_, start)| rule.span.contains(start));
    }
    let first = errors.into_iter().next();
    (imports, rules, first.map(|(message, _)| message))
}

impl<'text> Declaration<'text> {
    fn token(&mut self, kind: SyntaxKind, text: &'text str) {
        match kind {
            SyntaxKind::PRIVATE_KW if self.name.is_empty() => self.is_private = true,
            SyntaxKind::GLOBAL_KW if self.name.is_empty() => self.is_global = true,
            SyntaxKind::IDENT if self.name.is_empty() => self.name = text,
            SyntaxKind::IDENT => {
                self.names.insert(text);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_that_reports_comes_with_what_it_names() {
        let split = split(
            "import \"pe\"\n// rule none { condition: true }\nprivate rule base { condition: pe.is_pe }\n\
             rule first : tag { strings: $a = \"}\" private condition: base and $a }\n\
             global rule large { condition: filesize > 1 }\nrule second { condition: first }",
        );
        assert_eq!(split.error, None);
        let base = "private rule base { condition: pe.is_pe }";
        let first = "rule first : tag { strings: $a = \"}\" private condition: base and $a }";
        let large = "global rule large { condition: filesize > 1 }";
        let rule = |name, parts: &[&str]| Rule {
            name,
            text: format!("import \"pe\"\n{}", parts.join("\n")),
        };
        let hidden = |text: &str| format!("private {text}");
        assert_eq!(
            split.rules,
            [
                rule("first", &[base, first, &hidden(large)]),
                rule("large", &[large]),
                rule(
                    "second",
                    &[
                        base,
                        &hidden(first),
                        &hidden(large),
                        "rule second { condition: first }"
                    ]
                ),
            ]
        );
    }

    #[test]
    fn a_rule_that_does_not_parse_is_told_and_the_others_are_there() {
        for bad in [
            "rule bad { condition: } rule dependent { condition: bad }",
            "rule { condition: true }",
            "rule",
        ] {
            let text = format!("rule good {{ condition: true }} {bad}");
            let split = split(&text);
            assert!(split.error.is_some(), "{bad}");
            let names: Vec<_> = split.rules.iter().map(|rule| rule.name).collect();
            assert_eq!(names, ["good"], "{bad}");
        }
    }
}
