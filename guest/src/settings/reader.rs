//! Reads texts as users write them into typed values, and collects everything that is wrong with them.

use std::num::NonZeroU64;

use super::{Definition, Settings};
use crate::contract::{Problem, Remark, Setting, Severity};

fn is_between_words(character: char) -> bool {
    is_between_names(character) || character.is_whitespace()
}

fn is_between_names(character: char) -> bool {
    matches!(character, ',' | ';' | '|' | '\n' | '\r')
}

pub(super) struct Reader<'a> {
    given: &'a [Setting],
    problems: Vec<Problem>,
    remarks: Vec<Remark>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(given: &'a [Setting], known: &[Definition]) -> Self {
        let mut problems = Vec::new();
        for (index, setting) in given.iter().enumerate() {
            let reason = if !known.iter().any(|it| it.name == setting.name) {
                "is not a setting of this connector".to_owned()
            } else if given.iter().take(index).any(|it| it.name == setting.name) {
                format!("is given twice, at last as {:?}", setting.value)
            } else {
                continue;
            };
            problems.push(Problem {
                setting: setting.name.clone(),
                reason,
            });
        }
        Self {
            given,
            problems,
            remarks: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, definition: &Definition, reason: String) {
        self.problems.push(Problem {
            setting: definition.name.to_owned(),
            reason,
        });
    }

    pub(super) fn finish(
        self,
        settings: Settings,
    ) -> Result<(Settings, Vec<Remark>), Vec<Problem>> {
        if self.problems.is_empty() {
            Ok((settings, self.remarks))
        } else {
            Err(self.problems)
        }
    }

    /// `true`, `yes`, `1` or `false`, `no`, `0`, in any case.
    pub(super) fn boolean(&mut self, definition: &Definition) -> bool {
        let value = self.value(definition);
        match value.to_lowercase().as_str() {
            "true" | "yes" | "1" => true,
            "false" | "no" | "0" => false,
            _ => {
                self.problem(
                    definition,
                    format!("found {value:?}; allowed are true, false, yes, no, 1 and 0"),
                );
                false
            }
        }
    }

    /// A whole number; 0 and empty do not limit.
    pub(super) fn limit(&mut self, definition: &Definition) -> Option<NonZeroU64> {
        let value = self.value(definition);
        if value.is_empty() {
            return None;
        }
        match value.parse() {
            Ok(number) => NonZeroU64::new(number),
            Err(_) => {
                self.problem(
                    definition,
                    format!("found {value:?}; allowed is a whole number, 0 or more"),
                );
                None
            }
        }
    }

    /// A limit that must not be above `most`, since nothing would ever reach it.
    pub(super) fn limit_up_to(&mut self, definition: &Definition, most: u64) -> Option<NonZeroU64> {
        let limit = self.limit(definition)?;
        if limit.get() > most {
            self.problem(
                definition,
                format!("found {limit}; allowed is a whole number from 0 to {most}"),
            );
        }
        Some(limit)
    }

    /// 0 to 100; none where nothing is given.
    pub(super) fn percentage(&mut self, definition: &Definition) -> Option<u8> {
        let value = self.value(definition);
        let number = value.parse().ok().filter(|it| *it <= 100);
        if number.is_none() && !value.is_empty() {
            self.problem(
                definition,
                format!("found {value:?}; allowed is a whole number from 0 to 100"),
            );
        }
        number
    }

    /// A text whose blanks at both ends do not count; empty is none.
    pub(super) fn trimmed(&mut self, definition: &Definition) -> Option<String> {
        let value = self.value(definition).trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A text whose every blank counts.
    pub(super) fn verbatim(&mut self, definition: &Definition) -> String {
        let value = self.given(definition).unwrap_or_default();
        let value = self.without_quotes(definition, value);
        if value.is_empty() {
            definition.default.to_owned()
        } else {
            value.to_owned()
        }
    }

    /// Elements that `parse` takes, each once, in the order given; a problem where it takes one not, which says what is
    /// `expected`.
    pub(super) fn words(
        &mut self,
        definition: &Definition,
        expected: &str,
        parse: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut words = Vec::new();
        for element in self.elements(definition, is_between_words) {
            match parse(element) {
                Some(word) if !words.contains(&word) => words.push(word),
                Some(_) => {}
                None => self.problem(
                    definition,
                    format!("found {element:?}; expected {expected}"),
                ),
            }
        }
        words
    }

    /// Names, in which there may be blanks. Where some separate names, each of those is one too.
    pub(super) fn names(&mut self, definition: &Definition) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for element in self.elements(definition, is_between_names) {
            let words = element.split_whitespace();
            for name in std::iter::once(element).chain(words) {
                if names.iter().all(|it| it != name) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    /// One of the definition's choices, in any case. None only beside a problem.
    pub(super) fn choice<T>(
        &mut self,
        definition: &Definition,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(definition);
        self.chosen(definition, value, parse)
    }

    /// Some of the definition's choices, each once.
    pub(super) fn choices<T: PartialEq>(
        &mut self,
        definition: &Definition,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut chosen = Vec::new();
        for element in self.elements(definition, is_between_words) {
            if let Some(choice) = self.chosen(definition, element, &parse)
                && !chosen.contains(&choice)
            {
                chosen.push(choice);
            }
        }
        chosen
    }

    fn chosen<T>(
        &mut self,
        definition: &Definition,
        value: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let choice = parse(&value.to_lowercase());
        if choice.is_none() {
            let allowed = definition.choices.join(", ");
            self.problem(
                definition,
                format!("found {value:?}; allowed are {allowed}"),
            );
        }
        choice
    }

    /// The elements of a list; those of the default where none is given.
    fn elements<'b>(
        &mut self,
        definition: &'b Definition,
        separates: fn(char) -> bool,
    ) -> Vec<&'b str>
    where
        'a: 'b,
    {
        let value = self.value(definition);
        let elements = self.split(definition, value, separates);
        if elements.is_empty() {
            self.split(definition, definition.default, separates)
        } else {
            elements
        }
    }

    /// Brackets around the list are YAML's or Python's.
    fn split<'b>(
        &mut self,
        definition: &Definition,
        list: &'b str,
        separates: fn(char) -> bool,
    ) -> Vec<&'b str> {
        let inner = [('[', ']'), ('(', ')'), ('{', '}')]
            .into_iter()
            .find_map(|(open, close)| list.strip_prefix(open)?.strip_suffix(close));
        inner
            .unwrap_or(list)
            .split(separates)
            .map(|element| self.without_quotes(definition, element.trim()).trim())
            .filter(|element| !element.is_empty())
            .collect()
    }

    /// What is given, without blanks and quotes around it; the default where that is empty.
    fn value<'b>(&mut self, definition: &'b Definition) -> &'b str
    where
        'a: 'b,
    {
        let value = self.given(definition).unwrap_or_default().trim();
        let value = self.without_quotes(definition, value).trim();
        if value.is_empty() {
            definition.default
        } else {
            value
        }
    }

    fn given(&self, definition: &Definition) -> Option<&'a str> {
        self.given
            .iter()
            .rev()
            .find(|setting| setting.name == definition.name)
            .map(|setting| setting.value.as_str())
    }

    /// Quotes that a shell or YAML left in the value would make a filter that nothing passes.
    fn without_quotes<'b>(&mut self, definition: &Definition, value: &'b str) -> &'b str {
        let inner = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        let is_list_of_quoted = |inner: &str| {
            matches!(definition.kind, super::Kind::List) && inner.contains(['"', '\''])
        };
        match inner {
            Some(inner) if !is_list_of_quoted(inner) => {
                self.remarks.push(Remark::new(
                    Severity::Warn,
                    format!(
                        "{}: the quotes around {inner:?} are not part of the value and were left out",
                        definition.name
                    ),
                ));
                inner
            }
            _ => value,
        }
    }
}
