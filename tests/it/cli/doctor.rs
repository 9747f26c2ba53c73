//! `fgd-sync doctor`: every connection tried, and nothing written anywhere.

use super::*;
use crate::support::fakes::github::{ContentType, GitHub, Rule, TOKEN};
use crate::support::fakes::netbox::{self, NetBox};
use crate::support::redis::RedisServer;

const SECRET: &str = "a-secret-of-this-test";

/// Everything that the settings name.
struct World {
    netbox: NetBox,
    github: GitHub,
    redis: RedisServer,
    directory: TempDir,
    /// Where the service says that it is reached.
    public_url: String,
}

impl World {
    fn new() -> Self {
        let github = GitHub::start();
        github.create("acme", "fabric").person().write("README", "ours\n").push("main", "first");
        Self {
            netbox: NetBox::custom_objects(),
            github,
            redis: RedisServer::start(),
            directory: TempDir::new().unwrap(),
            public_url: "http://127.0.0.1:9/".to_owned(),
        }
    }

    /// As a world is after `setup netbox`, `setup github` and a start.
    async fn set_up(self) -> (Self, TestApp) {
        let app = TestApp::ready().await;
        let world = Self { public_url: format!("{}/", app.address()), ..self };
        world.netbox.hook(&format!("{}webhooks/netbox", world.public_url), SECRET);
        let receiver = format!("{}webhooks/github", world.public_url);
        world.github.hosted("acme/fabric").hook(&receiver, SECRET, ContentType::Json);
        let mut redis = world.redis.connect().await;
        for (name, value) in [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")] {
            redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut redis).await.unwrap();
        }
        (world, app)
    }

    async fn examine(&self, args: &[&str]) -> Ended {
        self.examine_with("", args).await
    }

    /// With one more setting of the NetBox.
    async fn examine_with(&self, setting: &str, args: &[&str]) -> Ended {
        let text = format!(
            "public_url: '{}'\ndata_directory: data\nredis: {{url: '{}'}}\napi_tokens: [{{name: test, token: {API_TOKEN}}}]\n\
             netbox:\n  main: {{url: '{}', token: '{}', webhook_secret: {SECRET}, {setting}}}\n\
             repositories:\n  main: {{kind: github, github: acme/fabric, api_url: '{}', token: '{TOKEN}', \
             webhook_secret: another-secret-of-it}}\n\
             fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
            self.public_url,
            self.redis.url(),
            self.netbox.url(),
            netbox::TOKEN,
            self.github.rest_url(),
        );
        std::fs::write(self.directory.path().join("fgd-sync.yaml"), text).unwrap();
        let mut command = command(&[&["doctor"], args].concat());
        Ended(command.current_dir(self.directory.path()).output().await.unwrap())
    }

    async fn keys(&self) -> usize {
        redis::cmd("DBSIZE").query_async(&mut self.redis.connect().await).await.unwrap()
    }
}

#[tokio::test]
async fn where_all_is_well_every_line_says_so_and_nothing_was_written() {
    let (world, app) = World::new().set_up().await;
    let writes = (world.netbox.writes(), world.github.writes());

    let ended = world.examine(&["--deny-warnings"]).await;

    let out = ended.code(0).out();
    for line in [
        "ok       redis: Redis ",
        "ok       redis: it evicts nothing and syncs every write",
        "ok       netbox main: NetBox 4.7.3 answers and takes the token; netbox_custom_objects 0.7.1",
        "ok       netbox main: its clock and ours agree",
        "ok       netbox main: the token may view, add and change 12 of 12 kinds",
        "ok       netbox main: event rules send every change of every kind",
        "ok       repository main: main is at ",
        "ok       repository main: a webhook leads to ",
        "ok       service: http://127.0.0.1:",
    ] {
        assert!(out.lines().any(|found| found.starts_with(line)), "no `{line}` in\n{out}");
    }
    assert!(out.ends_with(" ok\n") && out.contains("0 failed, 0 warnings"), "{out}");
    assert_eq!((world.netbox.writes(), world.github.writes(), world.keys().await), (writes.0, writes.1, 0));
    app.finish().await;
}

