//! The planner alone, on a large fabric, beside parsing the same documents once.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use fgd_sync::domain::document::Shared;
use fgd_sync::domain::edit::{Edit, Edits, Mode, Tree, TreeEntry};
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::{Catalogue, Kind};
use fgd_sync::domain::names::{FabricName, LedgerId, Oid};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::Policy;
use fgd_sync::domain::row::{Base, Row};
use fgd_sync::plan::directory::Look;
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::{DeletionWindow, GitSide, KeySides, NetBoxSide, Sides, Unchanged, plan_fabric};
use serde_json::{Map, Value};

use crate::stats::Spread;
use crate::support::fakes::netbox::Object;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::servers;

const OBJECTS: usize = 10_000;
const CHANGED: usize = 1_000;
const ROUNDS: usize = 7;
/// The goal for a plan of either kind, in milliseconds.
const LIMIT: f64 = 1_000.0;

/// Nothing changed, and some rows changed; both with every row read, as a full comparison does.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let first = first_sides();
    let filled = plan_fabric(&first, &Policy::default());
    let files = &filled.edits;
    let bases = filled.base.iter().filter_map(|update| Some((update.key.clone(), update.base.clone()?))).collect();
    let equal = agreed(&first, &bases, files)?;
    let changed = with_changes(&equal, &bases, files);
    let texts: Vec<&[u8]> = files
        .iter()
        .filter(|(path, _)| path.as_str().contains("/managed/servers/") && path.as_str().ends_with(".yaml"))
        .filter_map(|(_, edit)| Some(edit.bytes()?.as_ref()))
        .collect();
    expect("files", texts.len(), OBJECTS)?;
    expect("edits where nothing changed", plan_fabric(&equal, &Policy::default()).edits.len(), 0)?;
    expect("edits for changed rows", plan_fabric(&changed, &Policy::default()).edits.len(), CHANGED)?;

    let (mut nothing, mut some, mut all, mut parsing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nothing.push(milliseconds(|| drop(black_box(plan_fabric(black_box(&equal), &Policy::default())))));
        parsing.push(milliseconds(|| parse(&texts)));
        some.push(milliseconds(|| drop(black_box(plan_fabric(black_box(&changed), &Policy::default())))));
        all.push(milliseconds(|| drop(black_box(plan_fabric(black_box(&first), &Policy::default())))));
    }
    println!(
        "  in ms: nothing changed {nothing:.0?}, {CHANGED} changed {some:.0?}, all new {all:.0?}, parsing {parsing:.0?}"
    );
    let line = |what: String, figures: &[f64]| {
        let figure = Spread::of(figures.iter().copied()).median;
        Line {
            what: format!("plan of {OBJECTS} objects, {what}"),
            measured: format!("{} ms", short(figure)),
            beside: format!("parsing the same YAML: {} ms", short(Spread::of(parsing.iter().copied()).median)),
            ratio: Some(Spread::of(figures.iter().zip(&parsing).map(|(ours, parsing)| ours / parsing))),
            goal: Goal::AtMost { figure, limit: LIMIT, unit: "ms" },
        }
    };
    Ok(vec![
        line("nothing changed".to_owned(), &nothing),
        line(format!("{CHANGED} changed"), &some),
        line("all new".to_owned(), &all),
    ])
}

/// How long something takes.
pub fn milliseconds(act: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    act();
    begun.elapsed().as_secs_f64() * 1_000.0
}

fn parse(texts: &[&[u8]]) {
    for text in texts {
        let text = str::from_utf8(text).expect("what we render is UTF-8");
        let value: Value = serde_yaml::from_str(text).expect("what we render is YAML");
        black_box(value);
    }
}

fn expect(what: &str, found: usize, wanted: usize) -> Result<(), Failure> {
    if found == wanted { Ok(()) } else { Err(Failure(format!("{found} {what}, not {wanted}"))) }
}

