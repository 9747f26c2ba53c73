//! The product's own binary as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::load;
use crate::support::process::{Failure, failed};
use crate::world::API_TOKEN;

const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(50);

/// The running service; told to stop when dropped.
pub struct Service {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    /// From the start of the process to the first answer that says it is ready.
    pub started_in: Duration,
}

impl Service {
    /// Starts the binary beside this one with a settings file, and waits until it is ready.
    pub async fn start(settings: &Path, address: SocketAddr) -> Result<Self, Failure> {
        let log = settings.with_file_name("fgd-sync.log");
        let begun = Instant::now();
        let child = Command::new(binary()?)
            .args(["serve", "--config"])
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut service = Self { child, address, log, started_in: Duration::ZERO };
        while load::send(address, vec![load::get("/readyz", "")], 1)
            .await
            .and_then(|answer| answer.require(200))
            .is_err()
        {
            if let Some(status) = service.child.try_wait()? {
                return Err(service.failed(&format!("the service ended at once ({status})")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(service.failed("the service did not become ready"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        service.started_in = begun.elapsed();
        Ok(service)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gets a path of the API.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = client().get(format!("http://{}{path}", self.address)).bearer_auth(API_TOKEN).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Asks for a full comparison of a fabric.
    pub async fn compare(&self, fabric: &str) -> Result<(), Failure> {
        let address = format!("http://{}/api/v1/fabrics/{fabric}/sync", self.address);
        client().post(address).bearer_auth(API_TOKEN).send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until there are jobs, and none of them is unfinished.
    pub async fn settled(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let mut open = self.get("/api/v1/jobs?limit=1").await?["jobs"].as_array().is_none_or(Vec::is_empty);
            for state in ["queued", "running", "waiting", "stalled"] {
                let jobs = self.get(&format!("/api/v1/jobs?limit=1&state={state}")).await?;
                open |= jobs["jobs"].as_array().is_some_and(|jobs| !jobs.is_empty());
            }
            if !open {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.failed("there are jobs that do not end"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells it to stop and waits until it has.
    pub fn stop(&mut self) -> Result<(), Failure> {
        if self.child.try_wait()?.is_none() {
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
            self.child.wait()?;
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Failure {
        failed(what, &self.log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The product's binary: cargo puts examples one directory below it.
pub fn binary() -> Result<PathBuf, Failure> {
    let here = std::env::current_exe()?;
    let found = here.parent().and_then(Path::parent).map(|target| target.join("fgd-sync")).filter(|path| path.exists());
    found.ok_or_else(|| Failure("the binary fgd-sync is not built: use ./dev bench".to_owned()))
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client without options")
}
