//! The author on the platform, which is to carry no marking of ours: who may not see that would get our objects, and
//! those of other connectors, without an author (platform.md P22).

use super::run::Pipeline;
use crate::opencti::{Error, ObjectMarking};
use crate::runtime::Preamble;

impl Pipeline {
    /// Takes off the author what an earlier version of the guest marked it with: the markings of our objects that our
    /// author does not carry. An upsert only adds markings, so that they would stay. Others are somebody's own, and
    /// stay. What cannot be done is logged: objects are brought all the same.
    pub async fn heal_author(&self) {
        if !self.deliverer.has_queue() {
            return;
        }
        let shift = self.guests.shift();
        let preamble = match shift.pool.with(|mapper| mapper.preamble()) {
            Ok(Some(preamble)) => preamble,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot ask the guest for its author");
                return;
            }
        };
        if let Err(error) = self.heal(&preamble).await {
            tracing::warn!(
                %error,
                "cannot look at the markings of the author: if it is marked, take the marking off in OpenCTI, or accounts that may not see it get objects without an author"
            );
        }
    }

    async fn heal(&self, preamble: &Preamble) -> Result<(), Error> {
        let Some(author) = &preamble.author else {
            return Ok(());
        };
        let markings = self.platform.object_markings(&author.id).await?;
        for marking in markings.unwrap_or_default() {
            match whose(&marking, preamble) {
                Whose::OfTheAuthor => {}
                Whose::Ours => {
                    self.platform.remove_marking(&author.id, &marking).await?;
                    tracing::info!(
                        author = author.id,
                        marking = marking.name(),
                        "marking removed from the author"
                    );
                }
                Whose::Somebodys => tracing::warn!(
                    author = author.id,
                    marking = marking.name(),
                    "the author is marked: accounts that may not see the marking get objects without an author; if nobody wants it, take it off in OpenCTI"
                ),
            }
        }
        Ok(())
    }
}

/// Who wants a marking of the author.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// The guest, on the author.
    OfTheAuthor,
    /// The guest, on all else.
    Ours,
    /// Somebody else.
    Somebodys,
}

fn whose(marking: &ObjectMarking, preamble: &Preamble) -> Whose {
    let id = &marking.standard_id;
    let author = preamble.author.as_ref();
    if author.is_some_and(|author| author.markings.contains(id)) {
        return Whose::OfTheAuthor;
    }
    match preamble.markings.iter().any(|ours| ours.id == *id) {
        true => Whose::Ours,
        false => Whose::Somebodys,
    }
}
