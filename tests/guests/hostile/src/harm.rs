//! The harm itself.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::behaviour::Behaviour;
use crate::contract::{Answer, Failure, Item, Outcome, Question, Skip, StixObject};
use crate::{emit, object};

/// More than the host takes from one call.
const LARGE: usize = 9 << 20;

/// Calls of `map` for odd items, in this instance.
static CALLS: AtomicU32 = AtomicU32::new(0);

pub(crate) fn map(
    behaviour: Behaviour,
    item: &Item,
    answers: &[(Question, Answer)],
) -> Result<Outcome, Failure> {
    let good = object(item);
    let ask = |kind: &str, subject: &str| asked(answers, kind, subject);
    Ok(match behaviour {
        Behaviour::Loop => endless(),
        Behaviour::Memory => hoard(),
        Behaviour::Recursion => fail(descend(0).to_string())?,
        Behaviour::Panic => panic(),
        Behaviour::PanicAtThirdCall if CALLS.fetch_add(1, Ordering::Relaxed) == 2 => panic(),
        Behaviour::LargeOutput => with_document(good, large_text()),
        Behaviour::ManyObjects => emit((0..5001).map(|_| object(item)).collect(), Vec::new()),
        Behaviour::ManyArtifacts => emit(vec![good], vec![artifact("a"); 17]),
        Behaviour::LongSkip => Outcome::Skip(Skip {
            filter: "f".repeat(4097),
            reason: String::new(),
        }),
        Behaviour::LongFailure => fail(large_text())?,
        Behaviour::LongQuestion => ask("lookup", &large_text())?,
        Behaviour::ManyQuestions => Outcome::Ask(vec![question("lookup", "files/a", 0); 65]),
        Behaviour::EndlessQuestions => {
            Outcome::Ask(vec![question("lookup", "files/a", answers.len())])
        }
        Behaviour::UnknownQuestion => ask("password", "of the user")?,
        Behaviour::LookupParentFolder => ask("lookup", "files/../users/me")?,
        Behaviour::LookupAbsoluteUrl => ask("lookup", "https://evil.example/files/a")?,
        Behaviour::LookupOtherHost => ask("lookup", "//evil.example/files/a")?,
        Behaviour::LookupQuery => ask("lookup", "files/a?x=y")?,
        Behaviour::LookupFragment => ask("lookup", "files/a#b")?,
        Behaviour::LookupDownload => ask("lookup", "files/a/download")?,
        Behaviour::DigestPanics | Behaviour::LargeDigest => {
            ask("lookup", "intelligence/hunting_rulesets/5706526672224256")?
        }
        Behaviour::NoJson => with_document(good, "no JSON".to_owned()),
        Behaviour::NoObject => {
            let document = format!("[\"{}\"]", good.id);
            with_document(good, document)
        }
        Behaviour::OtherId => {
            let document = good.document.replace("identity--0", "identity--1");
            with_document(good, document)
        }
        Behaviour::NoStixId => {
            let id = "identity--1".to_owned();
            let document = format!("{{\"id\":\"{id}\"}}");
            emit(vec![StixObject { id, document }], Vec::new())
        }
        Behaviour::ArtifactNoJson => emit(vec![good], vec!["no JSON".to_owned()]),
        Behaviour::ArtifactOtherSource => emit(vec![good], vec![artifact("b")]),
        _ => emit(vec![good], Vec::new()),
    })
}

/// What filters say that there are not.
pub(crate) fn explain(behaviour: Behaviour) -> String {
    let filters = |times: usize, saw: &str| {
        let filter = format!(r#"{{"filter":"f","passed":true,"saw":"{saw}"}}"#);
        format!("[{}]", vec![filter; times].join(","))
    };
    match behaviour {
        Behaviour::ExplainPanics => panic(),
        Behaviour::ExplainLoops => endless(),
        Behaviour::ExplanationNoJson => "no JSON".to_owned(),
        Behaviour::ExplanationWithoutWords => r#"[{"filter":"f","passed":true}]"#.to_owned(),
        Behaviour::LargeExplanation => large_text(),
        Behaviour::LongFilter => filters(1, &"x".repeat(4096)),
        Behaviour::ManyFilters => filters(65, "x"),
        Behaviour::SteeringWords => filters(1, r"\u001b[2J\nclean\u202e"),
        _ => filters(1, "all is well"),
    }
}

fn with_document(object: StixObject, document: String) -> Outcome {
    emit(vec![StixObject { document, ..object }], Vec::new())
}

/// A file whose SHA-256 is all `a`, to be read from where the file of all `digit` is.
fn artifact(digit: &str) -> String {
    let (of, sha256) = (digit.repeat(64), "a".repeat(64));
    format!(
        r#"{{"source":"files/{of}/download_url","sha256":"{sha256}","size":1,"name":"","description":"","author":"","markings":[]}}"#
    )
}

fn question(kind: &str, subject: &str, part: usize) -> Question {
    Question {
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        part: part.to_string(),
    }
}

/// Asks once, and fails with the answer, so that it can be read in the log.
fn asked(answers: &[(Question, Answer)], kind: &str, subject: &str) -> Result<Outcome, Failure> {
    match answers {
        [] => Ok(Outcome::Ask(vec![question(kind, subject, 0)])),
        [(_, Answer::Refused(words)), ..] => fail(words.clone()),
        _ => fail("answered".to_owned()),
    }
}

fn fail(words: String) -> Result<Outcome, Failure> {
    Err(Failure::Malformed(words))
}

pub(crate) fn large_text() -> String {
    "x".repeat(LARGE)
}

#[expect(clippy::panic, reason = "what it is for")]
pub(crate) fn panic() -> ! {
    panic!("on request")
}

pub(crate) fn endless() -> ! {
    loop {
        black_box(());
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn descend(depth: u64) -> u64 {
    match black_box(depth) {
        u64::MAX => 0,
        depth => black_box(descend(depth + 1)) + 1,
    }
}