/// Rows in NetBox and an empty directory.
fn first_sides() -> Sides {
    let keys = servers(0, OBJECTS, "server").into_iter().zip(1..).map(|(object, id)| {
        let row = row(object, id);
        let key = row.shared.key.clone();
        (key, KeySides { netbox: NetBoxSide::Row(Box::new(row)), ..KeySides::default() })
    });
    Sides { keys: keys.collect(), ..empty_sides() }
}

/// An empty directory, and nothing in NetBox.
pub fn empty_sides() -> Sides {
    let directory = RepoPath::new("fabric-000").expect("a plain path");
    Sides {
        fabric: FabricName::new("fabric-000"),
        directory,
        ledger: LedgerId::new("01J0000000000000000000BENCH"),
        catalogue: Catalogue::hedgehog().clone(),
        head: Some(oid(0)),
        tree: Tree::new(),
        own_files: BTreeMap::new(),
        keys: BTreeMap::new(),
        unchanged: Unchanged::default(),
        base: Arc::default(),
        broken: Vec::new(),
        raw: Vec::new(),
        copies: BTreeMap::new(),
        remembered: BTreeMap::new(),
        warnings: Vec::new(),
        compared_in_full: true,
        look: Look::default(),
        moved: None,
        fabric_missing: false,
        deletions: DeletionWindow::default(),
    }
}

fn row(object: Object, id: u64) -> Row {
    let map = |value: Value| value.as_object().cloned().unwrap_or_default();
    let key = Key { kind: Kind::new(&object.kind), namespace: object.namespace, name: object.name };
    let (labels, annotations): (Map<_, _>, Map<_, _>) = (map(object.labels), map(object.annotations));
    let shared = Shared { key, labels, annotations, spec: object.spec };
    Row { id, shared, last_updated: format!("2026-11-21T10:00:00.{:06}Z", id % 1_000_000) }
}

fn oid(number: usize) -> Oid {
    format!("{number:040x}").parse().expect("40 hex digits")
}

/// The same after the first plan was carried out.
fn agreed(first: &Sides, bases: &BTreeMap<Key, Base>, files: &Edits) -> Result<Sides, Failure> {
    let mut sides = first.clone();
    for (path, edit) in files {
        let Some(bytes) = edit.bytes() else { continue };
        let known = bases.values().filter_map(|base| base.git.as_ref()).find(|git| git.path == *path);
        let blob = known.map_or_else(|| oid(sides.tree.len()), |git| git.blob.clone());
        if known.is_none() {
            sides.own_files.insert(path.clone(), bytes.clone());
        }
        sides.tree.insert(path.clone(), TreeEntry { mode: Mode::File, blob, size: None, misnamed: None });
    }
    for (key, side) in &mut sides.keys {
        let base = bases.get(key).ok_or_else(|| Failure(format!("the first plan has no base for {key}")))?;
        (side.base, side.git) = (Some(base.clone()), GitSide::AsBase);
    }
    sides.deletions.objects = bases.len() as u64;
    Ok(sides)
}

/// The same, and every tenth row has another description; their files were read, as a run does.
fn with_changes(equal: &Sides, bases: &BTreeMap<Key, Base>, files: &Edits) -> Sides {
    let mut sides = equal.clone();
    for (key, side) in sides.keys.iter_mut().step_by(OBJECTS / CHANGED) {
        if let NetBoxSide::Row(row) = &mut side.netbox {
            row.shared.spec["description"] = "moved".into();
        }
        let Some(git) = bases.get(key).and_then(|base| base.git.clone()) else { continue };
        let Some(bytes) = files.get(&git.path).and_then(Edit::bytes) else { continue };
        if let ManagedFile::Document(document) = read_document(Catalogue::hedgehog(), bytes) {
            side.git =
                GitSide::File { path: git.path, blob: git.blob, document: Box::new(document), bytes: bytes.clone() };
        }
    }
    sides
}
