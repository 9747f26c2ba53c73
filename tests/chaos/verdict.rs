//! What must hold when it is quiet again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::acts::{Actors, Tally};
use crate::parts::{FABRICS, PATIENCE, Parts};
use crate::support::process::{Failure, Service};

/// Compares everything twice, checks every promise, and prints what was seen.
pub async fn pass(parts: &Parts, actors: &Actors) -> Result<(), Failure> {
    let tally = &actors.tally;
    let service = parts.replicas[0].running()?;
    compare_all(service).await?;
    let commits = commits(parts);
    let changes = parts.netbox.changes().len();
    compare_all(service).await?;

    let mut broken = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    let again = (self::commits(parts) - commits, parts.netbox.changes().len() - changes);
    expect(again == (0, 0), format!("a second full comparison made {again:?} commits and NetBox changes"));

    let mut held = 0;
    for (fabric, branch) in FABRICS {
        let waiting = held_names(service, fabric).await?;
        held += waiting.len();
        let (files, rows) = (files(parts, fabric, branch), rows(parts, fabric));
        for name in files.keys().chain(rows.keys()).collect::<BTreeSet<_>>() {
            let same = files.get(name) == rows.get(name).map(|specs| &specs[0]);
            expect(same || waiting.contains(name), format!("{fabric}: {name} differs and is not listed as held"));
        }
        for (name, specs) in &rows {
            expect(specs.len() == 1, format!("{fabric}: NetBox has {} rows for {name}", specs.len()));
        }
        for name in tally.dropped.get(fabric).into_iter().flatten() {
            let found = rows.contains_key(name) || waiting.contains(name);
            expect(found, format!("{fabric}: the dropped document {name} vanished"));
        }
    }
    for (fabric, file) in &tally.bad_files {
        let branch = FABRICS.iter().find(|(name, _)| name == fabric).map_or("main", |(_, branch)| *branch);
        let kept = parts.bare.paths(branch).iter().any(|path| path.starts_with(&format!("{fabric}/unmanaged/{file}")));
        expect(kept, format!("{fabric}: the bad document of {file} vanished"));
    }
    for (branch, commit) in &tally.human_commits {
        let reachable = parts.bare.git(&["branch", "--contains", commit, "--list", branch]);
        expect(!reachable.is_empty(), format!("a person's commit {commit} is no longer in {branch}"));
    }
    for job in &tally.accepted {
        let state = service.get(&format!("/api/v1/jobs/{job}")).await?["state"].as_str().unwrap_or_default().to_owned();
        expect(matches!(state.as_str(), "succeeded" | "held"), format!("the accepted job {job} ended as {state}"));
    }
    for (branch, _) in FABRICS.map(|(_, branch)| (branch, ())).into_iter().collect::<BTreeMap<_, _>>() {
        for fault in faults_of_history(parts, branch) {
            expect(false, fault);
        }
    }
    parts.bare.assert_sound();
    print(tally, commits, held);
    if broken.is_empty() {
        println!("\nResult: both sides are equal or in a listed hold; nothing that was acknowledged is missing.");
        return Ok(());
    }
    Err(Failure(format!("{} promises broken:\n  {}", broken.len(), broken.join("\n  "))))
}

fn print(tally: &Tally, commits: usize, held: usize) {
    let rows = [
        ("replicas killed", tally.replica_kills),
        ("Redis killed", tally.redis_kills),
        ("changes in NetBox by people", tally.netbox_changes),
        ("commits by people", tally.human_commits.len()),
        ("documents dropped into raw/", tally.dropped.values().map(Vec::len).sum()),
        ("files with a bad document", tally.bad_files.len()),
        ("deliveries sent", tally.sent),
        ("deliveries lost", tally.lost),
        ("deliveries sent twice", tally.doubled),
        ("deliveries accepted (202)", tally.accepted.len()),
        ("commits in all", commits),
        ("objects held for a person", held),
    ];
    println!();
    for (what, count) in rows {
        println!("{what:<32} {count:>7}");
    }
}

async fn compare_all(service: &Service) -> Result<(), Failure> {
    for (fabric, _) in FABRICS {
        service.post(&format!("/api/v1/fabrics/{fabric}/sync")).await?;
    }
    service.settled(PATIENCE).await
}

fn commits(parts: &Parts) -> usize {
    parts.bare.git(&["rev-list", "--all", "--count"]).parse().unwrap()
}

/// Names of everything that waits for a person.
async fn held_names(service: &Service, fabric: &str) -> Result<BTreeSet<String>, Failure> {
    let status = service.get(&format!("/api/v1/fabrics/{fabric}")).await?;
    let held = status["held_objects"].as_array().into_iter().flatten().map(|held| &held["key"]);
    let guarded = status["guarded"].as_array().into_iter().flatten();
    Ok(held.chain(guarded).filter_map(|key| key["name"].as_str().map(str::to_owned)).collect())
}

/// Spec by name of everything under managed/.
fn files(parts: &Parts, fabric: &str, branch: &str) -> BTreeMap<String, Value> {
    let prefix = format!("{fabric}/managed/servers/");
    let paths = parts.bare.paths(branch).into_iter();
    paths
        .filter(|path| path.starts_with(&prefix) && path.ends_with(".yaml"))
        .map(|path| {
            let document: Value = serde_yaml::from_str(&parts.bare.show(branch, &path)).unwrap();
            (document["metadata"]["name"].as_str().unwrap().to_owned(), document["spec"].clone())
        })
        .collect()
}

/// Specs by name of everything in NetBox.
fn rows(parts: &Parts, fabric: &str) -> BTreeMap<String, Vec<Value>> {
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in parts.netbox.rows("Server").into_iter().filter(|row| row["fabric"] == fabric) {
        rows.entry(row["name"].as_str().unwrap().to_owned()).or_default().push(row["spec"].clone());
    }
    rows
}

/// No run has two commits, and no commit of ours is without a change.
fn faults_of_history(parts: &Parts, branch: &str) -> Vec<String> {
    let log = parts.bare.git(&["log", "--format=%H %T %(trailers:key=Fgd-Run,valueonly,separator=%x20)", branch]);
    let mut faults = Vec::new();
    let mut runs = BTreeSet::new();
    let lines: Vec<Vec<&str>> = log.lines().map(|line| line.split(' ').collect()).collect();
    for pair in lines.windows(2) {
        let [commit, tree, run] = pair[0][..] else { continue };
        if run.is_empty() {
            continue;
        }
        if !runs.insert(run) {
            faults.push(format!("{branch}: the run {run} committed twice"));
        }
        if pair[1][1] == tree {
            faults.push(format!("{branch}: our commit {commit} changes nothing"));
        }
    }
    faults
}
