//! What a call of the guest costs, in the component and natively.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use connector_host::runtime::{self, Engine, Guest, Limits, Outcome};
use connector_tests::fixtures::Scenario;
use connector_tests::host;
use livehunt::contract::{self, Answer, Item, Question};

use crate::exchange::Exchange;
use crate::expected;

/// Notifications that are mapped.
const ITEMS: usize = 40;

/// Calls for each notification. The machine's other work slows some of them down and speeds none up: the
/// fastest counts.
const ROUNDS: usize = 200;

/// Times that the component is loaded.
const LOADS: usize = 3;

/// What was measured: times are of one call.
pub struct GuestCall {
    pub items: usize,
    pub bytes_per_item: f64,
    /// In an instance that is kept, arguments and results carried over included.
    pub component: Duration,
    /// The host's check of what came back, and its own counting.
    pub check: Duration,
    pub native: Duration,
    /// In an instance made, and given its settings, for the call.
    pub fresh: Duration,
    /// A call that does nothing.
    pub empty: Duration,
    /// Reading, compiling and trying the component.
    pub load: Duration,
    /// The same with compiled code from a cache, opening it and a first call.
    pub cold_start: Duration,
    pub exchange: Exchange,
}

/// A call's arguments, natively and for the component.
struct Case {
    native: (Item, Vec<(Question, Answer)>),
    component: (runtime::Item, Vec<(runtime::Question, runtime::Answer)>),
}

impl GuestCall {
    /// Measures; both sides alternate, so that they meet the same conditions.
    ///
    /// # Errors
    /// When the component cannot be loaded, or a call does not emit.
    pub fn measure(scenario: &Scenario) -> Result<Self> {
        let now = scenario.now;
        let native = expected::mapper()?;
        let cases = cases(&native, scenario)?;
        let (guest, load) = load()?;
        let settings: Vec<runtime::Setting> = expected::NO_FILTERS
            .iter()
            .map(|(name, value)| runtime::Setting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        let mut kept = guest.open(&settings)?;
        let cold_start = cold_start(&settings, &cases[0], now)?;
        let map = |mapper: &mut runtime::Mapper, case: &Case| -> Result<()> {
            let verdict = mapper.map(&case.component.0, &case.component.1, now)?;
            matches!(black_box(verdict).outcome, Outcome::Emit(_))
                .then_some(())
                .context("the component does not emit")
        };
        let map_natively = |case: &Case| -> Result<()> {
            let (item, answers) = &case.native;
            let verdict = native
                .map(item, answers, now)
                .map_err(|failure| anyhow!("{failure:?}"))?;
            matches!(black_box(verdict).outcome, contract::Outcome::Emit(_))
                .then_some(())
                .context("the native guest does not emit")
        };
        let [mut in_component, mut checked, mut natively, mut fresh] = [Duration::ZERO; 4];
        let mut empty = Duration::MAX;
        for case in &cases {
            let [mut one, mut whole, mut two, mut three] = [Duration::MAX; 4];
            for _ in 0..ROUNDS {
                let before = guest.usage().time();
                whole = whole.min(time(|| map(&mut kept, case))?);
                one = one.min(guest.usage().time() - before);
                two = two.min(time(|| map_natively(case))?);
                three = three.min(time(|| map(&mut guest.open(&settings)?, case))?);
                empty = empty.min(time(|| kept.remarks().map(drop).map_err(Into::into))?);
            }
            in_component += one;
            checked += whole.saturating_sub(one);
            natively += two;
            fresh += three;
        }
        let calls = u32::try_from(cases.len())?;
        let exchange = Exchange::measure(&settings, &recorded(&cases, now))?;
        let bytes: usize = cases.iter().map(|case| case.native.0.document.len()).sum();
        Ok(Self {
            items: cases.len(),
            bytes_per_item: bytes as f64 / cases.len() as f64,
            component: in_component / calls,
            check: checked / calls,
            empty,
            cold_start,
            exchange,
            native: natively / calls,
            fresh: fresh / calls,
            load,
        })
    }
}

fn time(call: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let started = Instant::now();
    call()?;
    Ok(started.elapsed())
}

fn load() -> Result<(Guest, Duration)> {
    let path = host::component()?;
    let mut best: Option<(Guest, Duration)> = None;
    for _ in 0..LOADS {
        let started = Instant::now();
        let guest = Guest::load(&Engine::new(1, Limits::default(), None)?, &path)?;
        let took = started.elapsed();
        if best.as_ref().is_none_or(|(_, least)| took < *least) {
            best = Some((guest, took));
        }
    }
    best.context("the component is loaded at least once")
}

/// The cases as the host remembers them.
fn recorded(cases: &[Case], now: u64) -> Vec<runtime::Case> {
    let cases = cases.iter().map(|case| runtime::Case {
        item: Arc::new(case.component.0.clone()),
        answers: case.component.1.clone(),
        now,
    });
    cases.collect()
}

/// From nothing to a first answer, with the compiled code in a cache.
fn cold_start(settings: &[runtime::Setting], case: &Case, now: u64) -> Result<Duration> {
    let path = host::component()?;
    let cache = tempfile::tempdir()?;
    let first_answer = || -> Result<()> {
        let engine = Engine::new(1, Limits::default(), Some(cache.path()))?;
        let mut mapper = Guest::load(&engine, &path)?.open(settings)?;
        let verdict = mapper.map(&case.component.0, &case.component.1, now)?;
        drop(black_box(verdict));
        Ok(())
    };
    // The first time fills the cache.
    first_answer()?;
    let mut best = Duration::MAX;
    for _ in 0..LOADS {
        best = best.min(time(first_answer)?);
    }
    Ok(best)
}

fn cases(mapper: &livehunt::Mapper, scenario: &Scenario) -> Result<Vec<Case>> {
    let world = scenario.world();
    world
        .notifications
        .iter()
        .take(ITEMS)
        .map(|notification| {
            let item = expected::item(notification);
            let (answers, _) = expected::decide(mapper, &world, &item, scenario.now)?;
            let component = (of_item(&item), answers.iter().map(of_answer).collect());
            Ok(Case {
                native: (item, answers),
                component,
            })
        })
        .collect()
}

fn of_item(item: &Item) -> runtime::Item {
    runtime::Item {
        id: item.id.clone(),
        observed: item.observed,
        document: item.document.clone(),
    }
}

fn of_answer((question, answer): &(Question, Answer)) -> (runtime::Question, runtime::Answer) {
    let question = runtime::Question {
        kind: question.kind.clone(),
        subject: question.subject.clone(),
        part: question.part.clone(),
    };
    let answer = match answer {
        Answer::Found(document) => runtime::Answer::Found(document.clone()),
        Answer::Absent => runtime::Answer::Absent,
        Answer::Refused(reason) => runtime::Answer::Refused(reason.clone()),
    };
    (question, answer)
}
