//! What happens in the lab, chapter by chapter.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fgd_sync::domain::kind::Catalogue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::netbox::LabNetBox;
use crate::support::app::{FABRIC, GIT_SECRET, NETBOX_SECRET, drop_of_all_kinds};
use crate::support::git_server::{Bare, GitServer, Person, Pushed};
use crate::support::process::{Failure, Service, binary, free_port};

const BRANCH: &str = "main";
const REPOSITORY: &str = "fabrics.git";
/// How long a chapter's end may take to come: a real NetBox sends some 19 webhooks a second, and starts late.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(200);
const ACCOUNT: (&str, &str) = ("fgd-sync", "lab-git-password");

/// Protects nothing: the lab listens on this machine only.
const API_TOKEN: &str = "lab-api-token";

/// The lab's world.
pub struct Story {
    netbox: LabNetBox,
    git: GitServer,
    bare: Bare,
    pushes: mpsc::UnboundedReceiver<Pushed>,
    service: Service,
    address: String,
    directory: TempDir,
    failures: Vec<String>,
}

impl Story {
    /// Tells the whole story; with `keep` everything stays up until Ctrl-C.
    pub async fn tell(netbox: LabNetBox, keep: bool) -> Result<(), Failure> {
        let mut story = Self::begin(netbox).await?;
        story.a_drop_in_git().await?;
        story.changes_in_netbox().await?;
        story.an_edit_in_git().await?;
        story.everything_again().await?;
        story.the_end().await?;
        if keep {
            story.stay().await?;
        }
        if story.failures.is_empty() {
            println!("\nResult: Git and NetBox are equal. Everything above was seen to happen.");
            return Ok(());
        }
        Err(Failure(story.failures.join("\n  ")))
    }

    async fn begin(netbox: LabNetBox) -> Result<Self, Failure> {
        chapter(&format!("Starting: a Git server, {}, and the service with a Redis of its own", netbox.what()));
        let git = GitServer::start_with_account(ACCOUNT.0, ACCOUNT.1).await;
        let bare = git.create(REPOSITORY);
        let pushes = git.pushes();
        let directory = TempDir::new()?;
        let port = free_port()?;
        let address = format!("http://127.0.0.1:{port}");
        let settings = directory.path().join("fgd-sync.yaml");
        std::fs::write(&settings, settings_of(&netbox, &git, directory.path(), port))?;

        show("fgd-sync check", &run(&["check", "--config", &settings.display().to_string()])?);
        let setup = run(&["setup", "netbox", "--config", &settings.display().to_string()])?;
        let steps = setup.lines().count();
        show("fgd-sync setup netbox", &format!("{}\n... {steps} steps in all", first_lines(&setup, 3)));
        let service = Service::start(&settings, &address, API_TOKEN).await?;
        say(&format!("The service answers at {address}."));
        service.settled(PATIENCE).await?;
        show(
            "The first full comparison made the fabric's directory",
            &bare.git(&["log", "--format=%h %an: %s", BRANCH]),
        );
        Ok(Self { netbox, git, bare, pushes, service, address, directory, failures: Vec::new() })
    }

    async fn a_drop_in_git(&mut self) -> Result<(), Failure> {
        chapter("Git to NetBox: somebody drops a whole fabric, and some bad documents, into raw/");
        let person = self.person();
        let files = drop_of_all_kinds();
        for (path, content) in &files {
            person.write(&format!("{FABRIC}/{path}"), content);
        }
        person.push(BRANCH, "Drop the fabric");
        say(&format!("{} files pushed; the Git server sends its signed webhook.", files.len()));
        self.carry(|story, _| story.below("raw/") == ["raw/.gitkeep"]).await?;
        show(
            "The commit that answers it",
            &self.bare.git(&["show", "--stat=100", "--format=%h %an: %s%n%n%b", BRANCH]),
        );
        self.show_fates().await?;
        let (raw, rows) = (self.below("raw/"), self.rows().await);
        self.check(raw == ["raw/.gitkeep"], &format!("raw/ is empty but for .gitkeep: {raw:?}"));
        self.check(rows.iter().all(|(_, count)| *count > 0), &format!("NetBox has rows of every kind: {rows:?}"));
        Ok(())
    }

