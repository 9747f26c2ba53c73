//! Outages: each has a defined effect, shows in job, fabric and health, is bounded, and is over when its cause is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fgd_sync::app::App;
use fgd_sync::config;
use fgd_sync::domain::change::Change;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::{BranchName, NetBoxName};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::report::JobState;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::http::Limits;
use fgd_sync::ledger::Clock;
use fgd_sync::ledger::types::{Accept, Origin};
use fgd_sync::netbox;
use fgd_sync::queue;
use fgd_sync::repo::git::{Credentials, GitRepository, Options, Timeouts};
use fgd_sync::repo::{self, Repository};
use fgd_sync::webhook::netbox::Model;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::receive::service::{NETBOX_SECRET, Service, sha512};
use crate::support::app::TestApp;
use crate::support::fakes::netbox::TOKEN;
use crate::support::front::{Behind, TlsFront};
use crate::support::git_server::{Bare, Person};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets so much time pass, in which the workers do what is due.
async fn live_through(app: &TestApp, mut left: Duration) {
    loop {
        while queue::step(&app.ledger, app.runner.as_ref(), "test").await.expect("Redis answers") {}
        let due = app.ledger.next_due().await.expect("Redis answers").unwrap_or(left).min(left);
        app.clock.advance(due + Duration::from_millis(1));
        left = left.saturating_sub(due + Duration::from_millis(1));
        if left.is_zero() {
            return;
        }
    }
}

/// State, attempts and error code of the newest job's only part.
async fn newest(app: &TestApp) -> (String, u64, String) {
    let job = app.get("/api/v1/jobs?limit=1").await["jobs"][0].clone();
    let part = &job["parts"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&job["state"]), part["attempts"].as_u64().unwrap_or_default(), text(&part["error"]["code"]))
}

async fn health(app: &TestApp, list: &str) -> String {
    app.get(&format!("/api/v1/{list}")).await[list][0]["health"]["state"].as_str().unwrap_or_default().to_owned()
}

const RAW: (&str, &str) = (
    "raw/one.yaml",
    "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: one\nspec:\n  description: x\n",
);

