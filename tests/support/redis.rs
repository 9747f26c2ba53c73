//! A real Redis for each test, and a ledger on it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fgd_sync::ledger::{Clock, Connection, Ledger, Options};
use secrecy::SecretString;
use tempfile::TempDir;

/// A `redis-server` on a unix socket of its own, gone with this value.
pub struct RedisServer {
    child: Child,
    directory: TempDir,
    settings: &'static [&'static str],
}

fn launch(directory: &Path, settings: &[&str]) -> Child {
    let socket = directory.join("redis.sock");
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", ""])
        .args(settings)
        .arg("--dir")
        .arg(directory)
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (package redis-server)");
    let begun = Instant::now();
    while !is_ready(&socket) {
        assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not answer");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

/// Whether it answers, and has read its files.
fn is_ready(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let mut answer = [0; 5];
    let asked = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer));
    asked.is_ok() && &answer == b"+PONG"
}

impl RedisServer {
    /// Starts it and waits until it listens.
    pub fn start() -> Self {
        Self::with(&["--appendonly", "no"])
    }

    /// One that keeps what it is told when it is killed (but not when the machine is).
    pub fn start_durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "no"])
    }

    fn with(settings: &'static [&'static str]) -> Self {
        let directory = TempDir::with_prefix("fgd-redis-").expect("a directory for redis-server");
        Self { child: launch(directory.path(), settings), directory, settings }
    }

    /// Kills it in the middle of whatever it does, and starts it again on the same files.
    pub fn crash(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
        self.child = launch(self.directory.path(), self.settings);
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The default options of a ledger on it.
    pub fn options(&self) -> Options {
        Options::new(Connection::Url { url: SecretString::from(self.url()), ca_file: None })
    }

    /// A plain connection, to look at keys or to ask the server for faults.
    pub async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("the URL is good");
        client.get_multiplexed_async_connection().await.expect("the server listens")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A ledger on a server of its own, with a clock that only the test moves forward.
pub struct TestLedger {
    pub ledger: Ledger,
    pub clock: Clock,
    pub server: RedisServer,
}

impl TestLedger {
    /// With the default options.
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With options that the test changed.
    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let server = RedisServer::start();
        let mut options = server.options();
        change(&mut options);
        let clock = Clock::default();
        let ledger = Ledger::open(options, clock.clone()).await.expect("the ledger opens");
        Self { ledger, clock, server }
    }
}

/// Ends the private server of an embedded ledger as a power failure would (but for the disk), and returns its process id.
pub async fn kill_embedded(directory: &Path) -> u32 {
    let pid = embedded_pid(directory).await;
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill is installed");
    assert!(killed.success());
    pid
}

/// The private server's process id, as it tells itself.
pub async fn embedded_pid(directory: &Path) -> u32 {
    let socket = directory.join("redis.sock");
    let client = redis::Client::open(format!("unix://{}", socket.display())).expect("the URL is good");
    let mut connection = client.get_multiplexed_async_connection().await.expect("the server listens");
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("server").query_async(&mut connection).await.expect("the server answers");
    info.get("process_id").expect("INFO tells the process id")
}
