//! What an exchange of guests costs those who are at work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use connector_host::runtime::{
    Case, Engine, Guest, Limits, Live, Outcome, Pool, Setting, rehearse,
};
use connector_tests::host;

/// Exchanges of the guest.
const EXCHANGES: usize = 20;

/// Calls that are made at least.
const CALLS: usize = 1_000;

/// Who calls at a time, as in the pipeline.
const WORKERS: u32 = 4;

/// What was measured.
pub struct Exchange {
    pub exchanges: usize,
    pub calls: usize,
    /// From loading a guest, its code cached, to its being at work, rehearsal included.
    pub each: Duration,
    /// The longest that one call took.
    pub longest_call: Duration,
}

impl Exchange {
    /// Exchanges the guest again and again while others call it.
    ///
    /// # Errors
    /// When the component cannot be loaded, or a call does not emit.
    pub fn measure(settings: &[Setting], cases: &[Case]) -> Result<Self> {
        let cache = tempfile::tempdir()?;
        let engine = Engine::new(WORKERS, Limits::default(), Some(cache.path()))?;
        let path = host::component()?;
        let load = || -> Result<Pool> {
            let guest = Guest::load(&engine, &path)?;
            let mapper = guest.open(settings)?;
            Ok(Pool::new(guest, settings.to_vec(), mapper))
        };
        let live = Live::new(load()?);
        for case in cases {
            live.remember(case.clone());
        }
        let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let work = || -> Result<Duration> {
                let mut longest = Duration::ZERO;
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) && call >= CALLS {
                        return Ok(longest);
                    }
                    let case = &cases[call % cases.len()];
                    let started = Instant::now();
                    let verdict = live
                        .shift()
                        .pool
                        .with(|mapper| mapper.map(&case.item, &case.answers, case.now))?;
                    longest = longest.max(started.elapsed());
                    ensure!(
                        matches!(verdict.outcome, Outcome::Emit(_)),
                        "a call does not emit"
                    );
                }
            };
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            let started = Instant::now();
            let exchanged = (0..EXCHANGES).try_for_each(|_| -> Result<()> {
                let pool = load()?;
                rehearse(&live.shift().pool, &pool, &live.recent())?;
                live.replace(pool);
                Ok(())
            });
            let each = started.elapsed() / u32::try_from(EXCHANGES)?;
            over.store(true, Ordering::Relaxed);
            let mut longest_call = Duration::ZERO;
            for worker in workers {
                let longest = worker.join().ok().context("a worker panicked")??;
                longest_call = longest_call.max(longest);
            }
            exchanged?;
            Ok(Self {
                exchanges: EXCHANGES,
                calls: next.load(Ordering::Relaxed) - WORKERS as usize,
                each,
                longest_call,
            })
        })
    }
}
