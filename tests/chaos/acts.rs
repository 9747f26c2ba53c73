//! What people, networks and misfortune do, one act at a time, as a seed decides.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::parts::{FABRICS, Parts, REPOSITORY};
use crate::support::app::{GIT_SECRET, push_body, sign_as_github};
use crate::support::fakes::netbox::Object;
use crate::support::git_server::{Person, Pushed};
use crate::support::process::{Failure, client};

/// Between two kills, at least and at most.
const CALM: (u64, u64) = (400, 2_500);

/// What happened, for the verdict and the reader.
#[derive(Debug, Default)]
pub struct Tally {
    pub netbox_changes: usize,
    pub human_commits: Vec<(String, String)>,
    /// Names of the good documents that were dropped, by fabric.
    pub dropped: BTreeMap<String, Vec<String>>,
    /// Names of files with a bad document, by fabric.
    pub bad_files: Vec<(String, String)>,
    pub lost: usize,
    pub doubled: usize,
    pub sent: usize,
    /// Jobs whose delivery was answered with 202.
    pub accepted: Vec<String>,
    pub replica_kills: usize,
    pub redis_kills: usize,
}

/// Everybody.
pub struct Actors {
    random: fastrand::Rng,
    person: Person,
    pushes: mpsc::UnboundedReceiver<Pushed>,
    next_kill: Instant,
    counter: usize,
    pub tally: Tally,
}

