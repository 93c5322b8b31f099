//! The connector as a process, between the simulators.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::secrets::{Secrets, Watch};
use crate::usage::Usage;
use crate::{opencti, virustotal};

/// Longest time that a run in a test may take; a hang is then a failure with a log.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Number of the signal.
const SIGKILL: i32 = 9;

/// Prefix of the guest's settings.
const PREFIX: &str = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";

/// Id of the connector in tests.
pub const CONNECTOR_ID: &str = "0d9f4a52-5f5e-4a57-9a3c-2f7a3f7f4c11";

/// Folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The program, as `cargo build` left it beside the tests.
///
/// # Errors
/// When it has not been built.
pub fn program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .nth(2)
        .context("the test stands in no target folder")?;
    let program = profile.join("connector-host");
    if !program.exists() {
        bail!(
            "{} is missing: run ./justw test, or cargo build --workspace first",
            program.display()
        );
    }
    Ok(program)
}

/// The component, as `guest/build.sh` left it.
///
/// # Errors
/// When it has not been built.
pub fn component() -> Result<PathBuf> {
    let component = std::env::var_os("LIVEHUNT_COMPONENT")
        .map_or_else(|| workspace().join("target/livehunt.wasm"), PathBuf::from);
    built(component, "guest")
}

/// A guest of `tests/guests`, by the name of its package.
///
/// # Errors
/// When it has not been built.
pub fn test_guest(package: &str) -> Result<PathBuf> {
    let component = format!("target/{}.wasm", package.replace('-', "_"));
    built(workspace().join(component), "test-guests")
}

fn built(component: PathBuf, recipe: &str) -> Result<PathBuf> {
    if !component.exists() {
        bail!(
            "{} is missing: run ./justw {recipe} first",
            component.display()
        );
    }
    Ok(component)
}

/// The connector's settings for a run between two simulators. Nothing of the tests' own environment reaches it.
#[derive(Clone, Debug)]
pub struct Host {
    environment: BTreeMap<String, String>,
    /// Of the guest's settings.
    prefix: &'static str,
    /// What else must not be shown.
    secrets: Secrets,
    /// Of the simulators.
    watches: Vec<Arc<Watch>>,
    /// What starts the program in its place, if anything does.
    wrapper: &'static [&'static str],
}

impl Host {
    /// Livehunt with settings that reach both simulators over the platform's API, all filters off.
    ///
    /// # Errors
    /// When the component has not been built.
    pub fn new(virustotal: &virustotal::Server, platform: &opencti::Server) -> Result<Self> {
        Ok(Self::of(&component()?, PREFIX, virustotal, platform)
            .setting("MAX_AGE_DAYS", "0")
            .setting("MAX_FILE_SIZE", "0"))
    }

    /// Any guest, whose settings have this prefix, with settings that reach both simulators over the platform's
    /// API.
    #[must_use]
    pub fn of(
        component: &Path,
        prefix: &'static str,
        virustotal: &virustotal::Server,
        platform: &opencti::Server,
    ) -> Self {
        let mut host = Self {
            environment: BTreeMap::new(),
            prefix,
            secrets: platform.secrets(),
            watches: vec![virustotal.watch(), platform.watch()],
            wrapper: &[],
        };
        host.secrets.extend(&virustotal.secrets());
        host.variable("OPENCTI_URL", platform.url())
            .variable("OPENCTI_TOKEN", platform.token())
            .variable("CONNECTOR_ID", CONNECTOR_ID)
            .variable("CONNECTOR_LOG_LEVEL", "debug")
            .variable("CONNECTOR_QUEUE_PROTOCOL", "api")
            .variable("CONNECTOR_GUEST", component.display().to_string())
            .setting("API_URL", virustotal.api_url())
            .setting("API_KEY", virustotal.api_key())
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable under the guest's prefix.
    #[must_use]
    pub fn setting(self, name: &str, value: impl Into<String>) -> Self {
        let name = format!("{}_{name}", self.prefix);
        self.variable(&name, value)
    }

    /// Lets another program, whose last arguments are ours, start this one.
    #[must_use]
    pub fn within(self, wrapper: &'static [&'static str]) -> Self {
        Self { wrapper, ..self }
    }

    /// Runs once, to the end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub async fn run_once(&self) -> Result<Finished> {
        self.start(&["run", "--once"])?.finish().await
    }

    /// Starts the program with these arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Running> {
        let mut secrets = Secrets::of_environment(&self.environment);
        secrets.extend(&self.secrets);
        for watch in &self.watches {
            watch.forbid(&secrets);
        }
        let program = program()?;
        let mut command = match self.wrapper {
            [] => Command::new(program),
            [wrapper, rest @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(program);
                command
            }
        };
        let mut child = command
            .args(arguments)
            .args(["--config", "/dev/null"])
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the connector")?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        let stderr = child.stderr.take().context("it has no standard error")?;
        let secrets = Arc::new(secrets);
        Ok(Running {
            child,
            output: Printed::read(stdout, &secrets),
            log: Printed::read(stderr, &secrets),
        })
    }
}

/// What the connector prints, as it comes. Its end fails the test in which a secret was printed.
#[derive(Debug)]
struct Printed {
    text: watch::Receiver<String>,
    reader: JoinHandle<()>,
    secrets: Arc<Secrets>,
}

