//! The component's exports: each hands over to the library function of the same name.

use crate::contract::{
    Announcement, Answer, Explanation, Failure, Feed, Guest, GuestMapper, Item, MapperBorrow,
    MapperHandle, Problem, Question, Remark, Setting, Timestamp, Verdict,
};
use crate::mapper::Mapper;

/// What `contract` exports.
pub(crate) struct Component;

impl Guest for Component {
    type Mapper = Mapper;

    fn describe() -> String {
        crate::settings::describe()
    }
}

impl GuestMapper for Mapper {
    fn open(settings: Vec<Setting>) -> Result<MapperHandle, Vec<Problem>> {
        Mapper::open(&settings).map(MapperHandle::new)
    }

    fn remarks(&self) -> Vec<Remark> {
        Mapper::remarks(self).to_vec()
    }

    fn feed(&self, since: Timestamp, now: Timestamp) -> Feed {
        Mapper::feed(self, since, now)
    }

    fn map(
        &self,
        item: Item,
        answers: Vec<(Question, Answer)>,
        now: Timestamp,
    ) -> Result<Verdict, Failure> {
        Mapper::map(self, &item, &answers, now)
    }

    fn digest(&self, question: Question, document: String) -> Result<String, Failure> {
        Mapper::digest(self, &question, &document)
    }
}

impl Announcement for Component {
    fn preamble(mapper: MapperBorrow<'_>) -> String {
        mapper.get::<Mapper>().preamble()
    }
}

impl Explanation for Component {
    fn explain(mapper: MapperBorrow<'_>, item: Item, now: Timestamp) -> Result<String, Failure> {
        mapper.get::<Mapper>().explain(&item, now)
    }
}
