//! A real browser, Debian's `chromium`, without a window and told by the DevTools protocol what to do.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::watched::PATIENCE;

/// Chromium reads commands from file 3 and writes to file 4.
const START: &str = r#"exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// Without a sandbox, since root has none; what it opens are pages of the tests.
const ARGUMENTS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
];

/// A running browser. It ends with this value.
pub struct Chromium {
    _child: Child,
    _profile: TempDir,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    last: u64,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Width of the window in CSS pixels. A narrow one is a phone's.
    pub width: u32,
    /// Whether the reader prefers dark pages.
    pub dark: bool,
}

/// An open page.
pub struct Page<'a> {
    browser: &'a mut Chromium,
    session: String,
    /// What the browser told of this page, oldest first.
    events: Vec<Value>,
}

impl Chromium {
    /// Starts it; none, with a line that says so, where it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Option<Self>> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&folders).any(|folder| folder.join("chromium").is_file()) {
            println!("skipped: no chromium for this test; tests/packages.sh installs it");
            return Ok(None);
        }
        let profile = TempDir::new()?;
        let mut child = Command::new("sh")
            .args(["-c", START, "chromium"])
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start chromium")?;
        let commands = child.stdin.take().context("no way to chromium")?;
        let messages = child.stdout.take().context("no way from chromium")?;
        Ok(Some(Self {
            _child: child,
            _profile: profile,
            commands,
            messages: BufReader::new(messages),
            last: 0,
        }))
    }

    /// Opens a page, and waits until it is loaded.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn open(&mut self, url: &str, view: View) -> Result<Page<'_>> {
        let mut events = Vec::new();
        let blank = json!({"url": "about:blank"});
        let created = self.send(None, "Target.createTarget", blank, &mut events);
        let target = created.await?["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let attached = self.send(None, "Target.attachToTarget", attach, &mut events);
        let session = attached.await?["sessionId"].clone();
        let mut page = Page {
            browser: self,
            session: session.as_str().context("no session")?.to_owned(),
            events: Vec::new(),
        };
        for domain in ["Page", "Network", "Log", "Runtime"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        let size = json!({
            "width": view.width, "height": 800, "deviceScaleFactor": 1, "mobile": view.width < 600,
        });
        page.call("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let scheme = if view.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        page.call("Emulation.setEmulatedMedia", json!({"features": features}))
            .await?;
        page.call("Page.navigate", json!({"url": url})).await?;
        page.until_told("Page.loadEventFired").await?;
        Ok(page)
    }

    /// Sends a command and answers its result; what is told meanwhile of this session goes into `events`.
    async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
        events: &mut Vec<Value>,
    ) -> Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut command = command.to_string().into_bytes();
        command.push(0);
        self.commands.write_all(&command).await?;
        loop {
            let mut message = self.receive().await.context(method.to_owned())?;
            if message["id"] == id {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(message["result"].take());
            }
            if message["sessionId"].as_str() == session {
                events.push(message);
            }
        }
    }

    async fn receive(&mut self) -> Result<Value> {
        let mut message = Vec::new();
        let read = self.messages.read_until(0, &mut message);
        tokio::time::timeout(PATIENCE, read)
            .await
            .context("chromium says nothing")??;
        if message.pop() != Some(0) {
            bail!("chromium has ended");
        }
        Ok(serde_json::from_slice(&message)?)
    }
}

impl Page<'_> {
    async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.browser
            .send(Some(&self.session), method, parameters, &mut self.events)
            .await
    }

    async fn until_told(&mut self, method: &str) -> Result<()> {
        while !self.events.iter().any(|it| it["method"] == method) {
            let message = self.browser.receive().await?;
            if message["sessionId"] == self.session {
                self.events.push(message);
            }
        }
        Ok(())
    }

    /// The value of an expression, or what its promise comes to.
    ///
    /// # Errors
    /// When it throws.
    pub async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut result = self.call("Runtime.evaluate", parameters).await?;
        if let Some(details) = result.get("exceptionDetails") {
            bail!("{expression}: {details}");
        }
        Ok(result["result"]["value"].take())
    }

    /// Waits until a condition on the document holds; it is asked again at each change.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn until(&mut self, condition: &str) -> Result<()> {
        let promise = format!(
            "new Promise((done) => {{
                const look = () => ({condition}) && done(true);
                new MutationObserver(look).observe(document, {{
                    subtree: true, childList: true, attributes: true, characterData: true,
                }});
                look();
            }})"
        );
        self.evaluate(&promise).await?;
        Ok(())
    }

    /// Addresses that the page asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<&str> {
        self.told("Network.requestWillBeSent")
            .filter_map(|it| it["request"]["url"].as_str())
            .collect()
    }

    /// What stands on the console: exceptions, and what the browser forbade.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        [
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
        ]
        .into_iter()
        .flat_map(|method| self.told(method).map(Value::to_string))
        .collect()
    }

    fn told(&self, method: &str) -> impl Iterator<Item = &Value> {
        let events = self.events.iter();
        events
            .filter(move |it| it["method"] == method)
            .map(|it| &it["params"])
    }

    /// Takes a picture of the whole page, for people to look at.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn picture(&mut self, file: &Path) -> Result<()> {
        let parameters = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", parameters).await?;
        let bytes = STANDARD.decode(picture["data"].as_str().context("no picture")?)?;
        std::fs::write(file, bytes).with_context(|| file.display().to_string())
    }
}
