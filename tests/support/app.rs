//! The whole service for one test: its own Redis, Git server and NetBox stand-in, driven step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::names::FabricName;
use fgd_sync::domain::report::FabricReport;
use fgd_sync::ledger::types::{FabricStatus, Job, JobFilter};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::queue;
use fgd_sync::queue::metrics::WorkMetrics;
use fgd_sync::queue::schedules::{Schedules, turn};
use fgd_sync::run::Runner;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::fakes::netbox::{Delivery, NetBox, Object, TOKEN};
use super::git_server::{Bare, Fault, GitServer, Person, Pushed, Route};

/// Test secrets; they protect nothing.
pub const NETBOX_SECRET: &str = "test-netbox-webhook-secret";
pub const GIT_SECRET: &str = "test-git-webhook-secret";
pub const API_TOKEN: &str = "test-api-token";
const ACCOUNT: (&str, &str) = ("sync", "test-git-password");

/// The one fabric of a test.
pub const FABRIC: &str = "lab";
const REPOSITORY: &str = "fabrics.git";
const BRANCH: &str = "main";
/// Longer than the debounce and the first back-offs, shorter than the pause after a stall.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running service and everything around it.
pub struct TestApp {
    pub netbox: NetBox,
    pub git: GitServer,
    pub bare: Bare,
    pub ledger: Ledger,
    pub clock: Clock,
    pub runner: Arc<Runner>,
    address: String,
    directory: TempDir,
    fabric_settings: String,
    /// The fabric's directory in the repository; empty for the root.
    place: String,
    pushes: Mutex<mpsc::UnboundedReceiver<Pushed>>,
    /// Everything that was delivered, to be replayed.
    delivered: Mutex<Vec<Hint>>,
    seen_jobs: Mutex<BTreeSet<String>>,
    serving: (oneshot::Sender<()>, JoinHandle<()>),
}

/// A delivery of either side.
#[derive(Clone)]
enum Hint {
    NetBox(Delivery),
    Git { id: String, pushed: Pushed },
}

/// A commit, as `git log` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub oid: String,
    pub author: String,
    pub subject: String,
    pub body: String,
}

impl TestApp {
    /// Custom objects, an empty repository, default policies.
    pub async fn start() -> Self {
        Self::launch(NetBox::custom_objects(), "", FABRIC).await
    }

    /// As `start`, with the fabric in another directory; `.` is the root.
    pub async fn start_at(place: &str) -> Self {
        Self::launch(NetBox::custom_objects(), "", place).await
    }

    /// As `start`, with the Hedgehog plugin, and no fabric in it.
    pub async fn start_with_hedgehog() -> Self {
        Self::launch(NetBox::hedgehog(), "", FABRIC).await
    }

    /// As `start`, with the first comparison behind it: the directory is there.
    pub async fn ready() -> Self {
        Self::with_fabric_settings("").await
    }

    /// As `ready`, with a line of settings for the fabric.
    pub async fn with_fabric_settings(settings: &str) -> Self {
        let app = Self::launch(NetBox::custom_objects(), settings, FABRIC).await;
        app.compare().await;
        app
    }

    /// As `ready`, with the Hedgehog plugin.
    pub async fn hedgehog() -> Self {
        let netbox = NetBox::hedgehog();
        netbox.user("admin").create_fabric(FABRIC);
        let app = Self::launch(netbox, "", FABRIC).await;
        app.compare().await;
        app
    }

    /// A NetBox of one's own, and lines of settings: the first the fabric's, those at the margin everybody's. A line that
    /// begins with `@netbox ` is the NetBox's.
    pub async fn with(netbox: NetBox, settings: &str) -> Self {
        let app = Self::launch(netbox, settings, FABRIC).await;
        app.compare().await;
        app
    }

