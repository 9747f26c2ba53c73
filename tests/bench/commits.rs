//! From NetBox's deliveries to a commit in the branch's head, beside plain git writing the same files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::load;
use crate::process;
use crate::stats::Spread;
use crate::support::git_server::{Bare, Person};
use crate::table::{Goal, Line, short};
use crate::world::{BRANCH, Shape, World, fabric_name};

const CHANGES: usize = 1_000;
const ROUNDS: usize = 5;
/// NetBox sends one delivery at a time from each of its workers.
const SENDERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

struct Round {
    ours: Duration,
    commits: usize,
    peak: f64,
    git: Duration,
}

/// 1,000 new rows, sent as fast as they are taken.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = round().await?;
        println!(
            "  round {number}: {} s in {} commits, {} MB at most; git alone {} s",
            short(round.ours.as_secs_f64()),
            round.commits,
            short(round.peak),
            short(round.git.as_secs_f64())
        );
        rounds.push(round);
    }
    let middle = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure)).median;
    let most_commits = rounds.iter().map(|round| round.commits).max().unwrap_or_default();
    let peak = rounds.iter().map(|round| round.peak).fold(0.0, f64::max);
    Ok(vec![
        Line {
            what: format!("{CHANGES} changes in NetBox to the branch's head"),
            measured: format!("{} s", short(middle(|round| round.ours.as_secs_f64()))),
            beside: format!(
                "git add, commit and push of the same files: {} s",
                short(middle(|round| round.git.as_secs_f64()))
            ),
            ratio: Some(Spread::of(rounds.iter().map(|round| round.ours.as_secs_f64() / round.git.as_secs_f64()))),
            goal: Goal::None,
        },
        Line {
            what: format!("commits for {CHANGES} changes"),
            measured: format!("{most_commits}"),
            beside: String::new(),
            ratio: None,
            goal: Goal::AtMost { figure: most_commits as f64, limit: 2.0, unit: "commits" },
        },
        Line {
            what: format!("memory, most in {CHANGES} changes"),
            measured: format!("{} MB", short(peak)),
            beside: String::new(),
            ratio: None,
            goal: Goal::AtMost { figure: peak, limit: 150.0, unit: "MB" },
        },
    ])
}

async fn round() -> Result<Round, Failure> {
    let world = World::start(&Shape::default()).await?;
    process::forget_peak(world.service.pid())?;
    let bare = &world.repositories[0];
    let commits = count_commits(bare);
    let ours = change(&world, CHANGES, "server").await?;
    world.service.settled().await?;
    let commits = count_commits(bare) - commits;
    let peak = process::peak(world.service.pid())?;
    let git = plain_git(&world)?;
    Ok(Round { ours, commits, peak, git })
}

/// Creates so many rows and waits until the head has all of their files; the time from the first delivery.
pub async fn change(world: &World, count: usize, prefix: &str) -> Result<Duration, Failure> {
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

/// Writes the files of the head's newest directory into an empty clone, commits and pushes them to the same server.
fn plain_git(world: &World) -> Result<Duration, Failure> {
    let bare = &world.repositories[0];
    let files: BTreeMap<String, Vec<u8>> = contents(bare)?;
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
