//! When to look at a source again.

use std::future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::GuestSource;

/// A copy in progress is many events; it is over when none has come for this long.
const QUIET: Duration = Duration::from_millis(200);

/// So long are events awaited to end; whoever writes without a pause is looked at all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a source should be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The file, or something in the folder, is not as it was.
    Event,
    /// It is time to.
    Poll,
    /// The user asks to, with SIGHUP.
    Hangup,
}

/// Tells when a source may have changed. Dropping it ends all that it does.
#[derive(Debug)]
pub struct Watcher {
    hangup: Signal,
    poll: Interval,
    files: Option<Files>,
    burst: Option<Burst>,
}

/// Events that have come and are not told yet.
#[derive(Debug, Clone, Copy)]
struct Burst {
    began: Instant,
    last: Instant,
}

impl Burst {
    fn ends(self) -> Instant {
        (self.last + QUIET).min(self.began + PATIENCE)
    }
}

impl Watcher {
    /// Watches a source, and looks at it every `poll` in any case: network file systems send no events. Where
    /// events cannot be had, a warning says so. From now on SIGHUP does not end the process.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    ///
    /// # Panics
    /// Outside a tokio runtime, and when `poll` is zero.
    pub fn new(source: &GuestSource, poll: Duration) -> io::Result<Self> {
        let mut interval = tokio::time::interval_at(Instant::now() + poll, poll);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            poll: interval,
            files: match source {
                GuestSource::Path(path) => Some(Files::watch(path, poll)?),
                GuestSource::Oci(_) => None,
            },
            burst: None,
        })
    }

    /// Waits until the source may have changed. What happens between two calls is told by the second. May be
    /// dropped at any time without losing anything.
    pub async fn changed(&mut self) -> Cause {
        let cause = self.wait().await;
        self.burst = None;
        if let Some(files) = &mut self.files {
            files.rearm();
        }
        cause
    }

    async fn wait(&mut self) -> Cause {
        loop {
            let files = self.files.as_ref();
            let burst = self.burst;
            tokio::select! {
                _ = self.hangup.recv() => return Cause::Hangup,
                _ = self.poll.tick() => return Cause::Poll,
                () = event(files) => {
                    let last = Instant::now();
                    let began = burst.map_or(last, |burst| burst.began);
                    self.burst = Some(Burst { began, last });
                }
                () = end(burst) => return Cause::Event,
            }
        }
    }
}

async fn event(files: Option<&Files>) {
    match files {
        Some(files) => files.event.notified().await,
        None => future::pending().await,
    }
}

async fn end(burst: Option<Burst>) {
    match burst {
        Some(burst) => tokio::time::sleep_until(burst.ends()).await,
        None => future::pending().await,
    }
}

/// The events of a file or folder.
#[derive(Debug)]
struct Files {
    path: PathBuf,
    poll: Duration,
    event: Arc<Notify>,
    /// None where the system gives none.
    watcher: Option<RecommendedWatcher>,
    warned: bool,
}

impl Files {
    fn watch(path: &Path, poll: Duration) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let event = Arc::new(Notify::new());
        let (told, target) = (Arc::clone(&event), path.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // What cannot be told may be a change.
            if event.is_ok_and(|event| !concerns(&event, &target)) {
                return;
            }
            told.notify_one();
        });
        let mut files = Self {
            path,
            poll,
            event,
            watcher: None,
            warned: false,
        };
        match watcher {
            Ok(watcher) => files.watcher = Some(watcher),
            Err(error) => files.warn(&error),
        }
        files.rearm();
        Ok(files)
    }

    /// Watches the folder around, for what is moved there, and the folder itself, if it is one. Again after
    /// each change: a folder that was replaced is another one.
    fn rearm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let around = self.path.parent().unwrap_or(&self.path);
        let mut armed = watcher.watch(around, RecursiveMode::NonRecursive);
        if self.path.is_dir() {
            armed = armed.and(watcher.watch(&self.path, RecursiveMode::NonRecursive));
        }
        match armed {
            Ok(()) => self.warned = false,
            Err(error) => self.warn(&error),
        }
    }

    /// Once until it works again.
    fn warn(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "changes of {} are not noticed at once, only every {:?}: {error}",
                self.path.display(),
                self.poll,
            );
        }
    }
}

/// Whether an event may be a change of the file or folder. In the folder around only its own name counts,
/// unless it is a symbolic link: Kubernetes replaces a link beside it that it leads over.
fn concerns(event: &Event, target: &Path) -> bool {
    let only_read = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    if only_read {
        return false;
    }
    let inside = |path: &PathBuf| path.parent() == Some(target);
    event.paths.is_empty()
        || event
            .paths
            .iter()
            .any(|path| path == target || inside(path))
        || target.is_symlink()
}

#[cfg(test)]
mod tests;
