//! Regular expressions that YARA-X takes and YARA does not.

use super::portable::LONGEST_LITERAL;

/// What of the literal (`/…/is`) YARA's regular expressions do not have, in words.
pub(super) fn foreign(literal: &str) -> Option<String> {
    let end = literal.rfind('/').unwrap_or(literal.len());
    let regexp = literal.get(1..end).unwrap_or_default();
    if regexp.len() - regexp.matches("\\/").count() > LONGEST_LITERAL {
        return Some(format!(
            "regular expression of more than {LONGEST_LITERAL} bytes"
        ));
    }
    let construct = foreign_construct(regexp)?;
    Some(format!("{construct} in a regular expression"))
}

fn foreign_construct(regexp: &str) -> Option<&'static str> {
    let mut rest = regexp.chars().peekable();
    let mut after_quantifier = false;
    while let Some(it) = rest.next() {
        let mut is_quantifier = false;
        match it {
            '\\' if !skip_escape(&mut rest) => return Some("`\\x{…}`"),
            '[' => skip_class(&mut rest),
            '(' if rest.peek() == Some(&'?') => return Some("`(?`"),
            '(' if rest.peek() == Some(&')') => return Some("`()`"),
            '*' | '+' | '?' => is_quantifier = true,
            '{' if is_repetition(rest.clone()) => {
                is_quantifier = true;
                rest.by_ref().take_while(|it| *it != '}').for_each(drop);
            }
            _ => {}
        }
        if is_quantifier && after_quantifier {
            return Some("quantifier of a quantifier");
        }
        if is_quantifier {
            // A question mark makes the quantifier in front of it lazy.
            rest.next_if_eq(&'?');
        }
        after_quantifier = is_quantifier;
    }
    None
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Behind the escaped character; false if it is an `x` without two hexadecimal digits.
fn skip_escape(rest: &mut Characters<'_>) -> bool {
    let is_byte = rest.next() == Some('x');
    let mut skip_digit = || rest.next_if(char::is_ascii_hexdigit).is_some();
    !is_byte || (skip_digit() && skip_digit())
}

/// Behind the bracket that closes the class; one in first place is a member.
fn skip_class(rest: &mut Characters<'_>) {
    rest.next_if_eq(&'^');
    rest.next_if_eq(&']');
    while let Some(it) = rest.next() {
        match it {
            '\\' => _ = rest.next(),
            ']' => break,
            _ => {}
        }
    }
}

/// `{2}`, `{2,}`, `{,3}` or `{2,3}`; any other brace stands for itself.
fn is_repetition(rest: Characters<'_>) -> bool {
    let mut has_digit = false;
    for it in rest {
        match it {
            '0'..='9' => has_digit = true,
            ',' => {}
            '}' => return has_digit,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each answer was had from yara-python 4.5.4.
    #[test]
    fn constructs_that_yara_lacks_are_named() {
        let longest = format!("/\\/{}/", "a".repeat(LONGEST_LITERAL - 1));
        let too_long = format!("/a{}/", "a".repeat(LONGEST_LITERAL));
        let cases = [
            (r"/ab[(?*+]{2,3}?c??d{x}e{/is", None),
            (r"/a\(?b[^]]+[]x]*/", None),
            (r"/é+\xff\/[0-9a-f]{,16}/", None),
            (r"/[[:alpha:]]abc\*?/", None),
            (r"/ab[\]*(?]c/", None),
            (longest.as_str(), None),
            (
                too_long.as_str(),
                Some("regular expression of more than 8190 bytes"),
            ),
            (r"/(?:ab)c/", Some("`(?` in a regular expression")),
            (r"/ab(?i)c/", Some("`(?` in a regular expression")),
            (r"/abc()/", Some("`()` in a regular expression")),
            (r"/ab\x{41}/", Some(r"`\x{…}` in a regular expression")),
            (r"/ab\x4/", Some(r"`\x{…}` in a regular expression")),
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
        ];
        for (literal, expected) in cases {
            assert_eq!(foreign(literal).as_deref(), expected, "{literal}");
        }
    }
}
