//! What must hold when the storm is over.

use std::collections::{BTreeMap, BTreeSet};

use fgd_sync::domain::names::{BranchName, FabricName, JobId, Oid, RepoName, Target};
use fgd_sync::domain::report::{Item, JobState};
use serde_json::Value;

use super::acts::{FIELDS, NAMES, Side};
use super::world::{FABRIC, World, file_of};

/// Who wrote what on top of what: no value is written twice.
#[derive(Debug, Default)]
pub struct Authors {
    /// Value to the one that its writer saw.
    seen: BTreeMap<String, Option<String>>,
    /// What people wrote last, by object and field, on each side.
    last: BTreeMap<(String, &'static str), [Option<String>; 2]>,
}

impl Authors {
    pub fn wrote(&mut self, side: Side, name: &str, field: &'static str, saw: Option<String>, value: &str) {
        self.seen.insert(value.to_owned(), saw);
        let last = self.last.entry((name.to_owned(), field)).or_default();
        last[usize::from(side == Side::NetBox)] = Some(value.to_owned());
    }

    /// These objects were deleted, renamed or replaced as a whole: what was in them may go.
    pub fn forget(&mut self, names: &[&str]) {
        self.last.retain(|(name, _), _| !names.contains(&name.as_str()));
    }

    /// The values that people wrote last and whoever wrote `now` had not seen.
    fn overwritten_unseen(&self, name: &str, field: &'static str, now: &str) -> Vec<&str> {
        let mut known = BTreeSet::from([now]);
        let mut next = now;
        while let Some(Some(saw)) = self.seen.get(next) {
            known.insert(saw);
            next = saw;
        }
        let last = self.last.get(&(name.to_owned(), field)).into_iter().flatten().flatten();
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
    let fabric = FabricName::new(FABRIC);
    let before = (world.remote.head(), world.netbox.changes().len());
    world.compare_surely().await;
    world.work_off().await;
    let after = (world.remote.head(), world.netbox.changes().len());
    expect(before == after, &|| format!("one more full comparison changed {before:?} to {after:?}"));

    let status = world.ledger.fabric_status(&fabric).await.expect("Redis answers");
    let held: BTreeSet<&str> = status.held.keys().chain(&status.guarded).map(|key| key.name.as_str()).collect();
    expect(status.error.is_none(), &|| format!("the fabric is not worked on: {:?}", status.error));
    expect(status.pending_changes == 0, &|| format!("{} changes are pending", status.pending_changes));
    // A file that cannot be read has no key; the report lists it by its path.
    let unreadable: BTreeSet<&str> = status.last_run.iter().flat_map(|report| &report.items).filter_map(file).collect();
    let files = world.remote.files();
    for name in NAMES {
        let rows = world.rows(name);
        let listed = held.contains(name) || unreadable.contains(file_of(name).as_str());
        let file: Option<Value> = files.get(&file_of(name)).map(|bytes| {
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
                let lost = world.history.overwritten_unseen(name, field, now);
                expect(lost.is_empty(), &|| format!("{field} of {name} is {now}, and nobody saw {lost:?}"));
            }
        }
    }

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

    for (path, content) in &world.dropped {
        let log = files.get(&super::world::at(".hnp/archive-log.yaml")).cloned().unwrap_or_default();
        let id = Oid::of_blob(content);
        let told = String::from_utf8_lossy(&log).contains(id.as_str());
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
    if !broken.is_empty() {
        broken.push(format!("the last run: {:?}", status.last_run));
    }
    broken
}

fn file(item: &Item) -> Option<&str> {
    match item {
        Item::File { path, .. } => Some(path),
        Item::Object { .. } | Item::Document { .. } | Item::Warning { .. } => None,
    }
}
