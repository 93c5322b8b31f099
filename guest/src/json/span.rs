//! Steps over JSON text (RFC 8259) without reading it.
//!
//! Half of the guest's time went into serde_json's stepping over values that nobody asks for, one 32-bit word
//! of a text at a time. This looks for the ends only: what lies between is believed until it is read.

use crate::words;

/// A place in a JSON text.
pub(super) struct Spans<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Spans<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes from the begin of the text.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no blank.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Steps over `byte`; none where it does not come next.
    pub(super) fn step_over(&mut self, byte: u8) -> Option<()> {
        let is_next = self.peek()? == byte;
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    /// Steps over an object or array, by `each` over what stands between its commas; none where it breaks.
    pub(super) fn list(
        &mut self,
        [open, close]: [u8; 2],
        mut each: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.step_over(open)?;
        if self.step_over(close).is_some() {
            return Some(());
        }
        loop {
            each(self)?;
            if self.step_over(close).is_some() {
                return Some(());
            }
            self.step_over(b',')?;
        }
    }

    /// The next value as it is written; none where there is none, or where it does not end.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let (bytes, start) = (self.text.as_bytes(), self.at);
        self.at = match first {
            b'"' => string_end(bytes, start)?,
            b'{' | b'[' => nested_end(bytes, start)?,
            _ => scalar_end(bytes, start),
        };
        self.text.get(start..self.at).filter(|it| !it.is_empty())
    }
}

/// Of a text between its quotes.
pub(super) fn has_escapes(inner: &str) -> bool {
    quote_or_backslash(inner.as_bytes()).is_some()
}

fn scalar_end(bytes: &[u8], start: usize) -> usize {
    const ENDS: &[u8] = b",}]:\" \t\n\r";
    let is_end = |byte: &u8| ENDS.contains(byte);
    let length = bytes[start..].iter().position(is_end);
    length.map_or(bytes.len(), |length| start + length)
}

/// Of an object or array, however deep.
fn nested_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

// A call costs more than the few steps over a short text: each checks the deadline.
#[inline(always)]
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += quote_or_backslash(bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[inline(always)]
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const QUOTES: u64 = words::all(b'"');
    const BACKSLASHES: u64 = words::all(b'\\');
    words::position(bytes, |word| {
        words::zeros(word ^ QUOTES) | words::zeros(word ^ BACKSLASHES)
    })
}
