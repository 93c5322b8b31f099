//! Log lines on standard error: JSON objects as pycti writes them, or text.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::fields::{Fields, level_name};
use super::terminal::LogLines;
use super::troubles::Troubles;

/// How much is logged; the names of `CONNECTOR_LOG_LEVEL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Every notification.
    Debug,
    /// Every run.
    Info,
    /// What is odd.
    Warn,
    /// What is wrong.
    Error,
}

/// A text that is no level.
#[derive(Debug, thiserror::Error)]
#[error("CONNECTOR_LOG_LEVEL: found {0:?}; allowed: debug, info, warn, error")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.trim().to_lowercase().as_str() {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warn),
            // pycti knows a fifth; there is nothing here that is more than an error.
            "error" | "critical" => Ok(Self::Error),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line, with the connector's name in it.
    Json {
        /// `name` of each line.
        name: String,
    },
    /// For people.
    Text,
}

/// Sends the log of this process to standard error, and answers what is to be remembered of it. Only the first call
/// in a process counts.
pub fn init(level: Level, format: Format) -> Troubles {
    let colours = std::io::stderr().is_terminal();
    let troubles = Troubles::default();
    let subscriber = subscriber(level, format, colours, || LogLines, troubles.clone());
    // Only an earlier call can have failed it, and that one's lines go on.
    drop(subscriber.try_init());
    troubles
}

fn subscriber<W>(
    level: Level,
    format: Format,
    colours: bool,
    writer: W,
    troubles: Troubles,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    // Other crates' inner life is of no use to who runs a connector.
    let targets = |level: LevelFilter| {
        Targets::new()
            .with_target("connector_host", level)
            .with_default(level.min(LevelFilter::WARN))
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Json { name } => lines.event_format(JsonLines { name }).boxed(),
        Format::Text => lines.with_ansi(colours).with_target(false).boxed(),
    };
    let registry = tracing_subscriber::registry()
        .with(lines.with_filter(targets(level)))
        .with(troubles.with_filter(targets(LevelFilter::WARN)));
    Box::new(registry)
}

/// `{"timestamp", "level", "name", "message", "attributes"}`, as pycti writes them.
struct JsonLines {
    name: String,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let fields = Fields::of(event);
        let mut line = Map::new();
        line.insert(
            "timestamp".into(),
            format!("{:.6}", Timestamp::now()).into(),
        );
        line.insert("level".into(), level_name(event).into());
        line.insert("name".into(), self.name.as_str().into());
        line.insert("message".into(), fields.message.into());
        if !fields.attributes.is_empty() {
            line.insert("attributes".into(), Value::Object(fields.attributes));
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[cfg(test)]
mod tests;
