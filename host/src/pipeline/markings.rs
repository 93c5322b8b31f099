//! Whether the platform takes the markings of what is brought: asked before anything is, since it would refuse each
//! object and nobody would hear of it.

use std::collections::BTreeSet;

use super::run::Run;
use super::stop::Stop;
use crate::opencti::Sight;
use crate::runtime::{Announced, Emission, Guest};

/// How the STIX id of a marking begins.
const MARKING: &str = "marking-definition--";

/// Why nothing can be brought with a marking of this guest's; `None` where the account may use it, or it is still to
/// be made.
#[must_use]
pub fn hidden_marking(sight: &Sight, marking: &Announced, guest: &Guest) -> Option<String> {
    let prefix = &guest.description().connector.environment_prefix;
    let setting = marking.setting.as_ref();
    let setting = setting.map(|setting| format!("{prefix}_{setting}"));
    refusal(sight, &marking.id, setting.as_deref())
}

/// The same of any marking; `setting` chooses it, where one does.
fn refusal(sight: &Sight, id: &str, setting: Option<&str>) -> Option<String> {
    let Sight::Hidden {
        marking,
        account,
        groups,
    } = sight
    else {
        return None;
    };
    let group = match groups.as_slice() {
        [] => "a group of the account".to_owned(),
        groups => format!("a group of the account ({})", groups.join(", ")),
    };
    let otherwise = setting.map_or_else(String::new, |setting| {
        format!(", or set {setting} to a marking that the account may see")
    });
    Some(format!(
        "cannot bring what is marked {marking} ({id}): the account {account:?} of OPENCTI_TOKEN may not see this marking; allow it in {group}{otherwise}"
    ))
}

impl Run<'_> {
    /// Ends a run that could bring nothing.
    pub(super) async fn ensure_markings(&self) -> Result<(), Stop> {
        if !self.pipeline.deliverer.has_queue() {
            return Ok(());
        }
        let shift = self.pipeline.guests.shift();
        let preamble = shift.pool.with(|mapper| mapper.preamble())?;
        for marking in preamble.iter().flat_map(|preamble| &preamble.markings) {
            let sight = self.pipeline.platform.sight(&marking.id).await?;
            if let Some(reason) = hidden_marking(&sight, marking, shift.pool.guest()) {
                return Err(Stop::Platform(reason));
            }
            if sight == Sight::Unknown {
                tracing::warn!(
                    marking = marking.name,
                    id = marking.id,
                    "marking not found on OpenCTI: it comes with the first bundle, and what it marks is refused until a group of the account allows it"
                );
            }
        }
        Ok(())
    }

    /// Why the platform would refuse an emission for a marking of its own, such as one that is stronger than that of
    /// the settings. Where the guest does not tell its markings before, this ends the run: all the rest has it too.
    pub(super) async fn hidden(
        &self,
        emission: &Emission,
        guest: &Guest,
    ) -> Result<Option<String>, Stop> {
        if !self.pipeline.deliverer.has_queue() {
            return Ok(None);
        }
        let objects = emission.objects.iter().map(|object| &object.id);
        let of_files = emission.artifacts.iter().flat_map(|file| &file.markings);
        let markings: BTreeSet<&String> = objects
            .chain(of_files)
            .filter(|id| id.starts_with(MARKING))
            .collect();
        for id in markings {
            let sight = self.pipeline.platform.sight(id).await?;
            match refusal(&sight, id, None) {
                Some(reason) if guest.announces() => return Ok(Some(reason)),
                Some(reason) => return Err(Stop::Platform(reason)),
                None => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_marking_is_told_with_what_to_do() {
        let hidden = |groups: &[&str]| Sight::Hidden {
            marking: "M:HIGH".to_owned(),
            account: "[C] A feed".to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        let begin = "cannot bring what is marked M:HIGH (m--1): the account \"[C] A feed\" of OPENCTI_TOKEN may not see this marking; allow it in a group of the account";
        for (sight, setting, end) in [
            (hidden(&[]), None, Some("")),
            (
                hidden(&["Connectors", "Staff"]),
                Some("FEED_LEVEL"),
                Some(
                    " (Connectors, Staff), or set FEED_LEVEL to a marking that the account may see",
                ),
            ),
            (Sight::Seen, None, None),
            (Sight::Unknown, None, None),
        ] {
            let words = end.map(|end| format!("{begin}{end}"));
            assert_eq!(refusal(&sight, "m--1", setting), words);
        }
    }
}
