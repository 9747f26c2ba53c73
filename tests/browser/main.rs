//! The stage of the browser's suite: a running service with a story behind it, for a browser to look at.
//!
//! With the argument `crowded` it is another story: hundreds of fabrics, the longest names, and much to say about them.
//!
//! Prints one line of JSON when everything is there (`address`, and a token of each role), then carries deliveries until
//! its standard input ends.

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use support::app::{FABRIC, GIT_SECRET, NETBOX_SECRET, drop_of_all_kinds};
use support::fakes::netbox::{NetBox, Object, TOKEN};
use support::git_server::{Bare, GitServer, Person, Pushed};
use support::process::{Failure, Service, free_port};

const BRANCH: &str = "main";
const REPOSITORY: &str = "fabrics.git";
const ACCOUNT: (&str, &str) = ("fgd-sync", "stage-git-password");
/// They protect nothing: the stage listens on this machine only.
const ADMIN: &str = "stage-token-of-kim";
const OPERATOR: &str = "stage-token-of-ola";
const READER: &str = "stage-token-of-rae";
/// Fabrics beside the one of the crowded story: more than one page shows.
const CROWD: usize = 300;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(200);

struct Stage {
    netbox: NetBox,
    git: GitServer,
    bare: Bare,
    pushes: mpsc::UnboundedReceiver<Pushed>,
    service: Service,
    address: String,
    _directory: TempDir,
}

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match play().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("the stage failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Result<(), Failure> {
    let mut stage = match std::env::args().nth(1).as_deref() {
        None => told().await?,
        Some("crowded") => crowded().await?,
        Some(other) => return Err(Failure(format!("no story is called {other}"))),
    };
    println!("{}", json!({"address": stage.address, "admin": ADMIN, "operator": OPERATOR, "reader": READER}));
    stage.stay().await
}

/// One fabric with everything, one whose NetBox is away, and one that nobody has filled.
async fn told() -> Result<Stage, Failure> {
    let fabrics = format!(
        "  {FABRIC}: {{netbox: main, repository: fabrics, branch: {BRANCH}, directory: {FABRIC}}}\n  \
           empty: {{netbox: main, repository: fabrics, branch: {BRANCH}, directory: empty}}\n  \
           remote: {{netbox: spare, repository: fabrics, branch: remote, directory: remote}}\n"
    );
    let mut stage = Stage::begin(&fabrics).await?;
    stage.a_drop().await?;
    stage.changes_in_netbox().await?;
    stage.contradictions().await?;
    stage.many_deletions().await?;
    Ok(stage)
}

/// One fabric with the longest name, whose objects have the longest names and reasons, and a crowd whose NetBox is away.
async fn crowded() -> Result<Stage, Failure> {
    let long = long_name("fabric");
    let mut fabrics =
        format!("  {long}: {{netbox: main, repository: fabrics, branch: {BRANCH}, directory: sites/{long}/{long}}}\n");
    for n in 1..=CROWD {
        fabrics.push_str(&format!(
            "  crowd-{n:03}: {{netbox: spare, repository: fabrics, branch: remote, directory: crowd-{n:03}}}\n"
        ));
    }
    let mut stage = Stage::begin(&fabrics).await?;
    stage.long_names(&long).await?;
    Ok(stage)
}

/// A name of 63 characters, most of them in one word.
fn long_name(word: &str) -> String {
    format!("{word}-{}", "x".repeat(62 - word.len()))
}

impl Stage {
    async fn begin(fabrics: &str) -> Result<Self, Failure> {
        let netbox = NetBox::custom_objects();
        let git = GitServer::start_with_account(ACCOUNT.0, ACCOUNT.1).await;
        let bare = git.create(REPOSITORY);
        let pushes = git.pushes();
        let directory = TempDir::new()?;
        let port = free_port()?;
        let address = format!("http://127.0.0.1:{port}");
        let settings = directory.path().join("fgd-sync.yaml");
        std::fs::write(&settings, settings_of(&netbox, &git, directory.path(), port) + fabrics)?;
        netbox.hook(&format!("{address}/webhooks/netbox"), NETBOX_SECRET);
        let service = Service::start(&settings, &address, ADMIN).await?;
        service.settled(PATIENCE).await?;
        Ok(Self { netbox, git, bare, pushes, service, address, _directory: directory })
    }

