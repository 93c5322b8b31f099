//! JSON text as it came, without a copy.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

/// One JSON value, byte for byte as VirusTotal sent it.
///
/// A document is a window into the answer that it came with, and keeps the whole answer in memory.
#[derive(Clone)]
pub struct Document {
    answer: Arc<String>,
    window: Range<usize>,
}

impl Document {
    /// A window into `answer`, from which `value` must be borrowed.
    pub(super) fn within(answer: &Arc<String>, value: &RawValue) -> Self {
        let text = value.get();
        let start = text.as_ptr().addr() - answer.as_ptr().addr();
        Self {
            answer: Arc::clone(answer),
            window: start..start + text.len(),
        }
    }

    /// A part of this document, from which `value` must be borrowed.
    pub(super) fn part(&self, value: &RawValue) -> Self {
        Self::within(&self.answer, value)
    }

    /// All of `answer`, which is one JSON value.
    pub(super) fn whole(answer: String) -> Self {
        Self {
            window: 0..answer.len(),
            answer: Arc::new(answer),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.answer[self.window.clone()]
    }

    /// Where a position in the whole answer stands in this text; none outside of it.
    pub(super) fn offset_of(&self, position: usize) -> Option<usize> {
        self.window
            .contains(&position)
            .then(|| position - self.window.start)
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether there is no text, which JSON does not know.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.as_str()).finish()
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Document {}
