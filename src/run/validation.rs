//! Holds what a run would carry over to the rules of its fabric; what already stands on both sides is left alone.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::domain::document::{Document, Shared};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::kind::KindSpec;
use crate::domain::pointer::Pointer;
use crate::domain::policy::{Direction, Policy, Validation};
use crate::plan::{GitSide, KeySides, NetBoxSide, RawContent, Sides, Warning, managed};
use crate::validate::{Crds, Finding, Known, Severity, Subnets, references, validate};

/// The most findings that one reason tells.
const TOLD: usize = 5;

/// Refuses documents, files and rows with errors, and notes warnings.
///
/// A raw document is rejected; a managed file or a row that changed is held, with the findings as its reason. Where one
/// side leads, nothing is carried over from the other, so its changes are drift and nothing else.
///
/// `subnets` are those of VPCs whose content is not among the sides.
pub fn hold_to_rules(sides: &mut Sides, subnets: &Subnets, crds: &Crds, policy: &Policy) {
    if policy.validation == Validation::Off {
        return;
    }
    let rules = Rules { crds, policy, sides, subnets, known: OnceCell::new() };
    let mut warnings = Vec::new();
    let rejected = rules.raw_documents(&mut warnings);
    let held = sides.keys.iter().filter_map(|(key, of)| {
        let spec = sides.catalogue.get(&key.kind)?;
        rules.sides_of(spec, key, of, &mut warnings)
    });
    let held: Vec<(Key, Held)> = held.collect();
    for (file, place, content) in rejected {
        sides.raw[file].documents[place].content = content;
    }
    for (key, held) in held {
        let Some(of) = sides.keys.get_mut(&key) else { continue };
        match held {
            Held::File(broken) => of.git = broken,
            Held::Row(invalid) => of.netbox = invalid,
        }
    }
    sides.warnings = warnings;
}

/// The side that takes the place of one with errors.
enum Held {
    File(GitSide),
    Row(NetBoxSide),
}

fn known<'a>(sides: &'a Sides, subnets: &'a Subnets) -> Known<'a> {
    let mut known = Known::default();
    sides.other_files().for_each(|(key, _)| known.add(key));
    known.add_subnets(subnets);
    for (key, of) in &sides.keys {
        match (&of.git, &of.netbox) {
            (GitSide::File { document, .. }, _) => known.add_document(document),
            (_, NetBoxSide::Row(row)) => known.add_spec(key, &row.shared.spec),
            (GitSide::Absent, _) => {}
            (GitSide::AsBase | GitSide::Broken { .. } | GitSide::Several { .. }, _) => known.add(key),
        }
    }
    let documents = sides.raw.iter().flat_map(|file| &file.documents);
    for document in documents {
        if let RawContent::Document(document) = &document.content {
            known.add_document(document);
        }
    }
    known
}

/// A row as a document, to be held to a schema.
fn as_document(shared: &Shared, api_version: &str) -> Document {
    let body = json!({
        "apiVersion": api_version,
        "kind": shared.key.kind.as_str(),
        "metadata": {"name": shared.key.name, "namespace": shared.key.namespace},
        "spec": shared.spec,
    });
    let body = match body {
        Value::Object(body) => body,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    Document { key: shared.key.clone(), body }
}

struct Rules<'a> {
    crds: &'a Crds,
    policy: &'a Policy,
    sides: &'a Sides,
    subnets: &'a Subnets,
    /// Made once something is held to it.
    known: OnceCell<Known<'a>>,
}

