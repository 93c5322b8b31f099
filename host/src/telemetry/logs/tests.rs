use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `log` leaves.
fn lines(level: Level, format: Format, log: impl FnOnce()) -> Vec<String> {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    tracing::subscriber::with_default(
        subscriber(
            level,
            format,
            false,
            move || writer.clone(),
            Troubles::default(),
        ),
        log,
    );
    let bytes = buffer.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn json_lines(level: Level, log: impl FnOnce()) -> Vec<Value> {
    let name = "Hunting".to_owned();
    lines(level, Format::Json { name }, log)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

#[test]
fn a_json_line_has_the_keys_of_pycti() {
    let before = Timestamp::now();
    let mut found = json_lines(Level::Info, || {
        let error = io::Error::other("gone\n\"away\"");
        tracing::warn!(
            objects = 3_u64, change = -1_i64, share = 0.5, whole = true, source = "api", %error, shape = ?Some(1),
            "sent {} of {}", 1, 2
        );
        tracing::info!("a \"quoted\"\nline");
    });
    assert_eq!(found.len(), 2);
    for line in &mut found {
        let timestamp = line["timestamp"].take();
        let timestamp = timestamp.as_str().unwrap();
        // RFC 3339 in UTC with microseconds, as Python's `isoformat` writes it.
        assert_eq!(
            timestamp.len(),
            "2026-01-01T00:00:00.000000Z".len(),
            "{timestamp}"
        );
        let timestamp: Timestamp = timestamp.parse().unwrap();
        assert!(timestamp.as_second() >= before.as_second());
    }
    assert_eq!(
        found[0],
        json!({
            "timestamp": null,
            "level": "WARNING",
            "name": "Hunting",
            "message": "sent 1 of 2",
            "attributes": {
                "objects": 3, "change": -1, "share": 0.5, "whole": true, "source": "api",
                "error": "gone\n\"away\"", "shape": "Some(1)",
            },
        })
    );
    assert_eq!(
        found[1],
        json!({"timestamp": null, "level": "INFO", "name": "Hunting", "message": "a \"quoted\"\nline"})
    );
}

#[test]
fn a_level_lets_pass_what_matters_as_much_or_more() {
    for (level, expected) in [
        (Level::Debug, &["ERROR", "WARNING", "INFO", "DEBUG"][..]),
        (Level::Info, &["ERROR", "WARNING", "INFO"]),
        (Level::Warn, &["ERROR", "WARNING"]),
        (Level::Error, &["ERROR"]),
    ] {
        let found = json_lines(level, || {
            tracing::error!("an error");
            tracing::warn!("a warning");
            tracing::info!("a run");
            tracing::debug!("a notification");
            tracing::trace!("more than anybody asked for");
        });
        let levels: Vec<&Value> = found.iter().map(|line| &line["level"]).collect();
        assert_eq!(levels, expected, "{level:?}");
    }
}

#[test]
fn warnings_and_errors_are_remembered_at_every_level() {
    let troubles = Troubles::default();
    let subscriber = subscriber(
        Level::Error,
        Format::Text,
        false,
        io::sink,
        troubles.clone(),
    );
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..30_u64 {
            tracing::warn!(number, "odd");
            tracing::info!("a run");
        }
        tracing::error!("wrong");
    });
    let latest = troubles.latest();
    let numbers: Vec<_> = latest
        .iter()
        .map(|it| it.attributes.get("number"))
        .collect();
    let expected: Vec<_> = (11..30)
        .map(|number| Some(json!(number)))
        .chain([None])
        .collect();
    assert_eq!(
        numbers,
        expected.iter().map(Option::as_ref).collect::<Vec<_>>()
    );
    let last = latest.last().map(|it| (it.level, it.message.as_str()));
    assert_eq!(last, Some(("ERROR", "wrong")));
}

#[test]
fn other_crates_are_heard_when_something_is_odd() {
    let log = || {
        tracing::info!(target: "hyper", "a connection");
        tracing::warn!(target: "hyper", "a connection broke");
    };
    assert_eq!(json_lines(Level::Debug, log).len(), 1);
    assert_eq!(json_lines(Level::Error, log).len(), 0);
}

#[test]
fn text_is_for_people() {
    let found = lines(Level::Info, Format::Text, || {
        tracing::info!(objects = 3_u64, "sent")
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with(" INFO sent objects=3"), "{}", found[0]);
}

#[test]
fn levels_have_the_names_of_pycti_in_any_case() {
    for (text, expected) in [
        ("debug", Level::Debug),
        ("INFO", Level::Info),
        (" Warn ", Level::Warn),
        ("WARNING", Level::Warn),
        ("error", Level::Error),
        ("CRITICAL", Level::Error),
    ] {
        assert_eq!(text.parse::<Level>().unwrap(), expected, "{text}");
    }
    let error = "loud".parse::<Level>().unwrap_err().to_string();
    assert_eq!(
        error,
        "CONNECTOR_LOG_LEVEL: found \"loud\"; allowed: debug, info, warn, error"
    );
}