    async fn launch(netbox: NetBox, fabric_settings: &str, place: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let git = GitServer::start_with_account(ACCOUNT.0, ACCOUNT.1).await;
        let bare = git.create(REPOSITORY);
        let pushes = Mutex::new(git.pushes());
        let directory = TempDir::new().expect("a temporary directory");
        let clock = Clock::default();
        let built = build(&netbox, &git, directory.path(), (fabric_settings, place), clock.clone()).await;
        let (ledger, runner) = (built.ledger().clone(), built.runner().clone());
        let address = format!("http://{}", built.address().expect("it listens"));
        netbox.hook(&format!("{address}/webhooks/netbox"), NETBOX_SECRET);
        Self {
            serving: serve(built),
            netbox,
            git,
            bare,
            ledger,
            clock,
            runner,
            address,
            directory,
            fabric_settings: fabric_settings.to_owned(),
            place: in_repository(place),
            pushes,
            delivered: Mutex::default(),
            seen_jobs: Mutex::default(),
        }
    }

    async fn compare(&self) {
        self.post("/api/v1/fabrics/lab/sync", json!({})).await;
        self.sync().await;
    }

    /// The same world, with a ledger that has never heard of it.
    pub async fn with_a_new_ledger(self) -> Self {
        let (stop, serving) = self.serving;
        let _ = stop.send(());
        let _ = serving.await;
        drop((self.ledger, self.runner));
        let directory = TempDir::new().expect("a temporary directory");
        let settings = (self.fabric_settings.as_str(), in_settings(&self.place));
        let built = build(&self.netbox, &self.git, directory.path(), settings, self.clock.clone()).await;
        let (ledger, runner) = (built.ledger().clone(), built.runner().clone());
        let address = format!("http://{}", built.address().expect("it listens"));
        Self { ledger, runner, address, directory, serving: serve(built), ..self }
    }

    /// The same world and ledger, started again with the fabric in another directory.
    pub async fn moved_to(self, place: &str) -> Self {
        let (stop, serving) = self.serving;
        let _ = stop.send(());
        let _ = serving.await;
        drop(self.runner);
        self.ledger.close().await;
        let settings = (self.fabric_settings.as_str(), place);
        let built = build(&self.netbox, &self.git, self.directory.path(), settings, self.clock.clone()).await;
        let (ledger, runner) = (built.ledger().clone(), built.runner().clone());
        let address = format!("http://{}", built.address().expect("it listens"));
        self.netbox.hook(&format!("{address}/webhooks/netbox"), NETBOX_SECRET);
        Self { ledger, runner, address, place: in_repository(place), serving: serve(built), ..self }
    }

    /// The world without the service: its settings and ledger are left for another process.
    pub async fn stopped(self) -> Stopped {
        let (stop, serving) = self.serving;
        let _ = stop.send(());
        let _ = serving.await;
        drop(self.runner);
        self.ledger.close().await;
        Stopped { bare: self.bare, directory: self.directory, _netbox: self.netbox, _git: self.git }
    }

    /// A path of the fabric from the repository's root.
    pub fn at(&self, path: &str) -> String {
        if self.place.is_empty() { path.to_owned() } else { format!("{}/{path}", self.place) }
    }

    /// Nothing may be left over: no pending work, no held lease, a sound repository, no unused fault.
    pub async fn finish(self) {
        assert!(self.ledger.claim("teardown").await.expect("Redis answers").is_none(), "work is left over");
        self.bare.assert_sound();
        let (stop, serving) = self.serving;
        let _ = stop.send(());
        let _ = serving.await;
    }

    /// A NetBox user at work in the fabric.
    pub fn netbox_user<'a>(&'a self, name: &'a str) -> NetBoxUser<'a> {
        NetBoxUser { app: self, name }
    }

    /// A person writes files of the fabric and pushes them in one commit.
    pub async fn push(&self, files: &[(&str, &str)]) {
        let person = self.person();
        for (path, content) in files {
            person.write(&self.at(path), content);
        }
        person.push(BRANCH, "a person's change");
    }

    /// A person deletes files of the fabric in one commit.
    pub async fn push_deletion(&self, paths: &[&str]) {
        let person = self.person();
        for path in paths {
            person.delete(&self.at(path));
        }
        person.push(BRANCH, "a person's deletion");
    }