#[tokio::test]
async fn netbox_down_for_ten_minutes_is_waited_for() {
    let app = TestApp::ready().await;
    app.push(&[RAW]).await;
    app.deliver().await;
    app.netbox.set_down(true);

    live_through(&app, 10 * MINUTE).await;

    let (state, attempts, code) = newest(&app).await;
    assert_eq!((state.as_str(), code.as_str()), ("waiting", "netbox_unavailable"));
    assert!(attempts <= 10, "{attempts} attempts in ten minutes");
    assert_eq!(health(&app, "netboxes").await, "failing");
    assert!(app.files().await.contains_key(RAW.0), "the document waits where it was dropped");

    app.netbox.set_down(false);
    live_through(&app, 15 * MINUTE).await;

    assert_eq!(newest(&app).await.0, "succeeded");
    assert_eq!(health(&app, "netboxes").await, "ok");
    assert!(app.files().await.contains_key("managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn git_refusing_for_an_hour_is_waited_for() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "x"})).await;
    app.deliver().await;
    app.git.stop().await;

    live_through(&app, 60 * MINUTE).await;

    let (state, attempts, code) = newest(&app).await;
    assert_eq!((state.as_str(), code.as_str()), ("waiting", "git_unavailable"));
    assert!(attempts <= 15, "{attempts} attempts in an hour");
    assert_eq!(health(&app, "repositories").await, "failing");

    app.git.start_again().await;
    live_through(&app, 16 * MINUTE).await;

    assert_eq!(newest(&app).await.0, "succeeded");
    assert_eq!(health(&app, "repositories").await, "ok");
    assert!(app.files().await.contains_key("managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_branch_that_refuses_pushes_stalls_and_goes_on_by_itself_when_it_takes_them() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "x"})).await;
    app.deliver().await;
    app.bare.refuse_pushes("closed for maintenance");

    live_through(&app, 60 * MINUTE).await;

    let (state, _, code) = newest(&app).await;
    assert_eq!((state.as_str(), code.as_str()), ("stalled", "push_refused"));
    assert!(app.fabric_status().await.error.unwrap().message.contains("closed for maintenance"));

    app.bare.hook("pre-receive", "exit 0\n");
    live_through(&app, 11 * MINUTE).await;

    assert_eq!(newest(&app).await.0, "succeeded");
    app.finish().await;
}

/// Tells the service's private Redis.
async fn tell_redis(app: &TestApp, name: &str, value: &str) {
    let socket = app.directory().join("redis/redis.sock");
    let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_full_redis_accepts_nothing_says_so_and_the_work_goes_on_when_it_has_memory_again() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "x"})).await;
    app.deliver().await;
    app.netbox_user("alice").create("Server", "two", json!({"description": "x"})).await;
    let delivery = app.netbox.deliveries().remove(0);
    let receiver = format!("{}/webhooks/netbox", app.address());
    tell_redis(&app, "maxmemory-policy", "noeviction").await;
    tell_redis(&app, "maxmemory", "1").await;

    let refused = reqwest::Client::new()
        .post(&receiver)
        .header("X-Hook-Signature", delivery.signature.clone().unwrap())
        .body(delivery.body.clone())
        .send()
        .await
        .unwrap();

    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "ledger_full");
    let ready = async || reqwest::get(format!("{}/readyz", app.address())).await.unwrap();
    let not_ready = ready().await;
    assert_eq!(not_ready.status(), 503);
    assert_eq!(not_ready.json::<Value>().await.unwrap()["code"], "ledger_full");
    tell_redis(&app, "maxmemory", "0").await;
    assert_eq!(ready().await.status(), 200);
    assert_eq!(delivery.send(Some(&receiver)).await, Ok(202));
    app.sync().await;

    let files = app.files().await;
    assert!(files.contains_key("managed/servers/one.yaml") && files.contains_key("managed/servers/two.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_redis_that_fills_up_in_the_middle_of_a_run_loses_nothing_of_it() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "x"})).await;
    app.deliver().await;
    app.clock.advance(MINUTE);
    let claim = app.ledger.claim("one").await.unwrap().expect("something is due");
    tell_redis(&app, "maxmemory-policy", "noeviction").await;
    tell_redis(&app, "maxmemory", "1").await;

    let settlement = queue::Work::run(app.runner.as_ref(), claim.clone()).await;
    let settled = app.ledger.settle(&claim.proof, &claim.run, &settlement).await;
    assert!(settled.unwrap_err().is_out_of_memory());

    tell_redis(&app, "maxmemory", "0").await;
    app.let_the_lease_expire().await;
    app.sync().await;

    assert!(app.files().await.contains_key("managed/servers/one.yaml"));
    let runs: Vec<_> = app.commits().await.into_iter().filter(|commit| commit.subject.contains("one")).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    app.finish().await;
}

/// A directory that can be full: a file system of its own where this user may mount one, else a limit on the size of
/// files, which this process hands on to `git`.
struct Narrow {
    directory: TempDir,
    is_mounted: bool,
}

impl Narrow {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(directory.path()).output();
        Self { is_mounted: mount.expect("mount is installed").status.success(), directory }
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn ballast(&self) -> PathBuf {
        self.directory.path().join("ballast")
    }

    fn fill(&self) {
        if self.is_mounted {
            // Ends with the disk.
            std::fs::write(self.ballast(), vec![1; 4 << 20]).unwrap_err();
        } else {
            limit_files("4096:");
        }
    }

    fn make_room(&self) {
        if self.is_mounted {
            std::fs::remove_file(self.ballast()).unwrap();
        } else {
            limit_files("unlimited:");
        }
    }
}

fn limit_files(soft: &str) {
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={soft}")]).status();
    assert!(limited.expect("prlimit is installed (util-linux)").success());
}

impl Drop for Narrow {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
        }
    }
}

#[tokio::test]
async fn a_full_disk_under_the_cache_is_this_machines_trouble_until_there_is_room() {
    let (narrow, home) = (Narrow::new(), TempDir::new().unwrap());
    let bare = Bare::create(&home.path().join("fabrics.git"));
    let person = Person::clone_of(bare.path().to_str().unwrap());
    for number in 0..500 {
        person.write(&format!("a-file-with-a-name-of-some-length-{number}"), number.to_string());
    }
    let head = person.push("main", "first").parse().unwrap();
    let repository = git(bare.path().to_str().unwrap(), &narrow.cache(), Timeouts::default());

    narrow.fill();
    let full = repository.tree(&head, &RepoPath::root()).await.unwrap_err();
    narrow.make_room();
    let tree = repository.tree(&head, &RepoPath::root()).await;

    assert!(matches!(full, repo::Error::Local { .. }), "{full:?}");
    assert_eq!(tree.expect("there is room").len(), 500);
}