/// The findings of a verdict, as `about: what`.
fn findings(ended: &Ended, verdict: &str) -> Vec<String> {
    let all = ended.json()["findings"].as_array().unwrap().clone();
    let of = all.iter().filter(|finding| finding["verdict"] == verdict);
    of.map(|finding| {
        assert_ne!(verdict == "ok", finding["remedy"].is_string(), "{finding}");
        format!("{}: {}", finding["about"].as_str().unwrap(), finding["what"].as_str().unwrap())
    })
    .collect()
}

#[track_caller]
fn has(findings: &[String], about: &str, what: &str) {
    assert!(
        findings.iter().any(|found| found.starts_with(about) && found.contains(what)),
        "{about}: {what}: {findings:#?}"
    );
}

#[tokio::test]
async fn what_is_not_set_up_or_at_risk_is_a_warning() {
    let world = World::new();

    let ended = world.examine(&["--output", "json"]).await;

    let warnings = findings(ended.code(0), "warning");
    has(&warnings, "redis", "appendonly is no");
    has(&warnings, "netbox main", "no webhook leads to http://127.0.0.1:9/webhooks/netbox");
    has(&warnings, "repository main", "no webhook leads to http://127.0.0.1:9/webhooks/github");
    has(&warnings, "service", "http://127.0.0.1:9/healthz does not answer");
    world.examine(&["--deny-warnings"]).await.code(1);
}

#[tokio::test]
async fn what_does_not_work_fails_with_what_to_change() {
    let (world, app) = World::new().set_up().await;
    world.netbox.allow_only_viewing("hedgehog-vpcs");
    world.netbox.deny("hedgehog-switches");
    world.netbox.take_permission("view", "plugins/custom-objects/hedgehog-externals/");
    world.netbox.deny("core/object-changes");
    world.github.hosted("acme/fabric").add_ruleset("main", &[Rule::PullRequest], &[]);
    world.github.hosted("acme/fabric").person().write("README", "more\n").push("main", "second");
    // Refused: the hook's secret is not one of that service.
    world.github.deliver_all().await;

    let ended = world.examine(&["--output", "json"]).await;

    let failed = findings(ended.code(1), "failed");
    has(&failed, "netbox main", "lacks permissions: Switch (view), VPC (add, change), External (view)");
    has(&failed, "repository main", "main cannot be written: ");
    has(&failed, "repository main", "the last push was refused with 401");
    has(&findings(&ended, "warning"), "netbox main", "the change log cannot be read");
    app.finish().await;
}

#[tokio::test]
async fn whether_journal_entries_can_be_written_is_told_where_they_are_wanted() {
    let (world, app) = World::new().set_up().await;
    let args = ["--output", "json"];

    let off = world.examine(&args).await;
    assert!(!off.out().contains("journal"), "{}", off.out());
    let on = world.examine_with("journal: on", &args).await;
    has(&findings(on.code(0), "ok"), "netbox main", "the token may write journal entries");
    world.netbox.take_permission("add", "extras/journal-entries/");
    let lacking = world.examine_with("journal: on", &args).await;
    has(&findings(lacking.code(1), "failed"), "netbox main", "lacks permissions: journal entry (add)");
    app.finish().await;
}

#[tokio::test]
async fn event_rules_and_secrets_that_do_not_fit_are_named() {
    let (world, app) = World::new().set_up().await;
    world
        .netbox
        .set_hook(json!({"secret": "an-old-secret"}), json!({"event_types": ["object_created", "object_updated"]}));

    let ended = world.examine(&["--output", "json"]).await;

    has(&findings(ended.code(1), "failed"), "netbox main", "each delivery gets 401");
    let warnings = findings(&ended, "warning");
    has(&warnings, "netbox main", "no event rule sends netbox_custom_objects.table10model object_deleted, ");
    has(&warnings, "netbox main", " and 6 more");
    app.finish().await;
}

#[tokio::test]
async fn servers_that_are_down_fail_by_their_names() {
    let world = World::new();
    world.netbox.set_down(true);
    world.github.set_down(true);
    let mut redis = world.redis.connect().await;
    let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").exec_async(&mut redis).await;

    let ended = world.examine(&["--output", "json"]).await;

    let failed = findings(ended.code(1), "failed");
    has(&failed, "redis", "Redis");
    has(&failed, "netbox main", "could not be reached");
    has(&failed, "repository main", "could not be reached");
}
