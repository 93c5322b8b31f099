//! When to look at a source again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::GuestSource;

/// A copy in progress makes many events: a look waits until they have stopped for so long.
const QUIET: Duration = Duration::from_millis(200);

/// Tells when a source may have changed.
pub struct Watcher {
    /// Kept, since events end with it. None where the system refused.
    _events: Option<RecommendedWatcher>,
    changes: mpsc::Receiver<()>,
    hangup: Signal,
    poll: Duration,
}

impl Watcher {
    /// Watches from now on: file events where the system gives them, else and in addition every `poll`, since
    /// network file systems and registries send no events, and at once on SIGHUP.
    ///
    /// # Errors
    /// When SIGHUP cannot be listened to.
    pub fn new(source: &GuestSource, poll: Duration) -> std::io::Result<Self> {
        let (sender, changes) = mpsc::channel(1);
        let events = match watched(source) {
            None => None,
            Some(folder) => match watch(&folder, sender) {
                Ok(watcher) => Some(watcher),
                Err(error) => {
                    tracing::warn!(
                        folder = %folder.display(),
                        %error,
                        "cannot watch the guest's folder: it is looked at every {poll:?} only"
                    );
                    None
                }
            },
        };
        Ok(Self {
            _events: events,
            changes,
            hangup: signal(SignalKind::hangup())?,
            poll,
        })
    }

    /// Waits until the source should be looked at.
    pub async fn changed(&mut self) {
        let next_poll = Instant::now() + self.poll;
        tokio::select! {
            Some(()) = self.changes.recv() => {}
            _ = self.hangup.recv() => return,
            () = sleep_until(next_poll) => return,
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
    }
}

/// The folder in which files come and go: a file is mostly replaced by renaming another one over it.
fn watched(source: &GuestSource) -> Option<PathBuf> {
    let GuestSource::Path(path) = source;
    if path.is_dir() {
        return Some(path.clone());
    }
    let parent = path.parent()?;
    Some(if parent == Path::new("") {
        PathBuf::from(".")
    } else {
        parent.to_owned()
    })
}

fn watch(folder: &Path, changes: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading makes events too.
        if event.is_ok_and(|it| it.kind.is_access()) {
            return;
        }
        // A full channel says already that something has changed; a closed one, that nobody asks.
        let _ = changes.try_send(());
    })?;
    notify::Watcher::watch(&mut watcher, folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
