//! One run, in the order in which nothing is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::answers::LiveAnswers;
use super::artifacts::NotCopied;
use super::decide::{Decision, LiveDecision, decide_page};
use super::feed::feed_request;
use super::observer::{Fate, Observer};
use super::remark::log_remark;
use super::report::{End, Report};
use super::settle::Entry;
use super::stop::Stop;
use crate::date::seconds;
use crate::delivery::{Batch, Deliverer, Object};
use crate::opencti::{self, Generation, StateKeeper, Work};
use crate::runtime::{Emission, Guest, Item, Live};
use crate::state::State;
use crate::step::Step;
use crate::virustotal::{self, FeedRequest, ItemId, Requests, Subject};

/// Items in a batch, whatever became of them. A worker takes a batch whole, so that larger ones would keep
/// the others idle; smaller ones cost requests.
const ENTRIES: usize = 100;

/// All that runs have in common.
pub struct Pipeline {
    /// The guests.
    pub guests: Live,
    /// Where notifications come from.
    pub source: virustotal::Client,
    /// Where knowledge goes.
    pub platform: opencti::Client,
    /// The ways there.
    pub deliverer: Deliverer,
    /// Whether the platform's queue is the only one of them.
    pub queue_alone: bool,
    /// Keeps the state.
    pub keeper: StateKeeper,
    /// `CONNECTOR_ID`.
    pub connector_id: String,
    /// Name of the connector, for the names of works.
    pub connector_name: String,
    /// New notifications a run, at most.
    pub limit: Option<u64>,
    /// Whether what a run brings waits in a draft.
    pub validate_before_import: bool,
    /// Whether files go past the draft.
    pub files_outside_draft: bool,
}

impl Pipeline {
    /// Reads, decides and delivers until the source has nothing more, or the run must end.
    ///
    /// With `again_from`, a time in seconds since the epoch, it reads from then on, and does again what is done.
    /// The checkpoint moves as in any run, and never back.
    ///
    /// A report comes back in every case: a run that ends with an error has done what it reports.
    pub async fn run(
        &self,
        generation: Generation,
        state: State,
        again_from: Option<u64>,
        stop: &CancellationToken,
        observer: &dyn Observer,
    ) -> Report {
        let task = again_from.map_or(Task::Feed, Task::BackFill);
        let mut run = Run::begin(self, task, generation, state, observer);
        let read = run.read(stop).await;
        run.end(read).await
    }
}

/// What a run works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// What the source has after the checkpoint.
    Feed,
    /// What the source has since then, whether it is done or not.
    BackFill(u64),
    /// What failed before: the checkpoint has passed it, and stays where it is.
    Failures,
}

/// One run under way.
pub(super) struct Run<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) task: Task,
    started: Instant,
    /// Requests before the run.
    source_requests: Requests,
    platform_requests: u64,
    /// The clock of the run: one time for all items.
    pub(super) now: u64,
    pub(super) generation: Generation,
    /// Checkpoint at the run's begin.
    begun_at: u64,
    /// From when a run without a back-fill would have read.
    pub(super) read_again_from: u64,
    pub(super) state: State,
    answers: Arc<LiveAnswers>,
    pub(super) work: Work,
    pub(super) batch: Batch,
    /// The guest that decided on all of the batch.
    batch_of: Option<Guest>,
    /// What became of the items behind the checkpoint, in feed order.
    pub(super) entries: Vec<Entry>,
    /// SHA-256 of the files copied in this run.
    pub(super) copied: HashSet<String>,
    pub(super) report: Report,
    counted_against_limit: u64,
    pub(super) observer: &'a dyn Observer,
}

/// What an item is called, from its reading to its end.
struct Origin {
    id: ItemId,
    observed: u64,
    subject: Option<Subject>,
}

impl<'a> Run<'a> {
    pub(super) fn begin(
        pipeline: &'a Pipeline,
        task: Task,
        generation: Generation,
        state: State,
        observer: &'a dyn Observer,
    ) -> Self {
        let now = Timestamp::now();
        observer.begun(now);
        pipeline.source.begin_run();
        let name = format!(
            "{} {} @ {}",
            pipeline.connector_name,
            match task {
                Task::Feed => "run",
                Task::BackFill(_) => "back-fill",
                Task::Failures => "retry",
            },
            now.strftime("%Y-%m-%d %H:%M:%S")
        );
        let platform = &pipeline.platform;
        let read_from = match task {
            Task::BackFill(since) => since,
            Task::Feed | Task::Failures => state.since(),
        };
        Self {
            pipeline,
            task,
            started: Instant::now(),
            source_requests: pipeline.source.requests(),
            platform_requests: platform.requests(),
            now: seconds(now),
            generation,
            begun_at: state.checkpoint_date(),
            read_again_from: state.since(),
            state,
            answers: Arc::new(LiveAnswers::new(
                pipeline.source.clone(),
                platform.clone(),
                pipeline.queue_alone,
            )),
            work: Work::new(platform.clone(), pipeline.connector_id.clone(), name)
                .in_draft(pipeline.validate_before_import),
            batch: Batch::default(),
            batch_of: None,
            entries: Vec::new(),
            copied: HashSet::new(),
            report: Report {
                read_from,
                ..Report::default()
            },
            counted_against_limit: 0,
            observer,
        }
    }

