//! One drop of many documents: taken apart, validated and planned alone; and all the way into NetBox and managed/.

mod whole;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;

use bytes::Bytes;
use fgd_sync::domain::edit::Edit;
use fgd_sync::domain::key::Key;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::Oid;
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::policy::{Policy, Validation};
use fgd_sync::domain::row::Row;
use fgd_sync::plan::raw::take_apart;
use fgd_sync::plan::{KeySides, NetBoxSide, NetBoxWrite, RawContent, RawFile, Sides, plan_fabric};
use fgd_sync::validate::{Crds, validate};
use serde_json::Value;

use crate::planner::{empty_sides, milliseconds};
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::{fabric_name, servers};

/// As many as one file may have.
const DOCUMENTS: usize = 10_000;
const ROUNDS: usize = 5;
/// The goal for taking apart, validating and planning together, in seconds.
const LIMIT: f64 = 5.0;

/// What documents of the drop are held to.
const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servers.wiring.githedgehog.com}
spec:
  group: wiring.githedgehog.com
  names: {kind: Server, plural: servers}
  versions:
    - name: v1beta1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [profile]
              properties:
                description: {type: string, maxLength: 100}
                profile: {type: string, enum: [compute, storage]}
                ports:
                  type: object
                  additionalProperties:
                    type: object
                    properties:
                      mtu: {type: integer, minimum: 1280, maximum: 9216}
                      leaf: {type: string, pattern: '^leaf-[0-9]{2}$'}
";

/// Both parts.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let drop = documents();
    let mut lines = vec![alone(&drop)?];
    lines.extend(whole::run(&drop).await?);
    Ok(lines)
}

/// The drop's text: servers as people write them.
fn documents() -> String {
    let mut text = String::new();
    for object in servers(0, DOCUMENTS, "server") {
        let (name, spec) = (&object.name, &object.spec);
        let (one, two) = (&spec["ports"]["eth0"]["leaf"], &spec["ports"]["eth1"]["leaf"]);
        _ = writeln!(
            text,
            "---\napiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata:\n  name: {name}\nspec:\n  \
             description: {}\n  profile: compute # as ordered\n  ports:\n    eth0: {{mtu: 9000, leaf: {one}}}\n    \
             eth1: {{mtu: 9000, leaf: {two}}}",
            spec["description"]
        );
    }
    text
}

fn alone(drop: &str) -> Result<Line, Failure> {
    let mut crds = Crds::default();
    crds.add(CRD).map_err(|error| Failure(error.to_string()))?;
    let (mut apart, mut validated, mut planned, mut parsing) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let mut file = None;
        apart.push(milliseconds(|| file = Some(raw_file(drop))));
        let file = file.ok_or_else(|| Failure("nothing was taken apart".to_owned()))?;
        let mut findings = 0;
        validated.push(milliseconds(|| findings = all_findings(&file, &crds)));
        expect("findings", findings, 0)?;
        let mut sides = sides_of(file);
        let mut writes = Vec::new();
        let first = milliseconds(|| writes = plan_fabric(black_box(&sides), &Policy::default()).netbox);
        expect("writes to NetBox", writes.len(), DOCUMENTS)?;
        answer(&mut sides, writes);
        let mut plan = None;
        let second = milliseconds(|| plan = Some(plan_fabric(black_box(&sides), &Policy::default())));
        let edits = plan.map(|plan| plan.edits).unwrap_or_default();
        let managed =
            edits.iter().filter(|(path, edit)| path.file_name().starts_with("server-") && **edit != Edit::Delete);
        expect("files", managed.count(), DOCUMENTS)?;
        planned.push(first + second);
        parsing.push(milliseconds(|| parse(drop)));
    }
    println!(
        "  in ms: taken apart {apart:.0?}, validated {validated:.0?}, planned twice {planned:.0?}, parsed only {parsing:.0?}"
    );
    let together = |at: usize| (apart[at] + validated[at] + planned[at]) / 1_000.0;
    let figure = Spread::of((0..ROUNDS).map(together)).median;
    Ok(Line {
        what: format!("a drop of {DOCUMENTS} documents: taken apart, validated, planned"),
        measured: format!("{} s", short(figure)),
        beside: format!("parsing the same YAML: {} s", short(Spread::of(parsing.iter().copied()).median / 1_000.0)),
        ratio: Some(Spread::of((0..ROUNDS).map(|at| together(at) * 1_000.0 / parsing[at]))),
        goal: Goal::AtMost { figure, limit: LIMIT, unit: "s" },
    })
}

fn raw_file(drop: &str) -> RawFile {
    let path = RepoPath::new(&format!("{}/raw/drop.yaml", fabric_name(0))).expect("a plain path");
    let bytes = Bytes::copy_from_slice(drop.as_bytes());
    take_apart(Catalogue::hedgehog(), &path, &Oid::of_blob(&bytes), bytes)
}

fn all_findings(file: &RawFile, crds: &Crds) -> usize {
    let documents = file.documents.iter().filter_map(|found| match &found.content {
        RawContent::Document(document) => Some(document),
        RawContent::Unmanaged(_) | RawContent::Rejected { .. } | RawContent::Held(_) => None,
    });
    documents.map(|document| validate(document, crds, Validation::Strict).len()).sum()
}

/// The drop in an empty directory, and nothing in NetBox.
fn sides_of(file: RawFile) -> Sides {
    let mut sides = empty_sides();
    for found in &file.documents {
        if let RawContent::Document(document) = &found.content {
            let absent = KeySides { netbox: NetBoxSide::Absent, ..KeySides::default() };
            sides.keys.insert(document.key.clone(), absent);
        }
    }
    sides.raw.push(file);
    sides
}

/// NetBox took every write.
fn answer(sides: &mut Sides, writes: Vec<NetBoxWrite>) {
    let rows: BTreeMap<Key, Row> = writes
        .into_iter()
        .zip(1..)
        .filter_map(|(write, id)| match write {
            NetBoxWrite::Create { want } => {
                Some((want.key.clone(), Row { id, shared: want, last_updated: "2026-11-21T10:00:00Z".to_owned() }))
            }
            NetBoxWrite::Update { .. } | NetBoxWrite::Delete { .. } => None,
        })
        .collect();
    for (key, row) in rows {
        if let Some(side) = sides.keys.get_mut(&key) {
            side.netbox = NetBoxSide::Row(Box::new(row));
        }
    }
}

fn parse(drop: &str) {
    for text in drop.split("---\n").filter(|text| !text.is_empty()) {
        let value: Value = serde_yaml::from_str(text).expect("the drop is YAML");
        black_box(value);
    }
}

fn expect(what: &str, found: usize, wanted: usize) -> Result<(), Failure> {
    if found == wanted { Ok(()) } else { Err(Failure(format!("{found} {what}, not {wanted}"))) }
}
