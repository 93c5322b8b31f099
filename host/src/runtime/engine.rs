//! The one engine of the process, and the limits of a guest.

use std::path::Path;
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::error::LoadError;

/// Time between two ticks of the clock that guests are measured by.
const TICK: Duration = Duration::from_millis(10);

/// Core instances, and tables, of one component: the guest's own, and the small ones that the component model
/// puts around a module with resources.
pub(super) const CORE_INSTANCES: u32 = 8;

/// Elements of one table.
pub(super) const TABLE_ELEMENTS: usize = 10_000;

/// Stack of a call, in bytes; wasmtime's default.
pub(super) const STACK: usize = 512 << 10;

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
    /// Filters that are explained.
    pub filters: usize,
    /// Remarks of one call; more are cut off.
    pub remarks: usize,
    /// Calls of `map` that one instance serves before a fresh one takes its place; 1 isolates each call.
    pub calls_per_instance: u32,
    /// Linear memory, in bytes, above which an instance gives place to a fresh one after the call: WebAssembly
    /// memory never shrinks.
    pub memory_mark: usize,
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
            filters: 64,
            remarks: 100,
            calls_per_instance: 10_000,
            memory_mark: 32 << 20,
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
    /// An engine with room for `workers` calls at a time, and for a guest that comes aside of them.
    ///
    /// With a `cache`, compiled code is kept in that folder, told by content, compiler and version, so that the
    /// next start need not compile. Nobody else may write there: the code is run as it is found.
    ///
    /// # Errors
    /// When the system refuses the address space, the thread of the clock or the cache's folder.
    pub fn new(workers: u32, limits: Limits, cache: Option<&Path>) -> Result<Self, LoadError> {
        let mut configuration = configuration(workers, &limits);
        if let Some(folder) = cache {
            configuration.cache(Some(open_cache(folder)?));
        }
        let wasmtime = wasmtime::Engine::new(&configuration).map_err(LoadError::Engine)?;
        start_clock(&wasmtime).map_err(|error| LoadError::Engine(error.into()))?;
        Ok(Self { wasmtime, limits })
    }
}

fn open_cache(folder: &Path) -> Result<Cache, LoadError> {
    let refused = |error: String| LoadError::Cache {
        folder: folder.to_owned(),
        error,
    };
    std::fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
    let absolute = std::path::absolute(folder).map_err(|error| refused(error.to_string()))?;
    let mut configuration = CacheConfig::new();
    configuration.with_directory(absolute);
    Cache::new(configuration).map_err(|error| refused(format!("{error:#}")))
}

fn configuration(workers: u32, limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // Those at work, as many that are idle, and of a guest that comes: its trial, one with settings, and the
    // one of the present guest that it is compared with.
    let slots = 2 * workers + 4;
    pool.total_component_instances(slots)
        .total_core_instances(slots * CORE_INSTANCES)
        .total_memories(slots)
        .total_tables(slots * CORE_INSTANCES)
        .max_memories_per_component(1)
        .max_tables_per_component(CORE_INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(limits.memory)
        // Pages that a fresh instance finds ready instead of faulting them in one by one.
        .linear_memory_keep_resident(1 << 20)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(slots);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
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
