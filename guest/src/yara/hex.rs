//! Hex strings that YARA-X takes and YARA does not (hex_grammar.y, hex_lexer.l).

use yara_x_parser::ast::{HexSubPattern, HexToken};

use super::emitted::Code;

/// Bytes that a jump inside alternatives goes over (`YR_STRING_CHAINING_THRESHOLD`); a longer one outside of them parts
/// the string in two.
const LONGEST_INNER_JUMP: u32 = 200;

/// A hex string as YARA sees it.
#[derive(Debug, PartialEq)]
pub(super) struct HexString {
    /// Strings that it is parted into.
    pub fragments: usize,
    /// Why YARA refuses it, in words.
    pub refusal: Option<&'static str>,
}

impl HexString {
    pub(super) fn of(pattern: &HexSubPattern) -> Self {
        let mut fragments = 1;
        let mut code = Code::default();
        let mut refusal = None;
        for token in pattern.iter() {
            match token {
                HexToken::Jump(jump) if jump.end.is_none_or(|end| end > LONGEST_INNER_JUMP) => {
                    fragments += 1;
                    refusal = refusal.or(code.refusal());
                    code = Code::default();
                }
                _ => match code_of(token, false) {
                    Ok(next) => code = code.then(next),
                    Err(reason) => refusal = refusal.or(Some(reason)),
                },
            }
        }
        Self {
            fragments,
            refusal: refusal.or(code.refusal()),
        }
    }
}

fn code_of(token: &HexToken, inside: bool) -> Result<Code, &'static str> {
    match token {
        HexToken::Byte(byte) | HexToken::NotByte(byte) if byte.mask != 0xff => Ok(Code::MASKED),
        HexToken::Byte(_) | HexToken::NotByte(_) => Ok(Code::LITERAL),
        HexToken::Jump(jump) => match jump.end {
            Some(end) if inside && end > LONGEST_INNER_JUMP => {
                Err("jump of more than 200 bytes inside alternatives")
            }
            None if inside => Err("jump without an end inside alternatives"),
            _ => Ok(Code::JUMP_OVER),
        },
        HexToken::Alternative(alternative) => {
            let code_of_all = |tokens: &HexSubPattern| -> Result<Code, &'static str> {
                let mut code = Code::default();
                for token in tokens.iter() {
                    code = code.then(code_of(token, true)?);
                }
                Ok(code)
            };
            let mut codes = alternative.alternatives.iter().map(code_of_all);
            let first = codes.next().unwrap_or(Ok(Code::default()))?;
            codes.try_fold(first, |code, next| Ok(code.or(next?)))
        }
    }
}

/// Why YARA refuses a jump as it is written, in words. It reads decimal numbers below 2^31, wants `[0]` written `[0-0]`,
/// and `[-3]` written `[0-3]`.
pub(super) fn foreign_jump(jump: &str) -> Option<String> {
    let inner = jump.trim_matches(['[', ']']);
    let (start, end) = match inner.split_once('-') {
        Some((start, end)) => (start.trim(), Some(end.trim())),
        None => (inner.trim(), None),
    };
    let is_number =
        |text: &str| text.bytes().all(|it| it.is_ascii_digit()) && text.parse::<i32>().is_ok();
    let is_fine = match (start, end) {
        ("", Some("")) => true,
        ("", _) => false,
        (start, None) => is_number(start) && start.parse() != Ok(0),
        (start, Some("")) => is_number(start),
        (start, Some(end)) => is_number(start) && is_number(end),
    };
    (!is_fine).then(|| format!("jump `{jump}` in a hex string"))
}
