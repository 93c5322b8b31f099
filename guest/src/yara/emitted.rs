//! What libyara makes of a regular expression or a hex string: its code is bounded (re.c, `_yr_re_emit`).

/// Splits that the code of one expression has room for (`RE_MAX_SPLIT_ID`).
const MAX_SPLITS: usize = 128;

/// Bytes of code that a jump goes over (`INT16_MAX`).
const LONGEST_JUMP: usize = 32_767;

/// The code of a part of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Code {
    /// Each takes two ways, at `|`, `*`, `+`, `?` and ranges.
    splits: usize,
    bytes: usize,
    /// Whether some jump in it is too long.
    is_too_large: bool,
}

const SPLIT: Code = Code::of(1, 4);
const JUMP: Code = Code::of(0, 3);
const REPEAT: Code = Code::of(0, 9);

impl Code {
    /// One byte of the data.
    pub(super) const LITERAL: Self = Self::of(0, 2);
    /// A byte with wildcards, or not a byte.
    pub(super) const MASKED: Self = Self::of(0, 3);
    /// Any byte, a class of the language, an anchor.
    pub(super) const ANY: Self = Self::of(0, 1);
    /// A class of characters.
    pub(super) const CLASS: Self = Self::of(0, 34);
    /// Any bytes, so many.
    pub(super) const JUMP_OVER: Self = Self::of(0, 5);

    const fn of(splits: usize, bytes: usize) -> Self {
        Self {
            splits,
            bytes,
            is_too_large: false,
        }
    }

    pub(super) fn then(self, next: Self) -> Self {
        Self {
            splits: self.splits.saturating_add(next.splits),
            bytes: self.bytes.saturating_add(next.bytes),
            is_too_large: self.is_too_large || next.is_too_large,
        }
    }

    /// That it is jumped over.
    fn jumped_over(mut self) -> Self {
        self.is_too_large |= self.bytes > LONGEST_JUMP;
        self
    }

    /// `a|b`.
    pub(super) fn or(self, other: Self) -> Self {
        let first = SPLIT.then(self).then(JUMP).jumped_over();
        first.then(JUMP.then(other).jumped_over())
    }

    /// `a*`.
    pub(super) fn any_number(self) -> Self {
        SPLIT.then(self).then(JUMP).jumped_over()
    }

    /// `a+`.
    pub(super) fn at_least_once(self) -> Self {
        self.jumped_over().then(SPLIT)
    }

    /// `a{from,to}`: the code stands in front of the loop, in it, and behind it, as the numbers need it.
    pub(super) fn repeated(self, from: u32, to: u32) -> Self {
        let mut code = Self::default();
        if from > 0 {
            code = code.then(self);
        }
        if to > from + 1 || to > 2 {
            code = code.then(REPEAT).then(self).then(REPEAT);
        }
        if to > from {
            code = code.then(SPLIT.then(self).jumped_over());
        } else if to > 1 {
            code = code.then(self);
        }
        code
    }

    /// Why libyara refuses it, in words.
    pub(super) fn refusal(self) -> Option<&'static str> {
        if self.splits > MAX_SPLITS {
            Some("more than 128 alternatives and repetitions")
        } else if self.is_too_large {
            Some("an alternative or a repetition of more than 32767 bytes of code")
        } else {
            None
        }
    }
}
