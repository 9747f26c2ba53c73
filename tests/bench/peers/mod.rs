//! Accepting, beside receivers of other makes that promise the same: verified, and in Redis before the 202.
//!
//! The same deliveries, and a Redis each that syncs every write. The others run as they are started by default, in one
//! process, and once more with two, which is as many as the product has threads for its receiver.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::accept::{CONNECTIONS, NO_RUNS, signed};
use crate::load;
use crate::redis::Redis;
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{NETBOX_SECRET, Shape, World, free_address, scratch};

const ROUNDS: usize = 5;
const CALLS: usize = 20_000;
/// How each of the others is run.
const PROCESSES: [usize; 2] = [1, 2];
const PATIENCE: Duration = Duration::from_secs(60);

/// Another receiver.
struct Peer {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Run in its directory, before the first start.
    install: &'static [&'static [&'static str]],
    start: &'static [&'static str],
    /// The command that counts what it has recorded.
    count: &'static [&'static str],
    /// What it is run by, as a package of Debian, and where its code is once it is installed.
    package: &'static str,
    code: &'static str,
    /// Slow ones need fewer.
    calls: usize,
    /// How often ours should be as fast as one of its processes.
    goal: f64,
}

const FASTIFY: Peer = Peer {
    name: "Fastify and BullMQ",
    files: &[("package.json", include_str!("fastify/package.json")), ("server.js", include_str!("fastify/server.js"))],
    install: &[&["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]],
    start: &["node", "server.js"],
    count: &["LLEN", "bull:changes:wait"],
    package: "nodejs",
    code: "node_modules",
    calls: CALLS,
    goal: 4.0,
};

const FASTAPI: Peer = Peer {
    name: "FastAPI and arq",
    files: &[
        ("requirements.txt", include_str!("fastapi/requirements.txt")),
        ("server.py", include_str!("fastapi/server.py")),
    ],
    install: &[
        &["PYTHON", "-m", "venv", "venv"],
        &["venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"],
    ],
    start: &[
        "venv/bin/uvicorn",
        "server:app",
        "--host",
        "127.0.0.1",
        "--port",
        "PORT",
        "--workers",
        "PROCESSES",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    ],
    count: &["ZCARD", "arq:queue"],
    package: "python3",
    code: "venv/lib",
    calls: CALLS / 4,
    goal: 15.0,
};

/// All in turns.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let mut theirs: Vec<(&Peer, usize, Vec<f64>)> = Vec::new();
    for peer in [&FASTIFY, &FASTAPI] {
        peer.install()?;
        theirs.extend(PROCESSES.map(|processes| (peer, processes, Vec::new())));
    }
    let (mut ours, mut ceilings) = (Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let OurRates { accepted, empty } = our_rates().await?;
        print!("  round {number}: {}/s of at most {}/s", short(accepted), short(empty));
        ours.push(accepted);
        ceilings.push(empty);
        for (peer, processes, rates) in &mut theirs {
            let rate = peer.rate(*processes).await?;
            print!("; {} {processes}: {}/s", peer.name, short(rate));
            rates.push(rate);
        }
        println!();
    }
    let middle = |rates: &[f64]| short(Spread::of(rates.iter().copied()).median);
    let line = |(peer, processes, rates): &(&Peer, usize, Vec<f64>)| Line {
        what: format!("accept, {CONNECTIONS} connections, beside {}", peer.name),
        measured: format!("{}/s", middle(&ours)),
        beside: format!("{}, {processes} process(es): {}/s", peer.name, middle(rates)),
        ratio: Some(Spread::of(ours.iter().zip(rates).map(|(ours, theirs)| ours / theirs))),
        goal: if *processes == 1 { Goal::RatioAtLeast(peer.goal) } else { Goal::None },
    };
    let ceiling = Line {
        what: "empty answers (GET /healthz), same load".to_owned(),
        measured: format!("{}/s", middle(&ceilings)),
        beside: format!("accept: {}/s", middle(&ours)),
        ratio: Some(Spread::of(ceilings.iter().zip(&ours).map(|(ceiling, ours)| ceiling / ours))),
        goal: Goal::None,
    };
    Ok(theirs.iter().map(line).chain([ceiling]).collect())
}

/// What another receiver has in an image of its own.
pub struct InImage {
    pub name: &'static str,
    pub package: &'static str,
    pub code: PathBuf,
}

/// The others, installed.
pub fn in_images() -> Result<Vec<InImage>, Failure> {
    let installed = |peer: &Peer| {
        peer.install()?;
        Ok(InImage { name: peer.name, package: peer.package, code: peer.home()?.join(peer.code) })
    };
    [&FASTIFY, &FASTAPI].into_iter().map(installed).collect()
}

/// FGD_BENCH_CALLS bounds the deliveries of a round, to see soon whether everything still runs.
fn at_most(calls: usize) -> usize {
    let bound = std::env::var("FGD_BENCH_CALLS").ok().and_then(|text| text.parse().ok());
    bound.map_or(calls, |bound: usize| calls.min(bound))
}

struct OurRates {
    accepted: f64,
    /// Answers with nothing done: what this server and this load come to at most on this machine.
    empty: f64,
}

async fn our_rates() -> Result<OurRates, Failure> {
    let world = World::start(&Shape { settings: NO_RUNS, ..Shape::default() }).await?;
    let calls = at_most(CALLS);
    let accepted = send(&world, (1..=calls).map(signed).collect()).await?.require(202)?.rate();
    let empty = send(&world, vec![load::get("/healthz", ""); calls]).await?.require(200)?.rate();
    Ok(OurRates { accepted, empty })
}

async fn send(world: &World, requests: Vec<load::Request>) -> Result<load::Outcome, Failure> {
    load::send(world.service.address(), requests, CONNECTIONS).await
}

impl Peer {
    fn home(&self) -> Result<PathBuf, Failure> {
        Ok(scratch()?.join(self.name.replace(' ', "-").to_lowercase()))
    }

    /// Installs what it needs below `.dev/`, once for each version of its files.
    fn install(&self) -> Result<(), Failure> {
        let home = self.home()?;
        let done = home.join("installed");
        let wanted: String = self.files.iter().map(|(_, text)| *text).collect();
        if std::fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        println!("  installing {}", self.name);
        std::fs::create_dir_all(&home)?;
        for (name, text) in self.files {
            std::fs::write(home.join(name), text)?;
        }
        let python = std::env::var("FGD_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        for words in self.install {
            let word = |word: &&str| if *word == "PYTHON" { python.clone() } else { (*word).to_owned() };
            let words: Vec<String> = words.iter().map(word).collect();
            let status = command(&home, &words).status()?;
            if !status.success() {
                return Err(Failure(format!("`{}` failed in {}: {status}", words.join(" "), home.display())));
            }
        }
        Ok(std::fs::write(done, wanted)?)
    }

    async fn rate(&self, processes: usize) -> Result<f64, Failure> {
        let redis = Redis::start(&scratch()?)?;
        let server = Running::start(self, &redis, processes).await?;
        let calls = at_most(self.calls);
        let requests = (1..=calls).map(signed).collect();
        let answers = load::send(server.address, requests, CONNECTIONS).await?.require(202)?;
        let recorded: usize = redis.ask(self.count).await?;
        if recorded != calls {
            return Err(Failure(format!("{} recorded {recorded} of {calls} deliveries", self.name)));
        }
        Ok(answers.rate())
    }
}

/// A peer's process and those that it starts; ended when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    async fn start(peer: &Peer, redis: &Redis, processes: usize) -> Result<Self, Failure> {
        let address = free_address()?;
        let (port, processes) = (address.port().to_string(), processes.to_string());
        let word = |word: &'static str| match word {
            "PORT" => port.clone(),
            "PROCESSES" => processes.clone(),
            word => word.to_owned(),
        };
        let words: Vec<String> = peer.start.iter().copied().map(word).collect();
        let child = command(&peer.home()?, &words)
            .env("PORT", &port)
            .env("PROCESSES", &processes)
            .env("REDIS_SOCKET", redis.path())
            .env("SECRET", NETBOX_SECRET)
            .stdin(Stdio::null())
            // Its own group, so that all of its processes can be told to end.
            .process_group(0)
            .spawn()?;
        let mut running = Self { child, address };
        let begun = Instant::now();
        let ready = || async { load::send(address, vec![load::get("/readyz", "")], 1).await?.require(200) };
        while ready().await.is_err() {
            if let Some(status) = running.child.try_wait()? {
                return Err(Failure(format!("{} ended at once ({status})", peer.name)));
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure(format!("{} did not become ready", peer.name)));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Until all of its processes listen.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn command(home: &Path, words: &[String]) -> Command {
    let (program, arguments) = words.split_first().expect("a command has a name");
    // A path is one below its directory; a bare name is looked for as usual.
    let program = if program.contains('/') { home.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home);
    command
}
