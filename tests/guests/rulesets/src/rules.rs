//! Splitting a ruleset into rules that stand on their own.

use std::collections::BTreeSet;

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
    /// The parser's first complaint; rules around it may be missing.
    pub(crate) error: Option<String>,
}

/// A rule as it stands in the ruleset.
#[derive(Default)]
struct Declaration<'text> {
    name: &'text str,
    text: &'text str,
    is_private: bool,
    is_global: bool,
    /// Every name in it; some are those of rules.
    names: BTreeSet<&'text str>,
}

/// Splits the text of a ruleset.
///
/// Each rule comes with all imports, the global rules, and the earlier rules whose names occur in it, all of these
/// made private: perhaps more than it needs, never less.
pub(crate) fn split(text: &str) -> Split<'_> {
    let (imports, declarations, error) = declarations(text);
    let reporting = declarations.iter().enumerate();
    let rules = reporting
        .filter(|(_, declaration)| !declaration.is_private)
        .map(|(position, declaration)| Rule {
            name: declaration.name,
            text: standing_alone(&imports, &declarations, position),
        })
        .collect();
    Split { rules, error }
}

fn standing_alone(imports: &[&str], declarations: &[Declaration<'_>], target: usize) -> String {
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
    let rules = needed.into_iter().map(|position| {
        let declaration = &declarations[position];
        let hidden = position != target && !declaration.is_private;
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
    let mut in_rule = false;
    let mut error = None;
    for event in Parser::new(text.as_bytes()) {
        match event {
            Event::Begin {
                kind: SyntaxKind::IMPORT_STMT,
                span,
            } => {
                imports.push(&text[span.range()]);
            }
            Event::Begin {
                kind: SyntaxKind::RULE_DECL,
                span,
            } => {
                in_rule = true;
                rules.push(Declaration {
                    text: &text[span.range()],
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
            Event::Error { message, .. } if error.is_none() => error = Some(message),
            _ => {}
        }
    }
    (imports, rules, error)
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
             global rule all { condition: filesize > 1 }\nrule second { condition: first }",
        );
        assert_eq!(split.error, None);
        let base = "private rule base { condition: pe.is_pe }";
        let first = "rule first : tag { strings: $a = \"}\" private condition: base and $a }";
        let all = "global rule all { condition: filesize > 1 }";
        let rule = |name, parts: &[&str]| Rule {
            name,
            text: format!("import \"pe\"\n{}", parts.join("\n")),
        };
        let hidden = |text: &str| format!("private {text}");
        assert_eq!(
            split.rules,
            [
                rule("first", &[base, first, &hidden(all)]),
                rule("all", &[all]),
                rule(
                    "second",
                    &[
                        base,
                        &hidden(first),
                        &hidden(all),
                        "rule second { condition: first }"
                    ]
                ),
            ]
        );
    }

    #[test]
    fn a_rule_that_does_not_parse_is_told_and_the_others_are_there() {
        let split = split("rule good { condition: true } rule bad { condition: } ");
        assert!(split.error.is_some());
        assert_eq!(split.rules[0].name, "good");
    }
}