    /// Delivers what was read so far, whyever reading ended, and closes the work.
    pub(super) async fn end(mut self, read: Result<End, Stop>) -> Report {
        self.report.end = self.deliver_rest(read).await;
        let in_error = matches!(self.report.end, End::Error(_));
        if let Err(error) = self.work.close(&self.report.summary(), in_error).await {
            tracing::warn!(%error, "cannot close the work on the platform");
        }
        Step::WorkClosed.reached();
        if !matches!(self.report.end, End::Shutdown | End::Reset)
            && let Err(error) = self.tell_refusals().await
        {
            tracing::warn!(%error, "cannot save how far the errors of the works are told");
        }
        self.count_cost();
        self.report
    }

    fn count_cost(&mut self) {
        let Pipeline {
            source, platform, ..
        } = self.pipeline;
        self.report.source_requests = source.requests() - self.source_requests;
        self.report.platform_requests = platform.requests() - self.platform_requests;
        self.report.duration = self.started.elapsed();
    }

    pub(super) fn tell_progress(&mut self) {
        self.count_cost();
        self.observer.progress(&self.report);
    }

    async fn deliver_rest(&mut self, read: Result<End, Stop>) -> End {
        let end = match read {
            Ok(end) => end,
            // What was read is sound; what cannot be delivered now cannot be delivered again at once.
            Err(stop @ (Stop::Delivery(_) | Stop::Reset)) => return stop.into(),
            Err(stop) => stop.into(),
        };
        match self.flush().await {
            Ok(()) => end,
            Err(stop) => stop.into(),
        }
    }

    /// What the guest wants to read.
    pub(super) fn feed(&self) -> Result<FeedRequest, Stop> {
        let pool = &self.pipeline.guests.shift().pool;
        let since = match self.task {
            // VirusTotal does not say whether a date includes its own second.
            Task::BackFill(since) => since.saturating_sub(1),
            Task::Feed | Task::Failures => self.state.since(),
        };
        feed_request(pool, since, self.now)
    }

