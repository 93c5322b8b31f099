//! Cuts one rule, with all that it needs, out of a Livehunt ruleset.
//!
//! The bytes of a rule are never touched: its author recognises it, and the indicator's id, which is made
//! of the text, stays the same. No YARA is compiled here; the parser is that of YARA-X.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use serde::{Deserialize, Serialize};
use yara_x_parser::ast::{self, AST, Item};

use self::condition::Name;
use self::metadata::Metadata;
use self::outline::Outline;
use crate::stix::Tlp;

mod bounds;
mod condition;
#[cfg(test)]
mod corpus;
mod date;
mod emitted;
mod hex;
mod metadata;
mod modules;
mod outline;
mod patterns;
mod portable;
mod regexp;
#[cfg(test)]
mod tests;
mod uses;

/// A rule that stands on its own.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Rule {
    /// Identifier of the rule.
    pub name: String,
    /// Tags in source order.
    pub tags: Vec<String>,
    /// Imports, rules and the rule itself: all that an engine needs to compile it. Rules other than this
    /// one are private, so that they do not report.
    pub text: String,
    /// What in `text` OpenCTI's engine (yara-python 4.5.4, without external variables) does not have, in
    /// words; empty when nothing is known.
    pub unportable: Vec<String>,
    /// What the rule says that it finds.
    pub description: Option<String>,
    /// When the rule was made, in Unix seconds.
    pub created: Option<u64>,
    /// When the rule was last changed, in Unix seconds.
    pub modified: Option<u64>,
    /// From 0 to 100.
    pub score: Option<u8>,
    /// How far it may be shared, as it says, or a rule that comes with it: the strongest counts.
    pub tlp: Option<Tlp>,
    /// Web addresses (`http`, `https`), each once.
    pub references: Vec<String>,
    /// Metadata for the reader, as key (lower case) and value in source order: author, hashes, license,
    /// TLP, references that are no web addresses.
    pub remarks: Vec<(String, String)>,
}

/// Why a rule could not be cut.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The ruleset was changed since, or the name is not that of a rule.
    #[error("the ruleset has no rule `{rule}`: expected one of its {known} rules")]
    NotFound {
        /// The name that was asked for.
        rule: String,
        /// How many rules the ruleset has.
        known: usize,
    },
    /// The rule does not parse, or one without which it would mean something else.
    #[error("cannot cut rule `{rule}`: rule `{broken}` is not valid YARA-X: {reason}")]
    Syntax {
        /// The name that was asked for.
        rule: String,
        /// The rule that does not parse.
        broken: String,
        /// The parser's words.
        reason: String,
    },
    /// The ruleset is not one that the parser can be given.
    #[error("the ruleset is not read: it has {0}")]
    Bounds(&'static str),
    /// The cut text is not what it should be.
    #[error(
        "cannot cut rule `{rule}`: its text with all that it needs is not valid YARA-X: {reason}"
    )]
    Text {
        /// The name that was asked for.
        rule: String,
        /// The parser's words.
        reason: String,
    },
}

/// Cuts the rule named exactly `rule_name` out of `ruleset`.
///
/// It comes with the modules that it uses, the rules that it names (and those that they name), and the
/// ruleset's global rules, without which it would match more. Order is that of the source. Errors in
/// other rules do not matter.
///
/// # Errors
/// The rule is not there, or it or a rule that it needs cannot be parsed, or the ruleset is too much for a parser. Sets of rules with a wildcard,
/// `any of (Rule_*)`, are a syntax error in YARA-X and so here.
pub fn cut(ruleset: &str, rule_name: &str) -> Result<Rule, Error> {
    bounds::check(ruleset)?;
    let outline = Outline::of(ruleset);
    let target = outline.rule(rule_name).ok_or_else(|| Error::NotFound {
        rule: rule_name.to_owned(),
        known: outline.rules.len(),
    })?;
    let needed = Needed::of(&outline, target)?;
    let text = needed.text(&outline, target);

    // The target is among the needed rules from the start.
    let rule = &needed.rules[&target].rule;
    let metadata = Metadata::of(rule.meta.as_deref().unwrap_or_default());
    let cut = Rule {
        name: rule_name.to_owned(),
        tags: rule
            .tags
            .iter()
            .flatten()
            .map(|tag| tag.name.to_owned())
            .collect(),
        text,
        unportable: needed.unportable(&outline, target),
        description: metadata.description,
        created: metadata.created,
        modified: metadata.modified,
        score: metadata.score,
        tlp: needed.tlp(),
        references: metadata.references,
        remarks: metadata.remarks,
    };
    let rules = needed.rules.len();
    // A large rule takes much memory once it is parsed: one at a time.
    drop(needed);
    check(&cut.text, rule_name, rules)?;
    Ok(cut)
}

/// A rule and what its names stand for.
struct Resolved<'s> {
    rule: ast::Rule<'s>,
    /// Positions in the outline.
    modules: BTreeSet<usize>,
    /// Positions in the outline, all before this rule.
    rules: BTreeSet<usize>,
    /// Names that no rule before this one and no import declares.
    unknown: Vec<String>,
}

impl<'s> Resolved<'s> {
    fn of(outline: &Outline<'s>, position: usize, target: usize) -> Result<Self, Error> {
        let rule = parse(outline, position, target)?;
        let (mut modules, mut rules, mut unknown) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for name in uses::free_names(&rule.condition) {
            if let Some(module) = outline.module(name) {
                modules.insert(module);
            } else if let Some(rule) = outline.rule(name).filter(|it| *it < position) {
                rules.insert(rule);
            } else {
                unknown.push(name.to_owned());
            }
        }
        Ok(Self {
            rule,
            modules,
            rules,
            unknown,
        })
    }
}

