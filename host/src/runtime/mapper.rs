//! One instance of a guest and the calls into it, each under the limits.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{
    self, Component, ComponentExportIndex, InstancePre, ResourceAny, TypedFunc,
};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

use super::checked::{self, Said, Verdict};
use super::contract::{
    Answer, Connector, ConnectorIndices, Failure, Feed, Item, Question, Remark, Setting,
};
use super::description::Description;
use super::engine::{CORE_INSTANCES, Engine, Limits, STACK, TABLE_ELEMENTS};
use super::error::{CallError, OpenError};
use super::preamble::Preamble;
use super::usage::Usage;

/// What wasmtime keeps beside an instance.
pub(super) struct State {
    limits: StoreLimits,
    /// Linear memory, in bytes.
    memory: usize,
    memory_refused: bool,
    table_refused: bool,
}

impl wasmtime::ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum);
        match allowed {
            Ok(true) => self.memory = desired,
            _ => self.memory_refused = true,
        }
        allowed
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.table_growing(current, desired, maximum);
        self.table_refused |= !matches!(allowed, Ok(true));
        allowed
    }
}

/// The interfaces that a guest may have, in the versions since which there are any.
const EXPLANATION: &str = "cti:connector/explanation@1.1.0";
const PREAMBLE: &str = "cti:connector/preamble@1.2.0";

type Announce = TypedFunc<(ResourceAny,), (String,)>;
type Explain<'a> = TypedFunc<(ResourceAny, &'a Item, u64), (Result<String, Failure>,)>;

/// How instances of one guest are made, and where their functions are.
pub(super) struct Plan {
    pre: InstancePre<State>,
    indices: ConnectorIndices,
    /// Where the guest has one.
    pub(super) explain: Option<ComponentExportIndex>,
    /// Where the guest has one.
    pub(super) preamble: Option<ComponentExportIndex>,
}

impl Plan {
    /// # Errors
    /// When the component lacks a function of the contract.
    pub(super) fn new(pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let component = pre.component();
        let explain = optional(component, EXPLANATION, "explain")?;
        let preamble = optional(component, PREAMBLE, "preamble")?;
        Ok(Self {
            indices: ConnectorIndices::new(&pre)?,
            explain,
            preamble,
            pre,
        })
    }
}

/// The function of an interface that a guest may have; `None` where it has no such interface.
fn optional(
    component: &Component,
    interface: &str,
    function: &str,
) -> wasmtime::Result<Option<ComponentExportIndex>> {
    let Some(index) = component.get_export_index(None, interface) else {
        return Ok(None);
    };
    let index = component.get_export_index(Some(&index), function);
    index
        .map(Some)
        .ok_or_else(|| wasmtime::format_err!("{interface} has no function {function}"))
}

/// An instance without settings.
pub(super) struct Instance {
    store: Store<State>,
    instance: component::Instance,
    bindings: Connector,
    explain: Option<ComponentExportIndex>,
    preamble: Option<ComponentExportIndex>,
    limits: Limits,
    usage: Arc<Usage>,
}

