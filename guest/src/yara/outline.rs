//! Where the rules of a ruleset stand, found without understanding them.

use std::collections::HashMap;

use yara_x_parser::Parser;
use yara_x_parser::cst::{Event, SyntaxKind};

/// One rule as it stands in the ruleset.
pub(super) struct Declaration<'s> {
    pub name: &'s str,
    pub is_global: bool,
    pub is_private: bool,
    /// From the first modifier to the closing brace. A rule with a syntax error may reach further: its
    /// end is then where the parser found its feet again.
    pub text: &'s str,
}

/// The modules and rules of a ruleset, in source order.
#[derive(Default)]
pub(super) struct Outline<'s> {
    /// Each imported module once.
    pub modules: Vec<&'s str>,
    pub rules: Vec<Declaration<'s>>,
    module_by_name: HashMap<&'s str, usize>,
    rule_by_name: HashMap<&'s str, usize>,
}

impl<'s> Outline<'s> {
    /// Reads any text: what is not a rule or an import is passed over.
    pub fn of(source: &'s str) -> Self {
        // The parser would take a byte order mark for a part of the first word.
        let source = source.trim_start_matches('\u{feff}');
        let mut outline = Self::default();
        let mut item = Item::default();
        let mut depth = 0_usize;
        for event in Parser::new(source.as_bytes()) {
            match event {
                Event::Begin { span, .. } => {
                    depth += 1;
                    // Depth 1 is the file itself.
                    if depth == 2 {
                        item = Item {
                            end: span.end(),
                            ..Item::default()
                        };
                    }
                }
                Event::End { .. } => depth = depth.saturating_sub(1),
                Event::Token { kind, span } => {
                    item.token(&mut outline, source, kind, span.range());
                }
                Event::Error { .. } => {}
            }
        }
        outline
    }

    /// The rule of that name. Engines refuse a ruleset that gives a name twice; the first one counts.
    pub fn rule(&self, name: &str) -> Option<usize> {
        self.rule_by_name.get(name).copied()
    }

    pub fn module(&self, name: &str) -> Option<usize> {
        self.module_by_name.get(name).copied()
    }

    fn add_rule(&mut self, declaration: Declaration<'s>) {
        self.rule_by_name
            .entry(declaration.name)
            .or_insert(self.rules.len());
        self.rules.push(declaration);
    }

    fn add_module(&mut self, name: &'s str) {
        self.module_by_name.entry(name).or_insert_with(|| {
            self.modules.push(name);
            self.modules.len() - 1
        });
    }
}

/// What has been seen of the current import or rule.
///
/// After a missing brace the parser takes the next rule for a part of this one, so that one item may hold
/// several declarations; each keyword `rule` begins one.
#[derive(Default)]
struct Item {
    end: usize,
    /// Start of the modifiers in front of a keyword `rule` that is still to come.
    start: Option<usize>,
    is_global: bool,
    is_private: bool,
    expected: Expected,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Expected {
    #[default]
    Keyword,
    RuleName,
    ModuleName,
}

impl Item {
    fn token<'s>(
        &mut self,
        outline: &mut Outline<'s>,
        source: &'s str,
        kind: SyntaxKind,
        span: std::ops::Range<usize>,
    ) {
        match (kind, self.expected) {
            (SyntaxKind::WHITESPACE | SyntaxKind::NEWLINE | SyntaxKind::COMMENT, _) => return,
            (SyntaxKind::GLOBAL_KW, _) => {
                self.start.get_or_insert(span.start);
                self.is_global = true;
                return;
            }
            (SyntaxKind::PRIVATE_KW, _) => {
                self.start.get_or_insert(span.start);
                self.is_private = true;
                return;
            }
            (SyntaxKind::RULE_KW, _) => {
                self.start.get_or_insert(span.start);
                self.expected = Expected::RuleName;
                return;
            }
            (SyntaxKind::IMPORT_KW, _) => {
                self.expected = Expected::ModuleName;
                return;
            }
            (SyntaxKind::IDENT, Expected::RuleName) => self.rule(outline, source, span),
            (SyntaxKind::STRING_LIT, Expected::ModuleName) => {
                if let Some(text) = source.get(span) {
                    outline.add_module(text.trim_matches('"'));
                }
            }
            _ => {}
        }
        // `private` is a modifier of strings too: only those directly in front of `rule` count.
        *self = Self {
            end: self.end,
            ..Self::default()
        };
    }

    fn rule<'s>(&self, outline: &mut Outline<'s>, source: &'s str, name: std::ops::Range<usize>) {
        let start = self.start.unwrap_or(name.start);
        if let (Some(name), Some(text)) = (source.get(name), source.get(start..self.end)) {
            outline.add_rule(Declaration {
                name,
                is_global: self.is_global,
                is_private: self.is_private,
                text,
            });
        }
    }
}
