//! The service in a storm: real ledger, real receiver, real runs; NetBox's stand-in over HTTP, and Git in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::test::{TestRequest, init_service, read_body};
use bytes::Bytes;
use fgd_sync::domain::edit::Signature;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::{BranchName, FabricName, NetBoxName, Oid, RepoName, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::{Delivery, Fabric, Policy};
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::http::{HttpState, NetBoxSender, RepositorySender, Routing, Token, Tokens, app};
use fgd_sync::ledger::{Clock, Ledger};
use fgd_sync::netbox::{Client, Model, Options, Timeouts};
use fgd_sync::plan::message::People;
use fgd_sync::queue;
use fgd_sync::run::{Runner, Site};
use fgd_sync::{domain::role::Role, webhook};
use futures::future::LocalBoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Notify;
use ulid::Ulid;

use super::acts::{Act, FIELDS, Fault, Mail, Meanwhile, NAMES, Person, Side, Then, Trouble, document, spec};
use super::remote::{self, Remote};
use crate::support::app::{API_TOKEN, GIT_SECRET, NETBOX_SECRET, push_body, sign_as_github};
use crate::support::fakes::netbox::{self, NetBox, Object, TOKEN};
use crate::support::git_server::Pushed;
use crate::support::hold::{Grip, Hold};
use crate::support::redis::RedisServer;

pub const FABRIC: &str = "lab";
const KIND: &str = "Server";
const CLONE_URL: &str = "https://git.example.com/fabrics.git";
/// Beyond every back-off and every stall.
const LONG: Duration = Duration::from_secs(4_000);
/// More steps than any storm leaves to do.
const MOST_STEPS: usize = 300;

/// What a delivery that is on its way says.
#[derive(Clone)]
enum Letter {
    NetBox(netbox::Delivery),
    Git { id: String, pushed: Pushed },
}

type Receive = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, (u16, Value)>>;

pub struct World<'r> {
    pub netbox: NetBox,
    pub remote: Arc<Remote>,
    pub ledger: Ledger,
    pub clock: Clock,
    redis: &'r mut RedisServer,
    runner: Arc<Runner>,
    receive: Receive,
    mail: Vec<Letter>,
    /// The head that the last letter told.
    told: Option<Oid>,
    /// For values that nobody wrote before.
    counter: usize,
    /// Jobs that were answered with 202.
    pub accepted: BTreeSet<String>,
    /// Commits by people that nobody took back.
    pub human_commits: Vec<Oid>,
    pub history: super::verdict::Authors,
    /// Requests of processes that are gone, still on their way.
    late: Vec<Grip>,
    /// Whether people rewrote the branch.
    pub rewound: bool,
    /// Raw files that people dropped: path and content.
    pub dropped: Vec<(RepoPath, Bytes)>,
}

fn target() -> Target {
    Target { repo: RepoName::new("main"), branch: BranchName::new("main") }
}

pub fn at(below: &str) -> RepoPath {
    RepoPath::new(&format!("{FABRIC}/{below}")).expect("tests use good paths")
}

/// Where an object's file is.
pub fn file_of(name: &str) -> RepoPath {
    at(&format!("managed/servers/{name}.yaml"))
}

impl<'r> World<'r> {
    /// Both sides empty but for the skeleton.
    pub async fn new(redis: &'r mut RedisServer, policy: Policy) -> Self {
        let netbox = NetBox::custom_objects();
        netbox.hook("http://127.0.0.1/webhooks/netbox", NETBOX_SECRET);
        let clock = Clock::default();
        let mut options = redis.options();
        options.prefix = Ulid::generate().to_string();
        let ledger = Ledger::open(options, clock.clone()).await.expect("Redis answers");
        let remote = Arc::new(Remote::default());
        let fabric = Fabric {
            name: FabricName::new(FABRIC),
            target: target(),
            directory: RepoPath::new(FABRIC).expect("a good path"),
            netbox: NetBoxName::new("main"),
            policy,
        };
        let runner = Arc::new(runner(&ledger, &netbox, remote.clone(), fabric.clone()));
        let receive = receiver(ledger.clone(), fabric).await;
        let mut world = Self {
            netbox,
            remote,
            ledger,
            clock,
            redis,
            runner,
            receive,
            mail: Vec::new(),
            told: None,
            counter: 0,
            accepted: BTreeSet::new(),
            human_commits: Vec::new(),
            history: super::verdict::Authors::default(),
            late: Vec::new(),
            rewound: false,
            dropped: Vec::new(),
        };
        world.compare().await;
        world.work_off().await;
        world
    }

