//! The commands that ask a running service: the real binary, its answers and its exit codes.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::app::{API_TOKEN, TestApp};
use crate::support::process::free_port;

mod asking;
mod doctor;
mod fabrics;
mod halves;
mod setup;

/// How a command ended.
pub struct Ended(Output);

impl Ended {
    #[track_caller]
    fn code(&self, code: i32) -> &Self {
        assert_eq!(self.0.status.code(), Some(code), "out: {}\nerr: {}", self.out(), self.err());
        self
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out()).unwrap_or_else(|error| panic!("{error}: {}", self.out()))
    }
}

/// The binary with no environment but what the test gives it.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fgd-sync"));
    command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(args: &[&str]) -> Ended {
    Ended(command(args).output().await.unwrap())
}

fn asking(app: &TestApp, args: &[&str]) -> Command {
    let mut command = command(args);
    command.env("FGD_URL", app.address()).env("FGD_TOKEN", API_TOKEN);
    command
}

async fn ask(app: &TestApp, args: &[&str]) -> Ended {
    Ended(asking(app, args).output().await.unwrap())
}

/// As `ask`, while the worker does what the command asks for.
async fn ask_at_work(app: &TestApp, args: &[&str]) -> Ended {
    let ended = asking(app, args).output();
    let working = async {
        loop {
            app.drain().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = ended => Ended(ended.unwrap()),
        () = working => unreachable!("it works until it is dropped"),
    }
}

async fn in_conflict(app: &TestApp) {
    const FILE: &str = "managed/servers/one.yaml";
    app.netbox_user("alice").create("Server", "one", json!({"description": "old"})).await;
    app.sync().await;
    app.netbox_user("bob").update("Server", "one", json!({"description": "from netbox"})).await;
    let file = app.files().await[FILE].replace("old", "from git");
    app.push(&[(FILE, &file)]).await;
    app.sync().await;
}

#[tokio::test]
async fn a_sync_is_waited_for_and_tells_what_came_of_it() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({})).await;
    app.lose_all_deliveries().await;

    let ended = ask_at_work(&app, &["sync", "lab"]).await;

    let commit = app.commits().await[0].oid[..10].to_owned();
    let out = ended.code(0).out();
    assert!(out.starts_with("FABRIC  STATE      JOB"), "{out}");
    assert!(out.contains("lab     succeeded") && out.contains(&format!("commit {commit}: git_written 1")), "{out}");
    assert_eq!(ended.err(), "", "no progress where there is no terminal");
    app.finish().await;
}

