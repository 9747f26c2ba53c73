//! Traces: one change followed from its delivery to the commit, by the real binary, to a strict collector.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::fakes::collector::{Collector, Span};
use crate::support::fakes::netbox::{self, NetBox, Object};
use crate::support::git_server::{Bare, GitServer};
use crate::support::process::{client, free_port};

const TOKEN: &str = "test-api-token";
const SECRET: &str = "a-secret-of-this-test";

/// The service as a process, and its surroundings.
struct World {
    netbox: NetBox,
    bare: Bare,
    _git: GitServer,
    child: Child,
    address: String,
    log: PathBuf,
    _directory: TempDir,
}

impl World {
    /// Ready, with the first comparison behind it.
    async fn start(telemetry: &str, variables: &[(&str, &str)]) -> Self {
        let (netbox, git) = (NetBox::custom_objects(), GitServer::start().await);
        let (bare, directory) = (git.create("fabrics.git"), TempDir::new().unwrap());
        let port = free_port().unwrap_or_else(|failure| panic!("{failure}"));
        let (address, log) = (format!("http://127.0.0.1:{port}"), directory.path().join("log"));
        let text = format!(
            "listen: 127.0.0.1:{port}\ndata_directory: data\nredis: embedded\nlog: {{format: json}}\n\
             debounce: {{quiet_ms: 300, max_wait_ms: 3000}}\ntelemetry: {telemetry}\n\
             api_tokens:\n  - {{name: test, token: {TOKEN}}}\n\
             netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: {SECRET}}}\n\
             repositories:\n  main: {{kind: git, url: '{}', webhook_secret: another-secret-of-it}}\n\
             fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
            netbox.url(),
            netbox::TOKEN,
            git.url("fabrics.git"),
        );
        std::fs::write(directory.path().join("fgd-sync.yaml"), text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fgd-sync"))
            .arg("serve")
            .current_dir(directory.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        netbox.hook(&format!("{address}/webhooks/netbox"), SECRET);
        let world = Self { netbox, bare, _git: git, child, address, log, _directory: directory };
        eventually(|| async {
            match world.bare.head("main") {
                Some(_) => Ok(()),
                None => Err("there is no first commit"),
            }
        })
        .await;
        world
    }

    async fn get(&self, path: &str) -> String {
        let request = client().get(format!("{}{path}", self.address)).bearer_auth(TOKEN);
        request.send().await.unwrap().text().await.unwrap()
    }

    /// Creates servers in NetBox and waits until all their jobs have succeeded.
    async fn change(&self, names: &[&str]) {
        for name in names {
            self.netbox.user("alice").create(&Object::new("Server", "lab", name, json!({})));
        }
        let answers = self.netbox.deliver_all(None).await;
        assert!(answers.iter().all(|answer| *answer == Ok(202)), "{answers:?}");
        eventually(|| async {
            let jobs: Value = serde_json::from_str(&self.get("/api/v1/jobs").await).unwrap();
            let done = |job: &Value| job["state"] == "succeeded";
            if jobs["jobs"].as_array().unwrap().iter().all(done) { Ok(()) } else { Err(jobs) }
        })
        .await;
    }

    /// Ends the service as systemd does; returns its log, a JSON object a line.
    fn stop(&mut self) -> Vec<Value> {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success() && self.child.wait().unwrap().success());
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn one_trace_leads_from_the_delivery_to_the_commit() {
    let collector = Collector::start();
    let mut world = World::start(&format!("{{otlp_endpoint: '{}'}}", collector.url()), &[]).await;

    world.change(&["one"]).await;

    let sent: Vec<_> = world.netbox.served().into_iter().filter_map(|served| served.traceparent).collect();
    assert_eq!(sent, Vec::<String>::new(), "other servers are told of no trace unless the settings say so");
    let log = world.stop();
    let spans = collector.spans();
    let [delivery] = named(&spans, "POST /webhooks/netbox")[..] else { panic!("{spans:#?}") };
    let trace: Vec<Span> = spans.iter().filter(|span| span.trace == delivery.trace).cloned().collect();
    let [run] = named(&trace, "run")[..] else { panic!("{trace:#?}") };
    assert_eq!((delivery.kind, &delivery.parent), (2, &None));
    assert_eq!((run.kind, run.parent.as_ref(), &run.links), (5, Some(&delivery.id), &Vec::new()));
    assert_eq!(delivery.attributes["http.response.status_code"], 202);
    for step in ["claim", "gather", "apply", "commit", "settle"] {
        let [step] = named(&trace, step)[..] else { panic!("{step}: {trace:#?}") };
        assert_eq!(step.parent.as_ref(), Some(&run.id), "{}", step.name);
        assert!(run.begun <= step.begun && step.ended <= run.ended, "{}", step.name);
    }
    let [apply] = named(&trace, "apply")[..] else { panic!("{trace:#?}") };
    assert_eq!(named(&trace, "plan")[0].parent.as_ref(), Some(&apply.id));
    let asked = named(&trace, "NetBox GET");
    assert!(asked.iter().any(|span| span.kind == 3 && span.attributes["http.response.status_code"] == 200));
    assert!(named(&trace, "git").iter().any(|span| span.kind == 3), "the push is in it");
    assert!(spans.iter().all(|span| span.failed.is_none()), "{spans:#?}");
    // The log tells the same ids.
    let says = |line: &Value, field: &str| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        spans.iter().any(|span| span["trace.id"] == delivery.trace.as_str() && span[field].is_string())
    };
    assert!(log.iter().any(|line| line["message"] == "answered a request" && says(line, "request.id")), "{log:#?}");
    assert_eq!(run.attributes["fabric"], "lab");
}

#[tokio::test]
async fn a_run_is_linked_to_every_delivery_of_its_batch() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20made-up"),
        ("OTEL_SERVICE_NAME", "sync-of-the-lab"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ];
    let mut world = World::start("{propagate: true}", &variables).await;

    world.change(&["one", "two", "three"]).await;

    world.stop();
    let asked: Vec<_> = world.netbox.served().into_iter().filter_map(|served| served.traceparent).collect();
    let spans = collector.spans();
    let deliveries = named(&spans, "POST /webhooks/netbox");
    let runs: Vec<_> = named(&spans, "run")
        .into_iter()
        .filter(|run| deliveries.iter().any(|delivery| Some(&delivery.id) == run.parent.as_ref()))
        .collect();
    let mut followed: Vec<_> = runs.iter().flat_map(|run| run.links.iter().map(|(_, span)| span)).collect();
    followed.extend(runs.iter().filter_map(|run| run.parent.as_ref()));
    followed.sort();
    let mut ids: Vec<_> = deliveries.iter().map(|delivery| &delivery.id).collect();
    ids.sort();
    assert_eq!((followed, deliveries.len()), (ids, 3), "{runs:#?}");
    // NetBox was told in which span it was asked.
    let clients = named(&spans, "NetBox GET");
    let told = |span: &&Span| asked.contains(&format!("00-{}-{}-01", span.trace, span.id));
    assert!(!clients.is_empty() && clients.iter().all(told), "{asked:?}");
    let resource = &collector.resources()[0];
    assert_eq!(resource["service.name"], "sync-of-the-lab");
    assert_eq!(resource["deployment.environment"], "test");
    assert!(collector.authorizations().iter().all(|header| header.as_deref() == Some("Basic made-up")));
}

#[tokio::test]
async fn without_a_collector_the_work_goes_on_and_the_loss_is_counted() {
    let port = free_port().unwrap_or_else(|failure| panic!("{failure}"));
    let mut world = World::start(&format!("{{otlp_endpoint: 'http://127.0.0.1:{port}'}}"), &[]).await;

    world.change(&["one"]).await;

    let dropped = eventually(|| async {
        let page = world.get("/metrics").await;
        let count = page.lines().find_map(|line| line.strip_prefix("fgd_trace_spans_dropped_total "));
        count.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count > 0).ok_or(page)
    })
    .await;
    assert!(dropped > 0);
    assert!(world.bare.paths("main").contains(&"lab/managed/servers/one.yaml".to_owned()));
    let log = world.stop();
    let lost = log.iter().filter(|line| line["message"].as_str().unwrap_or("").starts_with("traces are lost"));
    assert_eq!(lost.count(), 1, "it is said once, not for every span");
}
