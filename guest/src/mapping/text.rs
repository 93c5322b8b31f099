//! Texts that come from strangers, made safe to show: control characters, Markdown, URLs.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::notification::{EntityType, Notification};
use crate::words;

/// One line: blanks for control characters, none at the ends.
pub(super) fn line(text: &str) -> String {
    without_control(text, |_| false).trim().to_owned()
}

/// Blanks for control characters, and nothing else: what an id is made of.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    without_control(text, |_| false)
}

/// At most so many bytes of it, and a sign where that is not all.
pub(crate) fn cut(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(bytes)]))
}

/// Several lines: tabs and line feeds stay.
fn lines(text: &str) -> Cow<'_, str> {
    without_control(text, |c| matches!(c, '\n' | '\t'))
}

fn without_control(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let unwanted = |c: char| c.is_control() && !keep(c);
    let may_hold_some = words::position(text.as_bytes(), not_plain).is_some();
    if may_hold_some && text.contains(unwanted) {
        Cow::Owned(text.replace(unwanted, " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Marks what is not ASCII, or a control character of it.
fn not_plain(word: u64) -> u64 {
    const BLANKS: u64 = words::all(b' ');
    const DELETES: u64 = words::all(0x7f);
    (word.wrapping_sub(BLANKS) & !word | words::zeros(word ^ DELETES) | word) & words::HIGHS
}

/// A Markdown code span, whatever backticks `text` holds (CommonMark 6.1).
pub(super) fn code(text: &str) -> String {
    let text = line(text);
    let fence = "`".repeat(longest_run_of_backticks(&text) + 1);
    if text.is_empty() {
        text
    } else if text.starts_with('`') || text.ends_with('`') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// A fenced Markdown code block, whatever backticks `text` holds (CommonMark 4.5).
pub(super) fn code_block(language: &str, text: &str) -> String {
    let text = lines(text);
    let fence = "`".repeat((longest_run_of_backticks(&text) + 1).max(3));
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}")
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The page about the object at VirusTotal, for humans.
pub(super) fn report_url(notification: &Notification<'_>) -> String {
    let folder = match notification.entity_type {
        EntityType::File => "file",
        EntityType::Url => "url",
        EntityType::Domain => "domain",
        EntityType::IpAddress => "ip-address",
    };
    let mut url = format!("https://www.virustotal.com/gui/{folder}/");
    for byte in notification.id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':') {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        let cases = [
            ("a", "`a`", "```x\na\n```"),
            ("a`b", "``a`b``", "```x\na`b\n```"),
            ("`", "`` ` ``", "```x\n`\n```"),
            ("a````b\n", "`````a````b`````", "`````x\na````b\n`````"),
            ("a\0b", "`a b`", "```x\na b\n```"),
            ("", "", "```x\n\n```"),
        ];
        for (text, span, block) in cases {
            assert_eq!(code(text), span);
            assert_eq!(code_block("x", text), block);
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        let cases = [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc…"),
            ("aé", 2, "a…"),
            ("", 0, ""),
        ];
        for (text, bytes, expected) in cases {
            assert_eq!(cut(text, bytes), expected);
        }
    }

    #[test]
    fn lines_lose_control_characters() {
        assert_eq!(line(" a\tb\r\n\0c\u{9f} "), "a b   c");
    }
}