    /// Somebody's clone of the repository, at the branch's head; pushes of theirs are announced.
    pub fn person(&self) -> Person {
        let person = Person::clone_of(&self.git.url_with_account(REPOSITORY));
        if self.bare.head(BRANCH).is_some() {
            person.update(BRANCH);
        }
        person
    }

    /// Sends every delivery that is due, carries all work to its end and returns the jobs that are new since the last call.
    pub async fn sync(&self) -> Vec<Job> {
        // Our own writes cause deliveries too; they must end by themselves.
        for _ in 0..5 {
            let sent = self.deliver().await;
            self.drain().await;
            if sent == 0 {
                break;
            }
        }
        let page = self.ledger.jobs(&JobFilter { limit: 200, ..JobFilter::default() }).await.expect("Redis answers");
        let mut seen = self.seen_jobs.lock().expect("no test panics with it");
        page.jobs.into_iter().filter(|job| seen.insert(job.id.to_string())).collect()
    }

    /// Sends every queued delivery of both sides; returns how many there were.
    pub async fn deliver(&self) -> usize {
        let hints = self.take_hints();
        for hint in &hints {
            self.send(hint).await;
        }
        let count = hints.len();
        self.delivered.lock().expect("no test panics with it").extend(hints);
        count
    }

    fn take_hints(&self) -> Vec<Hint> {
        let mut hints: Vec<Hint> = self.netbox.deliveries().into_iter().map(Hint::NetBox).collect();
        let mut pushes = self.pushes.lock().expect("no test panics with it");
        while let Ok(pushed) = pushes.try_recv() {
            let id = format!("delivery-{}", pushed.after.clone().unwrap_or_default());
            hints.push(Hint::Git { id, pushed });
        }
        hints
    }

    /// Drops every queued delivery, as a crash on the way would.
    pub async fn lose_all_deliveries(&self) {
        self.take_hints();
    }

    /// Sends every delivery so far once more.
    pub async fn replay_deliveries(&self) {
        let hints = self.delivered.lock().expect("no test panics with it").clone();
        for hint in &hints {
            self.send(hint).await;
        }
    }

    async fn send(&self, hint: &Hint) {
        let status = match hint {
            Hint::NetBox(delivery) => {
                delivery.send(Some(&format!("{}/webhooks/netbox", self.address))).await.expect("the receiver answers")
            }
            Hint::Git { id, pushed } => self.send_push(id, pushed).await,
        };
        assert!(matches!(status, 200 | 202), "a delivery was answered with {status}");
    }

    async fn send_push(&self, id: &str, pushed: &Pushed) -> u16 {
        let body = push_body(&self.git.url(REPOSITORY), pushed);
        let request = client()
            .post(format!("{}/webhooks/github", self.address))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", id)
            .header("X-Hub-Signature-256", sign_as_github(GIT_SECRET, body.as_bytes()))
            .header("Content-Type", "application/json")
            .body(body);
        request.send().await.expect("the receiver answers").status().as_u16()
    }

    /// Carries all work to its end: see the function.
    pub async fn drain(&self) {
        drain(&self.ledger, &self.runner, &self.clock).await;
    }

    /// Lets the debounce pass, and does only what is due then.
    pub async fn step_until_idle_now(&self) {
        self.clock.advance(Duration::from_secs(3));
        while queue::step(&self.ledger, self.runner.as_ref(), "test").await.expect("Redis answers") {}
    }

    /// Lets every schedule have its turn once.
    pub async fn take_scheduled_turns(&self) {
        self.clock.advance(Duration::from_secs(24 * 60 * 60));
        let periods = Schedules {
            poll_head: Duration::from_secs(60),
            catch_up: Duration::from_secs(120),
            full_comparison: Duration::from_secs(3600),
        };
        turn(&self.runner, periods, &WorkMetrics::default()).await;
    }

    /// Lets the look for fabrics that appeared in NetBox have its turn.
    pub async fn look_for_new_fabrics(&self) {
        for netbox in self.runner.netboxes.keys() {
            self.runner.find_new_fabrics(netbox).await.expect("NetBox answers");
        }
    }