impl Rules<'_> {
    fn findings(&self, document: &Document) -> Vec<Finding> {
        let mut findings = validate(document, self.crds, self.policy.validation);
        findings.extend(references(document, self.known.get_or_init(|| known(self.sides, self.subnets))));
        findings
    }

    /// What takes the place of raw documents with errors: number of the file, place in it, content.
    fn raw_documents(&self, warnings: &mut Vec<Warning>) -> Vec<(usize, usize, RawContent)> {
        let mut rejected = Vec::new();
        for (number, file) in self.sides.raw.iter().enumerate() {
            for (place, found) in file.documents.iter().enumerate() {
                let RawContent::Document(document) = &found.content else { continue };
                if self.sides.remembered.contains_key(&file.id(place)) {
                    continue;
                }
                let findings = self.findings(document);
                let pointers: Vec<&Pointer> = findings.iter().map(|finding| &finding.at).collect();
                let key = document.key.clone();
                let places = file.places(place, &pointers).into_iter().map(Some).collect();
                if let Some(reason) = told(findings, places, file.path.as_str(), warnings) {
                    rejected.push((number, place, RawContent::Rejected { key: Some(key), reason }));
                }
            }
        }
        rejected
    }

    /// What of a key has to be held, when it changed, is not the same on both sides, and has errors.
    fn sides_of(&self, spec: &KindSpec, key: &Key, of: &KeySides, warnings: &mut Vec<Warning>) -> Option<(Key, Held)> {
        let row = match &of.netbox {
            NetBoxSide::Row(row) => Some(row),
            NetBoxSide::AsBase
            | NetBoxSide::Absent
            | NetBoxSide::Unproven { .. }
            | NetBoxSide::Several { .. }
            | NetBoxSide::Invalid { .. } => None,
        };
        if let GitSide::File { path, blob, document, bytes } = &of.git {
            let digest = document.shared().digest();
            if row.is_some_and(|row| row.shared.digest() == digest) {
                return None;
            }
            let base = of.base.as_ref().and_then(|base| base.git.as_ref());
            let goes_on = self.policy.direction != Direction::NetboxToGit;
            if goes_on && base.is_none_or(|base| base.blob != *blob) {
                let findings = self.findings(document);
                let pointers: Vec<&Pointer> = findings.iter().map(|finding| &finding.at).collect();
                let places = managed::places(bytes, &pointers).into_iter().map(Some).collect();
                let reason = told(findings, places, path.as_str(), warnings)?;
                return Some((key.clone(), Held::File(GitSide::Broken { path: path.clone(), reason })));
            }
        }
        let row = row?;
        let digest = Some(row.shared.digest());
        let base = of.base.as_ref().and_then(|base| base.netbox.as_ref()).map(|base| base.digest.clone());
        let own = of.intent.as_ref().is_some_and(|intent| intent.to == digest);
        if base == digest || own || self.policy.direction == Direction::GitToNetbox {
            return None;
        }
        let api_version = match &of.git {
            GitSide::File { document, .. } => {
                document.body.get("apiVersion").and_then(Value::as_str).map(str::to_owned)
            }
            GitSide::Absent | GitSide::AsBase | GitSide::Broken { .. } | GitSide::Several { .. } => None,
        };
        let findings = self.findings(&as_document(&row.shared, &api_version.unwrap_or_else(|| spec.api_version())));
        let places = findings.iter().map(|_| None).collect();
        let reason = told(findings, places, &key.to_string(), warnings)?;
        Some((key.clone(), Held::Row(NetBoxSide::Invalid { id: row.id, reason })))
    }
}

/// Notes the warnings; returns the errors as one reason, when there are any.
fn told(
    findings: Vec<Finding>,
    places: Vec<Option<(u64, u64)>>,
    about: &str,
    warnings: &mut Vec<Warning>,
) -> Option<Reason> {
    let mut errors: Vec<Reason> = Vec::new();
    for (finding, place) in findings.into_iter().zip(places) {
        let reason = Reason::new(finding.code, finding.sentence());
        let reason = match place {
            Some((line, column)) => reason.at(line, column),
            None => reason,
        };
        match finding.severity {
            Severity::Error => errors.push(reason),
            Severity::Warning => warnings.push(Warning { about: about.to_owned(), reason }),
        }
    }
    let first = errors.first()?.clone();
    let mut sentences: Vec<String> = errors.iter().take(TOLD).map(|error| error.message.clone()).collect();
    if errors.len() > TOLD {
        sentences.push(format!("and {} more", errors.len() - TOLD));
    }
    Some(Reason { message: sentences.join("; "), ..first })
}
