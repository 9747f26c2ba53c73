//! The settings, from files and environments as an operator would write them.
#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test does")]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fgd_sync::config::{
    self, Access, CommitStatus, Environment, GitHubLogin, ObjectModel, Place, Problem, Redis, Settings, Signing,
    TokenSecret,
};
use fgd_sync::domain::names::{FabricName, NetBoxName, RepoName};
use fgd_sync::domain::policy::{Archive, Direction, OnConflict, OnDrift, OnFirstDifference, OnGitDelete, Validation};
use fgd_sync::domain::role::Role;
use fgd_sync::domain::secret::SecretSource;
use secrecy::ExposeSecret;

mod reference;

/// The smallest settings that work. All secrets here are made up.
const GOOD: &str = "\
redis: embedded
api_token: made-up-api-token
netbox:
  main: {url: 'https://netbox.example.com', token: made-up-token, webhook_secret: made-up-netbox-secret}
repositories:
  main: {url: 'https://git.example.com/team/fabrics.git', webhook_secret: made-up-git-secret}
fabrics:
  lab: {netbox: main, repository: main, directory: fabrics/lab}
";

/// A directory with one settings file, and an environment.
struct Case {
    directory: tempfile::TempDir,
    environment: Environment,
}

impl Case {
    fn new(yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("fgd-sync.yaml"), yaml).unwrap();
        Self { directory, environment: Environment::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.directory.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Settings, Vec<Problem>> {
        config::load(Some(&self.path("fgd-sync.yaml")), &self.environment)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|problems| panic!("{}", shown(&problems)))
    }

    fn problems(&self) -> Vec<Problem> {
        self.load().expect_err("the settings were taken")
    }