    async fn changes_in_netbox(&mut self) -> Result<(), Failure> {
        chapter("NetBox to Git: alice edits, renames and deletes objects, and adds 40 servers in one request");
        let subnets = json!({"db": {"vlan": 1222, "subnet": "10.10.2.0/24"}});
        let before = self.commits();
        self.netbox.update("VPC", "vpc-02", json!({"spec": {"subnets": subnets}})).await?;
        self.netbox.rename("Server", "server-03", "server-04").await?;
        self.netbox.delete("ExternalPeering", "vpc-01--edge").await?;
        let added = (0..40).map(|n| (format!("rack-{n:02}"), json!({"description": "rack"}))).collect();
        self.netbox.create_many("Server", added).await;
        say("NetBox's event rules send 43 signed webhooks.");
        let vpc = format!("{FABRIC}/managed/vpcs/vpc-02.yaml");
        self.carry(|story, rows| story.managed_files() == rows && story.bare.show(BRANCH, &vpc).contains("1222"))
            .await?;
        let shown = self.bare.git(&["log", "-1", "--format=%h %an: %s%n%n%b", BRANCH]);
        show("The newest commit", &first_lines(&shown, 8));
        let diff = self.bare.git(&["log", "-p", "-1", "--format=", BRANCH, "--", &format!("{FABRIC}/managed/vpcs")]);
        show("What it changed in vpc-02: one line, key order kept", &diff);
        let commits = self.commits() - before;
        self.check((1..=8).contains(&commits), &format!("43 changes are {commits} commit(s)"));
        let managed = self.below("managed/");
        let renamed = managed.iter().any(|path| path.ends_with("/server-04.yaml"))
            && !managed.iter().any(|path| path.ends_with("/server-03.yaml"));
        self.check(renamed, "the renamed server's file moved");
        self.check(
            !managed.iter().any(|path| path.ends_with("vpc-01--edge.yaml")),
            "the deleted peering's file is gone",
        );
        Ok(())
    }

    async fn an_edit_in_git(&mut self) -> Result<(), Failure> {
        chapter("Git to NetBox: somebody edits a managed file");
        let person = self.person();
        let path = format!("{FABRIC}/managed/servers/server-01.yaml");
        let text = self.bare.show(BRANCH, &path).replace("first server", "edited by hand");
        person.write(&path, format!("# a person's comment\n{text}\n"));
        person.push(BRANCH, "Describe the first server");
        self.carry(|_, _| true).await?;
        let row = self.netbox.rows("Server").await.into_iter().find(|row| row["name"] == "server-01");
        let description = row.map(|row| row["spec"]["description"].clone()).unwrap_or_default();
        self.check(description == "edited by hand", &format!("NetBox now says: {description}"));
        let kept = self.bare.show(BRANCH, &path).starts_with("# a person's comment");
        self.check(kept, "the person's comment stands");
        Ok(())
    }

    async fn everything_again(&mut self) -> Result<(), Failure> {
        chapter("Again: a full comparison is asked for, with nothing left to do");
        let (commits, changes) = (self.commits(), self.netbox.changes().await);
        self.service.post(&format!("/api/v1/fabrics/{FABRIC}/sync")).await?;
        self.carry(|_, _| true).await?;
        let (commits, changes) = (self.commits() - commits, self.netbox.changes().await - changes);
        self.check(commits == 0 && changes == 0, &format!("{commits} commits and {changes} changes in NetBox"));
        Ok(())
    }

