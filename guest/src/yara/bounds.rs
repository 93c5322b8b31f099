//! What is not given to the parser of YARA-X 1.23: it takes some hundred bytes of memory for each token of a rule, and
//! for each call inside a call three times as long, since it tries each argument in three ways.

use super::Error;

/// How often all tokens of a ruleset may be visited that stand in calls inside calls. `f(f(1))` has a handful, each
/// visited 9 times; twelve calls inside one another are too many, and so are thousands of six.
const MAX_VISITS: usize = 500_000;

/// Tokens of one rule, blanks between them included. Real rules have some thousand.
const MAX_TOKENS: usize = 100_000;

/// Words that may stand in front of a parenthesis and call nothing.
const KEYWORDS: &[&str] = &["and", "or", "not", "in", "of", "at", "defined"];

/// Refuses what would take the parser too long, or too much memory.
///
/// Reads strings, comments and regular expressions as the parser does, and else only brackets and words.
pub(super) fn check(ruleset: &str) -> Result<(), Error> {
    let mut scan = Scan::default();
    let mut rest = ruleset;
    while let Some(token) = next_token(rest) {
        scan.token(token)?;
        rest = &rest[token.len()..];
    }
    Ok(())
}

#[derive(Default)]
struct Scan<'s> {
    braces: usize,
    /// Of each open parenthesis whether it belongs to a call.
    parentheses: Vec<bool>,
    calls: u32,
    tokens: usize,
    visits: usize,
    /// The token before, blanks and comments apart.
    previous: &'s str,
}

impl<'s> Scan<'s> {
    fn token(&mut self, token: &'s str) -> Result<(), Error> {
        self.tokens += 1;
        match token {
            "{" => self.braces += 1,
            "}" => self.braces = self.braces.saturating_sub(1),
            // In the braces of a hex string they are alternatives.
            "(" if self.braces < 2 => {
                let is_call = is_word(self.previous) && !KEYWORDS.contains(&self.previous);
                self.calls += u32::from(is_call);
                self.parentheses.push(is_call);
            }
            ")" if self.braces < 2 => {
                let was_call = self.parentheses.pop() == Some(true);
                self.calls -= u32::from(was_call);
            }
            "rule" => {
                *self = Self {
                    visits: self.visits,
                    ..Self::default()
                }
            }
            _ => {}
        }
        if self.calls > 1 {
            self.visits = self
                .visits
                .saturating_add(3_usize.saturating_pow(self.calls));
        }
        if self.visits > MAX_VISITS {
            return Err(Error::Bounds("too many calls inside calls"));
        }
        if self.tokens > MAX_TOKENS {
            return Err(Error::Bounds("a rule of more than 100000 words and signs"));
        }
        let is_trivia = token.starts_with(char::is_whitespace)
            || token.starts_with("//")
            || token.starts_with("/*");
        if !is_trivia {
            self.previous = token;
        }
        Ok(())
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
}

/// What the text begins with; none where it is empty.
fn next_token(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let length = match first {
        '"' => quoted(text, '"'),
        '/' if text.starts_with("//") => text.find('\n').unwrap_or(text.len()),
        '/' if text.starts_with("/*") => text[2..].find("*/").map_or(text.len(), |it| it + 4),
        // YARA divides by a backslash: this begins a regular expression.
        '/' => quoted(text, '/'),
        ' ' | '\t' => run(text, |it| matches!(it, ' ' | '\t')),
        _ if is_of_word(first) => run(text, is_of_word),
        other => other.len_utf8(),
    };
    text.get(..length)
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|it| !belongs(it)).unwrap_or(text.len())
}

/// To behind the closing quote; where there is none in the line, the quote alone.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => _ = characters.next(),
            '\n' => break,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(ruleset: &str) -> Option<String> {
        check(ruleset).err().map(|error| error.to_string())
    }

    #[test]
    fn only_calls_inside_calls_count() {
        let nested = |open: &str, times: usize| {
            let close = ")".repeat(open.matches('(').count() * times);
            format!("rule it {{ condition: {}1{close} }}", open.repeat(times))
        };
        let taken = [
            nested("pe.f(", 8),
            nested("(", 1_000),
            nested("true and (", 1_000),
            nested("not(", 1_000),
            nested("any of (", 1_000),
            nested("for any i in (0..1) : (", 300),
            format!("rule it {{ condition: {} }}", "f(1) or ".repeat(1_000)),
            "rule it { condition: uint32(uint32(0x3C)) == 0x4550 and math.max(pe.size, math.min(1, 2)) > 1 }".repeat(5_000),
            "rule it { condition: f( }".repeat(1_000),
            format!("rule it {{ strings: $a = {{ {} }} }}", "00(11|".repeat(50)),
            format!("rule it {{ strings: $a = /{}/ }}", "a(".repeat(50)),
            format!("rule it {{ strings: $a = \"\\\"{}\" }}", "a(".repeat(50)),
            format!("rule it {{ /*\"{}*/ condition: true }}", "a(".repeat(50)),
            format!("rule it {{ //\"{}\n condition: true }}", "a(".repeat(50)),
        ];
        for ruleset in taken {
            assert_eq!(refused(&ruleset), None, "{ruleset}");
        }
        for open in [
            "pe.f(",
            "f (",
            "f((",
            "f(true and (",
            "f /* */ (",
            "f(/\"/ or ",
        ] {
            let found = refused(&nested(open, 12)).unwrap();
            assert!(found.contains("calls inside calls"), "{open}: {found}");
        }
    }

    #[test]
    fn calls_inside_calls_add_up() {
        let calls = format!("{}1{} or ", "f(".repeat(6), ")".repeat(6));
        let rules = |times: usize| format!("rule it {{ condition: {calls} }}").repeat(times);
        assert_eq!(refused(&rules(50)), None);
        assert!(refused(&rules(5_000)).is_some());
    }

    #[test]
    fn the_tokens_of_one_rule_count() {
        let rule = |times: usize| format!("rule it {{ condition: {} }}", "a or ".repeat(times));
        assert_eq!(refused(&rule(20_000).repeat(5)), None);
        let found = refused(&rule(30_000)).unwrap();
        assert!(found.contains("words and signs"), "{found}");
    }

    #[test]
    fn open_quotes_end_with_their_line() {
        for text in ["\"", "/", "\"\\", "/*", "//", "\"a\n", "/\u{e9}\\"] {
            assert_eq!(refused(text), None, "{text}");
        }
        assert_eq!(next_token("\"a\\\"b\" c"), Some("\"a\\\"b\""));
        assert_eq!(next_token("\"a\nb"), Some("\""));
    }
}
