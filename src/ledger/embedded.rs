//! A private `redis-server`, started and stopped with this process.
//!
//! It listens on a unix socket only, and syncs every write. Two locks keep its directory to one user. `owner.lock` is
//! this process's. `redis.lock` is handed to the child as its stdin, so the kernel holds it as long as *either* lives:
//! a server that outlived a killed owner is found by it, stopped through its socket, and started anew under us.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Error;

/// A server with a large append-only file reads it first.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Before a server that ended by itself is started again.
const RESTART: Duration = Duration::from_millis(500);
/// The kernel's limit for the path of a unix socket, less its end.
const LONGEST_SOCKET: usize = 100;

/// A running private server. Dropping it kills the server, which loses nothing; `stop` is the polite way.
pub(super) struct Embedded {
    stop: Option<oneshot::Sender<()>>,
    supervisor: JoinHandle<()>,
    address: ConnectionInfo,
}

impl Embedded {
    /// Starts the server and waits until it answers. The directory is created when missing.
    pub(super) async fn start(directory: &Path) -> Result<Self, Error> {
        let home = Home::prepare(directory).await?;
        let mut server = home.spawn()?;
        home.until_ready(&mut server).await?;
        let address = home.address()?;
        let (stop, stopped) = oneshot::channel();
        let supervisor = tokio::spawn(home.supervise(server, stopped));
        Ok(Self { stop: Some(stop), supervisor, address })
    }

    pub(super) fn address(&self) -> &ConnectionInfo {
        &self.address
    }

    /// Ends the server cleanly and waits until it is gone.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        // The supervisor has a limit of its own, and no result.
        let _ = (&mut self.supervisor).await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if self.stop.is_some() {
            // The child is killed with the task that owns it.
            self.supervisor.abort();
        }
    }
}

/// The directory, its locks and its socket.
struct Home {
    directory: PathBuf,
    socket: PathBuf,
    server_lock: File,
    _owner_lock: File,
    /// Holds the socket where the directory's own path is too long for one.
    _short: Option<TempDir>,
}

impl Home {
    async fn prepare(directory: &Path) -> Result<Self, Error> {
        // The server keeps what was accepted there: nobody else's to read.
        let created = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        created.map_err(io(directory, "cannot have its directory"))?;
        let directory = directory.canonicalize().map_err(io(directory, "cannot have its directory"))?;
        let owner_lock = lock_file(&directory, "owner.lock")?;
        match owner_lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(trouble(&directory, "is in use by another fgd-sync process"));
            }
            Err(TryLockError::Error(error)) => return Err(io(&directory, "cannot lock its directory")(error)),
        }
        let server_lock = lock_file(&directory, "redis.lock")?;
        end_orphan(&directory, &server_lock).await?;
        let (socket, short) = socket_path(&directory)?;
        let written = std::fs::write(directory.join(SOCKET_FILE), socket.to_string_lossy().as_bytes());
        written.map_err(io(&directory, "cannot write to its directory"))?;
        Ok(Self { directory, socket, server_lock, _owner_lock: owner_lock, _short: short })
    }

    fn address(&self) -> Result<ConnectionInfo, Error> {
        address(&self.socket)
    }

    fn spawn(&self) -> Result<Child, Error> {
        let stdin = self.server_lock.try_clone().map_err(io(&self.directory, "cannot share its lock"))?;
        match std::fs::remove_file(&self.socket) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io(&self.directory, "cannot replace its stale socket")(error)),
        }
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--daemonize", "no", "--save", "", "--unixsocketperm", "700"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"])
            .args(["--logfile", LOG_FILE, "--dir"])
            .arg(&self.directory)
            .arg("--unixsocket")
            .arg(&self.socket)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is ours to answer: the server stops after the workers.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => trouble(
                &self.directory,
                "cannot start, for `redis-server` is not installed: install the package redis-server (Debian, Ubuntu) \
                 or redis (Fedora, Alpine, Homebrew), or set the URL of a Redis",
            ),
            _ => io(&self.directory, "cannot be started")(error),
        })
    }

    async fn until_ready(&self, server: &mut Child) -> Result<(), Error> {
        let begun = Instant::now();
        while !answers(&self.socket).await {
            if let Some(status) = server.try_wait().map_err(io(&self.directory, "cannot be watched"))? {
                return Err(trouble(&self.directory, &format!("ended at once ({status}): {}", self.last_words())));
            }
            if begun.elapsed() > START {
                return Err(trouble(&self.directory, &format!("does not answer: {}", self.last_words())));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// The end of the server's log: it says there what it dislikes.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.directory.join(LOG_FILE)).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Owns the server until told to stop (or until the owner is dropped); starts it again when it ends by itself.
    async fn supervise(self, mut server: Child, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = &mut stopped => return self.shut_down(server).await,
                status = server.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::error!(status, said = self.last_words(), "the private redis-server ended; starting it again");
                }
            }
            server = loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(RESTART) => {}
                }
                match self.spawn() {
                    Ok(server) => break server,
                    Err(error) => tracing::error!(%error, "the private redis-server does not start again"),
                }
            };
        }
    }

    async fn shut_down(&self, mut server: Child) {
        ask_to_stop(&self.socket).await;
        if tokio::time::timeout(STOP, server.wait()).await.is_err() {
            tracing::warn!("the private redis-server did not stop in {STOP:?} and is killed; it loses nothing");
            if let Err(error) = server.kill().await {
                tracing::error!(%error, "the private redis-server could not be killed");
            }
        }
    }
}

