//! One instance of a guest and the calls into it, each under the limits.

use wasmtime::component::ResourceAny;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

use super::checked::{self, Verdict};
use super::contract::{
    Answer, Connector, ConnectorPre, Failure, Feed, Item, Question, Remark, Setting,
};
use super::description::Description;
use super::engine::{CORE_INSTANCES, Engine, Limits};
use super::error::{CallError, OpenError};

/// What wasmtime keeps beside an instance.
pub(super) struct State {
    limits: StoreLimits,
    memory_refused: bool,
}

impl wasmtime::ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum);
        self.memory_refused |= !matches!(allowed, Ok(true));
        allowed
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }
}

/// An instance without settings.
pub(super) struct Instance {
    store: Store<State>,
    bindings: Connector,
    limits: Limits,
}

impl Instance {
    pub(super) fn new(engine: &Engine, pre: &ConnectorPre<State>) -> Result<Self, CallError> {
        let limits = engine.limits;
        let state = State {
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .instances(CORE_INSTANCES as usize)
                .memories(1)
                .tables(CORE_INSTANCES as usize)
                .trap_on_grow_failure(true)
                .build(),
            memory_refused: false,
        };
        let mut store = Store::new(&engine.wasmtime, state);
        store.limiter(|state| state);
        store.set_epoch_deadline(limits.deadline_ticks());
        let bindings = pre
            .instantiate(&mut store)
            .map_err(CallError::Instantiate)?;
        Ok(Self {
            store,
            bindings,
            limits,
        })
    }

    pub(super) fn describe(&mut self) -> Result<Description, CallError> {
        let json = self.call("describe", |bindings, store| {
            bindings.cti_connector_mapping().call_describe(store)
        })?;
        Description::parse(&json)
    }

    pub(super) fn open(mut self, settings: &[Setting]) -> Result<Mapper, OpenError> {
        let resource = self
            .call("open", |bindings, store| {
                bindings
                    .cti_connector_mapping()
                    .mapper()
                    .call_open(store, settings)
            })?
            .map_err(OpenError::Settings)?;
        Ok(Mapper {
            instance: self,
            resource,
            items: 0,
        })
    }

    fn call<T>(
        &mut self,
        call: &'static str,
        function: impl FnOnce(&Connector, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        // Right before the call: a deadline set earlier would bill the guest for the waiting.
        self.store.set_epoch_deadline(self.limits.deadline_ticks());
        self.store.data_mut().memory_refused = false;
        function(&self.bindings, &mut self.store).map_err(|error| {
            if self.store.data().memory_refused {
                CallError::Memory {
                    call,
                    limit: self.limits.memory,
                }
            } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
                CallError::Deadline {
                    call,
                    limit: self.limits.deadline,
                }
            } else {
                tracing::debug!(call, trap = format!("{error:#}"), "the guest trapped");
                CallError::Trap { call, error }
            }
        })
    }
}

/// An instance that has accepted its settings.
pub struct Mapper {
    instance: Instance,
    resource: ResourceAny,
    items: u32,
}

impl Mapper {
    /// What the guest has to say about its settings.
    ///
    /// # Errors
    /// When the call fails.
    pub fn remarks(&mut self) -> Result<Vec<Remark>, CallError> {
        let resource = self.resource;
        let remarks = self.instance.call("remarks", |bindings, store| {
            bindings
                .cti_connector_mapping()
                .mapper()
                .call_remarks(store, resource)
        })?;
        Ok(checked::remarks(remarks, &self.instance.limits))
    }

    /// What to read from the source.
    ///
    /// # Errors
    /// When the call fails.
    pub fn feed(&mut self, since: u64, now: u64) -> Result<Feed, CallError> {
        let resource = self.resource;
        self.instance.call("feed", |bindings, store| {
            bindings
                .cti_connector_mapping()
                .mapper()
                .call_feed(store, resource, since, now)
        })
    }

    /// What becomes of an item.
    ///
    /// # Errors
    /// When the guest fails on the item, breaks a limit, or returns what the contract does not allow.
    pub fn map(
        &mut self,
        item: &Item,
        answers: &[(Question, Answer)],
        now: u64,
    ) -> Result<Verdict, CallError> {
        let resource = self.resource;
        self.items += 1;
        let verdict = self
            .instance
            .call("map", |bindings, store| {
                bindings
                    .cti_connector_mapping()
                    .mapper()
                    .call_map(store, resource, item, answers, now)
            })?
            .map_err(failure)?;
        checked::verdict(verdict, &self.instance.limits)
    }

    /// The part of a document that a question asks for.
    ///
    /// # Errors
    /// Like [`Mapper::map`].
    pub fn digest(&mut self, question: &Question, document: String) -> Result<String, CallError> {
        let resource = self.resource;
        let digest = self
            .instance
            .call("digest", |bindings, store| {
                bindings
                    .cti_connector_mapping()
                    .mapper()
                    .call_digest(store, resource, question, &document)
            })?
            .map_err(failure)?;
        checked::within("digest", "bytes", digest.len(), self.instance.limits.output)?;
        Ok(digest)
    }

    /// Whether it is time for a fresh instance.
    pub(super) fn is_worn(&self) -> bool {
        self.items >= self.instance.limits.items_per_instance
    }
}

fn failure(failure: Failure) -> CallError {
    CallError::Failure(match failure {
        Failure::Malformed(reason) => format!("malformed: {}", checked::words(reason)),
        Failure::Unsupported(reason) => format!("unsupported: {}", checked::words(reason)),
    })
}