impl Actors {
    pub fn new(seed: u64, parts: &Parts) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            person: Person::clone_of(&parts.remote()),
            pushes: parts.git.pushes(),
            next_kill: Instant::now(),
            counter: 0,
            tally: Tally::default(),
        }
    }

    /// One act of somebody, and a kill when its time has come.
    pub async fn act(&mut self, parts: &mut Parts) -> Result<(), Failure> {
        if Instant::now() >= self.next_kill {
            self.kill(parts).await?;
            self.next_kill = Instant::now() + Duration::from_millis(self.random.u64(CALM.0..CALM.1));
        }
        let (fabric, branch) = FABRICS[self.random.usize(..FABRICS.len())];
        match self.random.u8(..100) {
            0..24 => self.create(parts, fabric, 1),
            24..28 => self.create(parts, fabric, 15),
            28..46 => self.change(parts, fabric, |name| json!({"spec": {"description": format!("netbox {name}")}})),
            46..50 => self.change(parts, fabric, |name| json!({"name": format!("renamed-{name}")})),
            50..53 => self.delete(parts, fabric),
            53..66 => self.edit(fabric, branch),
            66..76 => self.drop_documents(fabric, branch),
            _ => self.deliver(parts).await?,
        }
        Ok(())
    }

    async fn kill(&mut self, parts: &mut Parts) -> Result<(), Failure> {
        if self.random.u8(..5) == 0 {
            self.tally.redis_kills += 1;
            parts.crash_redis()?;
        } else {
            self.tally.replica_kills += 1;
            let victim = self.random.usize(..2);
            parts.replicas[victim].crash()?;
        }
        parts.all_up().await
    }

    fn name(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{what}-{}", self.counter)
    }

    fn create(&mut self, parts: &Parts, fabric: &str, count: usize) {
        let names: Vec<String> = (0..count).map(|_| self.name("server")).collect();
        let object = |name: &String| Object::new("Server", fabric, name, json!({"description": "new"}));
        parts.netbox.user("alice").bulk_create(&names.iter().map(object).collect::<Vec<_>>());
        self.tally.netbox_changes += count;
    }

    /// A row that alice may rename and delete: not one that came out of a drop, which the verdict looks for.
    fn some_row(&mut self, parts: &Parts, fabric: &str) -> Option<u64> {
        let free = |row: &Value| {
            row["fabric"] == fabric && row["name"].as_str().is_some_and(|name| !name.starts_with("dropped"))
        };
        let ids: Vec<u64> =
            parts.netbox.rows("Server").iter().filter(|row| free(row)).filter_map(|row| row["id"].as_u64()).collect();
        self.random.choice(ids)
    }

    fn change(&mut self, parts: &Parts, fabric: &str, fields: impl Fn(&str) -> Value) {
        let Some(id) = self.some_row(parts, fabric) else { return };
        let fields = fields(&self.name("n"));
        parts.netbox.user("alice").update("Server", id, fields);
        self.tally.netbox_changes += 1;
    }

    fn delete(&mut self, parts: &Parts, fabric: &str) {
        let Some(id) = self.some_row(parts, fabric) else { return };
        parts.netbox.user("bob").delete("Server", id);
        self.tally.netbox_changes += 1;
    }

    fn edit(&mut self, fabric: &str, branch: &str) {
        self.person.update(branch);
        let directory = self.person.dir().join(fabric).join("managed/servers");
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let mut files: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
        files.sort();
        let Some(file) = self.random.choice(files) else { return };
        let text = std::fs::read_to_string(&file).unwrap();
        let mark = self.name("git");
        let edited = |line: &str| match line.starts_with("  description:") {
            true => format!("  description: {mark}\n"),
            false => format!("{line}\n"),
        };
        std::fs::write(&file, text.lines().map(edited).collect::<String>()).unwrap();
        self.push(branch, "Edit by hand");
    }

    fn drop_documents(&mut self, fabric: &str, branch: &str) {
        self.person.update(branch);
        let count = self.random.usize(1..4);
        let names: Vec<String> = (0..count).map(|_| self.name("dropped")).collect();
        let document = |name: &String| {
            format!(
                "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\n  namespace: default\n\
                 spec:\n  description: dropped\n---\n"
            )
        };
        let mut text: String = names.iter().map(document).collect();
        let file = self.name("file");
        let bad = self.random.u8(..4) == 0;
        if bad {
            text.push_str("kind: Server\nmetadata: {name: UPPER/case}\n");
        }
        self.person.write(&format!("{fabric}/raw/{file}.yaml"), text);
        if self.push(branch, "Drop") {
            self.tally.dropped.entry(fabric.to_owned()).or_default().extend(names);
            if bad {
                self.tally.bad_files.push((fabric.to_owned(), file));
            }
        }
    }

    /// As people push: again on top of what others pushed, and not at all when that conflicts.
    fn push(&mut self, branch: &str, subject: &str) -> bool {
        self.person.commit(subject);
        for _ in 0..5 {
            if self.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]) {
                let commit = self.person.git(&["rev-parse", "HEAD"]);
                self.tally.human_commits.push((branch.to_owned(), commit));
                return true;
            }
            if !self.git(&["pull", "--quiet", "--rebase", "origin", branch]) {
                self.git(&["rebase", "--abort"]);
                return false;
            }
        }
        false
    }

    fn git(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.person.dir()).stdin(Stdio::null()).stdout(Stdio::null());
        command
            .stderr(Stdio::null())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Sends what is due to either replica; some deliveries are lost on the way, some come twice.
    async fn deliver(&mut self, parts: &Parts) -> Result<(), Failure> {
        for delivery in parts.netbox.deliveries() {
            let times = self.times();
            for _ in 0..times {
                let address = &parts.replicas[self.random.usize(..2)].address;
                self.note(delivery.send_for_answer(&format!("{address}/webhooks/netbox")).await);
            }
        }
        while let Ok(pushed) = self.pushes.try_recv() {
            for _ in 0..self.times() {
                let address = parts.replicas[self.random.usize(..2)].address.clone();
                let answer = self.send_push(parts, &address, &pushed).await;
                self.note(answer);
            }
        }
        Ok(())
    }

    fn times(&mut self) -> usize {
        match self.random.u8(..20) {
            0 | 1 => {
                self.tally.lost += 1;
                0
            }
            2 | 3 => {
                self.tally.doubled += 1;
                2
            }
            _ => 1,
        }
    }

    async fn send_push(&self, parts: &Parts, address: &str, pushed: &Pushed) -> Result<(u16, Value), String> {
        let body = push_body(&parts.git.url(REPOSITORY), pushed);
        let request = client()
            .post(format!("{address}/webhooks/github"))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", pushed.after.clone().unwrap_or_default())
            .header("X-Hub-Signature-256", sign_as_github(GIT_SECRET, body.as_bytes()))
            .header("Content-Type", "application/json")
            .body(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }

    /// A replica that is down, or whose Redis is, answers nothing or 503: such a delivery is lost, as NetBox's would be.
    fn note(&mut self, answer: Result<(u16, Value), String>) {
        self.tally.sent += 1;
        match answer {
            Ok((202, body)) => self.tally.accepted.extend(body["job_id"].as_str().map(str::to_owned)),
            Ok((200, _)) => {}
            Ok(_) | Err(_) => self.tally.lost += 1,
        }
    }

    /// The last deliveries: nothing is lost on purpose any more.
    pub async fn deliver_the_rest(&mut self, parts: &Parts) -> Result<(), Failure> {
        self.deliver(parts).await
    }
}
