//! From NetBox's deliveries to a commit in the branch's head, beside plain git writing the same files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::load;
use crate::process;
use crate::stats::Spread;
use crate::support::git_server::{Bare, Person};
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{BRANCH, Shape, World, fabric_name};

/// How many rows change, and how often that is measured.
const CHANGES: [(usize, usize); 3] = [(1, 5), (100, 5), (1_000, 5)];
/// NetBox sends one delivery at a time from each of its workers.
const SENDERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

struct Round {
    ours: f64,
    commits: usize,
    peak: f64,
    git: f64,
}

/// New rows, their deliveries sent as fast as they are taken, with the default debounce.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (count, rounds) in CHANGES {
        lines.extend(of(count, rounds).await?);
    }
    Ok(lines)
}

async fn of(count: usize, number: usize) -> Result<Vec<Line>, Failure> {
    let mut rounds = Vec::new();
    for _ in 0..number {
        rounds.push(round(count).await?);
    }
    let show = |figure: fn(&Round) -> f64| rounds.iter().map(figure).map(short).collect::<Vec<_>>().join(" ");
    println!("  {count}: {} s; git alone {} s", show(|round| round.ours), show(|round| round.git));
    let middle = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure)).median;
    let most_commits = rounds.iter().map(|round| round.commits).max().unwrap_or_default();
    let peak = rounds.iter().map(|round| round.peak).fold(0.0, f64::max);
    let changes = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    let lag = Line {
        what: format!("{changes} in NetBox to the branch's head"),
        measured: format!("{} s in {most_commits} commit(s)", short(middle(|round| round.ours))),
        beside: format!("git add, commit and push of as many files: {} s", short(middle(|round| round.git))),
        ratio: Some(Spread::of(rounds.iter().map(|round| round.ours / round.git))),
        goal: Goal::AtMost { figure: most_commits as f64, limit: 2.0, unit: "commits" },
    };
    let memory = Line {
        what: format!("memory, most in {changes}"),
        measured: format!("{} MB", short(peak)),
        beside: String::new(),
        ratio: None,
        goal: Goal::AtMost { figure: peak, limit: 150.0, unit: "MB" },
    };
    Ok(vec![lag, memory])
}

async fn round(count: usize) -> Result<Round, Failure> {
    let world = World::start(&Shape::default()).await?;
    process::forget_peak(world.service.pid())?;
    let bare = &world.repositories[0];
    let commits = count_commits(bare);
    let ours = change(&world, count, "server").await?.as_secs_f64();
    world.service.settled().await?;
    let commits = count_commits(bare) - commits;
    let peak = process::peak(world.service.pid())?;
    let git = plain_git(&world)?.as_secs_f64();
    Ok(Round { ours, commits, peak, git })
}

/// Creates so many rows and waits until the head has all of their files; the time from the first delivery.
async fn change(world: &World, count: usize, prefix: &str) -> Result<Duration, Failure> {
    world.create_servers(0, count, prefix);
    let deliveries = world.deliveries();
    let begun = Instant::now();
    load::send(world.service.address(), deliveries, SENDERS).await?.require(202)?;
    let below = format!("{}/managed/servers/{prefix}-", fabric_name(0));
    let bare = &world.repositories[0];
    let mut seen = None;
    while begun.elapsed() < PATIENCE {
        let head = std::fs::read_to_string(bare.path().join("refs/heads").join(BRANCH)).ok();
        // Looked at only when it moved: looking must not cost what is measured.
        if head != seen {
            let at = begun.elapsed();
            if bare.paths(BRANCH).iter().filter(|path| path.starts_with(&below)).count() == count {
                return Ok(at);
            }
            seen = head;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(Failure(format!("the head does not have all {count} files after {PATIENCE:?}")))
}

/// Writes the same files into an empty clone, commits and pushes them to the same server.
fn plain_git(world: &World) -> Result<Duration, Failure> {
    let bare = &world.repositories[0];
    let mut files = contents(bare)?;
    files.retain(|path, _| path.contains("/managed/servers/") && path.ends_with(".yaml"));
    world.git.create("plain.git");
    let person = Person::clone_of(&world.git.url("plain.git"));
    let begun = Instant::now();
    for (path, content) in &files {
        person.write(path, content);
    }
    person.push(BRANCH, "The same files");
    Ok(begun.elapsed())
}

/// Every file of the head, in one call of git.
fn contents(bare: &Bare) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("head.tar");
    bare.git(&["archive", "--format=tar", "--output", &archive.display().to_string(), BRANCH]);
    let unpacked = Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(directory.path()).status()?;
    if !unpacked.success() {
        return Err(Failure("tar failed".to_owned()));
    }
    std::fs::remove_file(&archive)?;
    let mut files = BTreeMap::new();
    read_below(directory.path(), directory.path(), &mut files)?;
    Ok(files)
}

fn read_below(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_below(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.insert(name, std::fs::read(&path)?);
        }
    }
    Ok(())
}

fn count_commits(bare: &Bare) -> usize {
    bare.git(&["rev-list", "--count", BRANCH]).parse().unwrap_or_default()
}