/// Where the server of another process answers now, when one does.
pub(super) async fn address_of_running(directory: &Path) -> Option<ConnectionInfo> {
    let socket = std::fs::read_to_string(directory.join(SOCKET_FILE)).ok()?;
    let socket = Path::new(&socket);
    if answers(socket).await { address(socket).ok() } else { None }
}

/// Tells the next owner where this owner's server listens.
const SOCKET_FILE: &str = "redis.socket";
const LOG_FILE: &str = "redis.log";

/// Takes the server's lock; a server that outlived its owner is stopped first.
async fn end_orphan(directory: &Path, server_lock: &File) -> Result<(), Error> {
    let begun = Instant::now();
    let mut asked = false;
    loop {
        match server_lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(io(directory, "cannot lock its directory")(error)),
            Err(TryLockError::WouldBlock) if begun.elapsed() > STOP => {
                return Err(trouble(directory, "still runs for a process that is gone, and does not stop: end it"));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if !asked && let Ok(socket) = std::fs::read_to_string(directory.join(SOCKET_FILE)) {
            asked = ask_to_stop(Path::new(&socket)).await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn lock_file(directory: &Path, name: &str) -> Result<File, Error> {
    let open = File::options().create(true).truncate(false).read(true).write(true).open(directory.join(name));
    open.map_err(io(directory, "cannot lock its directory"))
}

fn socket_path(directory: &Path) -> Result<(PathBuf, Option<TempDir>), Error> {
    let socket = directory.join("redis.sock");
    if socket.as_os_str().len() <= LONGEST_SOCKET {
        return Ok((socket, None));
    }
    let short = TempDir::with_prefix("fgd-sync-").map_err(io(directory, "cannot have a directory for its socket"))?;
    Ok((short.path().join("redis.sock"), Some(short)))
}

fn address(socket: &Path) -> Result<ConnectionInfo, Error> {
    ConnectionAddr::Unix(socket.to_owned()).into_connection_info().map_err(Error::unavailable("connect to Redis"))
}

/// Whether the server answers PING with PONG: while it reads its file it answers that it is loading.
async fn answers(socket: &Path) -> bool {
    let Ok(Ok(client)) = address(socket).map(Client::open) else { return false };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
}

/// Whether the request reached a server; it answers by closing the connection.
async fn ask_to_stop(socket: &Path) -> bool {
    let Ok(Ok(client)) = address(socket).map(Client::open) else { return false };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").query_async::<()>(&mut connection).await;
    true
}

fn trouble(directory: &Path, what: &str) -> Error {
    Error::Embedded { directory: directory.to_owned(), what: what.to_owned(), source: None }
}

fn io<'a>(directory: &'a Path, what: &'a str) -> impl Fn(std::io::Error) -> Error + 'a {
    move |source| Error::Embedded { directory: directory.to_owned(), what: what.to_owned(), source: Some(source) }
}
