//! The product's own binary as a process, and its API.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::app::{push_body, sign_as_github};
use super::git_server::Pushed;

/// Why a story could not go on, for a person.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

/// How long the service may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// The running service; told to stop when dropped.
pub struct Service {
    child: Child,
    address: String,
    token: String,
    log: PathBuf,
}

impl Service {
    /// Starts the binary beside this one with a settings file, and waits until it is ready. `token` is one of its API's.
    ///
    /// Its log goes to the settings file's place, with the ending `log`, behind what is there.
    pub async fn start(settings: &Path, address: &str, token: &str) -> Result<Self, Failure> {
        let log = settings.with_extension("log");
        let written = std::fs::File::options().create(true).append(true).open(&log)?;
        let child = Command::new(binary()?)
            .args(["serve", "--config"])
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .spawn()?;
        let mut service = Self { child, address: address.to_owned(), token: token.to_owned(), log };
        let started = Instant::now();
        while client().get(format!("{address}/readyz")).send().await.is_err() {
            if let Some(status) = service.child.try_wait()? {
                return Err(service.failed(&format!("the service ended at once ({status})")));
            }
            if started.elapsed() > PATIENCE {
                return Err(service.failed("the service did not become ready"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(service)
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gets a path of the API.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = client().get(format!("{}{path}", self.address)).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Asks for something of the API.
    pub async fn post(&self, path: &str) -> Result<Value, Failure> {
        let answer = client().post(format!("{}{path}", self.address)).bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Tells it of a push, as GitHub does; `secret` is its repository's.
    pub async fn tell_push(&self, clone_url: &str, pushed: &Pushed, secret: &str) -> Result<(), Failure> {
        let body = push_body(clone_url, pushed);
        let request = client()
            .post(format!("{}/webhooks/github", self.address))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", pushed.after.clone().unwrap_or_default())
            .header("X-Hub-Signature-256", sign_as_github(secret, body.as_bytes()))
            .header("Content-Type", "application/json");
        request.body(body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until there are jobs, and every one has ended.
    pub async fn settled(&self, patience: Duration) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            // The first comparison is the schedule's: it comes right after the start.
            let mut open = self.jobs("limit=1").await?.is_empty().then(|| "no job yet".to_owned());
            for state in ["queued", "running", "waiting", "stalled"] {
                let first = self.jobs(&format!("limit=1&state={state}")).await?.first().map(Value::to_string);
                open = open.or(first);
            }
            match open {
                None => return Ok(()),
                Some(first) if started.elapsed() > patience => {
                    return Err(self.failed(&format!("jobs do not end; one is {first}")));
                }
                Some(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn jobs(&self, query: &str) -> Result<Vec<Value>, Failure> {
        Ok(self.get(&format!("/api/v1/jobs?{query}")).await?["jobs"].as_array().cloned().unwrap_or_default())
    }

    /// Ends the process as a crash would.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// A failure that shows the end of the log.
    pub fn failed(&self, what: &str) -> Failure {
        failed(what, &self.log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A failure of a service that wrote this log, with the end of it.
pub fn failed(what: &str, log: &Path) -> Failure {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
    Failure(format!("{what}\n  the end of its log:\n  {last}"))
}

/// A port that is free now.
pub fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The product's binary: cargo puts examples one directory below it.
pub fn binary() -> Result<PathBuf, Failure> {
    let here = std::env::current_exe()?;
    let found = here.parent().and_then(Path::parent).map(|target| target.join("fgd-sync")).filter(|path| path.exists());
    found.ok_or_else(|| Failure("the binary fgd-sync is not built: run `cargo build` first".to_owned()))
}

/// An HTTP client that uses no proxy.
pub fn client() -> reqwest::Client {
    // reqwest is built without a crypto provider of its own; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client without options")
}