/// A rule and all that it needs, by position in the outline.
struct Needed<'s> {
    rules: BTreeMap<usize, Resolved<'s>>,
}

impl<'s> Needed<'s> {
    fn of(outline: &Outline<'s>, target: usize) -> Result<Self, Error> {
        let globals =
            (0..outline.rules.len()).filter(|position| outline.rules[*position].is_global);
        let mut pending: Vec<usize> = globals.chain([target]).collect();
        let mut rules = BTreeMap::new();
        while let Some(position) = pending.pop() {
            if let Entry::Vacant(place) = rules.entry(position) {
                let resolved = Resolved::of(outline, position, target)?;
                pending.extend(&resolved.rules);
                place.insert(resolved);
            }
        }
        Ok(Self { rules })
    }

    fn tlp(&self) -> Option<Tlp> {
        let sections = self
            .rules
            .values()
            .map(|it| it.rule.meta.as_deref().unwrap_or_default());
        sections
            .filter_map(|section| Metadata::of(section).tlp)
            .max()
    }

    fn modules(&self) -> BTreeSet<usize> {
        self.rules
            .values()
            .flat_map(|it| &it.modules)
            .copied()
            .collect()
    }

    fn text(&self, outline: &Outline<'s>, target: usize) -> String {
        let mut text = String::new();
        for module in self.modules() {
            text.push_str("import \"");
            text.push_str(outline.modules[module]);
            text.push_str("\"\n");
        }
        for position in self.rules.keys() {
            let declaration = &outline.rules[*position];
            if !text.is_empty() {
                text.push('\n');
            }
            if *position != target && !declaration.is_private {
                text.push_str("private ");
            }
            text.push_str(declaration.text);
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn unportable(&self, outline: &Outline<'s>, target: usize) -> Vec<String> {
        let mut reasons = Vec::new();
        for (position, resolved) in &self.rules {
            let declaration = &outline.rules[*position];
            let foreign_modules = resolved
                .modules
                .iter()
                .map(|module| outline.modules[*module])
                .filter(|name| modules::module(name).is_none())
                .map(|name| format!("module `{name}`"));
            let foreign_names = resolved
                .unknown
                .iter()
                .map(|name| match outline.rule(name) {
                    Some(_) => format!("rule `{name}`, which is declared only later"),
                    None => format!("external variable `{name}`"),
                });
            let resolve = |name: &str| match outline.module(name) {
                Some(module) => {
                    modules::module(outline.modules[module]).map_or(Name::Unknown, Name::Module)
                }
                None if outline.rule(name).is_some_and(|it| it < *position) => Name::Rule,
                None => Name::Unknown,
            };
            let found = foreign_modules
                .chain(foreign_names)
                .chain(portable::foreign_syntax(
                    declaration.text,
                    &resolved.rule,
                    &resolve,
                ));
            reasons.extend(found.map(|reason| match *position == target {
                true => reason,
                false => format!("{reason} (in rule `{}`)", shown(declaration.name)),
            }));
        }
        reasons
    }
}

fn parse<'s>(
    outline: &Outline<'s>,
    position: usize,
    target: usize,
) -> Result<ast::Rule<'s>, Error> {
    let declaration = &outline.rules[position];
    let syntax_error = |reason| Error::Syntax {
        rule: outline.rules[target].name.to_owned(),
        broken: shown(declaration.name).to_owned(),
        reason,
    };
    let ast = AST::from(declaration.text);
    if let Some(error) = ast.errors().first() {
        return Err(syntax_error(describe(error, declaration.text)));
    }
    let mut rules = ast.items.into_iter().filter_map(|item| match item {
        Item::Rule(rule) => Some(rule),
        Item::Import(_) | Item::Include(_) => None,
    });
    rules
        .next()
        .ok_or_else(|| syntax_error("no complete rule".to_owned()))
}

/// The text is what goes to the platform, so it is read once more as a stranger would.
fn check(text: &str, rule_name: &str, rules: usize) -> Result<(), Error> {
    let ast = AST::from(text);
    let reason = if let Some(error) = ast.errors().first() {
        describe(error, text)
    } else if ast.rules().count() != rules {
        format!("found {} rules, expected {rules}", ast.rules().count())
    } else if !ast.rules().any(|rule| rule.identifier.name == rule_name) {
        "the rule itself is missing".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Text {
        rule: rule_name.to_owned(),
        reason,
    })
}

/// A name as far as it helps the reader: it may be as long as the ruleset.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(200)]
}

fn describe(error: &ast::Error, text: &str) -> String {
    let (message, span) = match error {
        ast::Error::SyntaxError { message, span }
        | ast::Error::InvalidInteger { message, span }
        | ast::Error::InvalidFloat { message, span }
        | ast::Error::InvalidEscapeSequence { message, span } => (message.as_str(), span),
        ast::Error::InvalidRegexpModifier { message, span } => {
            return at_line(
                &format!("invalid modifier `{message}` of a regular expression"),
                span.start(),
                text,
            );
        }
        ast::Error::InvalidUTF8(span) => ("invalid UTF-8", span),
        ast::Error::UnexpectedEscapeSequence(span) => {
            ("escape sequence where none is allowed", span)
        }
    };
    at_line(message, span.start(), text)
}

fn at_line(message: &str, offset: usize, text: &str) -> String {
    let before = text.as_bytes().iter().take(offset);
    format!(
        "line {} of it: {message}",
        before.filter(|byte| **byte == b'\n').count() + 1
    )
}
