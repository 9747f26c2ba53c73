//! The real server on a port of its own, over a ledger on a Redis of its own.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use fgd_sync::domain::change::Change;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::{BranchName, FabricName, NetBoxName, RepoName, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::{Fabric, Policy};
use fgd_sync::domain::report::FabricReport;
use fgd_sync::domain::role::Role;
use fgd_sync::http::{HttpState, Limits, NetBoxSender, RepositorySender, Routing, Token, Tokens, serve};
use fgd_sync::ledger::types::{Claim, Delivered, DeliveryFilter, Ignored, PartOutcome, Settlement};
use fgd_sync::webhook::netbox::Model;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Sha256, Sha512};
use tokio::sync::{Notify, oneshot};

use crate::support::redis::TestLedger;

/// The captured deliveries are signed with it; fake.
pub const NETBOX_SECRET: &str = "fixture-netbox-secret";
/// The same NetBox's next secret.
pub const NEXT_SECRET: &str = "fixture-next-secret";
/// Another NetBox's.
pub const SECOND_SECRET: &str = "fixture-second-secret";
/// The repository's.
pub const GITHUB_SECRET: &str = "fixture-github-secret";
/// Another repository's.
pub const ARCHIVE_SECRET: &str = "fixture-archive-secret";
/// A person's, who may do everything.
pub const TOKEN: &str = "fixture-token-of-kim";
/// One that may operate.
pub const OPERATE_TOKEN: &str = "fixture-token-of-ola";
/// One that may read.
pub const READ_TOKEN: &str = "fixture-token-of-rae";
/// One whose time is over.
pub const EXPIRED_TOKEN: &str = "fixture-token-of-eve";

pub struct Service {
    pub test: TestLedger,
    pub wake: Arc<Notify>,
    address: String,
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub async fn start(model: Model) -> Self {
        Self::with_limits(model, Limits::default()).await
    }

    pub async fn with_limits(model: Model, limits: Limits) -> Self {
        Self::with(model, |state| state.with_limits(limits)).await
    }

    /// With what the test changes of the server's state.
    pub async fn with(model: Model, change: impl FnOnce(HttpState) -> HttpState) -> Self {
        let test = TestLedger::open().await;
        let wake = Arc::new(Notify::new());
        let state = change(HttpState::new(test.ledger.clone(), routing(model), tokens(), wake.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let shutdown = async { stopped.await.unwrap_or(()) };
            runtime.block_on(serve(listener, state, shutdown)).expect("the server runs");
        });
        Self { test, wake, address, client: client(), stop: Some(stop), thread: Some(thread) }
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// Where it answers, without a `/` at the end.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.address))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.address))
    }

    /// A request of the API with a good token.
    pub async fn read(&self, path: &str) -> Answer {
        Answer::of(self.get(path).bearer_auth(TOKEN).send().await.expect("answered")).await
    }

    /// A request of the API with a good token and no body.
    pub async fn ask(&self, path: &str) -> Answer {
        Answer::of(self.post(path).bearer_auth(TOKEN).send().await.expect("answered")).await
    }

    /// A NetBox delivery, signed.
    pub async fn netbox(&self, secret: &str, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let request = self.post("/webhooks/netbox").header("X-Hook-Signature", sha512(secret, &body));
        Answer::of(request.body(body).send().await.expect("answered")).await
    }

    /// A delivery whose length is not announced; returns the answer's head.
    pub fn post_chunked(&self, path: &str, captured: &Captured) -> String {
        let address = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the server listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Hook-Signature: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            captured.signature
        );
        stream.write_all(head.as_bytes()).expect("sent");
        for chunk in captured.body.chunks(500) {
            stream.write_all(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).expect("sent");
        }
        stream.write_all(b"0\r\n\r\n").expect("sent");
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// A GitHub delivery as JSON, signed.
    pub async fn github(&self, event: &str, delivery: &str, body: &Value) -> Answer {
        self.github_signed(GITHUB_SECRET, event, delivery, body).await
    }

    pub async fn github_signed(&self, secret: &str, event: &str, delivery: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let request = self.post("/webhooks/github").header("X-Hub-Signature-256", sha256(secret, body.as_bytes()));
        let request = request.header("X-GitHub-Event", event).header("X-GitHub-Delivery", delivery);
        let request = request.header("Content-Type", "application/json").body(body);
        Answer::of(request.send().await.expect("answered")).await
    }

    /// Deliveries that led to no job, newest first.
    pub async fn ignored(&self) -> Vec<Ignored> {
        let filter = DeliveryFilter { ignored_only: true, limit: 1_000, ..DeliveryFilter::default() };
        let page = self.test.ledger.deliveries(&filter).await.expect("Redis answers");
        let ignored = page.deliveries.into_iter().map(|delivery| match delivery.what {
            Delivered::Ignored(ignored) => ignored,
            accepted @ Delivered::Accepted { .. } => panic!("{accepted:?} is among the ignored"),
        });
        ignored.collect()
    }

    /// Takes everything that is pending, by fabric, and settles it.
    pub async fn drain(&self) -> Vec<(String, Vec<Change>)> {
        self.test.clock.advance(Duration::from_secs(60));
        let mut drained = Vec::new();
        while let Some(claim) = self.test.ledger.claim("worker").await.expect("Redis answers") {
            drained.extend(claim.parts.iter().map(|part| (part.fabric.to_string(), part.changes.clone())));
            self.settle(&claim, |fabric| done(&claim, fabric)).await;
        }
        drained.sort_unstable();
        drained
    }