/// A service whose NetBox and repository are at these addresses; answers the code of its fabric's trouble.
async fn trouble_with(netbox: &str, git: &str) -> (String, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = TempDir::new().unwrap();
    let file: PathBuf = directory.path().join("fgd-sync.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\npublic_url: http://127.0.0.1/\ndata_directory: {home}\nredis: embedded\n\
         api_tokens:\n  - {{name: test, token: test-api-token}}\n\
         netbox:\n  main: {{url: '{netbox}', token: {TOKEN}, webhook_secret: a-test-secret-of-netbox}}\n\
         repositories:\n  main: {{kind: git, url: '{git}', webhook_secret: a-test-secret-of-git}}\n\
         fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
        home = directory.path().display(),
    );
    std::fs::write(&file, text).unwrap();
    let settings = config::load(Some(&file), &Default::default()).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n")
    });
    let clock = Clock::default();
    let app = App::build(settings.unwrap(), clock.clone()).await.unwrap();
    let fabric = app.runner().fabrics.values().next().unwrap().clone();
    let accept = Accept {
        origin: Origin::Request { what: "a test".to_owned() },
        dedupe: None,
        changes: vec![(fabric.name.clone(), fabric.target, Change::Everything)],
        at_once: true,
    };
    let job = app.ledger().accept(&accept).await.unwrap().job;

    assert!(queue::step(app.ledger(), app.runner().as_ref(), "test").await.unwrap());

    let part = app.ledger().job(&job).await.unwrap().unwrap().parts.remove(0);
    assert_eq!(part.state, JobState::Waiting);
    let error = part.error.unwrap();
    (error.code, error.message)
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_waited_for_and_named() {
    let bare = TempDir::new().unwrap();
    Bare::create(bare.path());

    let (netbox, words) = trouble_with("http://netbox.invalid/", bare.path().to_str().unwrap()).await;
    let (git, said) = trouble_with("http://netbox.invalid/", "http://git.invalid/fabrics.git").await;

    assert_eq!((netbox.as_str(), git.as_str()), ("netbox_unavailable", "git_unavailable"));
    assert!(words.contains("dns error"), "{words}");
    assert!(said.contains("Could not resolve host: git.invalid"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_waited_for_and_told() {
    let bare = TempDir::new().unwrap();
    Bare::create(bare.path());
    let front = TlsFront::before(Behind::Port(1));
    let address = format!("https://127.0.0.1:{}/", front.port());

    let (netbox, words) = trouble_with(&address, bare.path().to_str().unwrap()).await;
    let (git, said) = trouble_with(&address, &format!("{address}fabrics.git")).await;

    assert_eq!((netbox.as_str(), git.as_str()), ("netbox_unavailable", "git_unavailable"));
    assert!(words.contains("UnknownIssuer"), "{words}");
    assert!(said.contains("certificate"), "{said}");
}

fn git(remote: &str, cache: &Path, timeouts: Timeouts) -> Arc<dyn Repository> {
    let options = Options {
        remote: remote.parse().unwrap(),
        cache: cache.to_owned(),
        credentials: Credentials::None,
        ca_file: None,
        proxy: None,
        timeouts,
    };
    Arc::new(GitRepository::open(options).unwrap())
}

/// A server that answers a byte at a time, for longer than anybody should wait, yet not for ever.
struct Dripping {
    port: u16,
    /// How many bytes it still gives, to all its clients together; with none left it hangs up on everybody.
    left: Arc<AtomicUsize>,
}

impl Dripping {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicUsize::new(200));
        let drops = Arc::clone(&left);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let drops = Arc::clone(&drops);
                std::thread::spawn(move || drip(client, &drops));
            }
        });
        Self { port, left }
    }

    fn assert_given_up(&self) {
        assert!(self.left.load(Ordering::SeqCst) > 0, "its client waited for all that it gives");
    }
}

fn drip(mut client: TcpStream, left: &AtomicUsize) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    let one_less = |left: usize| left.checked_sub(1);
    // An answer before the question is an error of its own.
    let is_asked = client.read(&mut [0; 4096]).is_ok_and(|length| length > 0);
    let mut is_heard = is_asked && client.write_all(head).is_ok();
    // Until the client hangs up.
    while is_heard && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
        std::thread::park_timeout(Duration::from_millis(100));
        is_heard = client.write_all(b" ").is_ok();
    }
}