    /// Documents of every kind, and some that are no good.
    async fn a_drop(&mut self) -> Result<(), Failure> {
        let person = self.person();
        for (path, content) in drop_of_all_kinds() {
            person.write(&format!("{FABRIC}/{path}"), content);
        }
        person.push(BRANCH, "Drop the fabric");
        self.carry().await
    }

    async fn changes_in_netbox(&mut self) -> Result<(), Failure> {
        let spec = json!({"description": "rack"});
        let racks: Vec<Object> =
            (0..60).map(|n| Object::new("Server", FABRIC, &format!("rack-{n:02}"), spec.clone())).collect();
        self.netbox.user("alice").bulk_create(&racks);
        self.carry().await
    }

    /// Bob in NetBox and a person in Git want different things of two objects.
    async fn contradictions(&mut self) -> Result<(), Failure> {
        let spec = json!({
            "ipv4Namespace": "default", "vlanNamespace": "default", "mode": "l3flat",
            "subnets": {"web": {"subnet": "10.10.1.0/24", "gateway": "10.10.1.1", "vlan": 1101,
                "dhcp": {"enable": true, "range": {"start": "10.10.1.10", "end": "10.10.1.200"}}}},
        });
        self.change("bob", "VPC", "vpc-01", json!({"spec": spec}));
        self.change("bob", "Server", "server-01", json!({"spec": {"description": "moved to rack 12"}}));
        let edits = [
            ("managed/vpcs/vpc-01.yaml", [("vlan: 1001", "vlan: 1201"), ("10.10.1.200", "10.10.1.250")].as_slice()),
            ("managed/servers/server-01.yaml", &[("first server", "<b>moved</b> to rack 7")]),
        ];
        let person = self.person();
        for (path, changes) in edits {
            let path = format!("{FABRIC}/{path}");
            let text = self.bare.show(BRANCH, &path);
            let edited = changes.iter().fold(text.clone(), |text, (old, new)| text.replace(old, new));
            if edited == text {
                return Err(Failure(format!("{path} is not as it was dropped:\n{text}")));
            }
            person.write(&path, format!("{edited}\n"));
        }
        person.push(BRANCH, "Change what Bob changes too");
        self.carry().await
    }

    /// More deletions at once than the guard lets go.
    async fn many_deletions(&mut self) -> Result<(), Failure> {
        let rows = self.netbox.rows("Server");
        let racks = rows.iter().filter(|row| row["name"].as_str().is_some_and(|name| name.starts_with("rack-")));
        let ids: Vec<u64> = racks.filter_map(|row| row["id"].as_u64()).collect();
        self.netbox.user("alice").bulk_delete("Server", &ids);
        self.carry().await
    }

    /// One object in conflict, one that NetBox refuses at length, one document that is no good, one object that Git refuses.
    async fn long_names(&mut self, fabric: &str) -> Result<(), Failure> {
        let (disputed, refused) = (long_name("disputed"), long_name("refused"));
        let spec = json!({"description": "rack"});
        let rows: Vec<Object> = ["disputed", "quiet"]
            .map(|word| Object::new("Server", fabric, &long_name(word), spec.clone()))
            .into_iter()
            .chain((0..20).map(|n| Object::new("Server", fabric, &long_name(&format!("rack-{n:02}")), spec.clone())))
            .collect();
        self.netbox.user("alice").bulk_create(&rows);
        self.carry().await?;
        let words = format!("{} {}", "n".repeat(400), "is not allowed here ".repeat(80));
        self.netbox.refuse_name(&refused, &words);
        self.change("bob", "Server", &disputed, json!({"spec": {"description": "b".repeat(300)}}));
        let directory = format!("sites/{fabric}/{fabric}");
        let path = format!("{directory}/managed/servers/{disputed}.yaml");
        let person = self.person();
        let text = self.bare.show(BRANCH, &path);
        person.write(
            &path,
            format!("{}\n", text.replace("description: rack", &format!("description: {}", "g".repeat(300)))),
        );
        let server = "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n";
        person.write(&format!("{directory}/raw/{refused}.yaml"), format!("{server}  name: {refused}\nspec: {{}}\n"));
        person.write(&format!("{directory}/raw/{}.yaml", long_name("nameless")), format!("{server}  labels: {{}}\n"));
        person.push(BRANCH, &format!("Say much of {disputed}"));
        self.carry().await?;
        self.bare.refuse_pushes(&words);
        self.netbox.user("alice").bulk_create(&[Object::new("Server", fabric, &long_name("unwritten"), spec)]);
        self.deliver().await?;
        self.stalled().await
    }