    async fn read(&mut self, stop: &CancellationToken) -> Result<End, Stop> {
        self.ensure_markings().await?;
        self.tell_refusals().await?;
        if let Task::BackFill(_) = self.task {
            // A connector without a state has begun then, also where nothing is found to be done.
            self.save().await?;
        }
        self.remove_what_was_left().await?;
        let mut feed = self.pipeline.source.feed(self.feed()?);
        loop {
            let page = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stop::Shutdown),
                page = feed.next_page() => page?,
            };
            let Some(page) = page else {
                return Ok(End::Drained);
            };
            Step::PageRead.reached();
            let (items, limited) = self.select(page);
            self.process(items, stop).await?;
            if limited {
                return Ok(End::Limit);
            }
        }
    }

    /// The items of a page that are to be decided on; whether the limit of the run cuts the page off.
    fn select(&mut self, page: virustotal::Page) -> (Vec<virustotal::Item>, bool) {
        let mut items = Vec::new();
        for item in page.items {
            let item = match item {
                Ok(item) => item,
                Err(unidentified) => {
                    self.note_unidentified(&unidentified);
                    continue;
                }
            };
            let again = matches!(self.task, Task::BackFill(_));
            if !again && self.state.is_done(item.id.as_str(), item.observed) {
                continue;
            }
            // A back-fill reads what the user asked for, however much that is. Else what lies before the checkpoint is
            // late, or was forgotten by the state: it must not use up the limit, or a run might never get beyond it.
            if !again && item.observed >= self.begun_at {
                if self
                    .pipeline
                    .limit
                    .is_some_and(|limit| self.counted_against_limit >= limit)
                {
                    return (items, true);
                }
                self.counted_against_limit += 1;
            }
            self.report.read += 1;
            items.push(item);
        }
        (items, false)
    }

    /// An element without an id is told by its bytes.
    fn note_unidentified(&mut self, unidentified: &virustotal::Unidentified) {
        const UNDATED: u64 = 0;
        let id = unidentified.document.as_str();
        if self.state.is_done(id, UNDATED) {
            return;
        }
        self.report.read += 1;
        let reason = unidentified.to_string();
        tracing::warn!(
            object = unidentified.object,
            reason,
            "cannot use an element of the feed"
        );
        self.note(id.to_owned(), UNDATED, None, Fate::Failed(reason));
    }

    pub(super) async fn process(
        &mut self,
        items: Vec<virustotal::Item>,
        stop: &CancellationToken,
    ) -> Result<(), Stop> {
        let wants_subjects = self.observer.wants_subjects();
        let origin = |item: &virustotal::Item| Origin {
            subject: wants_subjects
                .then(|| Subject::of(item.document.as_str()))
                .flatten(),
            id: item.id.clone(),
            observed: item.observed,
        };
        let origins: Vec<Origin> = items.iter().map(origin).collect();
        let damages: Vec<Option<String>> = items.iter().map(|it| it.damage.clone()).collect();
        let sound = items.iter().filter(|item| item.damage.is_none());
        let items = sound.map(|item| Arc::new(Item::from(item))).collect();
        let answers = Arc::clone(&self.answers);
        let (decisions, stopped) = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Stop::Shutdown),
            decided = decide_page(&self.pipeline.guests, items, self.now, &*answers) => decided,
        };
        let mut decisions = decisions.into_iter();
        for (origin, damage) in origins.into_iter().zip(damages) {
            if stop.is_cancelled() {
                return Err(Stop::Shutdown);
            }
            if let Some(reason) = damage {
                self.take(origin, Decision::Fail(reason)).await?;
                continue;
            }
            let Some(decided) = decisions.next() else {
                break;
            };
            let LiveDecision {
                decision,
                remarks,
                guest,
            } = decided;
            Step::Decided.reached();
            for remark in &remarks {
                log_remark(remark, Some(origin.id.as_str()));
            }
            let decision = self.judged(decision, &guest).await?;
            self.begin_batch_of(guest).await?;
            self.take(origin, decision).await?;
            self.tell_progress();
        }
        stopped
    }

    /// What the platform would refuse is failed at once, and in words.
    async fn judged(&self, decision: Decision, guest: &Guest) -> Result<Decision, Stop> {
        let Decision::Emit(emission) = decision else {
            return Ok(decision);
        };
        Ok(match self.hidden(&emission, guest).await? {
            Some(reason) => Decision::Fail(reason),
            None => Decision::Emit(emission),
        })
    }

    /// A batch never mixes guests: another one begins with another guest.
    async fn begin_batch_of(&mut self, guest: Guest) -> Result<(), Stop> {
        if self.batch_of.as_ref().is_some_and(|it| !it.is(&guest)) {
            self.flush().await?;
        }
        self.batch_of = Some(guest);
        Ok(())
    }

    async fn take(&mut self, origin: Origin, decision: Decision) -> Result<(), Stop> {
        let Origin {
            id,
            observed,
            subject,
        } = origin;
        let fate = match decision {
            Decision::Skip { filter, reason } => {
                tracing::debug!(notification = id.as_str(), filter, reason, "skipped");
                Fate::Skipped { filter, reason }
            }
            Decision::Fail(reason) => {
                tracing::error!(
                    notification = id.as_str(),
                    reason,
                    "cannot map the notification"
                );
                Fate::Failed(reason)
            }
            Decision::Emit(emission) => {
                let acknowledge = emission.acknowledge;
                match self.collect(emission).await? {
                    None => Fate::Delivered { acknowledge },
                    Some(missing) => Fate::Incomplete(missing),
                }
            }
        };
        self.note(id.as_str().to_owned(), observed, subject, fate);
        if self.entries.len() >= ENTRIES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Files first: a bundle may say what holds only once the file is there. Answers which file is missing, and why.
    async fn collect(&mut self, emission: Emission) -> Result<Option<String>, Stop> {
        let mut objects: Vec<_> = emission.objects.into_iter().map(Object::from).collect();
        let mut missing = None;
        for artifact in emission.artifacts {
            match self.copy(&artifact, &objects).await? {
                Ok(()) => objects.extend(artifact.objects.into_iter().map(Object::from)),
                // It was written down when it was looked for the first time.
                Err(NotCopied { is_gone: true, .. }) if self.task == Task::Failures => {
                    tracing::warn!(
                        sha256 = artifact.sha256,
                        "the source does not have the file: it is not tried again"
                    );
                }
                Err(NotCopied { reason, .. }) => {
                    missing = Some(format!("file {} not copied: {reason}", artifact.sha256));
                }
            }
        }
        if !self.batch.fits(&objects) {
            self.flush().await?;
        }
        self.batch.extend(objects);
        Ok(missing)
    }
}
