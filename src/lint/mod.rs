//! Everything that can be said of local files without a server: taken apart, named, validated, against each other.
//!
//! The rules are the service's own; files below a directory `managed` are held to its layout, all others are read as
//! drops into raw/.

pub mod files;
pub mod output;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::digest::Digest;
use crate::domain::document::Document;
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::kind::{Catalogue, Home, KindSpec};
use crate::domain::names::Oid;
use crate::domain::path::RepoPath;
use crate::domain::pointer::Pointer;
use crate::domain::policy::Validation;
use crate::plan::raw::take_apart;
use crate::plan::{RawContent, RawDocument, RawFile, layout};
use crate::validate::{Crds, Finding, Known, Severity, references, validate};

/// One file, by the name that the user knows it by.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub bytes: Bytes,
}

/// What files are held to.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub crds: Crds,
    pub validation: Validation,
}

/// What was found in all files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub files: usize,
    /// Items of lists counted singly, empty documents not.
    pub documents: usize,
    /// By file, line and column.
    pub remarks: Vec<Remark>,
}

/// One finding, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub file: String,
    /// 1-based.
    pub line: u64,
    pub column: u64,
    pub severity: Severity,
    /// Stable word for programs.
    pub code: String,
    pub message: String,
    pub object: Option<Key>,
    /// Among all documents of the file, 0-based, and of a `kind: List` which item.
    pub index: usize,
    pub item: Option<usize>,
    /// Where in the document.
    pub field: Option<String>,
    /// Which part of a CRD's schema says so.
    pub schema: Option<String>,
}

impl Report {
    /// How many remarks are this bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.remarks.iter().filter(|remark| remark.severity == severity).count()
    }
}

/// Says everything that is wrong with these files; never fails.
pub fn lint(files: &[File], rules: &Rules) -> Report {
    let catalogue = with_kinds_of(&rules.crds);
    let taken: Vec<Taken> = files.iter().map(|file| Taken::of(file, &catalogue)).collect();
    let mut known = Known::default();
    let documents = || taken.iter().flat_map(Taken::documents);
    documents().for_each(|(_, _, document)| known.add_document(document));

    let mut remarks = Vec::new();
    for file in &taken {
        for (place, found) in file.raw.documents.iter().enumerate() {
            remarks.extend(file.content_remark(found, &catalogue));
            if let RawContent::Document(document) = &found.content {
                let mut findings = validate(document, &rules.crds, rules.validation);
                if rules.validation != Validation::Off {
                    findings.extend(references(document, &known));
                }
                remarks.extend(file.remarks_of(place, document, findings));
            }
        }
        remarks.extend(file.surplus_documents());
    }
    remarks.extend(several_of_one_key(&taken));
    remarks.sort_by(|one, other| {
        (&one.file, one.line, one.column, one.severity).cmp(&(&other.file, other.line, other.column, other.severity))
    });
    let empty =
        |found: &&RawDocument| matches!(&found.content, RawContent::Unmanaged(reason) if reason.code == "empty");
    let count = taken.iter().map(|file| file.raw.documents.iter().filter(|found| !empty(found)).count()).sum();
    Report { files: files.len(), documents: count, remarks }
}

/// The built-in kinds and those that only CRDs know: these are held to their schemas too.
fn with_kinds_of(crds: &Crds) -> Catalogue {
    let mut catalogue = Catalogue::hedgehog().clone();
    for (group, kind, plural) in crds.kinds() {
        let spec = KindSpec {
            kind: crate::domain::kind::Kind::new(kind),
            group: group.to_owned(),
            version: "v1".to_owned(),
            directory: plural.to_owned(),
            home: Home::CustomObject { slug: format!("{group} {kind}") },
            keyed_lists: Vec::new(),
        };
        // One that clashes is one that is built in.
        if let Ok(more) = catalogue.with([spec]) {
            catalogue = more;
        }
    }
    catalogue
}

/// One file, taken apart.
struct Taken<'f> {
    name: &'f str,
    raw: RawFile,
    /// The path from a directory `managed` on.
    managed: Option<&'f str>,
}

impl<'f> Taken<'f> {
    fn of(file: &'f File, catalogue: &Catalogue) -> Self {
        // The name decides how a file is read; one that could not stand in a repository is read as what it ends in.
        let path = file.name.trim_start_matches(['/', '.']);
        let path = RepoPath::new(path).or_else(|_| RepoPath::new(path.rsplit('/').next().unwrap_or_default()));
        let path = path.unwrap_or_default();
        let raw = take_apart(catalogue, &path, &Oid::of_blob(&file.bytes), file.bytes.clone());
        let from = |at: usize| at == 0 || file.name[..at].ends_with('/');
        let managed = file.name.rmatch_indices("managed/").find(|(at, _)| from(*at)).map(|(at, _)| &file.name[at..]);
        Self { name: &file.name, raw, managed }
    }