#[tokio::test]
async fn a_netbox_that_answers_a_byte_at_a_time_is_given_up() {
    let dripping = Dripping::start();
    let address = format!("http://127.0.0.1:{}/", dripping.port);
    let client = netbox::Client::new(netbox::Options {
        name: NetBoxName::new("slow"),
        url: address.parse().unwrap(),
        token: SecretSource::Text(SecretString::from(TOKEN)),
        model: netbox::Model::CustomObjects,
        catalogue: Catalogue::hedgehog().clone(),
        ca_file: None,
        proxy: None,
        timeouts: netbox::Timeouts { read: Duration::from_millis(300), ..netbox::Timeouts::default() },
    });

    let given_up = client.unwrap().status().await.unwrap_err();

    assert!(matches!(given_up, netbox::Error::Unavailable { .. }), "{given_up:?}");
    dripping.assert_given_up();
}

#[tokio::test]
async fn a_git_server_that_answers_a_byte_at_a_time_is_given_up() {
    let dripping = Dripping::start();
    let cache = TempDir::new().unwrap();
    let limits = Timeouts { look: Duration::from_secs(1), ..Timeouts::default() };
    let repository = git(&format!("http://127.0.0.1:{}/fabrics.git", dripping.port), cache.path(), limits);

    let given_up = repository.head(&BranchName::new("main")).await.unwrap_err();

    assert!(matches!(given_up, repo::Error::Unavailable { .. }), "{given_up:?}");
    dripping.assert_given_up();
}

/// Sends the beginning of a delivery that nobody signed, and keeps the connection.
fn begin_a_body(service: &Service, announced: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(service.host()).unwrap();
    let signature = "0".repeat(128);
    let head = format!(
        "POST /webhooks/netbox HTTP/1.1\r\nHost: test\r\nX-Hook-Signature: {signature}\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; sent]).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = [0; 4096];
    let read = stream.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..read]).into_owned()
}

#[tokio::test]
async fn a_sender_who_takes_too_long_is_told_so() {
    let limits = Limits { body_time: Duration::from_millis(300), ..Limits::default() };
    let service = Service::with_limits(Model::CustomObjects, limits).await;

    let answer = answer(begin_a_body(&service, 1_000, 1));

    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("body_too_slow") && answer.contains("300ms"), "{answer}");
}

#[tokio::test]
async fn large_bodies_of_strangers_are_bounded_together_and_keep_no_delivery_out() {
    let limits = Limits { unverified_bodies: 100_000, ..Limits::default() };
    let service = Service::with_limits(Model::CustomObjects, limits).await;
    let half = begin_a_body(&service, 8_000_000, 150_000);

    let second = answer(begin_a_body(&service, 200_000, 200_000));
    let body = br#"{"event": "updated"}"#;
    let small = service.netbox(NETBOX_SECRET, body.to_vec()).await;

    assert!(second.starts_with("HTTP/1.1 503") && second.contains("too_many_bodies"), "{second}");
    assert!(second.to_ascii_lowercase().contains("retry-after: 30"), "{second}");
    assert_eq!(small.status, 400, "it is read and judged as ever: {:?}", sha512(NETBOX_SECRET, body));

    drop(half);
    let third = crate::support::eventually(|| async {
        let third = answer(begin_a_body(&service, 150_000, 150_000));
        if third.starts_with("HTTP/1.1 401") { Ok(third) } else { Err(third) }
    });
    assert!(third.await.contains("wrong_signature"));
}

#[tokio::test]
async fn an_object_that_breaks_netbox_is_isolated_and_taken_when_it_no_longer_does() {
    let app = TestApp::ready().await;
    let server = |name: &str| {
        format!(
            "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec: {{description: x}}\n"
        )
    };
    let names = ["a", "b", "poison", "d", "e", "f"];
    app.netbox.break_name("poison");

    app.push(&[("raw/drop.yaml", &names.map(server).join("---\n"))]).await;
    app.sync().await;

    let files = app.files().await;
    let managed = |files: &std::collections::BTreeMap<String, String>, name: &str| {
        files.contains_key(&format!("managed/servers/{name}.yaml"))
    };
    let there: Vec<&str> = names.into_iter().filter(|name| managed(&files, name)).collect();
    assert_eq!(there, ["a", "b", "d", "e", "f"], "the rest of its batch goes on");
    assert!(files.contains_key("raw/drop.yaml"), "a file leaves whole");
    let status = app.fabric_status().await;
    let report = serde_json::to_string(&status.last_run).unwrap();
    assert!(report.contains("netbox_failing") && report.contains("RuntimeError"), "{report}");

    app.netbox.mend_name("poison");
    app.post("/api/v1/fabrics/lab/sync", json!({})).await;
    app.sync().await;

    let files = app.files().await;
    assert!(managed(&files, "poison") && !files.contains_key("raw/drop.yaml"));
    app.finish().await;
}