    pub async fn act(&mut self, act: &Act) {
        match act {
            Act::Person(person) => self.person(person),
            Act::Mail(mail) => self.mail(*mail).await,
            Act::Wait(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Act::Step(trouble) => self.step(trouble).await,
            // Whoever polls tries again at the next turn.
            Act::Poll => drop(self.runner.poll_head(&target()).await),
            Act::Compare => self.compare().await,
            Act::Resolve(name, side) => self.resolve(NAMES[*name], *side).await,
            Act::CrashRedis => self.redis.crash(),
        }
    }

    /// Asks for a full comparison; a request that is not accepted is repeated later, by the storm's end at the latest.
    pub async fn compare(&mut self) {
        let path = format!("/api/v1/fabrics/{FABRIC}/sync");
        let request = TestRequest::post().uri(&path).set_json(json!({}));
        let (status, answer) =
            (self.receive)(request.insert_header(("Authorization", format!("Bearer {API_TOKEN}")))).await;
        self.note(status, &answer);
    }

    async fn resolve(&mut self, name: &str, side: Side) {
        let path = format!("/api/v1/conflicts/{FABRIC}/{KIND}/default/{name}");
        let authorized = |request: TestRequest| request.insert_header(("Authorization", format!("Bearer {API_TOKEN}")));
        let (status, conflict) = (self.receive)(authorized(TestRequest::get().uri(&path))).await;
        if status != 200 {
            return;
        }
        let side = match side {
            Side::Git => "git",
            Side::NetBox => "netbox",
        };
        let decision = json!({"side": side, "version": conflict["version"]});
        let request = TestRequest::post().uri(&format!("{path}/resolve")).set_json(decision);
        let (status, answer) = (self.receive)(authorized(request)).await;
        // The other side's content goes, with that person's knowledge.
        self.history.forget(&[name]);
        // 409: the sides have moved, or that side cannot be chosen.
        if status != 409 {
            self.note(status, &answer);
        }
    }

    fn note(&mut self, status: u16, answer: &Value) {
        match status {
            202 => drop(self.accepted.insert(answer["job_id"].as_str().expect("202 names a job").to_owned())),
            200 => {}
            // Redis is just starting: the sender is told to come back.
            503 => assert_eq!(answer["code"], "ledger_unavailable", "{answer}"),
            other => panic!("{other}: {answer}"),
        }
    }

    // People.

    fn person(&mut self, person: &Person) {
        match person {
            Person::CreateRow(name) => self.create_row(NAMES[*name]),
            Person::SetField(name, field) => self.set_field(NAMES[*name], *field),
            Person::RenameRow(from, to) => {
                let (from, to) = (NAMES[*from], NAMES[*to]);
                if let Some(id) = self.only_row(from)
                    && self.only_row(to).is_none()
                {
                    self.netbox.user("alice").rename(KIND, id, to);
                    self.history.forget(&[from, to]);
                }
            }
            Person::DeleteRow(name) => {
                if let Some(id) = self.only_row(NAMES[*name]) {
                    self.netbox.user("alice").delete(KIND, id);
                    self.history.forget(&[NAMES[*name]]);
                }
            }
            Person::WriteFile(name, field) => self.write_files(&[NAMES[*name]], *field),
            Person::WriteFiles(field) => {
                let readable = NAMES.into_iter().filter(|name| self.file_values(name).is_some());
                let names: Vec<&'static str> = readable.collect();
                self.write_files(&names, *field);
            }
            Person::Reformat(name) => self.edit(NAMES[*name], |text| format!("# a comment\n{text}")),
            Person::BreakFile(name) => {
                self.history.forget(&[NAMES[*name]]);
                self.edit(NAMES[*name], |_| "a: [1\n".to_owned());
            }
            Person::DeleteFile(name) => {
                self.history.forget(&[NAMES[*name]]);
                self.push(|files| drop(files.remove(&file_of(NAMES[*name]))));
            }
            Person::Drop(file, documents) => self.drop_file(*file, documents),
            Person::Rewind(commits) => {
                self.remote.rewind(*commits);
                self.rewound = true;
                let left: BTreeSet<Oid> = self.remote.history().into_iter().map(|(oid, _)| oid).collect();
                self.human_commits.retain(|commit| left.contains(commit));
                self.history.forget(&NAMES);
            }
        }
    }

    fn fresh(&mut self) -> String {
        self.counter += 1;
        format!("v{}", self.counter)
    }

    fn create_row(&mut self, name: &'static str) {
        if !self.rows(name).is_empty() {
            return;
        }
        let values = [self.fresh(), self.fresh()];
        let content = spec([&values[0], &values[1]]);
        self.netbox.user("alice").create(&Object::new(KIND, FABRIC, name, content));
        for (field, value) in FIELDS.iter().zip(&values) {
            self.history.wrote(Side::NetBox, name, field, None, value);
        }
    }

    fn set_field(&mut self, name: &'static str, field: usize) {
        let Some(id) = self.only_row(name) else { return };
        let mut spec = self.rows(name)[0]["spec"].clone();
        let (was, value) = (spec[FIELDS[field]].as_str().map(str::to_owned), self.fresh());
        spec[FIELDS[field]] = json!(value);
        self.netbox.user("bob").update(KIND, id, json!({ "spec": spec }));
        self.history.wrote(Side::NetBox, name, FIELDS[field], was, &value);
    }

    /// Changes one field of each file, or writes a new file; all in one commit.
    fn write_files(&mut self, names: &[&'static str], field: usize) {
        let mut texts = Vec::new();
        for name in names {
            let values = self.file_values(name);
            let value = self.fresh();
            let was = values.as_ref().map(|values| values[field].clone());
            let (mut new, written) = match values {
                Some(values) => (values, vec![field]),
                None => ([value.clone(), value.clone()], vec![0, 1]),
            };
            new[field].clone_from(&value);
            texts.push((file_of(name), Bytes::from(document(name, [&new[0], &new[1]]))));
            for field in written {
                self.history.wrote(Side::Git, name, FIELDS[field], was.clone(), &value);
            }
        }
        self.push(|files| files.extend(texts));
    }

    /// The fields of a managed file that can be read.
    pub fn file_values(&self, name: &str) -> Option<[String; 2]> {
        let files = self.remote.files();
        let document: Value = serde_yaml::from_slice(files.get(&file_of(name))?).ok()?;
        let value = |field: &str| document["spec"][field].as_str().map(str::to_owned);
        Some([value(FIELDS[0])?, value(FIELDS[1])?])
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&str) -> String) {
        self.push(|files| {
            if let Some(bytes) = files.get_mut(&file_of(name)) {
                *bytes = Bytes::from(change(&String::from_utf8_lossy(bytes)));
            }
        });
    }

    fn drop_file(&mut self, file: usize, documents: &[Option<usize>]) {
        let path = at(["raw/one.yaml", "raw/two/three.yml"][file]);
        let mut texts = Vec::new();
        for name in documents {
            let Some(name) = name.map(|name| NAMES[name]) else {
                texts.push(format!("not: ours\nv: {}\n", self.fresh()));
                continue;
            };
            let value = self.fresh();
            texts.push(document(name, [&value, &value]));
            // Whoever drops a document means the whole object, whatever both sides have.
            self.history.forget(&[name]);
        }
        let text = Bytes::from(texts.join("---\n"));
        self.dropped.retain(|(dropped, _)| *dropped != path);
        self.dropped.push((path.clone(), text.clone()));
        self.push(|files| drop(files.insert(path, text)));
    }

    fn push(&mut self, change: impl FnOnce(&mut remote::Files)) {
        self.human_commits.extend(self.remote.push(change));
    }

    pub fn rows(&self, name: &str) -> Vec<Value> {
        self.netbox.rows(KIND).into_iter().filter(|row| row["name"] == name).collect()
    }

    fn only_row(&self, name: &str) -> Option<u64> {
        match self.rows(name).as_slice() {
            [row] => row["id"].as_u64(),
            _ => None,
        }
    }

    // Deliveries.

    fn collect(&mut self) {
        self.mail.extend(self.netbox.deliveries().into_iter().map(Letter::NetBox));
        let head = self.remote.head();
        if head != self.told {
            let oid = |oid: &Option<Oid>| oid.as_ref().map(ToString::to_string);
            let pushed = Pushed {
                repo: "fabrics.git".to_owned(),
                branch: "main".to_owned(),
                before: oid(&self.told),
                after: oid(&head),
            };
            let id = self.fresh();
            self.mail.push(Letter::Git { id, pushed });
            self.told = head;
        }
    }

    async fn mail(&mut self, mail: Mail) {
        self.collect();
        if self.mail.is_empty() {
            return;
        }
        let arriving = match mail {
            Mail::ArriveAll => std::mem::take(&mut self.mail),
            Mail::ArriveFirst => vec![self.mail.remove(0)],
            Mail::ArriveLast => self.mail.pop().into_iter().collect(),
            Mail::ArriveTwiceBackwards => {
                let all: Vec<Letter> = std::mem::take(&mut self.mail).into_iter().rev().collect();
                [all.clone(), all].concat()
            }
            Mail::LoseFirst => {
                self.mail.remove(0);
                Vec::new()
            }
            Mail::LoseAll => {
                self.mail.clear();
                Vec::new()
            }
        };
        for letter in arriving {
            self.deliver(letter).await;
        }
    }

    async fn deliver(&mut self, letter: Letter) {
        let request = match letter {
            Letter::NetBox(delivery) => TestRequest::post()
                .uri("/webhooks/netbox")
                .insert_header(("X-Hook-Signature", delivery.signature.unwrap_or_default()))
                .insert_header(("Content-Type", "application/json"))
                .set_payload(delivery.body),
            Letter::Git { id, pushed } => {
                let body = push_body(CLONE_URL, &pushed);
                TestRequest::post()
                    .uri("/webhooks/github")
                    .insert_header(("X-GitHub-Event", "push"))
                    .insert_header(("X-GitHub-Delivery", id))
                    .insert_header(("X-Hub-Signature-256", sign_as_github(GIT_SECRET, body.as_bytes())))
                    .insert_header(("Content-Type", "application/json"))
                    .set_payload(body)
            }
        };
        let (status, answer) = (self.receive)(request).await;
        self.note(status, &answer);
    }

    // Workers.

    /// One step of a worker. Whatever it fails with is its end; the ledger knows what is left.
    async fn step(&mut self, trouble: &Trouble) {
        match trouble {
            Trouble::None => drop(self.worker("one").await),
            Trouble::Fault { side, call, fault } => {
                self.set_fault(*side, *call, *fault);
                drop(self.worker("faulty").await);
            }
            Trouble::KilledAtAwait(polls) => {
                let mut left = *polls;
                let mut run = pin!(self.worker("doomed"));
                std::future::poll_fn(|context| match run.as_mut().poll(context) {
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending if left == 0 => Poll::Ready(()),
                    Poll::Pending => {
                        left -= 1;
                        Poll::Pending
                    }
                })
                .await;
            }
            Trouble::Stopped { side, call, applied, meanwhile } => {
                self.stopped(*side, *call, *applied, meanwhile).await;
            }
        }
        self.no_trouble();
    }

    /// Works on what is due now; an error is the ledger's.
    fn worker(&self, name: &'static str) -> impl Future<Output = Result<bool, fgd_sync::ledger::Error>> + 'static {
        let (ledger, runner) = (self.ledger.clone(), self.runner.clone());
        async move { queue::step(&ledger, runner.as_ref(), name).await }
    }

    fn set_fault(&self, side: Side, call: usize, fault: Fault) {
        use netbox::Fault as N;
        match side {
            Side::Git => {
                let trouble = match fault {
                    Fault::ApplyThenCut => remote::Trouble::ApplyThenCut,
                    Fault::Refuse | Fault::ServerError | Fault::Html | Fault::HalfPage => remote::Trouble::Refuse,
                };
                self.remote.later(Some((call, trouble)));
            }
            Side::NetBox => {
                let fault = match fault {
                    Fault::Refuse => N::Refuse,
                    Fault::ApplyThenCut => N::ApplyThenDrop,
                    Fault::ServerError => N::Status(500),
                    Fault::Html => N::Html,
                    Fault::HalfPage => N::HalfPage,
                };
                self.netbox.later(Some((call, fault)));
            }
        }
    }

    fn no_trouble(&self) {
        self.remote.later(None);
        self.netbox.later(None);
    }

    async fn stopped(&mut self, side: Side, call: usize, applied: bool, meanwhile: &Meanwhile) {
        let (hold, mut grip) = Hold::new();
        match side {
            Side::Git => self.remote.later(Some((call, remote::Trouble::Hold { applied, hold }))),
            Side::NetBox => self.netbox.later(Some((call, netbox::Fault::Hold { applied, hold }))),
        }
        let mut run = Box::pin(self.worker("stopped"));
        tokio::select! {
            biased;
            () = grip.reached() => {}
            // It never made so many calls.
            _ = &mut run => return,
        }
        self.no_trouble();
        for person in &meanwhile.people {
            self.person(person);
        }
        if meanwhile.redis_crashes {
            self.redis.crash();
        }
        if meanwhile.overtaken {
            self.clock.advance(self.ledger.lease() + Duration::from_secs(1));
            self.work_what_is_due().await;
        }
        match meanwhile.then {
            Then::GoesOn => {
                grip.release();
                // An old holder is told so.
                drop(run.await);
            }
            Then::Dies => drop(run),
            Then::DiesButIsHeard => {
                drop(run);
                self.late.push(grip);
            }
        }
    }

    async fn work_what_is_due(&self) {
        for _ in 0..MOST_STEPS {
            if !self.worker("other").await.unwrap_or(false) {
                return;
            }
        }
        panic!("work does not come to an end");
    }

    /// All work to its end, past every pause.
    pub async fn work_off(&self) {
        for _ in 0..MOST_STEPS {
            match self.worker("last").await {
                Ok(true) => continue,
                Ok(false) => {}
                // Redis was just started: the next call finds it.
                Err(fgd_sync::ledger::Error::Unavailable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            }
            self.accept_history().await;
            match self.ledger.next_due().await.expect("Redis answers") {
                Some(due) if due <= LONG => self.clock.advance(due + Duration::from_millis(1)),
                Some(_) | None => return,
            }
        }
        panic!("work does not come to an end");
    }

    /// The storm is over: what was on its way arrives, and everything is carried to its end.
    pub async fn calm(&mut self) {
        for late in std::mem::take(&mut self.late) {
            late.release();
        }
        self.mail(Mail::ArriveAll).await;
        self.work_off().await;
        for _ in 0..3 {
            self.compare_surely().await;
            self.mail(Mail::ArriveAll).await;
            self.work_off().await;
            self.accept_history().await;
        }
    }

    /// A person says that a branch that was moved back is meant to be so.
    async fn accept_history(&self) {
        for fabric in self.runner.fabrics.values() {
            self.ledger.accept_history(&fabric.target, None, &[&fabric.name]).await.expect("Redis answers");
        }
    }

    pub async fn compare_surely(&mut self) {
        let before = self.accepted.len();
        for _ in 0..200 {
            self.compare().await;
            if self.accepted.len() > before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing is accepted");
    }
}

fn runner(ledger: &Ledger, netbox: &NetBox, remote: Arc<Remote>, fabric: Fabric) -> Runner {
    let client = Client::new(Options {
        name: NetBoxName::new("main"),
        url: netbox.url().parse().expect("a url"),
        token: SecretSource::Text(SecretString::from(TOKEN)),
        model: Model::CustomObjects,
        catalogue: Catalogue::hedgehog().clone(),
        ca_file: None,
        proxy: None,
        timeouts: Timeouts { appear: Duration::from_millis(5), pause: Duration::from_millis(1), ..Timeouts::default() },
    });
    let site = Site { repository: remote, delivery: Delivery::Push, status_url: None, receiver: None };
    Runner {
        ledger: ledger.clone(),
        repositories: BTreeMap::from([(RepoName::new("main"), site)]),
        netboxes: BTreeMap::from([(NetBoxName::new("main"), Arc::new(client.expect("good options")))]),
        told: BTreeSet::new(),
        journals: BTreeMap::new(),
        fabrics: BTreeMap::from([(fabric.name.clone(), fabric)]),
        catalogue: Catalogue::hedgehog().clone(),
        crds: BTreeMap::new(),
        people: People {
            service: Signature { name: "fgd-sync".to_owned(), email: "sync@example.com".to_owned() },
            mail_domain: "example.com".to_owned(),
            by_login: BTreeMap::new(),
        },
    }
}

/// The real routes, without a socket.
async fn receiver(ledger: Ledger, fabric: Fabric) -> Receive {
    let routing = Routing {
        netboxes: vec![NetBoxSender {
            name: NetBoxName::new("main"),
            url: "http://netbox.example.com/".to_owned(),
            secrets: vec![SecretString::from(NETBOX_SECRET)],
            model: webhook::netbox::Model::CustomObjects,
        }],
        repositories: vec![RepositorySender {
            name: RepoName::new("main"),
            full_name: None,
            clone_url: CLONE_URL.to_owned(),
            secrets: vec![SecretString::from(GIT_SECRET)],
        }],
        fabrics: vec![fabric],
        catalogue: Catalogue::hedgehog().clone(),
    };
    let tokens = Tokens::new(vec![Token::of_text("storm", &SecretString::from(API_TOKEN), Role::Admin)]);
    let service = Rc::new(init_service(app(HttpState::new(ledger, routing, tokens, Arc::new(Notify::new())))).await);
    Box::new(move |request| {
        let service = service.clone();
        Box::pin(async move {
            let answer = service.call(request.to_request()).await.expect("every error is an answer");
            let status = answer.status().as_u16();
            (status, serde_json::from_slice(&read_body(answer).await).unwrap_or(Value::Null))
        })
    })
}
