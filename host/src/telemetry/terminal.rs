//! Standard error, which log lines share with the bars that show progress.

use std::io::{self, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The bars on the terminal. What is written there else is to be written while they are suspended: it would break them,
/// or be cleared with them.
#[must_use]
pub fn bars() -> &'static MultiProgress {
    &BARS
}

/// Standard error, beside the bars.
pub(super) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bars().suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
