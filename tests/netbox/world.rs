//! The service with real workers between a real NetBox and a real Git server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fgd_sync::app::{App, NetBoxSetup, setup_netboxes};
use fgd_sync::config::{self, Settings};
use fgd_sync::ledger::types::{JobFilter, Origin};
use fgd_sync::ledger::{Clock, Ledger};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::support::app::{API_TOKEN, GIT_SECRET, NETBOX_SECRET, push_body, sign_as_github};
use crate::support::git_server::{Bare, GitServer, Person, Pushed};
use crate::support::real_netbox::{FABRICS, RealNetBox};

const REPOSITORY: &str = "fabrics.git";
/// A NetBox on two busy cores sends about 19 deliveries a second, and starts late.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(250);

pub struct World {
    fabric: String,
    netbox: RealNetBox,
    settings: Settings,
    ledger: Ledger,
    address: String,
    git: GitServer,
    bare: Bare,
    pushes: tokio::sync::Mutex<mpsc::UnboundedReceiver<Pushed>>,
    serving: (oneshot::Sender<()>, JoinHandle<()>),
    _directory: TempDir,
}

impl World {
    /// Sets NetBox up for a service of this test alone, and a fabric of its own.
    pub async fn start(fabric: &str) -> Self {
        Self::start_with(fabric, "").await
    }

    /// As `start`, with more settings.
    pub async fn start_with(fabric: &str, more: &str) -> Self {
        Self::launch(fabric, "off", more).await
    }

    /// As `start`, with entries in the journals of NetBox's objects.
    pub async fn start_with_journal(fabric: &str) -> Self {
        Self::launch(fabric, "on", "").await
    }