    async fn the_end(&mut self) -> Result<(), Failure> {
        chapter("What is there now");
        show("git log", &self.bare.git(&["log", "--stat=100,80,8", "--format=%n%h %an: %s", BRANCH]));
        let jobs = self.service.get("/api/v1/jobs?limit=200").await?;
        show("Jobs, newest first", &first_lines(&job_table(&jobs), 16));
        let rows = self.rows().await;
        let table: Vec<String> = rows.iter().map(|(kind, count)| format!("{kind:<20} {count:>4}")).collect();
        show("NetBox rows", &table.join("\n"));
        let (rows, files) = (rows.iter().map(|(_, count)| count).sum::<usize>(), self.managed_files());
        self.check(rows == files, &format!("{rows} rows in NetBox, {files} files under managed/"));
        let fabric = self.service.get(&format!("/api/v1/fabrics/{FABRIC}")).await?;
        self.check(fabric["standing"] == "in_sync", &format!("the fabric's standing is {}", fabric["standing"]));
        self.bare.assert_sound();
        Ok(())
    }

    async fn stay(&mut self) -> Result<(), Failure> {
        chapter("It stays up until Ctrl-C");
        say(&format!("Status API  {}/api/v1/fabrics   (Authorization: Bearer {API_TOKEN})", self.address));
        say(&format!("Git         git clone {}", self.git.url_with_account(REPOSITORY)));
        say(&format!(
            "NetBox      {}api/plugins/custom-objects/hedgehog-vpcs/   (Authorization: Bearer {})",
            self.netbox.url(),
            self.netbox.token()
        ));
        say(&format!("Log         {}", self.directory.path().join("fgd-sync.log").display()));
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(()),
                pushed = self.pushes.recv() => match pushed {
                    Some(pushed) => self.tell_push(&pushed).await?,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(LOOK) => {
                    self.netbox.deliver().await?;
                }
            }
        }
    }

    /// Sees that every webhook is sent and every job ends, until nothing more comes and `done` holds.
    ///
    /// `done` is also told how many rows NetBox has.
    async fn carry(&mut self, done: impl Fn(&Self, usize) -> bool) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let mut sent = self.netbox.deliver().await?;
            while let Ok(pushed) = self.pushes.try_recv() {
                self.tell_push(&pushed).await?;
                sent += 1;
            }
            self.service.settled(PATIENCE).await?;
            // What the service writes causes webhooks too: its echoes, which must end by themselves.
            if sent > 0 {
                continue;
            }
            let rows = self.rows().await.iter().map(|(_, count)| count).sum();
            if done(self, rows) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(Failure("what was expected did not come; the log says what the service did".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn tell_push(&self, pushed: &Pushed) -> Result<(), Failure> {
        self.service.tell_push(&self.git.url(REPOSITORY), pushed, GIT_SECRET).await
    }

    async fn show_fates(&self) -> Result<(), Failure> {
        let jobs = self.service.get("/api/v1/jobs?limit=20").await?;
        let mut fates: Vec<String> = Vec::new();
        for job in jobs["jobs"].as_array().into_iter().flatten() {
            let job = self.service.get(&format!("/api/v1/jobs/{}", job["id"].as_str().unwrap_or_default())).await?;
            let items = job["parts"][0]["report"]["items"].as_array().cloned().unwrap_or_default();
            fates.extend(items.iter().filter(|item| item["item"] == "document").map(fate));
            // The webhook and the poll of the head may both have asked for the same run.
            if !fates.is_empty() {
                break;
            }
        }
        show("The fate of every document", &fates.join("\n"));
        Ok(())
    }

    fn person(&self) -> Person {
        let person = Person::clone_of(&self.git.url_with_account(REPOSITORY));
        person.update(BRANCH);
        person
    }

    fn below(&self, part: &str) -> Vec<String> {
        let all = self.bare.paths(BRANCH).into_iter();
        let ours = all.filter_map(|path| path.strip_prefix(&format!("{FABRIC}/")).map(str::to_owned));
        ours.filter(|path| path.starts_with(part)).collect()
    }

    fn managed_files(&self) -> usize {
        self.below("managed/").iter().filter(|path| path.ends_with(".yaml")).count()
    }

    async fn rows(&self) -> Vec<(&'static str, usize)> {
        let mut counts = Vec::new();
        for spec in Catalogue::hedgehog().iter() {
            counts.push((spec.kind.as_str(), self.netbox.rows(spec.kind.as_str()).await.len()));
        }
        counts
    }

    fn commits(&self) -> usize {
        self.bare.git(&["rev-list", "--count", BRANCH]).parse().unwrap_or(0)
    }

    fn check(&mut self, holds: bool, what: &str) {
        println!("  {} {what}", if holds { "ok  " } else { "NOT " });
        if !holds {
            self.failures.push(format!("not as it should be: {what}"));
        }
    }
}

fn fate(item: &Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let why = item["reason"]["message"].as_str().unwrap_or_default();
    let place = format!("{}#{} line {}", text("path"), item["index"], item["line"]);
    let key = |part: &str| item["key"][part].as_str().unwrap_or_default().to_owned();
    let object = if item["key"].is_object() { format!("{} {}", key("kind"), key("name")) } else { String::new() };
    format!("{:<10} {place:<44} {object} {why}", text("fate"))
}

fn settings_of(netbox: &LabNetBox, git: &GitServer, directory: &Path, port: u16) -> String {
    format!(
        "listen: 127.0.0.1:{port}\n\
         public_url: http://127.0.0.1:{port}\n\
         data_directory: {directory}/data\n\
         redis: embedded\n\
         api_tokens:\n  - {{name: lab, token: {API_TOKEN}}}\n\
         debounce: {{quiet_ms: 500, max_wait_ms: 5000}}\n\
         netbox:\n  lab:\n    url: {netbox}\n    token: {token}\n    webhook_secret: {NETBOX_SECRET}\n\
         repositories:\n  lab:\n    kind: git\n    url: {url}\n    user: {user}\n    token: {password}\n    webhook_secret: {GIT_SECRET}\n\
         fabrics:\n  {FABRIC}: {{netbox: lab, repository: lab, branch: {BRANCH}, directory: {FABRIC}}}\n",
        directory = directory.display(),
        netbox = netbox.url(),
        token = netbox.token(),
        url = git.url(REPOSITORY),
        user = ACCOUNT.0,
        password = ACCOUNT.1,
    )
}

/// Runs the product's command line and returns what it printed.
fn run(arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(binary()?).args(arguments).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Failure(format!("fgd-sync {}: {}", arguments.join(" "), text(&output.stderr))))
}

fn job_table(jobs: &Value) -> String {
    let mut lines = Vec::new();
    for job in jobs["jobs"].as_array().into_iter().flatten() {
        let origin = &job["origin"];
        let text = |name: &str| origin[name].as_str().unwrap_or_default();
        let asked = match text("kind") {
            "netbox_delivery" => format!("NetBox: {} {} by {}", text("object"), text("event"), text("user")),
            "github_delivery" => format!("push by {} to {}", text("pusher"), text("branch")),
            _ => text("what").to_owned(),
        };
        let id = job["id"].as_str().unwrap_or_default();
        lines.push(format!("{id}  {:<10} {asked}", job["state"].as_str().unwrap_or_default()));
    }
    lines.join("\n")
}

fn first_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = lines.iter().take(most).copied().collect::<Vec<_>>().join("\n");
    if lines.len() > most {
        shown.push_str(&format!("\n... and {} more lines", lines.len() - most));
    }
    shown
}

fn chapter(title: &str) {
    println!("\n=== {title}");
}

fn say(line: &str) {
    println!("  {line}");
}

fn show(title: &str, text: &str) {
    println!("\n  {title}:");
    for line in text.lines() {
        println!("    {line}");
    }
    println!();
}
