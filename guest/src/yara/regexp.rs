//! Regular expressions that YARA-X takes and YARA does not (re_grammar.y, re_lexer.l).

use super::emitted::Code;

/// The largest number of a repetition (`RE_MAX_RANGE`).
const MOST_REPETITIONS: u32 = 32_767;

/// Parentheses inside one another that are looked at. No rule has as many, and libyara's parser has a limit too.
const MAX_DEPTH: usize = 200;

/// Bytes that YARA has room for in one regular expression.
const LONGEST: usize = super::portable::LONGEST_LITERAL;

/// What of the literal (`/…/is`) YARA's regular expressions do not have, in words. `mixes` says whether greedy and lazy
/// quantifiers may stand in one: in conditions they may, in strings not.
pub(super) fn foreign(literal: &str, mixes: bool) -> Option<String> {
    let end = literal.rfind('/').unwrap_or(literal.len());
    let regexp = literal.get(1..end).unwrap_or_default();
    let flags = literal.get(end + 1..).unwrap_or_default();
    if regexp.len() - regexp.matches("\\/").count() > LONGEST {
        return Some(format!("regular expression of more than {LONGEST} bytes"));
    }
    let parsed = Parser::new(regexp.as_bytes()).whole(mixes);
    let reason = match parsed {
        Err(reason) => Some(reason),
        Ok(code) => code.refusal(),
    };
    let reason = reason.or(match flags {
        "" | "i" | "s" | "is" => None,
        _ => Some("flags in another order than `is`"),
    });
    reason.map(|reason| format!("{reason} in a regular expression"))
}

/// Reads as YARA does: bytes, not characters.
struct Parser<'a> {
    rest: &'a [u8],
    depth: usize,
    is_greedy: bool,
    is_lazy: bool,
}

type Parsed<T> = Result<T, &'static str>;

impl<'a> Parser<'a> {
    fn new(regexp: &'a [u8]) -> Self {
        Self {
            rest: regexp,
            depth: 0,
            is_greedy: false,
            is_lazy: false,
        }
    }