impl Printed {
    fn read(stream: impl AsyncRead + Send + Unpin + 'static, secrets: &Arc<Secrets>) -> Self {
        let (sender, text) = watch::channel(String::new());
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|text| {
                    text.push_str(&line);
                    text.push('\n');
                });
            }
        });
        Self {
            text,
            reader,
            secrets: Arc::clone(secrets),
        }
    }

    /// What has come so far.
    fn text(&self) -> String {
        self.text.borrow().clone()
    }

    /// All of it, once the connector has ended.
    async fn whole(&mut self) -> Result<String> {
        (&mut self.reader).await?;
        Ok(self.text())
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        let text = self.text.borrow();
        let shown: Vec<String> = text
            .lines()
            .flat_map(|line| {
                let names = self.secrets.shown_in(line.as_bytes()).into_iter();
                names.map(move |name| format!("{name} in {line}"))
            })
            .collect();
        assert!(
            shown.is_empty() || std::thread::panicking(),
            "the connector printed secrets: {shown:#?}"
        );
    }
}

/// The connector while it runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: Printed,
    log: Printed,
}

impl Running {
    /// Sends SIGTERM, as a container's runtime does.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// Sends SIGHUP.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn hang_up(&self) -> Result<()> {
        self.signal("-HUP")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().context("the connector has ended already")?;
        let status = std::process::Command::new("kill")
            .args([signal, &id.to_string()])
            .status()?;
        if !status.success() {
            bail!("cannot send {signal}");
        }
        Ok(())
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until its log holds this text.
    ///
    /// # Errors
    /// When it does not come in time, with the log.
    pub async fn until_logged(&mut self, text: &str) -> Result<()> {
        self.until_logged_within(text, TIMEOUT).await
    }

    /// The same with another patience, for a run that takes long.
    ///
    /// # Errors
    /// When it does not come in time, with the log.
    pub async fn until_logged_within(&mut self, text: &str, patience: Duration) -> Result<()> {
        let logged = self.log.text.wait_for(|log| log.contains(text));
        if let Ok(Ok(_)) = tokio::time::timeout(patience, logged).await {
            return Ok(());
        }
        bail!("{text:?} was not logged:\n{}", self.log())
    }

    /// What it holds now, as Linux counts it.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id().context("the connector has ended already")?)
    }

    /// Kills it, as a power cut does.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        self.output.whole().await?;
        self.log.whole().await?;
        Ok(())
    }

    /// Kills it as soon as the moment has come. Answers what it left where it ended before.
    ///
    /// # Errors
    /// When the moment does not come.
    pub async fn kill_at(
        mut self,
        moment: impl Future<Output = Result<()>>,
    ) -> Result<Option<Finished>> {
        tokio::select! {
            moment = moment => {
                moment?;
                self.kill().await?;
                Ok(None)
            }
            ended = self.child.wait() => {
                ended?;
                self.finish().await.map(Some)
            }
        }
    }

    /// Ends it as a container's runtime does, and answers its log.
    ///
    /// # Errors
    /// When it does not end well, with its log.
    pub async fn end(self) -> Result<String> {
        self.terminate()?;
        let finished = self.finish().await?;
        if !finished.success {
            bail!("it did not end well:\n{}", finished.log);
        }
        Ok(finished.log)
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn finish(mut self) -> Result<Finished> {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait())
            .await
            .with_context(|| format!("the connector does not end:\n{}", self.log()))??;
        Ok(Finished {
            success: status.success(),
            killed: status.signal() == Some(SIGKILL),
            output: self.output.whole().await?,
            log: self.log.whole().await?,
        })
    }
}

/// What a connector left that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Whether its exit code is 0.
    pub success: bool,
    /// Whether SIGKILL ended it.
    pub killed: bool,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub log: String,
}

impl Finished {
    /// Messages of the log at a level (`ERROR`, `WARNING`, `INFO`, `DEBUG`).
    #[must_use]
    pub fn messages(&self, level: &str) -> Vec<String> {
        self.log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["level"] == level)
            .map(|line| match line.get("attributes") {
                Some(attributes) => format!(
                    "{} {attributes}",
                    line["message"].as_str().unwrap_or_default()
                ),
                None => line["message"].as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// The line that sums up the run.
    #[must_use]
    pub fn summary(&self) -> String {
        ["INFO", "WARNING", "ERROR"]
            .iter()
            .flat_map(|level| self.messages(level))
            .find(|message| message.contains("notifications read"))
            .unwrap_or_default()
    }
}

/// Address of a RabbitMQ for tests; none, with a line that says so, where none listens.
pub async fn rabbitmq() -> Option<String> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    match lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await {
        Ok(_) => Some(url),
        Err(error) => {
            println!("skipped: no RabbitMQ for this test ({error})");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn printed(text: &'static str) -> Printed {
        let mut secrets = Secrets::default();
        secrets.add("FEED_API_KEY", "key-of-the-feed");
        let mut printed = Printed::read(text.as_bytes(), &Arc::new(secrets));
        assert_eq!(printed.whole().await.unwrap(), text);
        printed
    }

    #[tokio::test]
    async fn a_log_without_secrets_is_a_good_log() {
        drop(printed("one\nFEED_API_KEY is not set\n").await);
    }

    #[tokio::test]
    #[should_panic(expected = "FEED_API_KEY in two: key-of-the-feed")]
    async fn a_log_with_a_secret_fails_the_test() {
        drop(printed("one\ntwo: key-of-the-feed\nthree\n").await);
    }
}