    async fn launch(fabric: &str, journal: &str, more: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let netbox = RealNetBox::running().unwrap();
        let git = GitServer::start().await;
        let bare = git.create(REPOSITORY);
        let pushes = tokio::sync::Mutex::new(git.pushes());
        let directory = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Rows of an earlier run of this test must not be taken for this one's.
        let fabric = format!("{fabric}-{port}");
        let file = directory.path().join("fgd-sync.yaml");
        let text = format!(
            "listen: 127.0.0.1:{port}\npublic_url: http://127.0.0.1:{port}\ndata_directory: data\nredis: embedded\n\
             api_tokens: [{{name: test, token: {API_TOKEN}}}]\n\
             netbox:\n  real: {{url: '{url}', token: '{token}', webhook_secret: {NETBOX_SECRET}, journal: {journal}}}\n\
             repositories:\n  main: {{kind: git, url: '{repository}', webhook_secret: {GIT_SECRET}}}\n\
             fabrics:\n  {fabric}: {{netbox: real, repository: main, branch: main, directory: fabric}}\n{more}",
            url = netbox.url,
            token = netbox.token,
            repository = git.url(REPOSITORY),
        );
        std::fs::write(&file, text).unwrap();
        let settings = config::load(Some(&file), &BTreeMap::new()).unwrap();
        // Before the service starts, as its README says: a comparison with a NetBox that is not set up stalls.
        set_up(&settings).await;
        let app = App::build(settings.clone(), Clock::default()).await.unwrap();
        let ledger = app.ledger().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            app.run_until(async {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        let world = Self {
            fabric,
            netbox,
            settings,
            ledger,
            address: format!("http://127.0.0.1:{port}"),
            git,
            bare,
            pushes,
            serving: (stop, serving),
            _directory: directory,
        };
        world.until("the directory is there", |world| world.bare.head("main").is_some()).await;
        world.settle().await;
        world
    }

    /// Runs `setup netbox` and returns what it told.
    pub async fn setup(&self) -> Vec<String> {
        set_up(&self.settings).await
    }

    pub async fn finish(self) {
        self.bare.assert_sound();
        let (stop, serving) = self.serving;
        let _ = stop.send(());
        serving.await.unwrap();
    }

    /// The fabric's name in NetBox.
    pub fn fabric(&self) -> &str {
        &self.fabric
    }

    /// Alice creates an object; returns its id.
    pub async fn create(&self, kind: &str, name: &str, spec: Value) -> u64 {
        self.netbox.create(&self.fabric, kind, &[(name.to_owned(), spec)]).await[0]
    }

    /// Alice creates many objects in one request.
    pub async fn create_many(&self, kind: &str, count: usize) {
        let object = |n: usize| (format!("bulk-{n:03}"), json!({"description": format!("number {n}")}));
        self.netbox.create(&self.fabric, kind, &(0..count).map(object).collect::<Vec<_>>()).await;
    }

    pub async fn patch(&self, kind: &str, id: u64, fields: Value) {
        self.netbox.patch(kind, id, fields).await;
    }

    pub async fn delete(&self, kind: &str, id: u64) {
        self.netbox.delete(kind, id).await;
    }

    /// The entries in a row's journal, oldest first.
    pub async fn journal_of(&self, slug: &str, id: u64) -> Vec<Value> {
        let object_type = self.netbox.object_type(slug).await;
        let path = format!("extras/journal-entries/?assigned_object_id={id}&ordering=id");
        let found = self.netbox.any(Method::GET, &path, None).await;
        let of_type = |entry: &&Value| entry["assigned_object_type"] == object_type;
        found["results"].as_array().unwrap().iter().filter(of_type).cloned().collect()
    }

    /// The fabric's own row.
    pub async fn fabric_row(&self) -> Value {
        self.netbox.fabric(&self.fabric).await
    }

    /// Each status that the fabric's row has had, oldest first; every write of it counts.
    pub async fn told(&self) -> Vec<String> {
        let changes = self.netbox.changes_of(FABRICS, &self.fabric_row().await).await;
        changes.iter().map(|change| change["postchange_data"]["sync_status"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until NetBox shows the fabric with a status; returns the row.
    pub async fn until_told(&self, status: &str) -> Value {
        let started = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.forward_pushes().await;
            let row = self.fabric_row().await;
            if row["sync_status"] == status {
                return row;
            }
            if started.elapsed() >= PATIENCE {
                let (told, runs) = (self.told().await, self.get("/api/v1/runs").await);
                panic!("it is not {status}: {row}; it was {told:?}; the runs: {runs:#}");
            }
        }
    }

    /// Waits until so many deliveries about the fabric's own row have come that led to no job.
    pub async fn until_ignored(&self, count: usize) {
        let subject = format!("{}#{}", self.netbox.object_type(FABRICS).await, self.fabric_row().await["id"]);
        let started = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let ignored = self.get("/api/v1/deliveries?outcome=ignored").await;
            let about_it = |delivery: &&Value| delivery["subject"].as_str().unwrap().starts_with(&subject);
            if ignored["deliveries"].as_array().unwrap().iter().filter(about_it).count() >= count {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the echoes do not come: {ignored}");
        }
    }

    /// What the service's API answers.
    pub async fn get(&self, path: &str) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", self.address)).bearer_auth(API_TOKEN).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// The pages of the service's dashboard that a page of NetBox links to, in the order shown, as (words, address).
    pub async fn links_on(&self, page: &str) -> Vec<(String, String)> {
        let page = self.netbox.page(page).await;
        let ours = format!("href=\"{}/", self.address);
        let link = |rest: &str| {
            let (address, rest) = rest.split_once('"').unwrap();
            let words = rest.split_once('>').unwrap().1.split_once('<').unwrap().0;
            (words.trim().to_owned(), format!("{}/{address}", self.address))
        };
        page.split(&ours).skip(1).map(link).collect()
    }

    /// Opens a page of the dashboard as somebody who signed in.
    pub async fn open(&self, address: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let form = format!("token={API_TOKEN}&to=/");
        let request = client.post(format!("{}/sign-in", self.address)).body(form);
        let signed_in = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
        let cookie = signed_in.headers()["Set-Cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let answer = client.get(address).header("Cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
        answer.text().await.unwrap()
    }

    /// The job count: what asked for something so far.
    pub async fn jobs(&self) -> usize {
        self.ledger.jobs(&JobFilter { limit: 1000, ..JobFilter::default() }).await.unwrap().jobs.len()
    }

    /// NetBox's change records of a row, oldest first.
    pub async fn changes_of(&self, slug: &str, row: &Value) -> Vec<Value> {
        self.netbox.changes_of(slug, row).await
    }

    /// The fabric's rows of a kind, by name.
    pub async fn rows(&self, kind: &str) -> Vec<Value> {
        self.netbox.rows(&self.fabric, kind).await
    }

    /// A person pushes files of the fabric's directory.
    pub async fn push(&self, files: &[(&str, &str)]) {
        let person = Person::clone_of(&self.git.url(REPOSITORY));
        person.update("main");
        for (path, content) in files {
            person.write(&format!("fabric/{path}"), content);
        }
        person.push("main", "a person's change");
    }

    /// Asks for a full comparison and waits for its end.
    pub async fn compare(&self) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/v1/fabrics/{}/sync", self.address, self.fabric);
        client.post(url).bearer_auth(API_TOKEN).send().await.unwrap().error_for_status().unwrap();
        self.settle().await;
    }

    /// Waits until something holds; Git's pushes are told to the service meanwhile.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        while !holds(self) {
            assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}; there is {:?}", self.managed());
            looks.tick().await;
            self.forward_pushes().await;
        }
    }

    /// Waits until every job has ended.
    pub async fn settle(&self) {
        let started = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.forward_pushes().await;
            let jobs = self.ledger.jobs(&JobFilter { limit: 1000, ..JobFilter::default() }).await.unwrap().jobs;
            let open: Vec<_> = jobs.iter().filter(|job| !job.state.is_final()).collect();
            if open.is_empty() {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "jobs do not end: {:?}", open[0]);
        }
    }