    fn documents(&self) -> impl Iterator<Item = (&Self, usize, &Document)> {
        self.raw.documents.iter().enumerate().filter_map(move |(place, found)| match &found.content {
            RawContent::Document(document) => Some((self, place, document.as_ref())),
            RawContent::Unmanaged(_) | RawContent::Rejected { .. } | RawContent::Held(_) => None,
        })
    }

    fn remark(&self, found: &RawDocument, severity: Severity, reason: &Reason) -> Remark {
        Remark {
            file: self.name.to_owned(),
            line: reason.line.unwrap_or(found.line),
            column: reason.column.unwrap_or(1),
            severity,
            code: reason.code.clone(),
            message: reason.message.clone(),
            object: None,
            index: found.index,
            item: found.item,
            field: None,
            schema: None,
        }
    }

    /// What is to be said of a document by what it is, and of one of ours by where it stands.
    fn content_remark(&self, found: &RawDocument, catalogue: &Catalogue) -> Option<Remark> {
        match &found.content {
            RawContent::Document(document) => {
                let reason = self.misplaced(document, catalogue)?;
                Some(Remark { object: Some(document.key.clone()), ..self.remark(found, Severity::Warning, &reason) })
            }
            RawContent::Unmanaged(reason) if reason.code == "empty" => None,
            RawContent::Unmanaged(reason) => Some(self.remark(found, Severity::Warning, reason)),
            RawContent::Rejected { reason, .. } | RawContent::Held(reason) => {
                Some(self.remark(found, Severity::Error, reason))
            }
        }
    }

    fn misplaced(&self, document: &Document, catalogue: &Catalogue) -> Option<Reason> {
        let managed = self.managed?;
        let spec = catalogue.get(&document.key.kind)?;
        let path = layout::managed_path(&RepoPath::root(), spec, &document.key).ok()?;
        let why = format!("{} belongs to {path}", document.key);
        (path.as_str() != managed).then(|| Reason::new("misplaced", why))
    }

    fn remarks_of(&self, place: usize, document: &Document, findings: Vec<Finding>) -> Vec<Remark> {
        let pointers: Vec<&Pointer> = findings.iter().map(|finding| &finding.at).collect();
        let places = self.raw.places(place, &pointers);
        let found = &self.raw.documents[place];
        let remark = |(finding, (line, column)): (Finding, (u64, u64))| Remark {
            file: self.name.to_owned(),
            line,
            column,
            severity: finding.severity,
            code: finding.code.to_owned(),
            message: match finding.at.to_string() {
                at if at.is_empty() => finding.message.clone(),
                at => format!("{at}: {}", finding.message),
            },
            object: Some(document.key.clone()),
            index: found.index,
            item: found.item,
            field: Some(finding.at.to_string()),
            schema: finding.schema,
        };
        findings.into_iter().zip(places).map(remark).collect()
    }

    /// A managed file is one object's.
    fn surplus_documents(&self) -> Vec<Remark> {
        if self.managed.is_none() {
            return Vec::new();
        }
        let why = "a managed file holds one document: give each its own file";
        let reason = Reason::new("several_documents", why);
        let surplus = self.documents().skip(1);
        surplus.map(|(_, place, _)| self.remark(&self.raw.documents[place], Severity::Error, &reason)).collect()
    }
}

/// Documents that want to be one object: raw files among themselves, and managed files among themselves.
fn several_of_one_key(taken: &[Taken]) -> Vec<Remark> {
    let mut firsts: BTreeMap<(bool, &Key), (&Taken, u64, Digest)> = BTreeMap::new();
    let mut remarks = Vec::new();
    for (file, place, document) in taken.iter().flat_map(Taken::documents) {
        let (found, digest) = (&file.raw.documents[place], document.shared().digest());
        let managed = file.managed.is_some();
        let Some((first, line, wanted)) = firsts.get(&(managed, &document.key)) else {
            firsts.insert((managed, &document.key), (file, found.line, digest));
            continue;
        };
        let (severity, what) = match (managed, digest == *wanted) {
            (true, _) => (Severity::Error, "a second file for"),
            (false, true) => (Severity::Warning, "once more the same document for"),
            (false, false) => (Severity::Error, "another document for"),
        };
        let why = format!("this is {what} {}, which stands in {}:{line}", document.key, first.name);
        let reason = Reason::new("several_documents_for_one_key", why);
        remarks.push(Remark { object: Some(document.key.clone()), ..file.remark(found, severity, &reason) });
    }
    remarks
}
