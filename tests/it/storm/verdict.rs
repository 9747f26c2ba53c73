//! What must hold when the storm is over.

use std::collections::{BTreeMap, BTreeSet};

use fgd_sync::domain::names::{BranchName, FabricName, JobId, Oid, RepoName, Target};
use fgd_sync::domain::report::{Item, JobState};
use serde_json::Value;

use super::acts::{FIELDS, NAMES, Side};
use super::world::{World, at, file_of};

/// Who wrote what on top of what: no value is written twice.
#[derive(Debug, Default)]
pub struct Authors {
    /// Value to the one that its writer saw.
    seen: BTreeMap<String, Option<String>>,
    /// What people wrote last, by object and field, on each side.
    last: BTreeMap<Field, [Option<String>; 2]>,
}

/// Fabric, object and field.
type Field = (&'static str, String, &'static str);

impl Authors {
    pub fn wrote(
        &mut self,
        side: Side,
        (fabric, name, field): (&'static str, &str, &'static str),
        saw: Option<String>,
        value: &str,
    ) {
        self.seen.insert(value.to_owned(), saw);
        let last = self.last.entry((fabric, name.to_owned(), field)).or_default();
        last[usize::from(side == Side::NetBox)] = Some(value.to_owned());
    }

    /// These objects were deleted, renamed or replaced as a whole: what was in them may go.
    pub fn forget(&mut self, fabric: &str, names: &[&str]) {
        self.last.retain(|(of, name, _), _| *of != fabric || !names.contains(&name.as_str()));
    }

    /// The branch was moved back: what was in any file may go.
    pub fn forget_all(&mut self) {
        self.last.clear();
    }

    /// The values that people wrote last and whoever wrote `now` had not seen.
    fn overwritten_unseen(&self, of: (&'static str, &str, &'static str), now: &str) -> Vec<&str> {
        let mut known = BTreeSet::from([now]);
        let mut next = now;
        while let Some(Some(saw)) = self.seen.get(next) {
            known.insert(saw);
            next = saw;
        }
        let last = self.last.get(&(of.0, of.1.to_owned(), of.2)).into_iter().flatten().flatten();
        last.map(String::as_str).filter(|value| !known.contains(value)).collect()
    }
}

/// Every promise that is broken, in words. `never_overwrites`: the policy leaves every difference to a person.
pub async fn broken_promises(world: &mut World<'_>, never_overwrites: bool) -> Vec<String> {
    let mut broken = Vec::new();
    let mut expect = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            broken.push(what());
        }
    };
    let before = (world.remote.head(), world.netbox.changes().len());
    world.compare_surely().await;
    world.work_off().await;
    let after = (world.remote.head(), world.netbox.changes().len());
    expect(before == after, &|| format!("one more full comparison changed {before:?} to {after:?}"));

    for fabric in world.fabrics {
        broken.extend(broken_in(world, fabric, never_overwrites).await);
    }
    let mut expect = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            broken.push(what());
        }
    };

    let history = world.remote.history();
    let reachable: BTreeSet<&Oid> = history.iter().map(|(oid, _)| oid).collect();
    for commit in &world.human_commits {
        expect(reachable.contains(commit), &|| format!("a person's commit {commit} is gone"));
    }
    let mut runs = BTreeSet::new();
    for (at, (oid, commit)) in history.iter().enumerate() {
        let Some(run) = commit.run() else { continue };
        expect(runs.insert(run.to_owned()), &|| format!("the run {run} committed twice"));
        let parent = history.get(at + 1).map(|(_, parent)| &parent.files);
        expect(parent != Some(&commit.files), &|| format!("our commit {oid} changes nothing"));
    }

    let files = world.remote.files();
    let log = |fabric: &&str| files.get(&at(fabric, ".hnp/archive-log.yaml")).cloned().unwrap_or_default();
    let logs: Vec<String> =
        world.fabrics.iter().map(|fabric| String::from_utf8_lossy(&log(fabric)).into_owned()).collect();
    for (path, content) in &world.dropped {
        let id = Oid::of_blob(content);
        let told = logs.iter().any(|log| log.contains(id.as_str()));
        let there = files.get(path) == Some(content);
        expect(there || told || world.rewound, &|| format!("{path} is gone, and the archive log does not tell why"));
    }

    for job in &world.accepted {
        let known = world.ledger.job(&JobId::new(job.clone())).await.expect("Redis answers");
        let state = known.as_ref().map(|job| job.state);
        let ended = matches!(state, Some(JobState::Succeeded | JobState::Held));
        expect(ended, &|| format!("the accepted job {job} is {known:?}"));
    }
    let target = Target { repo: RepoName::new("main"), branch: BranchName::new("main") };
    let numbers = world.ledger.numbers(&[&target]).await.expect("Redis answers");
    expect(numbers.leases.is_empty(), &|| format!("leases are held: {:?}", numbers.leases));
    expect(numbers.dead_letters == 0, &|| format!("{} dead letters", numbers.dead_letters));
    broken
}

/// The promises that are broken in one fabric: equal or held, and nothing overwritten unseen.
async fn broken_in(world: &World<'_>, fabric: &'static str, never_overwrites: bool) -> Vec<String> {
    let mut broken = Vec::new();
    let mut expect = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            broken.push(format!("in {fabric}: {}", what()));
        }
    };
    let status = world.ledger.fabric_status(&FabricName::new(fabric)).await.expect("Redis answers");
    let held: BTreeSet<&str> = status.held.keys().chain(&status.guarded).map(|key| key.name.as_str()).collect();
    expect(status.error.is_none(), &|| format!("it is not worked on: {:?}", status.error));
    expect(status.pending_changes == 0, &|| format!("{} changes are pending", status.pending_changes));
    // A file that cannot be read has no key; the report lists it by its path.
    let unreadable: BTreeSet<&str> = status.last_run.iter().flat_map(|report| &report.items).filter_map(file).collect();
    let files = world.remote.files();
    for name in NAMES {
        let rows = world.rows(fabric, name);
        let listed = held.contains(name) || unreadable.contains(file_of(fabric, name).as_str());
        let file: Option<Value> = files.get(&file_of(fabric, name)).map(|bytes| {
            serde_yaml::from_slice::<Value>(bytes).map_or(Value::Null, |document| document["spec"].clone())
        });
        let same = match rows.as_slice() {
            [] => file.is_none(),
            [row] => file.as_ref() == Some(&row["spec"]),
            _ => false,
        };
        expect(same || listed, &|| format!("{name} differs and is not held: {file:?} in Git, {rows:?} in NetBox"));
        if same && !listed && never_overwrites {
            for field in FIELDS {
                let now = file.as_ref().and_then(|file| file[field].as_str()).unwrap_or_default();
                let lost = world.history.overwritten_unseen((fabric, name, field), now);
                expect(lost.is_empty(), &|| format!("{field} of {name} is {now}, and nobody saw {lost:?}"));
            }
        }
    }
    if !broken.is_empty() {
        broken.push(format!("the last run of {fabric}: {:?}", status.last_run));
    }
    broken
}

fn file(item: &Item) -> Option<&str> {
    match item {
        Item::File { path, .. } => Some(path),
        Item::Object { .. } | Item::Document { .. } | Item::Warning { .. } => None,
    }
}
