//! A guest that does, on request, all that a guest must not do.
//!
//! `BEHAVIOUR` says what. In `map` it touches only items whose id is an odd number; the others are mapped well, so
//! that a test sees the run go on.

pub mod behaviour;
pub mod contract;
mod harm;

use behaviour::{Behaviour, DESCRIPTION};
use contract::{
    Answer, Emission, Explanation, Failure, Feed, Guest, GuestMapper, Item, Mapper, MapperBorrow,
    Outcome, Problem, Question, Remark, Setting, Severity, StixObject, Verdict,
};

/// What the component exports.
#[derive(Debug)]
pub struct Hostile;

impl Guest for Hostile {
    type Mapper = Behaviour;

    fn describe() -> String {
        DESCRIPTION.to_owned()
    }
}

impl Explanation for Hostile {
    fn explain(mapper: MapperBorrow<'_>, _item: Item, _now: u64) -> Result<String, Failure> {
        Ok(harm::explain(*mapper.get::<Behaviour>()))
    }
}

impl GuestMapper for Behaviour {
    fn open(settings: Vec<Setting>) -> Result<Mapper, Vec<Problem>> {
        let mut behaviour = Self::None;
        for Setting { name, value } in settings {
            behaviour = Self::from_name(&value).ok_or_else(|| {
                vec![Problem {
                    setting: name,
                    reason: format!("found {value:?}, which is not among the choices"),
                }]
            })?;
        }
        match behaviour {
            Self::OpenPanics => harm::panic(),
            Self::OpenLoops => harm::endless(),
            _ => Ok(Mapper::new(behaviour)),
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        match self {
            Self::RemarksPanics => harm::panic(),
            _ => Vec::new(),
        }
    }

    fn feed(&self, _since: u64, _now: u64) -> Feed {
        let (path, parameter, item_id) = match self {
            Self::FeedPanics => harm::panic(),
            Self::FeedAbsoluteUrl => ("https://evil.example/ioc_stream", "order", ID),
            Self::FeedParentFolder => ("../ioc_stream", "order", ID),
            Self::FeedUnlisted => ("users", "order", ID),
            Self::FeedCursor => ("ioc_stream", "cursor", ID),
            Self::FeedBadPointer => ("ioc_stream", "order", "no pointer"),
            _ => ("ioc_stream", "order", ID),
        };
        Feed {
            path: path.to_owned(),
            query: vec![(parameter.to_owned(), "date+".to_owned())],
            item_id: item_id.to_owned(),
            item_date: "/context_attributes/notification_date".to_owned(),
        }
    }

    fn map(
        &self,
        item: Item,
        answers: Vec<(Question, Answer)>,
        _now: u64,
    ) -> Result<Verdict, Failure> {
        let is_odd = item.id.bytes().last().is_some_and(|digit| digit % 2 == 1);
        let outcome = if is_odd {
            harm::map(*self, &item, &answers)?
        } else {
            emit(vec![object(&item)], Vec::new())
        };
        let remarks = match self {
            Self::LongRemark => vec![Remark {
                severity: Severity::Error,
                message: harm::large_text(),
            }],
            _ => Vec::new(),
        };
        Ok(Verdict { outcome, remarks })
    }

    fn digest(&self, _question: Question, _document: String) -> Result<String, Failure> {
        match self {
            Self::DigestPanics => harm::panic(),
            Self::LargeDigest => Ok(harm::large_text()),
            _ => Ok("null".to_owned()),
        }
    }
}

const ID: &str = "/context_attributes/notification_id";

fn emit(objects: Vec<StixObject>, artifacts: Vec<String>) -> Outcome {
    Outcome::Emit(Emission {
        objects,
        artifacts,
        acknowledge: false,
    })
}

/// What a good guest makes of the item.
fn object(item: &Item) -> StixObject {
    let id = format!("identity--00000000-0000-5000-8000-{:0>12}", item.id);
    let made = "2026-01-01T00:00:00.000Z";
    let document = format!(
        r#"{{"type":"identity","spec_version":"2.1","id":"{id}","created":"{made}","modified":"{made}","name":"{}","identity_class":"system"}}"#,
        item.id
    );
    StixObject { id, document }
}