    /// Reads the change log for what no webhook told of; returns how many changes that were.
    pub async fn catch_up(&self) -> usize {
        let day = Duration::from_secs(24 * 60 * 60);
        let mut found = 0;
        for netbox in self.runner.netboxes.keys() {
            found += self.runner.catch_up(netbox, Duration::ZERO, day).await.expect("NetBox answers");
        }
        found
    }

    /// Does due work until something that waits for it is done.
    pub async fn work_until<T>(&self, waiting: impl Future<Output = T>) -> T {
        tokio::pin!(waiting);
        loop {
            self.drain().await;
            tokio::select! {
                done = &mut waiting => return done,
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// Lets the short schedules have their turn, and no comparison.
    pub async fn take_short_turns(&self) {
        self.clock.advance(Duration::from_secs(61));
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let periods = Schedules { poll_head: year, catch_up: year, full_comparison: year };
        turn(&self.runner, periods, &WorkMetrics::default()).await;
    }

    /// Lets the reading of the change log have its turn, and nothing else that is seldom; returns how many changes it
    /// counted.
    pub async fn take_catch_up_turn(&self) -> u64 {
        self.clock.advance(Duration::from_secs(121));
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let periods = Schedules { poll_head: year, catch_up: Duration::from_secs(120), full_comparison: year };
        let metrics = WorkMetrics::default();
        turn(&self.runner, periods, &metrics).await;
        metrics.read().untold.values().sum()
    }

    /// Claims the pending batch and works on it up to the push, which never goes out; then the process is gone.
    pub async fn kill_the_run_before_its_push(&self) {
        self.clock.advance(Duration::from_secs(3));
        let claim = self.ledger.claim("doomed").await.expect("Redis answers").expect("something is due");
        self.git.fault(Route::PushRefs, Fault::Status(503));
        // What it would have settled dies with it.
        let _ = queue::Work::run(self.runner.as_ref(), claim).await;
    }

    pub async fn let_the_lease_expire(&self) {
        self.clock.advance(self.ledger.lease() + Duration::from_secs(1));
    }

    /// Right before our next push a person pushes something else.
    pub async fn before_next_push_a_person_commits(&self, files: &[(&str, &str)]) {
        let remote = self.bare.path().to_str().expect("a path in UTF-8").to_owned();
        let files: Vec<(String, String)> =
            files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
        let act = move || {
            let person = Person::clone_of(&remote);
            person.update(BRANCH);
            for (path, content) in &files {
                person.write(path, content);
            }
            person.push(BRANCH, "in between");
        };
        self.git.fault(Route::Push, Fault::Before(Box::new(act)));
    }

    pub async fn cut_the_next_push_after_it_was_applied(&self) {
        self.git.fault(Route::Push, Fault::ApplyThenCut);
    }

    /// Files of the fabric's directory at the head, paths below it.
    pub async fn files(&self) -> BTreeMap<String, String> {
        let below = self.at("");
        let all = self.repository_files().await.into_iter();
        all.filter_map(|(path, content)| Some((path.strip_prefix(&below)?.to_owned(), content))).collect()
    }

    /// Files of the whole repository at the head.
    pub async fn repository_files(&self) -> BTreeMap<String, String> {
        if self.bare.head(BRANCH).is_none() {
            return BTreeMap::new();
        }
        self.bare.paths(BRANCH).into_iter().map(|path| (path.clone(), self.bare.show(BRANCH, &path))).collect()
    }

    /// The branch's commits, newest first.
    pub async fn commits(&self) -> Vec<Commit> {
        if self.bare.head(BRANCH).is_none() {
            return Vec::new();
        }
        let log = self.bare.git(&["log", "--format=%H%x1f%an%x1f%s%x1f%b%x1e", BRANCH]);
        let records = log.split('\x1e').map(str::trim).filter(|record| !record.is_empty());
        records
            .map(|record| {
                let fields: Vec<&str> = record.split('\x1f').collect();
                let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
                Commit { oid: field(0), author: field(1), subject: field(2), body: field(3) }
            })
            .collect()
    }

    /// NetBox's rows of a kind.
    pub async fn rows(&self, kind: &str) -> Vec<Value> {
        self.netbox.rows(kind)
    }

    /// How many requests that write NetBox has had.
    pub fn netbox_writes(&self) -> usize {
        self.netbox.writes()
    }

    pub async fn fabric_status(&self) -> FabricStatus {
        self.ledger.fabric_status(&FabricName::new(FABRIC)).await.expect("Redis answers")
    }

    /// What the last run of a job did for the fabric.
    pub async fn report_of(&self, job: &Job) -> FabricReport {
        let run = job.parts[0].run.clone().expect("a run worked on it");
        self.ledger.report(&run, &job.parts[0].fabric).await.expect("Redis answers").expect("it was settled")
    }

    /// Posts to the API and returns the answer, which must be a success.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let request = client().post(format!("{}{path}", self.address)).bearer_auth(API_TOKEN).json(&body);
        let answer = request.send().await.expect("the API answers");
        assert!(answer.status().is_success(), "POST {path}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }

    /// Posts to the API and returns the answer's status and body, whatever they are.
    pub async fn ask(&self, path: &str, body: Value) -> (u16, Value) {
        let request = client().post(format!("{}{path}", self.address)).bearer_auth(API_TOKEN).json(&body);
        let answer = request.send().await.expect("the API answers");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Gets a path or whole address of the API.
    pub async fn get(&self, path: &str) -> Value {
        let path = path.find("/api/").map_or(path, |at| &path[at..]);
        let request = client().get(format!("{}{path}", self.address)).bearer_auth(API_TOKEN);
        request.send().await.expect("the API answers").json().await.expect("JSON")
    }

    /// Where the service answers, without a `/` at the end.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where the service keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Both sides without a service.
pub struct Stopped {
    bare: Bare,
    directory: TempDir,
    _netbox: NetBox,
    _git: GitServer,
}

impl Stopped {
    pub fn settings_file(&self) -> PathBuf {
        self.directory.path().join("fgd-sync.yaml")
    }

    /// How many commits the branch has.
    pub fn commits(&self) -> usize {
        self.bare.git(&["rev-list", "--count", BRANCH]).parse().expect("a number")
    }
}

/// What a NetBox user does in the fabric.
pub struct NetBoxUser<'a> {
    app: &'a TestApp,
    name: &'a str,
}

impl NetBoxUser<'_> {
    pub async fn create(&self, kind: &str, name: &str, spec: Value) {
        self.app.netbox.user(self.name).create(&Object::new(kind, FABRIC, name, spec));
    }

    /// Creates `count` objects in one request, named `<kind>-<n>`.
    pub async fn bulk_create(&self, kind: &str, count: usize, spec: Value) {
        let name = |number: usize| format!("{}-{number:03}", kind.to_lowercase());
        let objects: Vec<Object> =
            (0..count).map(|number| Object::new(kind, FABRIC, &name(number), spec.clone())).collect();
        self.app.netbox.user(self.name).bulk_create(&objects);
    }

    pub async fn update(&self, kind: &str, name: &str, spec: Value) {
        let mut user = self.app.netbox.user(self.name);
        let id = user.id(kind, name);
        user.update(kind, id, json!({"spec": spec}));
    }

    pub async fn rename(&self, kind: &str, old: &str, new: &str) {
        let mut user = self.app.netbox.user(self.name);
        let id = user.id(kind, old);
        user.rename(kind, id, new);
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        let mut user = self.app.netbox.user(self.name);
        let id = user.id(kind, name);
        user.delete(kind, id);
    }

    /// Deletes every object of a kind in one request.
    pub async fn delete_all(&self, kind: &str) {
        let ids: Vec<u64> = self.app.netbox.rows(kind).iter().filter_map(|row| row["id"].as_u64()).collect();
        self.app.netbox.user(self.name).bulk_delete(kind, &ids);
    }
}

fn in_settings(place: &str) -> &str {
    if place.is_empty() { "." } else { place }
}

/// The repository's path of a directory as the settings write it.
fn in_repository(place: &str) -> String {
    if place == "." { String::new() } else { place.to_owned() }
}

async fn build(netbox: &NetBox, git: &GitServer, directory: &Path, (fabric, place): (&str, &str), clock: Clock) -> App {
    use super::fakes::netbox::Flavor;
    let model = match netbox.flavor() {
        Flavor::CustomObjects => "custom_objects",
        Flavor::Hedgehog => "hedgehog",
    };
    let of_netbox = |line: &&str| line.starts_with("@netbox ");
    let more: String = fabric.lines().filter(of_netbox).map(|line| format!("\n    {}", &line[8..])).collect();
    let fabric = fabric.lines().filter(|line| !of_netbox(line)).collect::<Vec<_>>().join("\n");
    let settings = format!(
        "listen: 127.0.0.1:0\n\
         public_url: http://127.0.0.1/\n\
         data_directory: {directory}\n\
         redis: embedded\n\
         api_tokens:\n  - {{name: test, token: {API_TOKEN}}}\n\
         netbox:\n  main:\n    url: {netbox}\n    model: {model}\n    token: {TOKEN}\n    webhook_secret: {NETBOX_SECRET}{more}\n\
         repositories:\n  main:\n    kind: git\n    url: {url}\n    user: {user}\n    token: {password}\n    webhook_secret: {GIT_SECRET}\n\
         fabrics:\n  {FABRIC}:\n    netbox: main\n    repository: main\n    branch: {BRANCH}\n    directory: '{place}'\n    {fabric}\n",
        directory = directory.display(),
        netbox = netbox.url(),
        url = git.url(REPOSITORY),
        user = ACCOUNT.0,
        password = ACCOUNT.1,
    );
    let file = directory.join("fgd-sync.yaml");
    std::fs::write(&file, settings).expect("the settings can be written");
    let settings = config::load(Some(&file), &BTreeMap::new()).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("the test's settings are wrong: {problems:#?}")
    });
    App::build(settings, clock).await.expect("the service can be built")
}

fn serve(app: App) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let until = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(async move { app.receive_until(until).await.expect("the receiver works") });
    (stop, serving)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// `X-Hub-Signature-256` of a body.
pub fn sign_as_github(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
}

/// A push event in GitHub's form.
pub fn push_body(clone_url: &str, pushed: &Pushed) -> String {
    const NOTHING: &str = "0000000000000000000000000000000000000000";
    json!({
        "ref": format!("refs/heads/{}", pushed.branch),
        "before": pushed.before.as_deref().unwrap_or(NOTHING),
        "after": pushed.after.as_deref().unwrap_or(NOTHING),
        "repository": {"full_name": "team/fabrics", "clone_url": clone_url},
        "pusher": {"name": "a-person"}
    })
    .to_string()
}

/// A spec that every rule of the kind accepts.
pub fn spec_of(kind: &str) -> Value {
    match kind {
        "SwitchGroup" => json!({}),
        "VPC" => json!({"subnets": {"web": {"subnet": "10.10.1.0/24", "vlan": 1001}}}),
        other => json!({"description": format!("a {other}")}),
    }
}

/// The lab's drop: every kind once or more, in three files, and one file with bad documents.
pub fn drop_of_all_kinds() -> Vec<(&'static str, &'static str)> {
    vec![
        ("raw/01-wiring.yaml", include_str!("../lab/drop/01-wiring.yaml")),
        ("raw/networks/prod/vpcs.yml", include_str!("../lab/drop/networks/prod/vpcs.yml")),
        ("raw/networks/external.yaml", include_str!("../lab/drop/networks/external.yaml")),
        ("raw/mixed/bad.yaml", include_str!("../lab/drop/mixed/bad.yaml")),
    ]
}

/// Carries all work to its end, moving the clock past every pause that is not a stall.
pub async fn drain(ledger: &Ledger, runner: &Runner, clock: &Clock) {
    for _ in 0..200 {
        while queue::step(ledger, runner, "test").await.expect("Redis answers") {}
        match ledger.next_due().await.expect("Redis answers") {
            Some(due) if due < PATIENCE => clock.advance(due + Duration::from_millis(1)),
            Some(_) | None => return,
        }
    }
    panic!("work does not come to an end");
}