impl Instance {
    /// # Errors
    /// When the component's types differ from the contract's, which shows only here, or no slot is free.
    pub(super) fn new(engine: &Engine, plan: &Plan, usage: &Arc<Usage>) -> wasmtime::Result<Self> {
        let limits = engine.limits;
        let state = State {
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory)
                .instances(CORE_INSTANCES as usize)
                .memories(1)
                .tables(CORE_INSTANCES as usize)
                .table_elements(TABLE_ELEMENTS)
                .trap_on_grow_failure(true)
                .build(),
            memory: 0,
            memory_refused: false,
            table_refused: false,
        };
        let mut store = Store::new(&engine.wasmtime, state);
        store.limiter(|state| state);
        store.set_epoch_deadline(limits.deadline_ticks());
        let instance = plan.pre.instantiate(&mut store)?;
        let bindings = plan.indices.load(&mut store, &instance)?;
        usage.count_instance();
        Ok(Self {
            store,
            instance,
            bindings,
            explain: plan.explain,
            preamble: plan.preamble,
            limits,
            usage: Arc::clone(usage),
        })
    }

    /// One whose functions have the types of the contract, also those that are asked for only when they are called.
    ///
    /// # Errors
    /// Like [`Instance::new`].
    pub(super) fn tried(
        engine: &Engine,
        plan: &Plan,
        usage: &Arc<Usage>,
    ) -> wasmtime::Result<Self> {
        let mut instance = Self::new(engine, plan, usage)?;
        instance.explain()?;
        instance.announce()?;
        Ok(instance)
    }

    /// `None` where the guest does not tell what its emissions have in common.
    fn announce(&mut self) -> wasmtime::Result<Option<Announce>> {
        let Some(index) = &self.preamble else {
            return Ok(None);
        };
        let function = self.instance.get_typed_func(&mut self.store, index)?;
        Ok(Some(function))
    }

    /// `None` where the guest does not explain its decisions.
    fn explain<'a>(&mut self) -> wasmtime::Result<Option<Explain<'a>>> {
        let Some(index) = &self.explain else {
            return Ok(None);
        };
        let function = self.instance.get_typed_func(&mut self.store, index)?;
        Ok(Some(function))
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
            calls: 0,
        })
    }

    fn call<T>(
        &mut self,
        call: &'static str,
        function: impl FnOnce(&Connector, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        // Right before the call: a deadline set earlier would bill the guest for the waiting.
        self.store.set_epoch_deadline(self.limits.deadline_ticks());
        let started = Instant::now();
        let result = function(&self.bindings, &mut self.store);
        self.usage
            .count_call(started.elapsed(), self.store.data().memory);
        result.map_err(|error| {
            self.usage.count_trap();
            self.trap(call, error)
        })
    }

    /// Which limit was hit, if it was one. An instance that trapped is not called again: what was refused, was
    /// refused in this call.
    fn trap(&self, call: &'static str, error: wasmtime::Error) -> CallError {
        let state = self.store.data();
        match error.downcast_ref::<Trap>() {
            _ if state.memory_refused => CallError::Memory {
                call,
                limit: self.limits.memory,
            },
            _ if state.table_refused => CallError::Table {
                call,
                limit: TABLE_ELEMENTS,
            },
            Some(Trap::Interrupt) => CallError::Deadline {
                call,
                limit: self.limits.deadline,
            },
            Some(Trap::StackOverflow) => CallError::Stack { call, limit: STACK },
            _ => {
                tracing::debug!(call, trap = format!("{error:#}"), "the guest trapped");
                CallError::Trap { call, error }
            }
        }
    }
}

/// An instance that has accepted its settings.
pub struct Mapper {
    instance: Instance,
    resource: ResourceAny,
    calls: u32,
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
        self.calls += 1;
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

    /// What each filter says to an item, in the order in which they are asked; `None` where the guest does not tell.
    ///
    /// # Errors
    /// Like [`Mapper::map`].
    pub fn explain(&mut self, item: &Item, now: u64) -> Result<Option<Vec<Said>>, CallError> {
        let function = self.instance.explain().map_err(CallError::Instantiate)?;
        let Some(function) = function else {
            return Ok(None);
        };
        let resource = self.resource;
        let (said,) = self.instance.call("explain", |_, store| {
            function.call(store, (resource, item, now))
        })?;
        let said = said.map_err(failure)?;
        checked::said(&said, &self.instance.limits).map(Some)
    }

    /// What all emissions have in common; `None` where the guest does not tell.
    ///
    /// # Errors
    /// When the call fails, or returns what the contract does not allow.
    pub fn preamble(&mut self) -> Result<Option<Preamble>, CallError> {
        let function = self.instance.announce().map_err(CallError::Instantiate)?;
        let Some(function) = function else {
            return Ok(None);
        };
        let resource = self.resource;
        let (json,) = self
            .instance
            .call("preamble", |_, store| function.call(store, (resource,)))?;
        Preamble::parse(&json, &self.instance.limits).map(Some)
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
        let limits = &self.instance.limits;
        self.calls >= limits.calls_per_instance
            || self.instance.store.data().memory > limits.memory_mark
    }
}

fn failure(failure: Failure) -> CallError {
    CallError::Failure(match failure {
        Failure::Malformed(reason) => format!("malformed: {}", checked::words(reason)),
        Failure::Unsupported(reason) => format!("unsupported: {}", checked::words(reason)),
    })
}