    fn change(&self, user: &str, kind: &str, name: &str, fields: serde_json::Value) {
        let mut user = self.netbox.user(user);
        let id = user.id(kind, name);
        user.update(kind, id, fields);
    }

    fn person(&self) -> Person {
        let person = Person::clone_of(&self.git.url_with_account(REPOSITORY));
        person.update(BRANCH);
        person
    }

    /// Sends every webhook until nothing more comes and every job has ended.
    async fn carry(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let sent = self.deliver().await?;
            self.service.settled(PATIENCE).await?;
            if sent == 0 {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(self.service.failed("webhooks do not come to an end"));
            }
        }
    }

    async fn stalled(&self) -> Result<(), Failure> {
        let started = Instant::now();
        while self.service.get("/api/v1/jobs?state=stalled").await?["jobs"] == json!([]) {
            if started.elapsed() > PATIENCE {
                return Err(self.service.failed("no job stalls"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn deliver(&mut self) -> Result<usize, Failure> {
        let mut sent = 0;
        while let Ok(pushed) = self.pushes.try_recv() {
            self.tell_push(&pushed).await?;
            sent += 1;
        }
        for answer in self.netbox.deliver_all(None).await {
            match answer {
                Ok(200 | 202) => sent += 1,
                Ok(status) => return Err(Failure(format!("a NetBox delivery was answered with {status}"))),
                Err(error) => return Err(Failure(error)),
            }
        }
        Ok(sent)
    }

    async fn tell_push(&self, pushed: &Pushed) -> Result<(), Failure> {
        self.service.tell_push(&self.git.url(REPOSITORY), pushed, GIT_SECRET).await
    }

    async fn stay(&mut self) -> Result<(), Failure> {
        let (end, mut ended) = oneshot::channel();
        std::thread::spawn(move || {
            // An input that cannot be read has ended too.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = end.send(());
        });
        loop {
            tokio::select! {
                _ = &mut ended => return Ok(()),
                () = tokio::time::sleep(LOOK) => { self.deliver().await?; }
            }
        }
    }
}

/// The settings up to the list of fabrics. Port 9 is nobody's.
fn settings_of(netbox: &NetBox, git: &GitServer, directory: &Path, port: u16) -> String {
    format!(
        "listen: 127.0.0.1:{port}\n\
         public_url: http://127.0.0.1:{port}\n\
         data_directory: {directory}/data\n\
         redis: embedded\n\
         api_tokens:\n  - {{name: kim, token: {ADMIN}}}\n  - {{name: ola, token: {OPERATOR}, role: operate}}\n  - {{name: rae, token: {READER}, role: read}}\n\
         debounce: {{quiet_ms: 300, max_wait_ms: 3000}}\n\
         retry: {{first_wait_seconds: 1, attempts: 2}}\n\
         netbox:\n  main:\n    url: {netbox}\n    token: {TOKEN}\n    webhook_secret: {NETBOX_SECRET}\n  \
           spare:\n    url: http://127.0.0.1:9/\n    token: {TOKEN}\n\
         repositories:\n  fabrics:\n    kind: git\n    url: {url}\n    user: {user}\n    token: {password}\n    webhook_secret: {GIT_SECRET}\n\
         fabrics:\n",
        directory = directory.display(),
        netbox = netbox.url(),
        url = git.url(REPOSITORY),
        user = ACCOUNT.0,
        password = ACCOUNT.1,
    )
}