    pub async fn settle(&self, claim: &Claim, outcome: impl Fn(&FabricName) -> PartOutcome) {
        let parts = claim.parts.iter().map(|part| (part.fabric.clone(), outcome(&part.fabric))).collect();
        let settlement = Settlement { parts, head: None };
        self.test.ledger.settle(&claim.proof, &claim.run, &settlement).await.expect("settled");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server ended badly");
        }
    }
}

/// Status, headers and body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer");
        Self { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The text of a field.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    /// Asserts a problem with this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.text("code")), (status, code), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(!self.text("title").is_empty() && !self.text("detail").is_empty() && !self.text("remedy").is_empty());
        self
    }

    /// Asserts 202 and returns the job's id.
    #[track_caller]
    pub fn job(&self) -> String {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.body);
        self.text("job_id").to_owned()
    }

    /// Asserts that it was ignored and returns the reason.
    #[track_caller]
    pub fn ignored(&self) -> String {
        assert_eq!((self.status.as_u16(), self.text("status")), (200, "ignored"), "{}", self.body);
        self.text("reason").to_owned()
    }
}

/// Never follows a redirect: there must be none.
pub fn client() -> Client {
    // Fails when another test of this process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client")
}

pub fn tokens() -> Tokens {
    let token = |name, text: &str, role| Token::of_text(name, &SecretString::from(text), role);
    let expired = Token { expires: Some(SystemTime::UNIX_EPOCH), ..token("eve", EXPIRED_TOKEN, Role::Admin) };
    let later = SystemTime::now() + Duration::from_secs(3_600);
    let reader = Token { expires: Some(later), ..token("rae", READ_TOKEN, Role::Read) };
    Tokens::new([
        token("kim", TOKEN, Role::Admin),
        token("ola", OPERATE_TOKEN, Role::Operate),
        reader,
        expired,
        token("nobody", "", Role::Admin),
    ])
}

/// A part that ended with nothing to do.
pub fn done(claim: &Claim, fabric: &FabricName) -> PartOutcome {
    let report = FabricReport::empty(claim.run.clone(), fabric.clone(), claim.closed_because);
    PartOutcome::Done { report: Box::new(report), held: false }
}

pub fn fabric(name: &str, branch: &str, netbox: &str) -> Fabric {
    Fabric {
        name: FabricName::new(name),
        target: Target { repo: RepoName::new("fabrics"), branch: BranchName::new(branch) },
        directory: RepoPath::new(name).expect("a path"),
        netbox: NetBoxName::new(netbox),
        policy: Policy::default(),
    }
}

/// Two fabrics of the NetBox `lab` on `main`, one of the NetBox `second` on `prod`.
pub fn routing(model: Model) -> Routing {
    let secrets = |texts: &[&str]| texts.iter().map(|text| SecretString::from(*text)).collect();
    let netbox = |name: &str, texts: &[&str]| NetBoxSender {
        name: NetBoxName::new(name),
        url: format!("https://{name}.netbox.example.com/"),
        secrets: secrets(texts),
        model,
    };
    let repository = |name: &str, full_name: Option<&str>, url: &str, secret: &str| RepositorySender {
        name: RepoName::new(name),
        full_name: full_name.map(str::to_owned),
        clone_url: url.to_owned(),
        secrets: secrets(&[secret]),
    };
    Routing {
        netboxes: vec![netbox("lab", &[NETBOX_SECRET, NEXT_SECRET]), netbox("second", &[SECOND_SECRET])],
        repositories: vec![
            repository("fabrics", Some("acme/fabrics"), "https://git.example.com/acme/fabrics.git", GITHUB_SECRET),
            repository("archive", None, "https://git.example.com/acme/archive.git", ARCHIVE_SECRET),
        ],
        fabrics: vec![
            fabric("lab-fabric", "main", "lab"),
            fabric("other-fabric", "main", "lab"),
            fabric("far-fabric", "prod", "second"),
        ],
        catalogue: Catalogue::hedgehog().clone(),
    }
}

pub fn sha512(secret: &str, body: &[u8]) -> String {
    let mac = <Hmac<Sha512> as KeyInit>::new_from_slice(secret.as_bytes()).expect("any length");
    hex::encode(mac.chain_update(body).finalize().into_bytes())
}

pub fn sha256(secret: &str, body: &[u8]) -> String {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("any length");
    format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
}

/// A captured delivery: the body, and the signature that NetBox sent with it.
pub struct Captured {
    pub name: String,
    pub body: Vec<u8>,
    pub signature: String,
}

impl Captured {
    pub fn number(number: u32) -> Self {
        let all = Self::all();
        let prefix = format!("{number:04}-");
        all.into_iter().find(|captured| captured.name.starts_with(&prefix)).expect("a captured delivery")
    }

    /// All 33, in the order in which they were sent.
    pub fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(fixtures()).expect("the fixtures");
        let names: BTreeSet<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        let bodies = names.iter().filter_map(|name| name.strip_suffix(".body"));
        let captured: Vec<_> = bodies.map(Self::read).collect();
        assert_eq!(captured.len(), 33);
        captured
    }

    fn read(name: &str) -> Self {
        let headers = std::fs::read_to_string(fixtures().join(format!("{name}.headers"))).expect("its headers");
        let signature = headers.lines().find_map(|line| line.strip_prefix("X-Hook-Signature: "));
        let signature = signature.expect("a signature").trim().to_owned();
        let body = std::fs::read(fixtures().join(format!("{name}.body"))).expect("its body");
        Self { name: name.to_owned(), body, signature }
    }

    /// Sends it as NetBox did.
    pub async fn send(&self, service: &Service) -> Answer {
        let request = service.post("/webhooks/netbox").header("X-Hook-Signature", &self.signature);
        let request = request.header("Content-Type", "application/json").body(self.body.clone());
        Answer::of(request.send().await.expect("answered")).await
    }
}

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/netbox-webhooks")
}