    /// The problem of one setting; the only one there is.
    fn only_problem(&self) -> Problem {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{}", shown(&problems));
        problems[0].clone()
    }
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// `GOOD` with one text in place of another, which must be there.
fn with(from: &str, to: &str) -> Case {
    assert!(GOOD.contains(from), "{from:?} is not in the good settings");
    Case::new(&GOOD.replace(from, to))
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(secret: &SecretSource) -> String {
    secret.read().unwrap().expose_secret().to_owned()
}

#[test]
fn the_smallest_settings_get_the_safe_defaults() {
    let settings = Case::new(GOOD).settings();

    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:8080/");
    assert!(matches!(settings.redis, Redis::Embedded));
    assert_eq!(settings.debounce.quiet, Duration::from_secs(2));
    assert_eq!(settings.debounce.max_wait, Duration::from_secs(15));
    assert_eq!(settings.debounce.max_changes, 500);
    let fabric = &settings.fabrics[&FabricName::new("lab")];
    assert_eq!(fabric.target.to_string(), "main@main");
    assert_eq!(fabric.policy.on_git_delete, OnGitDelete::Hold);
    assert_eq!(fabric.policy.on_first_difference, OnFirstDifference::Hold);
    assert_eq!(fabric.policy.on_conflict, OnConflict::Hold);
    assert_eq!((fabric.policy.direction, fabric.policy.on_drift), (Direction::Both, OnDrift::Report));
    assert_eq!((fabric.policy.guard.count, fabric.policy.guard.percent), (20, 30));
    assert_eq!(shown(&settings.warnings), "");
}

#[test]
fn everything_that_is_written_arrives() {
    let case = Case::new(
        "\
listen: '[::1]:9000'
public_url: https://sync.example.com/fgd
data_directory: data
log: {format: json, filter: 'info,fgd_sync::run=debug'}
redis: {url: 'rediss://u:made-up@redis.example.com', ca_file: ca.pem, prefix: 'team:'}
api_tokens:
  - {name: operations, token_file: api-token, role: operate, expires: 2999-12-31}
  - {name: hashed, token_sha256: abababababababababababababababababababababababababababababababab}
rate_limits: {api_per_second: 7, refused_webhooks_per_minute: 0}
trusted_proxies: [10.0.0.0/8]
debounce: {quiet_ms: 10, max_wait_ms: 20, max_changes: 7}
workers: 2
schedule: {full_comparison_minutes: 30, poll_head_seconds: 10}
retry: {first_wait_seconds: 1, longest_wait_seconds: 60, attempts: 3}
circuit_breaker: {failures: 0, first_wait_seconds: 1, longest_wait_seconds: 9}
netbox:
  west-2:
    url: https://netbox.example.com/sub
    token_file: netbox-token
    model: hedgehog
    webhook_secrets: [made-up-secret-number-one, {file: hook}]
    ca_file: ca.pem
    proxy: http://proxy.example.com:3128
    max_runs: 2
repositories:
  ssh:
    kind: git
    url: git@git.example.com:team/fabrics.git
    ssh_key_file: key
    known_hosts_file: known_hosts
    webhook_secret_file: hook
    github: Team/fabrics
    max_runs: 0
fabrics:
  'Lab: 1':
    netbox: west-2
    repository: ssh
    branch: release/1.0
    directory: .
    on_git_delete: delete
    on_first_difference: git
    direction: git_to_netbox
    on_drift: heal
    archive: rename
    validation: off
    crds: crds
    deletion_guard: {count: 1, percent: 2, window_seconds: 3}
service: {name: Sync, email: sync@example.com}
author_email_domain: users.example.com
people:
  ada: {name: Ada Lovelace, email: ada@example.com}
",
    )
    .file("api-token", "made-up-api-token\n")
    .file("netbox-token", "made-up-netbox-token\n")
    .file("hook", "made-up-secret-number-two\n")
    .file("crds", "")
    .file("ca.pem", "")
    .file("key", "")
    .file("known_hosts", "");

    let settings = case.settings();

    assert_eq!(settings.public_url.as_str(), "https://sync.example.com/fgd/");
    assert_eq!(settings.data_directory, case.path("data"));
    assert!(matches!(&settings.redis, Redis::Server { prefix, .. } if prefix == "team:"));
    assert_eq!((settings.api_tokens[0].name.as_str(), settings.api_tokens[0].role), ("operations", Role::Operate));
    assert!(matches!(settings.api_tokens[1].secret, TokenSecret::Sha256([0xab, ..])));
    assert_eq!(settings.api_tokens[1].role, Role::Admin);
    assert_eq!(settings.rate_limits.api_per_second.map(NonZeroU32::get), Some(7));
    assert_eq!(settings.rate_limits.refused_webhooks_per_minute, None);
    assert!(settings.trusted_proxies[0].contains("10.1.2.3".parse().unwrap()));
    assert_eq!(settings.retry.attempts, 3);
    assert_eq!(settings.circuit_breaker.failures, 0);
    assert_eq!(settings.circuit_breaker.longest_wait, Duration::from_secs(9));
    let netbox = &settings.netboxes[&NetBoxName::new("west-2")];
    assert_eq!(netbox.url.as_str(), "https://netbox.example.com/sub/");
    assert_eq!((netbox.model, netbox.max_runs), (ObjectModel::Hedgehog, 2));
    assert_eq!(text(&netbox.token), "made-up-netbox-token");
    let secrets: Vec<_> = netbox.webhook_secrets.iter().map(text).collect();
    assert_eq!(secrets, ["made-up-secret-number-one", "made-up-secret-number-two"]);
    let repository = &settings.repositories[&RepoName::new("ssh")];
    assert!(matches!(&repository.access, Access::Ssh { key_file: Some(key), .. } if *key == case.path("key")));
    assert_eq!(repository.url.identity(), "git.example.com/team/fabrics");
    assert_eq!((repository.host().as_deref(), repository.max_runs), (Some("git.example.com"), 0));
    assert_eq!(repository.cache_directory, case.path("data/repositories/ssh"));
    let fabric = &settings.fabrics[&FabricName::new("Lab: 1")];
    assert_eq!(fabric.target.to_string(), "ssh@release/1.0");
    assert!(fabric.directory.is_root());
    assert_eq!(fabric.policy.on_git_delete, OnGitDelete::Delete);
    assert_eq!(fabric.policy.on_first_difference, OnFirstDifference::Git);
    assert_eq!((fabric.policy.direction, fabric.policy.on_drift), (Direction::GitToNetbox, OnDrift::Heal));
    assert_eq!(fabric.policy.archive, Archive::Rename);
    assert_eq!(fabric.policy.validation, Validation::Off);
    assert_eq!(settings.crds[&FabricName::new("Lab: 1")], case.path("crds"));
    assert_eq!(fabric.policy.guard.window, Duration::from_secs(3));
    assert_eq!(settings.people.known["ada"].name, "Ada Lovelace");
    assert_eq!(settings.people.domain, "users.example.com");
    assert_eq!(shown(&settings.warnings), "");
}

#[test]
fn the_example_passes_with_the_secrets_that_it_asks_for() {
    let environment = Environment::from(
        [
            ("FGD_API_TOKEN", "made-up-api-token"),
            ("FGD_NETBOX_MAIN_TOKEN", "made-up-netbox-token"),
            ("FGD_NETBOX_MAIN_WEBHOOK_SECRET", "made-up-netbox-secret"),
            ("FGD_REPOSITORY_MAIN_TOKEN", "made-up-git-token"),
            ("FGD_REPOSITORY_MAIN_WEBHOOK_SECRET", "made-up-git-secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );

    let settings = config::load(Some(&in_repository("deploy/fgd-sync.example.yaml")), &environment)
        .unwrap_or_else(|problems| panic!("{}", shown(&problems)));

    assert_eq!(shown(&settings.warnings), "");
}

/// The settings with which the README begins.
fn readmes() -> String {
    let readme = std::fs::read_to_string(in_repository("README.md")).unwrap();
    let (_, from) = readme.split_once("\n    # fgd-sync.yaml\n").expect("the README shows settings");
    let lines = from.lines().map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_settings_in_the_readme_are_good() {
    let secrets = ["api-token", "netbox-token", "netbox-webhook", "git-token", "git-webhook"];
    let case =
        secrets.iter().fold(Case::new(&readmes()), |case, name| case.file(name, &format!("made-up-{name}-text")));

    let settings = case.settings();

    assert_eq!(shown(&settings.warnings), "");
    assert!(settings.fabrics.contains_key(&FabricName::new("lab")));
    assert_eq!(settings.data_directory, case.path("./data"));
}

#[test]
fn the_example_states_the_defaults() {
    let environment = Environment::from([("FGD_NETBOX_MAIN_TOKEN".to_owned(), "made-up".to_owned())]);

    let example = config::load(Some(&in_repository("deploy/fgd-sync.example.yaml")), &environment).unwrap();

    let defaults = Case::new(GOOD).settings();
    assert_eq!(example.debounce, defaults.debounce);
    assert_eq!(example.schedule, defaults.schedule);
    assert_eq!(example.retry, defaults.retry);
    assert_eq!(example.circuit_breaker, defaults.circuit_breaker);
    let limits = |settings: &config::Settings| {
        (settings.netboxes[&NetBoxName::new("main")].max_runs, settings.repositories[&RepoName::new("main")].max_runs)
    };
    assert_eq!(limits(&example), limits(&defaults));
    assert_eq!((example.workers, example.listen, &example.log), (defaults.workers, defaults.listen, &defaults.log));
    assert_eq!(example.worker_listen, defaults.worker_listen);
    assert_eq!(example.lease, defaults.lease);
    assert_eq!(example.data_directory, defaults.data_directory);
    let lab = FabricName::new("lab");
    assert_eq!(example.fabrics[&lab].policy, defaults.fabrics[&lab].policy);
}

#[test]
fn the_environment_file_lists_every_variable_and_no_other() {
    let file = std::fs::read_to_string(in_repository(".env.example")).unwrap();
    let listed: BTreeSet<String> =
        file.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).filter(|n| !n.contains('#')).collect();

    let known: BTreeSet<String> = config::VARIABLES
        .iter()
        .map(|variable| variable.name.replace("<NAME>", "MAIN"))
        .chain([config::FILE_VARIABLE.to_owned()])
        .collect();

    assert_eq!(listed, known);
}

#[test]
fn every_variable_reaches_a_setting() {
    for variable in config::VARIABLES {
        let name = variable.name.replace("<NAME>", "MAIN");
        let case = Case::new(GOOD).variable(&name, "\u{7}");

        let outcome = case.load();

        let felt = match &outcome {
            Err(problems) => problems.iter().any(|problem| problem.place == Some(Place::Variable(name.clone()))),
            Ok(settings) => settings.data_directory == Path::new("\u{7}"),
        };
        assert!(felt, "{name} changed nothing: {outcome:?}");
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let case = Case::new(
        "\
listen: nowhere
workers: 0
redis: {}
netbox:
  main: {url: 'ftp://x', token: a}
repositories:
  main: {url: 'relative/path'}
fabrics:
  lab: {netbox: mian, repository: main, branch: 'a..b', directory: ../x, colour: red}
",
    );

    let settings: Vec<_> = case.problems().into_iter().map(|problem| problem.setting).collect();

    assert_eq!(
        settings,
        [
            "listen",
            "workers",
            "redis.url",
            "netbox.main.url",
            "repositories.main.url",
            "fabrics.lab.netbox",
            "fabrics.lab.branch",
            "fabrics.lab.directory",
            "fabrics.lab.colour",
        ]
    );
}

#[test]
fn a_problem_names_its_setting_its_place_and_the_remedy() {
    let case = with("directory: fabrics/lab", "directory: /etc");

    let problem = case.only_problem();

    let place = format!("fabrics.lab.directory ({}:8:52): `/etc` cannot be", case.path("fgd-sync.yaml").display());
    assert!(problem.to_string().starts_with(&place), "{problem}");
    assert!(problem.to_string().ends_with("such as `fabrics/lab`."), "{problem}");
}

#[test]
fn an_unknown_setting_is_an_error_that_guesses_what_was_meant() {
    for (from, to, setting, remedy) in [
        ("directory: ", "directroy: ", "fabrics.lab.directroy", "Did you mean `directory`?"),
        ("api_token: ", "api_tokne: ", "api_tokne", "Did you mean `api_token`?"),
        ("fabrics/lab}", "fabrics/lab, deletion_guard: {cuont: 1}}", "fabrics.lab.deletion_guard.cuont", "`count`?"),
        (
            "redis: embedded",
            "redis: {url: 'redis://localhost', x: 1}",
            "redis.x",
            "Known here: url, url_file, ca_file, prefix",
        ),
    ] {
        let problems = with(from, to).problems();

        let found = problems.iter().find(|problem| problem.setting == setting);
        assert!(found.is_some_and(|problem| problem.remedy.contains(remedy)), "{}", shown(&problems));
    }
}

#[test]
fn a_setting_that_stands_twice_is_refused() {
    let problem = Case::new(&format!("{GOOD}workers: 1\nworkers: 2\n")).only_problem();

    assert!(problem.to_string().contains(":10:"), "{problem}");
    assert!(problem.message.contains("workers"), "{problem}");
}

#[test]
fn yaml_that_cannot_be_read_names_its_line_but_quotes_nothing() {
    let problem = Case::new("api_token: made-up-api-token\nlisten: [\n").only_problem();

    assert!(matches!(problem.place, Some(Place::File { line: 2 | 3, .. })), "{problem}");
    assert!(!problem.to_string().contains("made-up-api-token"), "{problem}");
}

#[test]
fn a_missing_file_says_how_to_name_one() {
    let problems = config::load(Some(Path::new("/nowhere/fgd-sync.yaml")), &Environment::new()).unwrap_err();

    assert!(problems[0].to_string().contains("/nowhere/fgd-sync.yaml"), "{}", problems[0]);
    assert!(problems[0].remedy.contains("FGD_CONFIG"), "{}", problems[0]);
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let case = Case::new(GOOD);
    let path = case.path("fgd-sync.yaml").display().to_string();

    let settings = config::load(None, &Environment::from([(config::FILE_VARIABLE.to_owned(), path)])).unwrap();

    assert_eq!(settings.fabrics.len(), 1);
}

#[test]
fn without_redis_the_error_names_both_choices() {
    let problem = with("redis: embedded\n", "").only_problem();

    assert!(problem.remedy.contains("redis: embedded") && problem.remedy.contains("FGD_REDIS_URL"), "{problem}");
}

#[test]
fn a_variable_wins_over_the_file() {
    let case = with("token: made-up-token", "token_file: not-there")
        .file("env-token", "from the variable's file\n")
        .variable("FGD_REDIS_URL", "redis://localhost:6379")
        .variable("FGD_WORKERS", "9");
    let token = case.path("env-token").display().to_string();
    let case = case.variable("FGD_NETBOX_MAIN_TOKEN_FILE", token);

    let settings = case.settings();

    assert!(matches!(settings.redis, Redis::Server { .. }));
    assert_eq!(settings.workers.get(), 9);
    assert_eq!(text(&settings.netboxes[&NetBoxName::new("main")].token), "from the variable's file");
}

#[test]
fn a_variable_adds_a_token_beside_the_files() {
    let case = with("api_token: made-up-api-token", "api_tokens: [{name: ops, token: made-up-one}]")
        .variable("FGD_API_TOKEN", "made-up-two");

    let names: Vec<_> = case.settings().api_tokens.into_iter().map(|token| token.name).collect();

    assert_eq!(names, ["default", "ops"]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = Case::new(GOOD).variable("FGD_REDIS_URL", "").variable("FGD_NETBOX_MAIN_TOKEN", "").settings();

    assert!(matches!(settings.redis, Redis::Embedded));
}

#[test]
fn an_unknown_variable_is_a_warning_and_a_clusters_own_are_not() {
    let case = Case::new(GOOD).variable("FGD_WORKRES", "9").variable("FGD_SYNC_SERVICE_HOST", "10.0.0.1");
    let case = case.variable("FGD_URL", "http://127.0.0.1:8080");

    let warnings = case.settings().warnings;

    assert_eq!(warnings.len(), 1, "{}", shown(&warnings));
    assert!(warnings[0].remedy.contains("FGD_WORKERS"), "{}", warnings[0]);
}

#[test]
fn a_problem_in_a_variable_names_the_variable() {
    let problem = Case::new(GOOD).variable("FGD_WORKERS", "many").only_problem();

    assert!(problem.to_string().starts_with("workers (from FGD_WORKERS): "), "{problem}");
}

#[test]
fn redis_cannot_be_both_embedded_and_a_server() {
    let case = Case::new(GOOD).variable("FGD_REDIS", "embedded").variable("FGD_REDIS_URL", "redis://localhost");

    assert_eq!(case.only_problem().setting, "redis");
}

#[test]
fn a_secret_cannot_stand_twice() {
    let problem = with("token: made-up-token", "token: made-up-token, token_file: t").file("t", "x").only_problem();

    assert_eq!(problem.setting, "netbox.main.token");
}

#[test]
fn a_secret_file_is_read_at_every_use() {
    let case = with("token: made-up-token", "token_file: t").file("t", "first\n");
    let settings = case.settings();
    let token = &settings.netboxes[&NetBoxName::new("main")].token;
    assert_eq!(text(token), "first");

    let _case = case.file("t", "second\n");

    assert_eq!(text(token), "second");
}

#[test]
fn a_secret_that_is_no_secret_is_refused() {
    for secret in ["", "\n", "two\nlines", "a\u{0}b"] {
        let case = with("token: made-up-token", "token_file: t").file("t", secret);

        assert_eq!(case.only_problem().setting, "netbox.main.token_file", "{secret:?} was taken");
    }
}

#[test]
fn a_secret_file_that_is_not_there_is_named() {
    let case = with("token: made-up-token", "token_file: gone");

    assert!(case.only_problem().message.contains(&case.path("gone").display().to_string()));
}

#[test]
fn no_message_and_no_debug_text_repeats_a_secret() {
    let case = Case::new(
        &GOOD
            .replace("made-up", "hunter2")
            .replace("redis: embedded", "redis: {url: 'http://u:hunter2@h', ca_file: x}")
            .replace("https://git.", "https://u:hunter2@git.")
            .replace("https://netbox.", "https://u:hunter2@netbox."),
    );

    assert!(!shown(&case.problems()).contains("hunter2"));
    let settings = Case::new(&GOOD.replace("made-up", "hunter2")).settings();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn an_address_may_hold_no_password() {
    for (from, setting) in [("https://git.", "repositories.main.url"), ("https://netbox.", "netbox.main.url")] {
        let problem = with(from, &from.replace("//", "//user:secret@")).only_problem();

        assert_eq!(problem.setting, setting);
    }
}

#[test]
fn a_reference_must_lead_somewhere() {
    for (from, to, setting) in [
        ("netbox: main", "netbox: mian", "fabrics.lab.netbox"),
        ("repository: main", "repository: mian", "fabrics.lab.repository"),
    ] {
        let problem = with(from, to).only_problem();

        assert_eq!((problem.setting.as_str(), problem.remedy.as_str()), (setting, "Did you mean `main`?"));
    }
}

#[test]
fn two_fabrics_cannot_own_the_same_or_nested_directories() {
    for (directory, refused) in [
        ("fabrics/lab", true),
        ("fabrics/Lab", true),
        ("fabrics/lab/inner", true),
        ("fabrics", true),
        (".", true),
        ("fabrics/lab2", false),
        ("other", false),
    ] {
        let case = Case::new(&format!("{GOOD}  two: {{netbox: main, repository: main, directory: {directory}}}\n"));

        let outcome = case.load().map_err(|problems| problems[0].setting.clone());

        let expected = if refused { Err("fabrics.two.directory".to_owned()) } else { Ok(()) };
        assert_eq!(outcome.map(|_| ()), expected, "{directory}");
    }
}

#[test]
fn another_branch_may_hold_the_same_directory() {
    let case =
        Case::new(&format!("{GOOD}  two: {{netbox: main, repository: main, branch: two, directory: fabrics/lab}}\n"));

    assert_eq!(case.settings().fabrics.len(), 2);
}

#[test]
fn a_first_difference_cannot_go_against_the_direction() {
    let fabric = "directory: fabrics/lab, direction: netbox_to_git, on_first_difference: git";

    let problem = with("directory: fabrics/lab", fabric).only_problem();

    assert_eq!(problem.setting, "fabrics.lab.on_first_difference");
    assert!(problem.message.contains("drift"), "{problem}");
}

#[test]
fn a_policy_that_the_direction_leaves_without_effect_is_a_warning() {
    for (settings, idle) in [
        ("on_drift: heal", "fabrics.lab.on_drift"),
        ("direction: git_to_netbox, on_conflict: git", "fabrics.lab.on_conflict"),
    ] {
        let fabric = format!("directory: fabrics/lab, {settings}");

        let warnings = with("directory: fabrics/lab", &fabric).settings().warnings;

        assert_eq!(warnings.iter().map(|warning| warning.setting.as_str()).collect::<Vec<_>>(), [idle]);
    }
}

#[test]
fn one_repository_cannot_have_two_names() {
    let case = with("fabrics:\n", "  again: {url: 'git@GIT.example.com:team/fabrics'}\nfabrics:\n");
    let case = Case::new(&format!(
        "{}  two: {{netbox: main, repository: again, directory: fabrics/lab}}\n",
        std::fs::read_to_string(case.path("fgd-sync.yaml")).unwrap()
    ));

    let settings: Vec<_> = case.problems().into_iter().map(|problem| problem.setting).collect();

    assert_eq!(settings, ["repositories.again", "fabrics.two.directory"]);
}

#[test]
fn two_netboxes_cannot_share_a_webhook_secret() {
    let other = "  other: {url: 'https://other.example.com', token: t, webhook_secret: made-up-netbox-secret}\n";
    let case = with("repositories:\n", &format!("{other}repositories:\n"));

    assert_eq!(case.only_problem().setting, "netbox.other.webhook_secret");
}

#[test]
fn two_tokens_of_the_api_must_differ_in_name_and_text() {
    let tokens = "api_tokens: [{name: a, token: one}, {name: a, token: two}, {name: b, token: two}]";

    let problems = with("api_token: made-up-api-token", tokens).problems();

    let settings: Vec<_> = problems.iter().map(|problem| problem.setting.as_str()).collect();
    assert_eq!(settings, ["api_tokens[1].token", "api_tokens[2].token"]);
}

#[test]
fn a_token_and_its_digest_are_the_same_token() {
    // printf %s one | sha256sum
    let digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    let tokens = format!("api_tokens: [{{name: a, token: one}}, {{name: b, token_sha256: {digest}}}]");

    let problem = with("api_token: made-up-api-token", &tokens).only_problem();

    assert_eq!(problem.setting, "api_tokens[1].token_sha256");
    assert!(problem.message.contains("the same token"), "{problem}");
}

#[test]
fn what_a_token_gets_wrong_is_named() {
    for (token, setting) in [
        ("{name: a}", "api_tokens[0].token"),
        ("{name: a, token_sha256: abc}", "api_tokens[0].token_sha256"),
        ("{name: a, token: x, token_sha256: 'ab'}", "api_tokens[0].token_sha256"),
        ("{name: a, token: x, role: root}", "api_tokens[0].role"),
        ("{name: a, token: x, expires: soon}", "api_tokens[0].expires"),
    ] {
        let problems = with("api_token: made-up-api-token", &format!("api_tokens: [{token}]")).problems();

        assert_eq!(problems[0].setting, setting, "{}", shown(&problems));
    }
    let proxies = Case::new(&format!("{GOOD}trusted_proxies: [10.0.0.0/8, everybody]\n")).only_problem();
    assert_eq!(proxies.setting, "trusted_proxies[1]");
}

#[test]
fn a_token_whose_day_is_over_is_a_warning() {
    let over = with("api_token: made-up-api-token", "api_tokens: [{name: a, token: x, expires: 2020-01-31}]");

    let warnings = over.settings().warnings;

    assert!(warnings.iter().any(|warning| warning.setting == "api_tokens[0].expires"), "{}", shown(&warnings));
}

#[test]
fn waits_must_fit_each_other() {
    for (extra, setting) in [
        ("debounce: {quiet_ms: 20000}", "debounce.quiet_ms"),
        ("debounce: {max_changes: 0}", "debounce.max_changes"),
        ("retry: {first_wait_seconds: 10, longest_wait_seconds: 5}", "retry.first_wait_seconds"),
        ("circuit_breaker: {first_wait_seconds: 10, longest_wait_seconds: 5}", "circuit_breaker.first_wait_seconds"),
        ("schedule: {poll_head_seconds: 0}", "schedule.poll_head_seconds"),
    ] {
        let problem = Case::new(&format!("{GOOD}{extra}\n")).only_problem();

        assert_eq!(problem.setting, setting);
    }
}

#[test]
fn credentials_that_an_address_cannot_use_are_refused() {
    for (url, extra, setting) in [
        ("git@git.example.com:a/b", "token: t", "repositories.main.token"),
        ("https://git.example.com/a/b", "ssh_key_file: k", "repositories.main.ssh_key_file"),
        ("/srv/git/a.git", "proxy: 'http://p'", "repositories.main.proxy"),
        ("https://git.example.com/a/b", "user: me", "repositories.main.user"),
    ] {
        let case = with("'https://git.example.com/team/fabrics.git'", &format!("'{url}', {extra}"));

        assert_eq!(case.only_problem().setting, setting);
    }
}

#[test]
fn what_works_at_a_risk_is_a_warning() {
    for (from, to, setting) in [
        ("made-up-netbox-secret", "short", "netbox.main.webhook_secret"),
        ("api_token: made-up-api-token\n", "", "api_tokens"),
        ("https://netbox", "http://netbox", "netbox.main.url"),
        (", webhook_secret: made-up-netbox-secret", "", "netbox.main.webhook_secret"),
        (", webhook_secret: made-up-git-secret", "", "repositories.main"),
        ("redis: embedded", "redis: embedded\nlisten: 0.0.0.0:8080", "public_url"),
    ] {
        let warnings = with(from, to).settings().warnings;

        let settings: Vec<_> = warnings.iter().map(|warning| warning.setting.as_str()).collect();
        assert_eq!(settings, [setting]);
    }
}

#[test]
fn a_text_that_yaml_takes_for_something_else_asks_for_quotes() {
    let problem = with("directory: fabrics/lab", "branch: on, directory: fabrics/lab").only_problem();

    assert_eq!((problem.setting.as_str(), problem.remedy.as_str()), ("fabrics.lab.branch", "Put the value in quotes."));
}

#[test]
fn a_name_that_could_not_be_a_directory_is_refused() {
    let problem = with("repositories:\n  main:", "repositories:\n  ../x:").problems().remove(0);

    assert_eq!(problem.setting, "repositories[\"../x\"]");
}

/// The example with every setting that it only shows.
fn uncommented_example() -> String {
    let example = std::fs::read_to_string(in_repository("deploy/fgd-sync.example.yaml")).unwrap();
    example
        .replace("\nredis: embedded\n", "\n")
        .lines()
        .map(|line| {
            let bare = line.trim_start();
            let indent = &line[..line.len() - bare.len()];
            match bare.strip_prefix("# ") {
                Some(rest) if looks_like_a_setting(rest) => format!("{indent}{rest}\n"),
                Some(_) | None => format!("{line}\n"),
            }
        })
        .collect()
}

#[test]
fn the_commented_settings_of_the_example_are_real_ones() {
    let problems = Case::new(&uncommented_example()).problems();

    let unknown: Vec<_> = problems.iter().filter(|problem| problem.message == "unknown setting").collect();
    assert!(
        problems.iter().any(|problem| problem.setting == "netbox.main.proxy" || problem.setting.contains("ca_file"))
    );
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// `name: value`, `name:` or a list item, as against a sentence.
fn looks_like_a_setting(text: &str) -> bool {
    let text = text.trim_start().trim_start_matches("- ");
    let name = text.split(':').next().unwrap();
    text.contains(':') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The problem of `kinds:` with this text below it.
fn kinds(text: &str) -> String {
    shown(&Case::new(&format!("{GOOD}kinds:\n{text}")).problems())
}

#[test]
fn kinds_of_the_settings_follow_the_built_in_ones() {
    let text = "kinds:\n  SwitchProfile: {api_version: wiring.githedgehog.com/v1beta1, custom_object: hedgehog-switch-profiles}\n  \
                Vlan:\n    api_version: netbox.example.com/v1\n    directory: networks\n    mapped:\n      endpoint: /ipam/vlans\n      \
                object_type: ipam.vlan\n      fabric: site.slug\n      fields: {vid: vid}\n";

    let settings = Case::new(&format!("{GOOD}{text}")).settings();

    let specs: Vec<_> = settings.kinds.iter().skip(12).collect();
    assert_eq!((specs[0].directory.as_str(), specs[1].directory.as_str()), ("switchprofiles", "networks"));
    assert_eq!(specs[0].custom_object_slug().as_deref(), Some("hedgehog-switch-profiles"));
    let mapping = specs[1].mapping().unwrap();
    assert_eq!((mapping.endpoint.as_str(), mapping.name.to_string().as_str()), ("ipam/vlans/", "name"));
}

#[test]
fn a_kind_that_cannot_be_kept_is_told_with_what_to_write() {
    let profile = "api_version: wiring.githedgehog.com/v1beta1, custom_object: hedgehog-profiles";
    for (text, found) in [
        ("  profile: {}\n".to_owned(), "cannot be a kind"),
        ("  Profile: {custom_object: x}\n".to_owned(), "api_version"),
        ("  Profile: {api_version: v1, custom_object: x}\n".to_owned(), "is not group and version"),
        ("  Profile: {api_version: a.b/v1}\n".to_owned(), "is missing, and so is `mapped`"),
        ("  Profile: {api_version: a.b/v1, custom_object: 'A B'}\n".to_owned(), "cannot be a slug"),
        (format!("  Profile: {{{profile}, directory: ../x}}\n"), "cannot be a directory"),
        (format!("  Profile: {{{profile}, mapped: {{}}}}\n"), "stands beside `custom_object`"),
        (format!("  VPC: {{{profile}}}\n"), "VPC and VPC have the same name"),
        (format!("  Profile: {{{profile}, directory: vpcs}}\n"), "Profile and VPC have the same directory"),
        (
            "  Vlan: {api_version: a.b/v1, mapped: {endpoint: vlans, object_type: vlan, fabric: a..b, fields: {}}}\n"
                .to_owned(),
            "is not an endpoint",
        ),
    ] {
        let problems = kinds(&text);
        assert!(problems.contains(found), "{text}gave\n{problems}");
    }
}

/// `GOOD` with its repository on GitHub.
fn on_github(settings: &str) -> Case {
    with("main: {url: 'https://git.example.com/team/fabrics.git',", &format!("main: {{kind: github, {settings},"))
}

fn github_of(case: &Case) -> config::GitHub {
    match &case.settings().repositories[&RepoName::new("main")].access {
        Access::GitHub(github) => github.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repository_on_github_needs_its_name_and_a_token() {
    let case = on_github("github: team/fabrics, token: made-up-token");

    let github = github_of(&case);
    let repository = &case.settings().repositories[&RepoName::new("main")];

    assert_eq!((github.owner.as_str(), github.name.as_str()), ("team", "fabrics"));
    assert_eq!(github.api.as_str(), "https://api.github.com/");
    assert!(matches!(&github.login, GitHubLogin::Token(token) if text(token) == "made-up-token"));
    assert_eq!((github.signing, github.commit_status), (Signing::Nobody, CommitStatus::Off));
    assert_eq!(repository.url.identity(), "github.com/team/fabrics");
    assert_eq!(repository.github.as_deref(), Some("team/fabrics"));
    assert_eq!(shown(&case.settings().warnings), "");
}

#[test]
fn everything_about_a_repository_on_github_arrives() {
    let case = on_github(
        "github: team/fabrics, api_url: 'https://git.example.com/api/v3', signed: true, commit_status: on, \
         app: {id: 1234, installation: 5678, key_file: app.pem}, proxy: 'http://proxy:3128', ca_file: ca.pem",
    )
    .file("app.pem", "made up")
    .file("ca.pem", "made up");

    let github = github_of(&case);

    assert_eq!(github.api.as_str(), "https://git.example.com/api/v3/");
    assert_eq!((github.signing, github.commit_status), (Signing::Server, CommitStatus::On));
    assert!(matches!(
        &github.login,
        GitHubLogin::App { id, installation: Some(5678), key_file } if id == "1234" && *key_file == case.path("app.pem")
    ));
    assert_eq!(github.ca_file, Some(case.path("ca.pem")));
    assert_eq!(github.proxy.unwrap().as_str(), "http://proxy:3128/");
    let repository = &case.settings().repositories[&RepoName::new("main")];
    assert_eq!(repository.url.as_str(), "https://git.example.com/team/fabrics.git");
}

#[test]
fn the_key_of_an_app_may_come_from_the_environment() {
    let case = on_github("github: team/fabrics, app: {id: Iv23liABC}").file("key.pem", "made up");
    let case = {
        let path = case.path("key.pem");
        case.variable("FGD_REPOSITORY_MAIN_APP_KEY_FILE", path.to_str().unwrap())
    };

    let github = github_of(&case);

    assert!(matches!(
        &github.login,
        GitHubLogin::App { id, installation: None, key_file } if id == "Iv23liABC" && *key_file == case.path("key.pem")
    ));
}

#[test]
fn what_cannot_be_a_repository_on_github_is_named() {
    for (settings, setting) in [
        ("token: made-up-token", "github"),
        ("github: fabrics, token: made-up-token", "github"),
        ("github: team/.., token: made-up-token", "github"),
        ("github: team/fabrics", "token"),
        ("github: team/fabrics, token: made-up-token, app: {id: 1, key_file: fgd-sync.yaml}", "app"),
        ("github: team/fabrics, app: {id: 1}", "app.key_file"),
        ("github: team/fabrics, app: {key_file: fgd-sync.yaml}", "app.id"),
        ("github: team/fabrics, token: made-up-token, signed: maybe", "signed"),
        ("github: team/fabrics, token: made-up-token, user: bot", "user"),
        ("github: team/fabrics, token: made-up-token, api_url: 'https://github.com'", "api_url"),
        ("github: team/fabrics, token: made-up-token, api_url: 'https://git.example.com'", "api_url"),
    ] {
        let problem = on_github(settings).only_problem();

        assert_eq!(problem.setting, format!("repositories.main.{setting}"), "{settings}");
    }
}

#[test]
fn what_only_github_has_is_refused_elsewhere() {
    let problem =
        with("main: {url: 'https://git.example.com/team/fabrics.git',", "main: {url: /srv/git/f.git, signed: true,")
            .only_problem();

    assert_eq!(problem.setting, "repositories.main.signed");
}

#[test]
fn traces_go_where_the_settings_or_opentelemetrys_variables_say() {
    let endpoint = |case: Case| case.settings().telemetry.endpoint.map(String::from);
    let set = format!("{GOOD}telemetry: {{otlp_endpoint: 'http://one:4318'}}\n");
    let of_all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://two:4318/otlp");
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://three:4318/own");

    assert_eq!(endpoint(Case::new(GOOD)), None);
    assert_eq!(endpoint(Case::new(&set).variable(of_all.0, of_all.1)).as_deref(), Some("http://one:4318/v1/traces"));
    let both = Case::new(GOOD).variable(of_all.0, of_all.1);
    assert_eq!(endpoint(both).as_deref(), Some("http://two:4318/otlp/v1/traces"));
    let own = Case::new(GOOD).variable(of_all.0, of_all.1).variable(of_traces.0, of_traces.1);
    assert_eq!(endpoint(own).as_deref(), Some("http://three:4318/own"));
    assert_eq!(endpoint(Case::new(&set).variable("OTEL_SDK_DISABLED", "true")), None);
    let bad = Case::new(GOOD).variable(of_all.0, "collector:4318").only_problem();
    assert!(bad.to_string().contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{bad}");
}

#[test]
fn a_header_of_the_collector_is_a_secret() {
    let case =
        Case::new(GOOD).variable("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20made-up-too,x-tenant=lab");

    let telemetry = case.settings().telemetry;

    let headers: Vec<_> =
        telemetry.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(headers, [("authorization", "Bearer made-up-too"), ("x-tenant", "lab")]);
    assert!(!format!("{telemetry:?}").contains("made-up-too"));
}

#[test]
fn tls_needs_both_files() {
    let half = Case::new(&format!("{GOOD}tls: {{certificate_file: tls.crt}}\n")).file("tls.crt", "").only_problem();
    let both = format!("{GOOD}tls: {{certificate_file: tls.crt, key_file: tls.key}}\n");
    let case = Case::new(&both).file("tls.crt", "").file("tls.key", "");

    assert_eq!(half.setting, "tls.key_file");
    let settings = case.settings();
    assert_eq!(settings.tls.unwrap().key_file, case.path("tls.key"));
    assert_eq!(settings.public_url.scheme(), "https");
}

#[test]
fn yaml_that_cannot_be_read_is_told_in_the_writers_words() {
    let problem = Case::new("redis: embedded\nredis: embedded\n").only_problem();

    assert_eq!(problem.place.unwrap().to_string().rsplit('/').next(), Some("fgd-sync.yaml:2:1"));
    assert_eq!(problem.message, "not YAML that can be read: duplicate mapping key: redis not allowed here");
}

#[test]
fn a_file_that_is_no_text_says_how_to_write_it() {
    let case = Case::new("");
    std::fs::write(case.path("fgd-sync.yaml"), b"redis: \xff\n").unwrap();

    let problem = case.only_problem();

    assert!(problem.message.contains("fgd-sync.yaml cannot be read"), "{problem}");
    assert_eq!(problem.remedy, "Write it as UTF-8 text.");
}
