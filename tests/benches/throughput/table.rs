//! The one table that is printed.

use std::fmt;

/// What a number is held to.
pub struct Bar {
    text: String,
    met: bool,
}

impl Bar {
    pub fn new(text: &str, met: bool) -> Self {
        Self {
            text: text.to_owned(),
            met,
        }
    }

    /// Megabytes of 10⁶ bytes.
    pub fn below_megabytes(bytes: u64, limit: u64) -> Self {
        Self::new(&format!("< {limit} MB"), bytes < limit * 1_000_000)
    }
}

/// Megabytes of 10⁶ bytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

enum Line {
    Section(String),
    Row {
        name: String,
        value: String,
        bar: Option<Bar>,
    },
}

/// Sections of rows: what was measured, the number, its bar, and whether the bar is met.
#[derive(Default)]
pub struct Table(Vec<Line>);

impl Table {
    pub fn section(&mut self, title: &str) {
        self.0.push(Line::Section(title.to_owned()));
    }

    /// A line in place of a section.
    pub fn note(&mut self, text: &str) {
        self.section(text);
    }

    pub fn row(&mut self, name: &str, value: String) {
        self.0.push(Line::Row {
            name: name.to_owned(),
            value,
            bar: None,
        });
    }

    pub fn row_with_bar(&mut self, name: &str, value: String, bar: Bar) {
        self.0.push(Line::Row {
            name: name.to_owned(),
            value,
            bar: Some(bar),
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  {:<54}{:>12}   {:<12}", "", "measured", "bar")?;
        for line in &self.0 {
            match line {
                Line::Section(title) => writeln!(f, "\n  {title}")?,
                Line::Row {
                    name,
                    value,
                    bar: None,
                } => writeln!(f, "    {name:<52}{value:>12}")?,
                Line::Row {
                    name,
                    value,
                    bar: Some(Bar { text, met }),
                } => {
                    let verdict = if *met { "ok" } else { "MISSED" };
                    writeln!(f, "    {name:<52}{value:>12}   {text:<12}{verdict}")?;
                }
            }
        }
        Ok(())
    }
}
