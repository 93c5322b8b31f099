//! A guest that makes one identity of each notification, named by the version that made it, and the notification.
//!
//! Tests write a version and a fault over [`STAMP`] in the built component: many guests from one build.

#[cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "generated; exports are unmangled symbols")
)]
mod generated {
    wit_bindgen::generate!({
        world: "connector",
        path: "../../../wit",
    });

    #[cfg(target_arch = "wasm32")]
    use crate::Understudy;
    #[cfg(target_arch = "wasm32")]
    export!(Understudy);
}

use generated::exports::cti::connector::mapping::{
    Answer, Emission, Failure, Feed, Guest, GuestMapper, Item, Mapper, Outcome, Problem, Question,
    Remark, Setting, Skip, StixObject, Verdict,
};

/// `<version>,<fault>`, with blanks behind it.
static STAMP: [u8; 48] = *b"stamp of the understudy:1.0.0,none              ";

/// Bytes of the stamp by which it is found.
const MARK: usize = "stamp of the understudy:".len();

fn stamp() -> (&'static str, &'static str) {
    // Not what the compiler knows, but what stands in the component.
    let stamp: &'static [u8; 48] = std::hint::black_box(&STAMP);
    let text = std::str::from_utf8(&stamp[MARK..]).unwrap_or_default();
    text.trim_end().split_once(',').unwrap_or_default()
}

struct Understudy;

struct Role;

impl Guest for Understudy {
    type Mapper = Role;

    fn describe() -> String {
        let (version, fault) = stamp();
        let name = if fault == "other name" {
            "another"
        } else {
            "understudy"
        };
        let settings = if fault == "wants the key" {
            r#"{"name":"API_KEY","kind":"text","default":"","help":"Not its own."}"#
        } else {
            ""
        };
        format!(
            r#"{{"name":"{name}","version":"{version}","connector":{{"name":"Understudy","scope":["Identity"],
            "environment_prefix":"VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS","config_sections":[]}},"settings":[{settings}]}}"#
        )
    }
}

impl GuestMapper for Role {
    fn open(_: Vec<Setting>) -> Result<Mapper, Vec<Problem>> {
        if stamp().1 == "refuses settings" {
            let (setting, reason) = ("COLOUR".to_owned(), "not set; expected red".to_owned());
            return Err(vec![Problem { setting, reason }]);
        }
        Ok(Mapper::new(Self))
    }

    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }

    fn feed(&self, _: u64, _: u64) -> Feed {
        Feed {
            path: "ioc_stream".to_owned(),
            query: [("order", "date+"), ("limit", "40")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            item_id: "/context_attributes/notification_id".to_owned(),
            item_date: "/context_attributes/notification_date".to_owned(),
        }
    }

    fn map(&self, item: Item, _: Vec<(Question, Answer)>, _: u64) -> Result<Verdict, Failure> {
        let (version, fault) = stamp();
        match fault {
            "traps" => std::process::abort(),
            "fails" => return Err(Failure::Malformed("as stamped".to_owned())),
            "skips" => {
                let (filter, reason) = ("stamp".to_owned(), "as stamped".to_owned());
                return Ok(verdict(Outcome::Skip(Skip { filter, reason })));
            }
            _ => {}
        }
        let id = format!("identity--00000000-0000-4000-8000-{:0>12.12}", item.id);
        let document = format!(
            r#"{{"type":"identity","spec_version":"2.1","id":"{id}","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"{version}: {name}","identity_class":"unknown"}}"#,
            name = item.id,
        );
        Ok(verdict(Outcome::Emit(Emission {
            objects: vec![StixObject { id, document }],
            artifacts: Vec::new(),
            acknowledge: false,
        })))
    }

    fn digest(&self, _: Question, document: String) -> Result<String, Failure> {
        Ok(document)
    }
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        remarks: Vec::new(),
    }
}
