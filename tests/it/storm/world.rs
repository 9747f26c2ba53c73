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
use fgd_sync::ledger::servers::{Needs, RepositoryNeeds};
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

use super::acts::{Act, Fault, Mail, Meanwhile, NAMES, Side, Then, Trouble};
use super::remote::{self, Remote};
use crate::support::app::{API_TOKEN, GIT_SECRET, NETBOX_SECRET, push_body, sign_as_github};
use crate::support::fakes::netbox::{self, NetBox, TOKEN};
use crate::support::git_server::Pushed;
use crate::support::hold::{Grip, Hold};
use crate::support::redis::RedisServer;

/// A storm has the first, or both: each in a directory of its own, on one branch.
const FABRICS: [&str; 2] = ["lab", "annex"];
pub const KIND: &str = "Server";
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
    pub fabrics: &'static [&'static str],
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
    pub counter: usize,
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

pub fn at(fabric: &str, below: &str) -> RepoPath {
    RepoPath::new(&format!("{fabric}/{below}")).expect("tests use good paths")
}

/// Where an object's file is.
pub fn file_of(fabric: &str, name: &str) -> RepoPath {
    at(fabric, &format!("managed/servers/{name}.yaml"))
}

impl<'r> World<'r> {
    /// Both sides empty but for the skeleton.
    pub async fn new(redis: &'r mut RedisServer, fabrics: usize, policy: Policy) -> Self {
        let names = &FABRICS[..fabrics];
        let netbox = NetBox::custom_objects();
        netbox.hook("http://127.0.0.1/webhooks/netbox", NETBOX_SECRET);
        let clock = Clock::default();
        let mut options = redis.options();
        options.prefix = Ulid::generate().to_string();
        // As strict as can be: one run at a time on either side, and two failures are one too many.
        options.circuit.failures = 2;
        options.needs = Needs {
            repositories: BTreeMap::from([(
                target().repo,
                RepositoryNeeds { max_runs: 1, host: Some("git.example.com".to_owned()) },
            )]),
            netboxes: BTreeMap::from([(NetBoxName::new("main"), 1)]),
            fabrics: names.iter().map(|name| (FabricName::new(*name), NetBoxName::new("main"))).collect(),
        };
        let ledger = Ledger::open(options, clock.clone()).await.expect("Redis answers");
        let remote = Arc::new(Remote::default());
        let fabric = |name: &&str| Fabric {
            name: FabricName::new(*name),
            target: target(),
            directory: RepoPath::new(name).expect("a good path"),
            netbox: NetBoxName::new("main"),
            policy: policy.clone(),
        };
        let fabrics: Vec<Fabric> = names.iter().map(fabric).collect();
        let runner = Arc::new(runner(&ledger, &netbox, remote.clone(), &fabrics));
        let receive = receiver(ledger.clone(), fabrics).await;
        let mut world = Self {
            fabrics: names,
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
        for fabric in names {
            world.compare(fabric).await;
        }
        world.work_off().await;
        world
    }

    pub async fn act(&mut self, act: &Act) {
        match act {
            Act::Person(fabric, person) => self.person(self.fabric(*fabric), person),
            Act::Mail(mail) => self.mail(*mail).await,
            Act::Wait(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Act::Step(trouble) => self.step(trouble).await,
            // Whoever polls tries again at the next turn.
            Act::Poll => {
                let _ = self.runner.poll_head(&target()).await;
                for netbox in self.runner.netboxes.keys() {
                    self.netbox.age_changes(Duration::from_secs(1));
                    let _ = self.runner.catch_up(netbox, Duration::ZERO, Duration::MAX).await;
                }
            }
            Act::Compare(fabric) => self.compare(self.fabric(*fabric)).await,
            Act::Resolve(fabric, name, side) => self.resolve((self.fabric(*fabric), NAMES[*name]), *side).await,
            Act::CrashRedis => self.redis.crash(),
        }
    }

    /// Every storm is one of one fabric, too: what is meant for the second falls on the first then.
    fn fabric(&self, number: usize) -> &'static str {
        self.fabrics[number % self.fabrics.len()]
    }

    /// Asks for a full comparison; a request that is not accepted is repeated later, by the storm's end at the latest.
    async fn compare(&mut self, fabric: &str) {
        let path = format!("/api/v1/fabrics/{fabric}/sync");
        let request = TestRequest::post().uri(&path).set_json(json!({}));
        let (status, answer) =
            (self.receive)(request.insert_header(("Authorization", format!("Bearer {API_TOKEN}")))).await;
        self.note(status, &answer);
    }

    async fn resolve(&mut self, (fabric, name): (&str, &str), side: Side) {
        let path = format!("/api/v1/conflicts/{fabric}/{KIND}/default/{name}");
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
        self.history.forget(fabric, &[name]);
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
        for (fabric, person) in &meanwhile.people {
            self.person(self.fabric(*fabric), person);
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
        let fabrics: Vec<&FabricName> = self.runner.fabrics.keys().collect();
        self.ledger.accept_history(&target(), None, &fabrics).await.expect("Redis answers");
    }

    /// A full comparison of each fabric, however often it must be asked for.
    pub async fn compare_surely(&mut self) {
        for fabric in self.fabrics {
            let before = self.accepted.len();
            for _ in 0..200 {
                self.compare(fabric).await;
                if self.accepted.len() > before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(self.accepted.len() > before, "nothing is accepted");
        }
    }
}

fn runner(ledger: &Ledger, netbox: &NetBox, remote: Arc<Remote>, fabrics: &[Fabric]) -> Runner {
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
        fabrics: fabrics.iter().map(|fabric| (fabric.name.clone(), fabric.clone())).collect(),
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
async fn receiver(ledger: Ledger, fabrics: Vec<Fabric>) -> Receive {
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
        fabrics,
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
