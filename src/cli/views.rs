//! What the commands show of the API's objects; everything else of them is for `--output json`.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::output::Table;
use super::settings::counted;

/// A job, as far as tables show it.
#[derive(Deserialize)]
pub struct Job {
    pub id: String,
    pub state: String,
    pub finished: bool,
    origin: Origin,
    created: String,
    updated: String,
    progress: Progress,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Progress {
    done: usize,
    total: usize,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Origin {
    NetboxDelivery { netbox: String, object: String, event: String, user: Option<String> },
    GithubDelivery { repository: String, branch: String, pusher: Option<String> },
    Request { what: String },
    Schedule { what: String },
}

#[derive(Deserialize)]
struct Part {
    fabric: String,
    state: String,
    attempts: u32,
    run: Option<String>,
    next_try: Option<String>,
    error: Option<Failed>,
    report: Option<Report>,
}

/// Why something is not done.
#[derive(Deserialize)]
pub struct Failed {
    code: String,
    message: String,
    pub remedy: String,
}

#[derive(Deserialize)]
struct Report {
    dry_run: bool,
    commit: Option<String>,
    proposal: Option<String>,
    counts: Map<String, Value>,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
enum Item {
    Object { key: Key, outcome: String, reason: Option<Reason> },
    Document { path: String, index: usize, line: u64, fate: String, reason: Option<Reason> },
    File { path: String, reason: Reason },
    Warning { about: String, reason: Reason },
}

/// An object, by what names it.
#[derive(Deserialize)]
pub struct Key {
    kind: String,
    namespace: String,
    name: String,
}

/// Why something waits, or what became of it.
#[derive(Deserialize)]
pub struct Reason {
    code: String,
    message: String,
}

/// A conflict, as far as tables show it.
#[derive(Deserialize)]
pub struct Conflict {
    fabric: String,
    key: Key,
    reason: Reason,
    paths: Vec<String>,
    since: String,
    version: String,
    git: Option<GitSide>,
    netbox: Option<NetBoxSide>,
    documents: Option<Documents>,
    resolution: Option<Resolution>,
}

#[derive(Deserialize)]
struct GitSide {
    path: String,
}

#[derive(Deserialize)]
struct NetBoxSide {
    id: u64,
    changed_by: Vec<String>,
    lost: bool,
}

#[derive(Deserialize)]
struct Documents {
    base: Option<Document>,
    git: Option<Document>,
    netbox: Option<Document>,
}

#[derive(Deserialize)]
struct Document {
    document: Option<Value>,
}

#[derive(Deserialize)]
struct Resolution {
    side: String,
    by: String,
}

impl Origin {
    fn text(&self) -> String {
        let by = |who: &Option<String>| who.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
        match self {
            Self::NetboxDelivery { netbox, object, event, user } => format!("{object} {event}{} in {netbox}", by(user)),
            Self::GithubDelivery { repository, branch, pusher } => {
                format!("push to {branch} of {repository}{}", by(pusher))
            }
            Self::Request { what } | Self::Schedule { what } => what.clone(),
        }
    }
}

impl Failed {
    /// `what is wrong (its_code)`.
    pub fn text(&self) -> String {
        format!("{} ({})", self.message, self.code)
    }
}

impl Reason {
    /// `why (its_code)`.
    pub fn text(&self) -> String {
        format!("{} ({})", self.message, self.code)
    }
}

impl Report {
    /// The commit and what is not zero: `2b7e151: git_written 3, held 1`.
    fn text(&self) -> String {
        let whole = |count: &Value| count.as_u64().filter(|count| *count > 0);
        let counts: Vec<_> =
            self.counts.iter().filter_map(|(name, count)| Some(format!("{name} {}", whole(count)?))).collect();
        let place = match (&self.commit, &self.proposal) {
            (Some(commit), _) => format!("commit {}", commit.get(..10).unwrap_or(commit)),
            (None, Some(proposal)) => proposal.clone(),
            (None, None) if self.dry_run => "dry run".to_owned(),
            (None, None) => "no commit".to_owned(),
        };
        if counts.is_empty() { place } else { format!("{place}: {}", counts.join(", ")) }
    }
}

impl Item {
    /// A line, when it says more than that all is well.
    fn row(&self) -> Option<[String; 3]> {
        let text = |reason: &Option<Reason>| reason.as_ref().map(Reason::text).unwrap_or_default();
        match self {
            Self::Object { outcome, .. } if outcome == "unchanged" => None,
            Self::Object { key, outcome, reason } => Some([key.text(), outcome.clone(), text(reason)]),
            Self::Document { path, index, line, fate, reason } => {
                Some([format!("{path}:{line} (document {index})"), fate.clone(), text(reason)])
            }
            Self::File { path, reason } => Some([path.clone(), "file".to_owned(), reason.text()]),
            Self::Warning { about, reason } => Some([about.clone(), "warning".to_owned(), reason.text()]),
        }
    }
}

impl Key {
    /// `VPC default/web`.
    pub fn text(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Job {
    /// `lab: running (0 of 1)`, and the first error that is in its way.
    pub fn progress(&self) -> String {
        let fabrics: Vec<_> = self.parts.iter().map(|part| part.fabric.as_str()).collect();
        let fabrics = fabrics.join(", ");
        let error = self.parts.iter().find_map(|part| part.error.as_ref());
        let error = error.map(|error| format!(", {}", error.text())).unwrap_or_default();
        format!("{fabrics}: {} ({} of {}){error}", self.state, self.progress.done, self.progress.total)
    }

    /// Whether it came through, and nothing waits for a person.
    pub fn is_good(&self) -> bool {
        self.state == "succeeded"
    }

    /// Whether waiting longer tells no more, until a person does something.
    pub fn has_ended(&self) -> bool {
        self.finished || self.state == "stalled"
    }

    /// Everything about one job.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let lines = [
            ("job", &self.id),
            ("state", &self.state),
            ("asked for", &self.origin.text()),
            ("created", &self.created),
            ("updated", &self.updated),
        ];
        for (name, value) in lines {
            _ = writeln!(text, "{name:<10} {value}");
        }
        for part in &self.parts {
            _ = writeln!(text, "\n{}: {}, {}", part.fabric, part.state, counted(part.attempts as usize, "attempt"));
            if let Some(run) = &part.run {
                _ = writeln!(text, "  run        {run}");
            }
            if let Some(at) = &part.next_try {
                _ = writeln!(text, "  next try   {at}");
            }
            if let Some(error) = &part.error {
                _ = writeln!(text, "  error      {}\n  remedy     {}", error.text(), error.remedy);
            }
            if let Some(report) = &part.report {
                _ = writeln!(text, "  result     {}", report.text());
                let mut items = Table::new(&["ITEM", "RESULT", "REASON"]);
                let rows: Vec<_> = report.items.iter().filter_map(Item::row).collect();
                let is_empty = rows.is_empty();
                rows.into_iter().for_each(|row| items.row(row));
                if !is_empty {
                    text.push_str(&items.text());
                }
            }
        }
        text
    }
}

/// A line for each job.
pub fn jobs_table(jobs: &[Job]) -> String {
    let mut table = Table::new(&["ID", "STATE", "CREATED", "FABRICS", "ASKED FOR"]);
    for job in jobs {
        let fabrics: Vec<_> = job.parts.iter().map(|part| part.fabric.as_str()).collect();
        table.row([job.id.clone(), job.state.clone(), job.created.clone(), fabrics.join(","), job.origin.text()]);
    }
    table.text()
}

/// A line for each fabric of each job: what came of it.
pub fn results_table(jobs: &[Job]) -> String {
    let mut table = Table::new(&["FABRIC", "STATE", "JOB", "RESULT"]);
    for job in jobs {
        for part in &job.parts {
            let result = match (&part.error, &part.report) {
                (Some(error), _) => format!("{}. {}", error.text(), error.remedy),
                (None, Some(report)) => report.text(),
                (None, None) => String::new(),
            };
            table.row([part.fabric.clone(), part.state.clone(), job.id.clone(), result]);
        }
    }
    table.text()
}

/// A line for each conflict.
pub fn conflicts_table(conflicts: &[Conflict]) -> String {
    let mut table = Table::new(&["FABRIC", "KIND", "NAMESPACE", "NAME", "SINCE", "FIELDS", "REASON"]);
    for conflict in conflicts {
        let Key { kind, namespace, name } = &conflict.key;
        table.row([
            conflict.fabric.clone(),
            kind.clone(),
            namespace.clone(),
            name.clone(),
            conflict.since.clone(),
            conflict.paths.join(" "),
            conflict.reason.code.clone(),
        ]);
    }
    table.text()
}

impl Conflict {
    /// Everything about one conflict: each field that contradicts, on the three sides.
    pub fn text(&self) -> String {
        let git = self.git.as_ref().map_or_else(|| "does not have it".to_owned(), |git| git.path.clone());
        let netbox = self.netbox.as_ref().map_or_else(
            || "does not have it".to_owned(),
            |row| {
                let lost = if row.lost { ", an edit that was overwritten" } else { "" };
                format!("row {} changed by {}{lost}", row.id, row.changed_by.join(", "))
            },
        );
        let mut text = String::new();
        let lines = [
            ("fabric", self.fabric.clone()),
            ("object", self.key.text()),
            ("reason", self.reason.text()),
            ("since", self.since.clone()),
            ("git", git),
            ("netbox", netbox),
            ("version", self.version.clone()),
        ];
        for (name, value) in lines {
            _ = writeln!(text, "{name:<8} {value}");
        }
        if let Some(Resolution { side, by }) = &self.resolution {
            _ = writeln!(text, "decided  {side}, by {by}; no run has carried it out yet");
        }
        if let Some(documents) = &self.documents {
            let mut table = Table::new(&["FIELD", "BASE", "GIT", "NETBOX"]);
            for path in &self.paths {
                let cells = [&documents.base, &documents.git, &documents.netbox].map(|side| value_at(side, path));
                table.row(std::iter::once(path.clone()).chain(cells));
            }
            text.push('\n');
            text.push_str(&table.text());
        }
        text
    }
}

fn value_at(side: &Option<Document>, path: &str) -> String {
    match side {
        None => "(no object)".to_owned(),
        Some(Document { document: None }) => "(too large)".to_owned(),
        Some(Document { document: Some(document) }) => {
            document.pointer(path).map_or_else(|| "(absent)".to_owned(), Value::to_string)
        }
    }
}
