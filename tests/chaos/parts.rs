//! The parts of the storm, each of which can be killed and started again.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::app::{GIT_SECRET, NETBOX_SECRET};
use crate::support::fakes::netbox::{NetBox, TOKEN};
use crate::support::git_server::{Bare, GitServer, Person};
use crate::support::process::{Failure, Service, binary, free_port};

pub const REPOSITORY: &str = "fabrics.git";
pub const API_TOKEN: &str = "chaos-api-token";
const ACCOUNT: (&str, &str) = ("fgd-sync", "chaos-git-password");
/// How long anything may take to be up, or to come to rest, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A fabric and the branch that it is on. Two share a branch: they share a target, and so every run and commit.
pub const FABRICS: [(&str, &str); 4] = [("east", "main"), ("west", "main"), ("north", "prod"), ("south", "staging")];

/// Everything that runs.
pub struct Parts {
    pub netbox: NetBox,
    pub git: GitServer,
    pub bare: Bare,
    redis: Redis,
    pub replicas: [Replica; 2],
    _directory: TempDir,
}

/// One replica: its settings, and its process while it lives.
pub struct Replica {
    pub address: String,
    settings: PathBuf,
    service: Option<Service>,
}

impl Parts {
    /// Starts everything, and waits for the first full comparison.
    pub async fn start() -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("fgd-chaos-")?;
        let netbox = NetBox::bare();
        let git = GitServer::start_with_account(ACCOUNT.0, ACCOUNT.1).await;
        let bare = git.create(REPOSITORY);
        let person = Person::clone_of(bare.path().to_str().unwrap());
        for branch in ["main", "prod", "staging"] {
            person.write("README", "fabrics\n").push(branch, "Begin");
        }
        let redis = Redis::start(&directory.path().join("redis"))?;
        let first = Replica::new(1, directory.path(), &redis, &netbox, &git)?;
        let second = Replica::new(2, directory.path(), &redis, &netbox, &git)?;
        let set_up = Command::new(binary()?).args(["setup", "netbox", "--config"]).arg(&first.settings).output()?;
        if !set_up.status.success() {
            return Err(Failure(String::from_utf8_lossy(&set_up.stderr).into_owned()));
        }
        let mut parts = Self { netbox, git, bare, redis, replicas: [first, second], _directory: directory };
        parts.all_up().await?;
        parts.replicas[0].running()?.settled(PATIENCE).await?;
        Ok(parts)
    }

    /// Starts whatever is down.
    pub async fn all_up(&mut self) -> Result<(), Failure> {
        self.redis.ensure_up()?;
        for replica in &mut self.replicas {
            replica.ensure_up().await?;
        }
        Ok(())
    }

    /// Kills Redis in the middle of whatever it does, and starts it again on the same files.
    pub fn crash_redis(&mut self) -> Result<(), Failure> {
        self.redis.crash();
        self.redis.ensure_up()
    }

    /// The directory of a fabric in its branch.
    pub fn remote(&self) -> String {
        self.git.url_with_account(REPOSITORY)
    }
}

impl Replica {
    fn new(number: usize, home: &Path, redis: &Redis, netbox: &NetBox, git: &GitServer) -> Result<Self, Failure> {
        let port = free_port()?;
        let settings = home.join(format!("replica-{number}.yaml"));
        let fabric = |(name, branch): &(&str, &str)| {
            format!(
                "  {name}: {{netbox: main, repository: main, branch: {branch}, directory: {name}, on_git_delete: delete}}\n"
            )
        };
        let text = format!(
            "listen: 127.0.0.1:{port}\npublic_url: http://127.0.0.1:{port}\ndata_directory: {home}/replica-{number}\n\
             redis: {{url: 'unix://{socket}'}}\nlease_seconds: 15\nworkers: 4\n\
             api_tokens:\n  - {{name: chaos, token: {API_TOKEN}}}\n\
             log: {{filter: 'info,fgd_sync::http=warn'}}\n\
             debounce: {{quiet_ms: 300, max_wait_ms: 1500}}\n\
             schedule: {{full_comparison_minutes: 5, poll_head_seconds: 5}}\n\
             retry: {{first_wait_seconds: 1, longest_wait_seconds: 3, attempts: 200}}\n\
             netbox:\n  main: {{url: '{netbox}', token: {TOKEN}, webhook_secret: {NETBOX_SECRET}}}\n\
             repositories:\n  main: {{kind: git, url: '{url}', user: {user}, token: {password}, webhook_secret: {GIT_SECRET}}}\n\
             fabrics:\n{fabrics}",
            home = home.display(),
            socket = redis.socket().display(),
            netbox = netbox.url(),
            url = git.url(REPOSITORY),
            user = ACCOUNT.0,
            password = ACCOUNT.1,
            fabrics = FABRICS.iter().map(fabric).collect::<String>(),
        );
        std::fs::write(&settings, text)?;
        Ok(Self { address: format!("http://127.0.0.1:{port}"), settings, service: None })
    }

    /// Ends its process as a crash would.
    pub fn crash(&mut self) -> Result<(), Failure> {
        match self.service.take() {
            Some(service) => service.kill(),
            None => Ok(()),
        }
    }

    /// Starts its process when there is none. A start may fail while Redis is away, and is tried again.
    pub async fn ensure_up(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.service.is_none() {
            match Service::start(&self.settings, &self.address, API_TOKEN).await {
                Ok(service) => self.service = Some(service),
                Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The process, which must live.
    pub fn running(&self) -> Result<&Service, Failure> {
        self.service.as_ref().ok_or_else(|| Failure("the replica is not running".to_owned()))
    }
}

/// A Redis that keeps what it acknowledged: append-only, every write synchronised.
struct Redis {
    directory: PathBuf,
    child: Option<Child>,
}

impl Redis {
    fn start(directory: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory)?;
        let mut redis = Self { directory: directory.to_owned(), child: None };
        redis.ensure_up()?;
        Ok(redis)
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn ensure_up(&mut self) -> Result<(), Failure> {
        if self.child.is_some() {
            return Ok(());
        }
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .args(["--maxmemory-policy", "noeviction", "--dir"])
            .arg(&self.directory)
            .arg("--unixsocket")
            .arg(self.socket())
            .stdout(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        let begun = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(Failure("redis-server does not listen".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.crash();
    }
}