#[tokio::test]
async fn a_dry_run_of_every_fabric_tells_the_plan_as_json() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({})).await;
    app.lose_all_deliveries().await;

    let ended = ask_at_work(&app, &["sync", "--all", "--dry-run", "--output", "json"]).await;

    let report = &ended.code(0).json()["jobs"][0]["parts"][0]["report"];
    assert_eq!((&report["dry_run"], &report["counts"]["git_written"]), (&json!(true), &json!(1)));
    assert!(!app.files().await.contains_key("managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn a_job_that_takes_longer_than_the_time_given_goes_on() {
    let app = TestApp::ready().await;

    let ended = ask(&app, &["sync", "lab", "--timeout", "1ms"]).await;
    let job = ask(&app, &["jobs", "list", "--limit", "1", "--output", "json"]).await.code(0).json();

    let id = job["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert!(ended.code(5).err().contains(&format!("fgd-sync jobs get {id}")), "{}", ended.err());
    assert_eq!(job["jobs"][0]["state"], "queued");
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn jobs_are_listed_shown_and_called_off() {
    let app = TestApp::ready().await;
    let id = ask(&app, &["sync", "lab", "--no-wait"]).await.code(0).out().trim().to_owned();

    let listed = ask(&app, &["jobs", "list", "--fabric", "lab", "--state", "queued"]).await.code(0).out();
    let cancelled = ask(&app, &["jobs", "cancel", &id]).await.code(0).out();
    let shown = ask(&app, &["jobs", "get", &id]).await.code(0).out();
    let again = ask(&app, &["jobs", "retry", &id]).await;

    assert!(listed.starts_with("ID ") && listed.contains(&id) && listed.contains("sync by test"), "{listed}");
    assert!(cancelled.contains("cancelled"), "{cancelled}");
    assert!(shown.contains("state      cancelled") && shown.contains("asked for  sync by test"), "{shown}");
    assert!(again.code(1).err().contains("not_in_this_state"), "{}", again.err());
    app.finish().await;
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_whole() {
    let app = TestApp::ready().await;
    for _ in 0..3 {
        ask(&app, &["sync", "lab", "--no-wait"]).await.code(0);
    }

    let all = ask(&app, &["jobs", "list", "--output", "json"]).await.code(0).json();
    let two = ask(&app, &["jobs", "list", "--limit", "2", "--output", "json"]).await.code(0).json();

    let ids = |jobs: &Value| -> Vec<String> {
        jobs["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&two), ids(&all)[..2]);
    assert!(ids(&all).len() >= 4, "three, and the first comparison");
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn every_change_of_a_job_is_told_while_one_watches() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let app = TestApp::ready().await;
    let mut watching = asking(&app, &["jobs", "watch", "--fabric", "lab"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut asked = Vec::new();

    // The first jobs may come before it listens.
    let line = loop {
        asked.push(ask(&app, &["sync", "lab", "--no-wait"]).await.code(0).out().trim().to_owned());
        tokio::select! {
            biased;
            line = lines.next_line() => break line.unwrap().unwrap(),
            () = app.drain() => {}
        }
    };

    assert!(asked.iter().any(|id| line.contains(id.as_str())) && line.ends_with("  lab"), "{line}");
    watching.kill().await.unwrap();
    app.sync().await;
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_is_listed_shown_and_decided() {
    let app = TestApp::ready().await;
    assert_eq!(ask(&app, &["conflicts", "list"]).await.code(0).out(), "There are no conflicts.\n");
    in_conflict(&app).await;

    let listed = ask(&app, &["conflicts", "list"]).await;
    let shown = ask(&app, &["conflicts", "show", "lab", "Server", "one"]).await.code(0).out();
    let stale = ask(&app, &["conflicts", "resolve", "lab", "Server", "one", "--side", "git", "--version", "old"]).await;
    let decided = ask_at_work(&app, &["conflicts", "resolve", "lab", "Server", "one", "--side", "netbox"]).await;

    assert!(listed.code(1).out().contains("/spec/description"), "{}", listed.out());
    let field = shown.lines().last().unwrap();
    assert_eq!(
        field.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>(),
        ["/spec/description", "\"old\"", "\"from git\"", "\"from netbox\""]
    );
    assert!(stale.code(1).err().contains("conflict_moved"), "{}", stale.err());
    assert!(decided.code(0).out().contains("succeeded"), "{}", decided.out());
    assert!(app.files().await["managed/servers/one.yaml"].contains("from netbox"));
    app.finish().await;
}

#[tokio::test]
async fn what_differs_is_listed_as_compared_last_or_now() {
    let app = TestApp::ready().await;
    let same = ask_at_work(&app, &["drift", "lab", "--compare"]).await;
    assert!(same.code(0).out().starts_with("Nothing differs, as of "), "{}", same.out());
    in_conflict(&app).await;

    let listed = ask(&app, &["drift", "lab"]).await;
    let elsewhere = ask(&app, &["drift", "lab", "--difference", "only_in_git"]).await;
    let told = ask(&app, &["drift", "lab", "--output", "json"]).await.code(1).json();

    let line = listed.code(1).out().lines().find(|line| line.starts_with("conflict")).unwrap_or_default().to_owned();
    assert!(line.contains("Server default/one") && line.contains("/spec/description"), "{}", listed.out());
    assert!(elsewhere.code(0).out().starts_with("Nothing differs"), "{}", elsewhere.out());
    assert_eq!((&told["counts"]["conflict"], &told["items"][0]["key"]["name"]), (&json!(1), &json!("one")));
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_is_decided_with_a_merged_document() {
    let app = TestApp::ready().await;
    in_conflict(&app).await;
    let merged = TempDir::new().unwrap();
    let file = merged.path().join("one.yaml");
    let document = app.files().await["managed/servers/one.yaml"].replace("from git", "from both");
    std::fs::write(&file, document).unwrap();

    let args = ["conflicts", "resolve", "lab", "Server", "one", "--side", "merged", "--document"];
    let decided = ask_at_work(&app, &[&args[..], &[file.to_str().unwrap()]].concat()).await;

    decided.code(0);
    assert!(app.files().await["managed/servers/one.yaml"].contains("from both"));
    assert_eq!(app.rows("Server").await[0]["spec"]["description"], "from both");
    app.finish().await;
}

#[tokio::test]
async fn an_error_of_the_service_is_shown_with_remedy_and_request_id() {
    let app = TestApp::ready().await;

    let ended = ask(&app, &["jobs", "get", "01KAJ3V0M1W9T6N4ZC5X8R7QHD"]).await;

    let err = ended.code(1).err();
    assert!(err.starts_with("error: Not Found (unknown_job): there is no job 01KAJ3V0M1W9T6N4ZC5X8R7QHD"), "{err}");
    assert!(err.contains("List the jobs with GET /api/v1/jobs."), "{err}");
    let id = err.lines().last().unwrap().trim().strip_prefix("X-Request-ID: ").unwrap();
    assert_eq!(id.len(), 26, "{err}");
    app.finish().await;
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_ends_with_3() {
    let url = format!("http://127.0.0.1:{}", free_port().unwrap_or_else(|failure| panic!("{failure}")));

    let ended = run(&["jobs", "list", "--url", &url]).await;

    assert!(ended.code(3).err().contains(&format!("the service at {url}/ cannot be reached")), "{}", ended.err());
}

#[tokio::test]
async fn a_token_that_is_refused_ends_with_4() {
    let app = TestApp::ready().await;

    let none = Ended(asking(&app, &["conflicts", "list"]).env_remove("FGD_TOKEN").output().await.unwrap());
    let wrong = Ended(asking(&app, &["conflicts", "list"]).env("FGD_TOKEN", "somebody-elses").output().await.unwrap());

    assert!(none.code(4).err().contains("Name the token with FGD_TOKEN"), "{}", none.err());
    assert!(!wrong.code(4).err().contains("somebody-elses"));
    app.finish().await;
}

#[tokio::test]
async fn a_token_comes_from_a_file_and_never_from_the_command_line() {
    let app = TestApp::ready().await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{API_TOKEN}\n")).unwrap();

    let good = run(&["jobs", "list", "--url", app.address(), "--token-file", file.to_str().unwrap()]).await;
    let missing = run(&["jobs", "list", "--url", app.address(), "--token-file", "/nowhere/token"]).await;
    let argument = run(&["jobs", "list", "--url", app.address(), "--token", API_TOKEN]).await;

    good.code(0);
    assert!(missing.code(2).err().contains("/nowhere/token"), "{}", missing.err());
    argument.code(2);
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_address_or_no_time_ends_with_2() {
    run(&["jobs", "list", "--url", "ftp://sync.example.com"]).await.code(2);
    run(&["sync", "lab", "--timeout", "soon"]).await.code(2);
    run(&["sync"]).await.code(2);
    run(&["conflicts", "resolve", "lab", "VPC", "web", "--side", "merged"]).await.code(2);
}

#[tokio::test]
async fn settings_are_checked_for_programs_too() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("fgd-sync.yaml"), "listen: nowhere\n").unwrap();
    let check = |output: &'static str| {
        let mut command = command(&["check", "--output", output]);
        command.current_dir(directory.path());
        async move { Ended(command.output().await.unwrap()) }
    };

    let (text, json) = (check("table").await, check("json").await);

    assert!(text.code(2).err().contains("listen (fgd-sync.yaml:1:9)"), "{}", text.err());
    let errors = json.code(2).json()["errors"].clone();
    let listen = errors.as_array().unwrap().iter().find(|error| error["setting"] == "listen").unwrap().clone();
    assert_eq!(listen["place"], "fgd-sync.yaml:1:9");
    assert!(listen["remedy"].as_str().unwrap().starts_with("Write such as"), "{listen}");
}

#[tokio::test]
async fn bash_takes_the_completions() {
    let script = run(&["completions", "bash"]).await.code(0).out();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fgd-sync.bash");
    std::fs::write(&file, script).unwrap();

    let asked = "source fgd-sync.bash && COMP_WORDS=(fgd-sync conflicts re) COMP_CWORD=2 && \
                 _fgd__sync fgd-sync re conflicts && echo \"${COMPREPLY[*]}\"";
    let shell = Command::new("bash").args(["-c", asked]).current_dir(directory.path()).output().await.unwrap();

    assert_eq!(String::from_utf8_lossy(&shell.stdout).trim(), "resolve", "{shell:?}");
}

#[tokio::test]
async fn every_command_teaches_by_examples() {
    let commands = [
        &["sync"][..],
        &["fabrics", "list"],
        &["fabrics", "get"],
        &["fabrics", "pause"],
        &["fabrics", "resume"],
        &["fabrics", "confirm-deletions"],
        &["check"],
        &["doctor"],
        &["lint"],
        &["completions"],
        &["jobs", "list"],
        &["jobs", "get"],
        &["jobs", "retry"],
        &["jobs", "cancel"],
        &["jobs", "watch"],
        &["conflicts", "list"],
        &["conflicts", "show"],
        &["conflicts", "resolve"],
        &["drift"],
        &["setup", "netbox"],
        &["setup", "github"],
    ];
    for command in commands {
        let help = run(&[command, &["--help"]].concat()).await.code(0).out();
        let example = format!("  fgd-sync {}", command.join(" "));
        assert!(help.contains("Example") && help.contains(&example), "{command:?}: {help}");
    }
    let help = run(&["--help"]).await.code(0).out();
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for line in help.lines().skip_while(|line| *line != "Exit codes:").skip(1) {
        let (code, words) = line.trim().split_once("  ").expect("a code and what it says");
        assert!(readme.contains(&format!("| {code} | {words} |")), "README.md does not say {code}: {words}");
    }
}
