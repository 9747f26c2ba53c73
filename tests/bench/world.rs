//! The service with everything around it: Redis with every write synced, a Git server, a NetBox stand-in.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::load::{self, Request};
use crate::redis::Redis;
use crate::service::Service;
use crate::support::fakes::netbox::{Delivery, NetBox, Object, TOKEN};
use crate::support::git_server::{Bare, GitServer};
use crate::support::process::Failure;

/// Protect nothing: all of it listens on this machine only.
pub const API_TOKEN: &str = "bench-api-token";
pub const NETBOX_SECRET: &str = "bench-netbox-webhook-secret";
pub const BRANCH: &str = "main";
pub const WEBHOOK: &str = "/webhooks/netbox";

/// What differs between worlds.
pub struct Shape {
    /// Each has a repository of its own.
    pub fabrics: usize,
    pub workers: usize,
    /// Lines of settings that are not the defaults.
    pub settings: &'static str,
}

impl Default for Shape {
    fn default() -> Self {
        Self { fabrics: 1, workers: 4, settings: "" }
    }
}

/// All of it; gone when dropped.
pub struct World {
    pub service: Service,
    pub netbox: NetBox,
    pub redis: Redis,
    pub git: GitServer,
    pub repositories: Vec<Bare>,
    home: TempDir,
}

impl World {
    /// Starts it; the fabrics' first comparisons are behind it.
    pub async fn start(shape: &Shape) -> Result<Self, Failure> {
        Self::on(shape, Redis::start(&scratch()?)?).await
    }

    /// As `start`, on a Redis that has something in it.
    pub async fn on(shape: &Shape, redis: Redis) -> Result<Self, Failure> {
        Self::launch(shape, redis, NetBox::custom_objects()).await
    }

    /// As `start`, with so many servers of the first fabric in NetBox before the service comes.
    pub async fn with_servers(count: usize) -> Result<Self, Failure> {
        let netbox = NetBox::custom_objects();
        netbox.user("alice").bulk_create(&servers(0, count, "server"));
        Self::launch(&Shape::default(), Redis::start(&scratch()?)?, netbox).await
    }

    async fn launch(shape: &Shape, redis: Redis, netbox: NetBox) -> Result<Self, Failure> {
        let home = TempDir::with_prefix_in("world-", scratch()?)?;
        let git = GitServer::start().await;
        let repositories = (0..shape.fabrics).map(|number| git.create(&repository(number))).collect();
        let address = free_address()?;
        let settings = home.path().join("fgd-sync.yaml");
        std::fs::write(&settings, settings_of(shape, &netbox, &git, &redis, home.path(), address))?;
        let service = Service::start(&settings, address).await?;
        netbox.hook(&format!("http://{address}{WEBHOOK}"), NETBOX_SECRET);
        let world = Self { service, netbox, redis, git, repositories, home };
        world.service.settled().await?;
        Ok(world)
    }

    /// Stops the service and starts it anew on what it has remembered.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        let address = self.service.address();
        self.service.stop()?;
        self.service = Service::start(&self.home.path().join("fgd-sync.yaml"), address).await?;
        self.service.settled().await
    }

    /// Where it keeps its files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The signed deliveries that NetBox has queued, ready to be sent.
    pub fn deliveries(&self) -> Vec<Request> {
        self.netbox.deliveries().iter().map(request).collect()
    }

    /// Creates servers in NetBox in one request.
    pub fn create_servers(&self, fabric: usize, count: usize, prefix: &str) {
        self.netbox.user("alice").bulk_create(&servers(fabric, count, prefix));
    }
}

/// Servers as people describe them: a dozen lines of YAML.
pub fn servers(fabric: usize, count: usize, prefix: &str) -> Vec<Object> {
    let spec = |number: usize| {
        serde_json::json!({
            "description": format!("rack {} unit {}", number / 40, number % 40),
            "profile": "compute",
            "ports": {"eth0": {"mtu": 9000, "leaf": format!("leaf-{:02}", number % 32)},
                      "eth1": {"mtu": 9000, "leaf": format!("leaf-{:02}", (number + 1) % 32)}},
        })
    };
    let object =
        |number: usize| Object::new("Server", &fabric_name(fabric), &format!("{prefix}-{number:05}"), spec(number));
    (0..count).map(object).collect()
}

/// A delivery of the stand-in as a request.
pub fn request(delivery: &Delivery) -> Request {
    let signature = delivery.signature.as_deref().unwrap_or_default();
    load::with_signature(WEBHOOK, signature, &delivery.body)
}

/// The fabric of this number.
pub fn fabric_name(number: usize) -> String {
    format!("fabric-{number:03}")
}

fn repository(number: usize) -> String {
    format!("{}.git", fabric_name(number))
}

/// On the disk of the source tree: a temporary directory in memory would make every sync free.
pub fn scratch() -> Result<PathBuf, Failure> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(".dev/bench");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

pub fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn settings_of(
    shape: &Shape,
    netbox: &NetBox,
    git: &GitServer,
    redis: &Redis,
    home: &Path,
    address: SocketAddr,
) -> String {
    let mut text = format!(
        "listen: {address}\npublic_url: http://{address}\ndata_directory: {home}/data\nworkers: {workers}\n\
         redis: {{url: '{redis}'}}\napi_tokens:\n  - {{name: bench, token: {API_TOKEN}}}\n{settings}\n\
         netbox:\n  lab: {{url: '{netbox}', token: {TOKEN}, webhook_secret: {NETBOX_SECRET}}}\nrepositories:\n",
        home = home.display(),
        workers = shape.workers,
        redis = redis.url(),
        settings = shape.settings,
        netbox = netbox.url(),
    );
    for number in 0..shape.fabrics {
        let (name, url) = (fabric_name(number), git.url(&repository(number)));
        let _ = writeln!(text, "  {name}: {{kind: git, url: '{url}'}}");
    }
    text.push_str("fabrics:\n");
    for number in 0..shape.fabrics {
        let name = fabric_name(number);
        let _ = writeln!(text, "  {name}: {{netbox: lab, repository: {name}, branch: {BRANCH}, directory: {name}}}");
    }
    text
}
