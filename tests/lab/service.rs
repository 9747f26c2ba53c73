//! The service as a process, and its API.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::story::Failure;

/// How long the service may take to be ready, and a job to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// Protects nothing: the lab listens on this machine only.
pub const API_TOKEN: &str = "lab-api-token";

/// The running service; told to stop when dropped.
pub struct Service {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Service {
    /// Starts the binary beside this one with a settings file, and waits until it is ready.
    pub async fn start(settings: &Path, address: &str) -> Result<Self, Failure> {
        let log = settings.with_file_name("fgd-sync.log");
        let written = std::fs::File::create(&log)?;
        let child = Command::new(binary()?)
            .args(["serve", "--config"])
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .spawn()?;
        let mut service = Self { child, address: address.to_owned(), log };
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

    /// Gets a path of the API.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = client().get(format!("{}{path}", self.address)).bearer_auth(API_TOKEN).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Waits until nothing is pending and every job has ended.
    pub async fn settled(&self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let jobs = self.get("/api/v1/jobs?limit=200").await?;
            let jobs = jobs["jobs"].as_array().cloned().unwrap_or_default();
            let open = |job: &&Value| !matches!(job["state"].as_str(), Some("succeeded" | "held" | "failed" | "dead"));
            let open: Vec<&Value> = jobs.iter().filter(open).collect();
            // The first comparison is the schedule's: it comes right after the start.
            if open.is_empty() && !jobs.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let first = open.first().map(ToString::to_string).unwrap_or_default();
                return Err(self.failed(&format!("{} jobs do not end; the first is {first}", open.len())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn failed(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
        Failure(format!("{what}\n  the end of its log:\n  {last}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// The product's binary: cargo puts examples one directory below it.
pub fn binary() -> Result<PathBuf, Failure> {
    let here = std::env::current_exe()?;
    let found = here.parent().and_then(Path::parent).map(|target| target.join("fgd-sync")).filter(|path| path.exists());
    found.ok_or_else(|| Failure("the binary fgd-sync is not built: run `cargo build` first".to_owned()))
}

/// An HTTP client that uses no proxy.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client without options")
}
