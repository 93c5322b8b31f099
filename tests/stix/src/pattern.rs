//! The form of a STIX pattern (chapter 9), as far as quoting can break it: observation expressions
//! in brackets, comparisons of an object path with a constant, joined by AND, OR, FOLLOWEDBY.

use super::required::{self, Category};

/// What is wrong with a pattern, or `None`.
///
/// Not checked: whether the type of an object path has the property, qualifiers' arguments.
#[must_use]
pub fn pattern_problem(pattern: &str) -> Option<String> {
    let problem = tokens(pattern).and_then(|tokens| {
        let mut parser = Parser {
            tokens: &tokens,
            position: 0,
        };
        parser.observations()?;
        match parser.tokens.get(parser.position) {
            None => Ok(()),
            Some(token) => Err(format!("{token:?} is one too many")),
        }
    });
    problem
        .err()
        .map(|problem| format!("pattern {pattern}: {problem}"))
}

#[derive(Debug, PartialEq)]
enum Token {
    Open(char),
    Close(char),
    /// A quoted string; its content does not matter.
    Text,
    /// An object path or keyword or number.
    Word(String),
    Operator(String),
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            it if it.is_whitespace() => {}
            '[' | '(' => tokens.push(Token::Open(character)),
            ']' | ')' => tokens.push(Token::Close(character)),
            '=' | '!' | '<' | '>' => {
                let mut operator = character.to_string();
                if let Some(second) = characters.next_if(|it| *it == '=') {
                    operator.push(second);
                }
                tokens.push(Token::Operator(operator));
            }
            ',' => tokens.push(Token::Operator(",".to_owned())),
            '\'' => {
                text(&mut characters)?;
                tokens.push(Token::Text);
            }
            it => {
                let mut word = it.to_string();
                // A path may hold quoted parts: file:hashes.'SHA-256', and list steps: [0].
                while let Some(next) = characters.next_if(|it| {
                    it.is_alphanumeric() || "_-.:'*[]+".contains(*it) && !ends(&word, *it)
                }) {
                    if next == '\'' {
                        text(&mut characters)?;
                    }
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// A bracket belongs to a path only as a list step, a quote only after a dot.
fn ends(word: &str, next: char) -> bool {
    match next {
        '[' => !word.contains(':'),
        ']' => !word.rsplit('[').next().is_some_and(|step| {
            word.contains('[')
                && !step.is_empty()
                && (step == "*" || step.bytes().all(|it| it.is_ascii_digit()))
        }),
        '\'' => !word.ends_with('.'),
        _ => false,
    }
}

/// Reads to the closing quote. Only `\'` and `\\` are escapes (9.6).
fn text(characters: &mut impl Iterator<Item = char>) -> Result<(), String> {
    while let Some(character) = characters.next() {
        match character {
            '\'' => return Ok(()),
            '\\' => match characters.next() {
                Some('\'' | '\\') => {}
                other => return Err(format!("\\ before {other:?} in a string")),
            },
            _ => {}
        }
    }
    Err("a string is not closed".to_owned())
}

struct Parser<'a> {
    tokens: &'a [Token],
    position: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.position);
        self.position += 1;
        token
    }

    fn word_is(&self, words: &[&str]) -> bool {
        matches!(self.tokens.get(self.position), Some(Token::Word(word)) if words.contains(&word.as_str()))
    }

    fn expect(&mut self, expected: &Token) -> Result<(), String> {
        match self.next() {
            Some(token) if token == expected => Ok(()),
            other => Err(format!("expected {expected:?}, found {other:?}")),
        }
    }

    fn observations(&mut self) -> Result<(), String> {
        loop {
            if self.tokens.get(self.position) == Some(&Token::Open('(')) {
                self.position += 1;
                self.observations()?;
                self.expect(&Token::Close(')'))?;
            } else {
                self.expect(&Token::Open('['))?;
                self.comparisons()?;
                self.expect(&Token::Close(']'))?;
            }
            if !self.word_is(&["AND", "OR", "FOLLOWEDBY"]) {
                return Ok(());
            }
            self.position += 1;
        }
    }

    fn comparisons(&mut self) -> Result<(), String> {
        loop {
            if self.tokens.get(self.position) == Some(&Token::Open('(')) {
                self.position += 1;
                self.comparisons()?;
                self.expect(&Token::Close(')'))?;
            } else {
                self.comparison()?;
            }
            if !self.word_is(&["AND", "OR"]) {
                return Ok(());
            }
            self.position += 1;
        }
    }

    fn comparison(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Token::Word(path)) if is_object_path(path) => {}
            other => return Err(format!("expected an object path, found {other:?}")),
        }
        if self.word_is(&["NOT"]) {
            self.position += 1;
        }
        match self.next() {
            Some(Token::Operator(operator)) if operator != "," && operator != "!" => {
                self.constant()
            }
            Some(Token::Word(word)) if word == "IN" => self.set(),
            Some(Token::Word(word))
                if ["LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"].contains(&word.as_str()) =>
            {
                self.expect(&Token::Text)
            }
            other => Err(format!("expected an operator, found {other:?}")),
        }
    }

    fn set(&mut self) -> Result<(), String> {
        self.expect(&Token::Open('('))?;
        loop {
            self.constant()?;
            match self.next() {
                Some(Token::Close(')')) => return Ok(()),
                Some(Token::Operator(comma)) if comma == "," => {}
                other => return Err(format!("expected , or ), found {other:?}")),
            }
        }
    }

    fn constant(&mut self) -> Result<(), String> {
        match self.next() {
            Some(Token::Text) => Ok(()),
            Some(Token::Word(word)) if word == "true" || word == "false" => Ok(()),
            Some(Token::Word(word)) if word.parse::<f64>().is_ok() => Ok(()),
            other => Err(format!("expected a constant, found {other:?}")),
        }
    }
}

/// 9.7: the type of an observable, a colon, a property.
fn is_object_path(word: &str) -> bool {
    let is_observable =
        |kind| required::of(kind).is_some_and(|(category, _)| category == Category::Observable);
    word.split_once(':')
        .is_some_and(|(kind, property)| is_observable(kind) && !property.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_patterns_pass() {
        for pattern in [
            "[file:hashes.'SHA-256' = 'e3b0' OR file:hashes.MD5 = 'd41d']",
            r"[url:value = 'http://evil.example.com/a?b=\'c\'']",
            r"[file:name = 'C:\\Users\\x' AND file:size > 5]",
            "[ipv4-addr:value IN ('198.51.100.7', '198.51.100.8')]",
            "[domain-name:value NOT LIKE '%.example'] FOLLOWEDBY ([url:value MATCHES '^a']) ",
            "[process:x_list[0].name = 'a' AND (process:pid = 1 OR process:is_hidden = true)]",
            "[domain-name:value = 'b\u{fc}cher.example']",
        ] {
            assert_eq!(pattern_problem(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn broken_patterns_do_not() {
        for pattern in [
            "",
            "domain-name:value = 'a'",
            "[domain-name:value = 'a'",
            "[domain-name:value = 'it's']",
            r"[file:name = 'C:\Users']",
            "[domain-name:value = a]",
            "[value = 'a']",
            "[domain-name:value 'a']",
            "[domain-name:value = 'a'] [url:value = 'b']",
            "[domain-name:value = 'a' AND]",
            "[domain-name:value = 'a']'",
            "[domain:value = 'a']",
            "[domain-name: = 'a']",
            "[indicator:pattern = 'a']",
        ] {
            assert!(pattern_problem(pattern).is_some(), "{pattern}");
        }
    }
}
