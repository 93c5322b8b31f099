//! The one engine of the process, and the limits of a guest.

use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::error::LoadError;

/// Time between two ticks of the clock that guests are measured by.
const TICK: Duration = Duration::from_millis(10);

/// Core instances, and tables, of one component: the guest's own, and the small ones that the component model
/// puts around a module with resources.
pub(super) const CORE_INSTANCES: u32 = 8;

/// What a guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for one call.
    pub deadline: Duration,
    /// Linear memory of one instance, in bytes.
    pub memory: usize,
    /// Bytes of all that one call returns.
    pub output: usize,
    /// STIX objects in one emission.
    pub objects: usize,
    /// Files to copy in one emission.
    pub artifacts: usize,
    /// Questions of one round.
    pub questions: usize,
    /// Remarks of one call; more are cut off.
    pub remarks: usize,
    /// Items that one instance maps before a fresh one takes its place.
    pub items_per_instance: u32,
}

impl Default for Limits {
    /// A notification takes about a tenth of a millisecond, a few megabytes of memory and ten objects;
    /// the limits leave two orders of magnitude.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            memory: 64 << 20,
            output: 8 << 20,
            objects: 5_000,
            artifacts: 16,
            questions: 64,
            remarks: 100,
            items_per_instance: 10_000,
        }
    }
}

impl Limits {
    /// The deadline in ticks; one more, since the tick under way has partly gone by.
    pub(super) fn deadline_ticks(&self) -> u64 {
        u64::try_from(self.deadline.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX - 1) + 1
    }
}

/// Compiles and runs guests. One for all guests of the process: memory and code of an engine are shared.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) limits: Limits,
}

impl Engine {
    /// An engine with room for `instances` guests at a time.
    ///
    /// # Errors
    /// When the system refuses the address space or the thread of the clock.
    pub fn new(instances: u32, limits: Limits) -> Result<Self, LoadError> {
        let wasmtime =
            wasmtime::Engine::new(&configuration(instances, &limits)).map_err(LoadError::Engine)?;
        start_clock(&wasmtime).map_err(|error| LoadError::Engine(error.into()))?;
        Ok(Self { wasmtime, limits })
    }
}

fn configuration(instances: u32, limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // Two instances more than can be at work: the trial of a guest being loaded, and one being dropped.
    let slots = instances + 2;
    pool.total_component_instances(slots)
        .total_core_instances(slots * CORE_INSTANCES)
        .total_memories(slots)
        .total_tables(slots * CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_tables_per_component(CORE_INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .table_elements(10_000)
        .max_memory_size(limits.memory)
        // Pages that a fresh instance finds ready instead of faulting them in one by one.
        .linear_memory_keep_resident(1 << 20)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(slots);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// A thread and not a task: a busy runtime would starve the clock that is to end the busyness.
fn start_clock(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("guest-clock".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(())
}