    fn whole(mut self, mixes: bool) -> Parsed<Code> {
        let code = self.alternatives()?;
        if !self.rest.is_empty() {
            return Err("`)` without `(`");
        }
        if self.is_greedy && self.is_lazy && !mixes {
            return Err("greedy and lazy quantifiers together");
        }
        Ok(code)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, wanted: u8) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.next();
        }
        is_there
    }

    /// Up to a closing parenthesis, or the end. Only the first alternative must not be empty.
    fn alternatives(&mut self) -> Parsed<Code> {
        let mut code = self.concatenation()?.ok_or("empty alternative")?;
        while self.skip(b'|') {
            code = code.or(self.concatenation()?.unwrap_or_default());
        }
        Ok(code)
    }

    fn concatenation(&mut self) -> Parsed<Option<Code>> {
        let mut code = None;
        while !matches!(self.peek(), None | Some(b'|' | b')')) {
            let next = self.repeated()?;
            code = Some(code.map_or(next, |code: Code| code.then(next)));
        }
        Ok(code)
    }

    fn repeated(&mut self) -> Parsed<Code> {
        let is_any = self.peek() == Some(b'.');
        let (code, is_single) = self.single()?;
        let range = match self.peek() {
            Some(b'*' | b'+') => (0, u32::MAX),
            Some(b'?') => (0, 1),
            Some(b'{') => match self.range()? {
                Some(range) => range,
                None => return Ok(code),
            },
            _ => return Ok(code),
        };
        if !is_single {
            return Err("quantifier of an anchor");
        }
        let code = match self.peek() {
            Some(b'*') => code.any_number(),
            Some(b'+') => code.at_least_once(),
            _ if is_any => Code::JUMP_OVER,
            _ => code.repeated(range.0, range.1),
        };
        self.skip_quantifier();
        if self.skip(b'?') {
            self.is_lazy = true;
        } else {
            self.is_greedy = true;
        }
        let is_quantifier = match self.peek() {
            Some(b'*' | b'+' | b'?') => true,
            Some(b'{') => self.range()?.is_some(),
            _ => false,
        };
        if is_quantifier {
            return Err("quantifier of a quantifier");
        }
        Ok(code)
    }

    fn skip_quantifier(&mut self) {
        if self.next() == Some(b'{') {
            while !matches!(self.next(), None | Some(b'}')) {}
        }
    }

    /// The numbers of a repetition that stands here; none where the brace stands for itself.
    fn range(&self) -> Parsed<Option<(u32, u32)>> {
        let inner = self.rest.get(1..).unwrap_or_default();
        let Some(end) = inner.iter().position(|it| *it == b'}') else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&inner[..end]).unwrap_or("-");
        let is_digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        let number = |text: &str, default: u32| match text {
            "" => Ok(default),
            text => match text.parse::<u32>() {
                Ok(number) if number <= MOST_REPETITIONS => Ok(number),
                _ => Err("more than 32767 repetitions"),
            },
        };
        let (from, to) = match text.split_once(',') {
            None if text.is_empty() || !is_digits(text) => return Ok(None),
            None => {
                let times = number(text, 0)?;
                (times, times)
            }
            Some((from, to)) => {
                let (from, to) = (from.trim_end_matches(' '), to.trim_matches(' '));
                if !is_digits(from) || !is_digits(to) {
                    return Ok(None);
                }
                (number(from, 0)?, number(to, MOST_REPETITIONS)?)
            }
        };
        if to < from {
            return Err("repetition whose end is before its begin");
        }
        Ok(Some((from, to)))
    }

    /// One thing that may be repeated, or an anchor, which may not.
    fn single(&mut self) -> Parsed<(Code, bool)> {
        if self.peek() == Some(b'{') && self.range()?.is_some() {
            return Err("quantifier of nothing");
        }
        Ok(match self.next() {
            Some(b'(') => (self.group()?, true),
            Some(b'[') => (self.class()?, true),
            Some(b'.') => (Code::ANY, true),
            Some(b'^' | b'$') => (Code::ANY, false),
            Some(b'\\') => self.escape()?,
            Some(b'*' | b'+' | b'?') => return Err("quantifier of nothing"),
            _ => (Code::LITERAL, true),
        })
    }

    fn group(&mut self) -> Parsed<Code> {
        match self.peek() {
            Some(b'?') => return Err("`(?`"),
            Some(b')') => return Err("`()`"),
            _ => {}
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("more than 200 parentheses inside one another");
        }
        let code = self.alternatives()?;
        self.depth -= 1;
        if self.skip(b')') {
            Ok(code)
        } else {
            Err("`(` without `)`")
        }
    }

    fn escape(&mut self) -> Parsed<(Code, bool)> {
        match self.next() {
            None => Err("`\\` at the end"),
            Some(b'0'..=b'9') => Err("backreference"),
            Some(b'b' | b'B') => Ok((Code::ANY, false)),
            Some(b'w' | b'W' | b's' | b'S' | b'd' | b'D') => Ok((Code::ANY, true)),
            Some(b'x') => self.byte().map(|_| (Code::LITERAL, true)),
            Some(_) => Ok((Code::LITERAL, true)),
        }
    }

    /// Two hexadecimal digits.
    fn byte(&mut self) -> Parsed<u8> {
        let mut digit = || {
            let digit = self.next().filter(u8::is_ascii_hexdigit);
            digit.and_then(|it| char::from(it).to_digit(16))
        };
        match (digit(), digit()) {
            (Some(high), Some(low)) => Ok(u8::try_from(16 * high + low).unwrap_or_default()),
            _ => Err(r"`\x{…}`"),
        }
    }

    /// Behind the opening bracket. A closing one in first place is a member.
    fn class(&mut self) -> Parsed<Code> {
        self.skip(b'^');
        self.skip(b']');
        loop {
            let (member, is_escaped) = match self.next() {
                None => return Err("`[` without `]`"),
                Some(b']') => return Ok(Code::CLASS),
                Some(b'\\') => (self.escaped_member()?, true),
                Some(member) => (member, false),
            };
            let is_range = matches!(self.rest, [b'-', end, ..] if *end != b']');
            if is_range {
                self.next();
                let end = match self.next() {
                    Some(b'\\') => self.escaped_member()?,
                    end => end.unwrap_or_default(),
                };
                if end < member {
                    return Err("range whose end is before its begin");
                }
            } else if !is_escaped && !(b' '..0x7f).contains(&member) {
                return Err("character that is not printable ASCII in a class");
            }
        }
    }

    /// What an escape in a class stands for as the begin or end of a range.
    fn escaped_member(&mut self) -> Parsed<u8> {
        match self.next() {
            None => Err("`[` without `]`"),
            Some(b'x') => self.byte(),
            Some(b'n') => Ok(b'\n'),
            Some(b't') => Ok(b'\t'),
            Some(b'r') => Ok(b'\r'),
            Some(b'f') => Ok(0x0c),
            Some(b'a') => Ok(0x07),
            Some(other) => Ok(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is asked of libyara too.
    #[test]
    fn constructs_that_yara_lacks_are_named() {
        let longest = format!("/\\/{}/", "a".repeat(LONGEST - 1));
        let too_long = format!("/a{}/", "a".repeat(LONGEST));
        let alternatives = |count: usize| format!("/x({})/", ["a"; 1].repeat(count).join("|"));
        let (most, too_many) = (alternatives(129), alternatives(130));
        let optional = |count: usize| format!("/x{}/", "(ab)?".repeat(count));
        let nested = format!(
            "/x{}y{}/",
            "(".repeat(150),
            "){1,2}".repeat(8) + &")".repeat(142)
        );
        let cases: &[(&str, Option<&str>)] = &[
            (r"/ab[(?*+]{2,3}c?d{x}e{/is", None),
            (r"/ab[(?*+]{2,3}?c??d{x}e{/is", None),
            (r"/a\(?b[^]]+[]x]*/", None),
            (r"/é+\xff\/[0-9a-f]{,16}/", None),
            (r"/[[:alpha:]]abc\*?/", None),
            (r"/ab[\]*(?]c/", None),
            (r"/ab{,}c{ 2}d{2 ,3}e{2, 3}f{2 }/", None),
            (r"/abc|/", None),
            (r"/ab(c|)d||e/", None),
            (r"/^abc$/", None),
            (r"/\babc\B/", None),
            (r"/ab[\w-z]c/", None),
            (r"/ab[a-\d]c/", None),
            (r"/ab[a-]c[-a]/", None),
            (r"/ab[\x80-\xff]c/", None),
            (r"/abc{32767}/", None),
            (&longest, None),
            (&most, None),
            (&optional(128), None),
            (
                &too_long,
                Some("regular expression of more than 8190 bytes"),
            ),
            (
                &too_many,
                Some("more than 128 alternatives and repetitions in a regular expression"),
            ),
            (
                &optional(129),
                Some("more than 128 alternatives and repetitions in a regular expression"),
            ),
            (
                &nested,
                Some("more than 128 alternatives and repetitions in a regular expression"),
            ),
            (
                r"/abc{32768}/",
                Some("more than 32767 repetitions in a regular expression"),
            ),
            (
                r"/abc{2,32768}/",
                Some("more than 32767 repetitions in a regular expression"),
            ),
            (
                r"/abc{3,2}/",
                Some("repetition whose end is before its begin in a regular expression"),
            ),
            (r"/(?:ab)c/", Some("`(?` in a regular expression")),
            (r"/ab(?i)c/", Some("`(?` in a regular expression")),
            (r"/abc()/", Some("`()` in a regular expression")),
            (
                r"/(|ab)c/",
                Some("empty alternative in a regular expression"),
            ),
            (r"/|abc/", Some("empty alternative in a regular expression")),
            (r"/ab\x{41}/", Some(r"`\x{…}` in a regular expression")),
            (r"/ab\x4/", Some(r"`\x{…}` in a regular expression")),
            (r"/ab\1/", Some("backreference in a regular expression")),
            (
                r"/a{2}{3}b/",
                Some("quantifier of a quantifier in a regular expression"),
            ),
            (
                r"/ab**/",
                Some("quantifier of a quantifier in a regular expression"),
            ),
            (
                r"/ab+?+c/",
                Some("quantifier of a quantifier in a regular expression"),
            ),
            (
                r"/ab^*c/",
                Some("quantifier of an anchor in a regular expression"),
            ),
            (
                r"/ab\b?c/",
                Some("quantifier of an anchor in a regular expression"),
            ),
            (
                r"/abc|*/",
                Some("quantifier of nothing in a regular expression"),
            ),
            (
                r"/{2}abc/",
                Some("quantifier of nothing in a regular expression"),
            ),
            (
                r"/ab[é]c/",
                Some("character that is not printable ASCII in a class in a regular expression"),
            ),
            (
                r"/ab[z-a]c/",
                Some("range whose end is before its begin in a regular expression"),
            ),
            (
                r"/ab[\w-.]c/",
                Some("range whose end is before its begin in a regular expression"),
            ),
            (
                r"/abc/si",
                Some("flags in another order than `is` in a regular expression"),
            ),
        ];
        for (literal, expected) in cases {
            assert_eq!(foreign(literal, true).as_deref(), *expected, "{literal}");
            let source = format!("rule it {{ condition: \"abc\" matches {literal} }}");
            let refusal = yara_judge::refusal(&source);
            assert_eq!(
                refusal.is_some(),
                expected.is_some(),
                "{literal}: {refusal:?}"
            );
        }
    }

    #[test]
    fn greedy_and_lazy_quantifiers_stand_together_in_conditions_only() {
        let reason = "greedy and lazy quantifiers together in a regular expression";
        for (literal, is_mixed) in [
            ("/abc.*d.*?e/", true),
            ("/abc+?d{2}/", true),
            ("/abc.*?d??/", false),
        ] {
            assert_eq!(foreign(literal, true), None, "{literal}");
            assert_eq!(
                foreign(literal, false).as_deref(),
                is_mixed.then_some(reason)
            );
            let source = format!("rule it {{ strings: $a = {literal} condition: $a }}");
            assert_eq!(
                yara_judge::refusal(&source).is_some(),
                is_mixed,
                "{literal}"
            );
        }
    }
}
