//! A RabbitMQ of a test's own, which it may restart, starve and misconfigure.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::certificates::{Authority, Identity};

/// Where Debian's package puts the scripts themselves; those on the PATH run as the user `rabbitmq` only.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// Longest time that a loaded machine may take to start a node, or to answer a command.
const PATIENCE: Duration = Duration::from_secs(180);

/// The user that the platform and, by default, the connector log in as.
pub const USER: &str = "opencti";
/// The password of [`USER`].
pub const PASSWORD: &str = "broker-password-of-a-test";

/// The host that the node's certificate is for; it listens on 127.0.0.1, which is another name.
pub const HOST: &str = "localhost";

/// A running node. It ends when this is dropped, or when the process ends: its standard input is closed then.
pub struct Node {
    folder: PathBuf,
    name: String,
    /// AMQP without TLS.
    pub port: u16,
    /// AMQP over TLS. Client certificates are not asked for.
    pub tls_port: u16,
    /// Signs the node's certificate; client certificates must be signed by it.
    pub authority: Authority,
    _server: Child,
}

impl Node {
    /// Starts a node; none, with a line that says so, where RabbitMQ is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Option<Self>> {
        if !Path::new(SCRIPTS).join("rabbitmq-server").exists() {
            println!("skipped: rabbitmq-server is not installed");
            return Ok(None);
        }
        let folder = std::env::temp_dir().join(format!("rabbitmq-of-tests-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let [port, tls_port, distribution_port] = free_ports()?;
        let authority = Authority::new()?;
        write_files(&folder, port, tls_port, &authority)?;
        let name = format!("tests-{}@localhost", std::process::id());
        let output = File::create(folder.join("output"))?;
        // Its input is a pipe that this process holds: the Erlang shell ends at its end.
        let server = environment(Command::new("sh"), &folder, &name)
            .args(["-c", r#""$0"; rm -rf "$1""#])
            .arg(Path::new(SCRIPTS).join("rabbitmq-server"))
            .arg(&folder)
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start rabbitmq-server")?;
        let node = Self {
            folder,
            name,
            port,
            tls_port,
            authority,
            _server: server,
        };
        node.await_listener().await?;
        Ok(Some(node))
    }

    async fn await_listener(&self) -> Result<()> {
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.tls_port))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, listens).await.is_err() {
            let output = fs::read_to_string(self.folder.join("output")).unwrap_or_default();
            bail!("RabbitMQ does not start:\n{output}");
        }
        self.control(&["await_startup"]).await.map(drop)
    }

    /// `amqp://user:password@127.0.0.1:port/vhost` for [`USER`].
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/%2f", self.port)
    }

    /// Runs `rabbitmqctl` with these arguments, and returns what it prints.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn control(&self, arguments: &[&str]) -> Result<String> {
        let command = environment(
            Command::new(Path::new(SCRIPTS).join("rabbitmqctl")),
            &self.folder,
            &self.name,
        );
        let output = tokio::process::Command::from(command)
            .args(["--quiet", "--node", &self.name])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .with_context(|| format!("rabbitmqctl {arguments:?} does not end"))??;
        ensure!(
            output.status.success(),
            "rabbitmqctl {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Listens on one port more, over TLS, where clients must show a certificate that the authority signed.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn listen_to_certified(&self) -> Result<u16> {
        let [port] = free_ports()?;
        let file = |name: &str| self.folder.join(name).display().to_string();
        let options = format!(
            "[{{cacertfile,\"{}\"}},{{certfile,\"{}\"}},{{keyfile,\"{}\"}},\
             {{verify,verify_peer}},{{fail_if_no_peer_cert,true}}]",
            file("ca.pem"),
            file("certificate.pem"),
            file("key.pem")
        );
        let expression = format!(
            "rabbit_networking:start_ssl_listener({{\"127.0.0.1\",{port}}}, {options}, 1)."
        );
        self.control(&["eval", &expression]).await?;
        Ok(port)
    }
}

fn environment(mut command: Command, folder: &Path, name: &str) -> Command {
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", name)
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
    command
}

fn write_files(folder: &Path, port: u16, tls_port: u16, authority: &Authority) -> Result<()> {
    let Identity { certificate, key } = authority.sign(HOST)?;
    fs::write(folder.join("ca.pem"), authority.certificate())?;
    fs::write(folder.join("certificate.pem"), certificate)?;
    fs::write(folder.join("key.pem"), key)?;
    fs::write(folder.join("plugins"), "[].")?;
    let mut settings = String::new();
    for (name, value) in [
        ("listeners.tcp.1", format!("127.0.0.1:{port}")),
        ("listeners.ssl.1", format!("127.0.0.1:{tls_port}")),
        ("default_user", USER.to_owned()),
        ("default_pass", PASSWORD.to_owned()),
        ("log.file.level", "info".to_owned()),
    ] {
        writeln!(settings, "{name} = {value}")?;
    }
    for (name, file) in [
        ("cacertfile", "ca.pem"),
        ("certfile", "certificate.pem"),
        ("keyfile", "key.pem"),
    ] {
        let path = folder.join(file);
        writeln!(settings, "ssl_options.{name} = {}", path.display())?;
    }
    fs::write(folder.join("rabbitmq.conf"), settings)?;
    Ok(())
}

/// Different ports that were free a moment ago.
fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