    /// Waits until so many deliveries came that are about objects of this test's last minutes, for the first time or not.
    pub async fn until_deliveries(&self, count: usize) {
        let started = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        let delivered = || async {
            let jobs = self.ledger.jobs(&JobFilter { limit: 1000, ..JobFilter::default() }).await.unwrap().jobs;
            let first = jobs.iter().filter(|job| matches!(job.origin, Origin::NetboxDelivery { .. })).count();
            let again: u64 = jobs.iter().map(|job| job.duplicates).sum();
            first + usize::try_from(again).unwrap()
        };
        let before = delivered().await;
        while delivered().await < before + count {
            assert!(started.elapsed() < PATIENCE, "the deliveries do not come");
            looks.tick().await;
        }
    }

    async fn forward_pushes(&self) {
        let mut pushes = self.pushes.lock().await;
        while let Ok(pushed) = pushes.try_recv() {
            let body = push_body(&self.git.url(REPOSITORY), &pushed);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client
                .post(format!("{}/webhooks/github", self.address))
                .header("X-GitHub-Event", "push")
                .header("X-Hub-Signature-256", sign_as_github(GIT_SECRET, body.as_bytes()));
            request.body(body).send().await.unwrap().error_for_status().unwrap();
        }
    }

    /// Paths below a part of the fabric's directory at the head.
    pub fn below(&self, part: &str) -> Vec<String> {
        let prefix = format!("fabric/{part}");
        let paths = if self.bare.head("main").is_some() { self.bare.paths("main") } else { Vec::new() };
        paths.iter().filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned)).collect()
    }

    /// Managed files, paths below managed/.
    pub fn managed(&self) -> Vec<String> {
        self.below("managed/").into_iter().filter(|path| path.ends_with(".yaml")).collect()
    }

    pub fn file(&self, path: &str) -> String {
        self.bare.show("main", &format!("fabric/{path}"))
    }

    pub fn commits(&self) -> usize {
        self.bare.git(&["rev-list", "--count", "main"]).parse().unwrap()
    }

    pub fn head(&self) -> String {
        self.bare.head("main").unwrap()
    }

    pub fn author_of(&self, commit: &str) -> String {
        self.bare.git(&["log", "-1", "--format=%an", commit])
    }

    pub fn authors(&self) -> Vec<String> {
        self.bare.git(&["log", "--format=%an", "main"]).lines().map(str::to_owned).collect()
    }
}

async fn set_up(settings: &Settings) -> Vec<String> {
    let mut told = Vec::new();
    setup_netboxes(settings, &NetBoxSetup::default(), |step| told.push(step)).await.unwrap();
    told
}
