//! Walking the tree of settings: every look at a setting either yields a value or leaves a problem in the report.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::declared::{Choice, Group, Number, Standard, Text};
use super::problem::{Place, Problem, Report};
use super::spelling::nearest;
use super::tree::{Entry, Node, Value};

/// Why a value was not taken, and what to write instead.
pub(super) struct Refusal {
    pub message: String,
    pub remedy: String,
}

impl Refusal {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// One setting that somebody wrote.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    pub path: String,
    pub node: &'a Node,
    report: &'a Report,
}

/// A map of the settings that a group declares; every other name in it is a problem.
pub(super) struct Section<'a> {
    pub path: String,
    place: Option<Place>,
    entries: &'a [Entry],
    group: &'static Group,
    report: &'a Report,
}

impl<'a> Setting<'a> {
    pub fn root(node: &'a Node, report: &'a Report) -> Self {
        Self { path: String::new(), node, report }
    }

    pub fn refuse(&self, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.problem(self.finding(message.into(), remedy.into()));
    }

    pub fn warn(&self, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(self.finding(message.into(), remedy.into()));
    }

    fn finding(&self, message: String, remedy: String) -> Problem {
        let setting = if self.path.is_empty() { "settings file".to_owned() } else { self.path.clone() };
        Problem { setting, place: self.node.place.clone(), message, remedy }
    }

    fn expected(&self, what: &str, remedy: &str) {
        self.refuse(format!("expected {what}, found {}", self.node.value.describe()), remedy);
    }

    fn is_variable(&self) -> bool {
        matches!(self.node.place, Some(Place::Variable(_)))
    }

    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float => {
                self.expected("a text", "Put the value in quotes.");
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.expected("a text", "Write one text.");
                None
            }
        }
    }

    /// A text that `read` turns into something better.
    pub fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        match read(self.text()?) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refuse(refusal.message, refusal.remedy);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        // YAML reads a plain `off` as false; whoever writes it means the word.
        if let Value::Bool(value) = self.node.value
            && let Some((_, value)) = words.iter().find(|(word, _)| *word == if value { "on" } else { "off" })
        {
            return Some(*value);
        }
        self.parse(|text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                Refusal::new(format!("`{text}` is not a choice"), format!("Write one of {}.", all.join(", ")))
            })
        })
    }

    pub fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let remedy = format!("Write a whole number from {} to {}.", range.start(), range.end());
        let number = match &self.node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) if self.is_variable() => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Float | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.expected("a whole number", &remedy);
                return None;
            }
        };
        let sane = number.filter(|number| range.contains(number));
        if sane.is_none() {
            self.refuse("out of range, or not a whole number", remedy);
        }
        sane
    }

    /// A path; a relative one in the file starts at the file's directory, one in a variable at the working directory.
    pub fn path_buf(&self) -> Option<PathBuf> {
        let path = self.parse(|text| match text {
            "" => Err(Refusal::new("is empty", "Write a path, or leave the setting out.")),
            text => Ok(PathBuf::from(text)),
        })?;
        Some(if self.is_variable() { path } else { self.report.directory().join(path) })
    }

    /// A path of a file that can be read now.
    pub fn readable_file(&self) -> Option<PathBuf> {
        let path = self.path_buf()?;
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(found) if found.is_file() => return Some(path),
            Ok(_) => self.refuse(format!("{} is not a file", path.display()), "Name a file."),
            Err(error) => self.refuse(
                format!("{} cannot be read: {error}", path.display()),
                "Name a file that the service's user may read.",
            ),
        }
        None
    }

    /// A path of a file or directory that is there.
    pub fn readable_path(&self) -> Option<PathBuf> {
        let path = self.path_buf()?;
        match std::fs::metadata(&path) {
            Ok(_) => return Some(path),
            Err(error) => self.refuse(
                format!("{} cannot be read: {error}", path.display()),
                "Name a directory or file that the service's user may read.",
            ),
        }
        None
    }

    /// The items of a list, each with its index in its path.
    pub fn items(&self) -> Vec<Setting<'a>> {
        let Value::List(nodes) = &self.node.value else {
            self.expected("a list", "Write a list: one `- ` line for each item.");
            return Vec::new();
        };
        let item = |(index, node)| Setting { path: format!("{}[{index}]", self.path), node, report: self.report };
        nodes.iter().enumerate().map(item).collect()
    }

    /// The settings of this group; names that it does not declare are reported.
    pub fn section(&self, group: &'static Group) -> Option<Section<'a>> {
        let Value::Map(entries) = &self.node.value else {
            self.expected("a map", "Write `name: value` lines below it.");
            return None;
        };
        let (path, place) = (self.path.clone(), self.node.place.clone());
        let section = Section { path, place, entries, group, report: self.report };
        section.report_unknown();
        Some(section)
    }

    /// The entries of a map whose names the operator chose.
    pub fn named(&self) -> Vec<(&'a str, Setting<'a>)> {
        let Value::Map(entries) = &self.node.value else {
            self.expected("a map of names", "Write one `name:` for each.");
            return Vec::new();
        };
        entries.iter().map(|entry| (entry.key.as_str(), self.child(entry))).collect()
    }

    fn child(&self, entry: &'a Entry) -> Setting<'a> {
        Setting { path: join(&self.path, &entry.key), node: &entry.node, report: self.report }
    }
}

impl<'a> Section<'a> {
    /// The setting of this name; `None` when it is not there or empty.
    pub fn get(&self, name: &'static str) -> Option<Setting<'a>> {
        debug_assert!(self.group.names().contains(&name), "`{}` does not declare `{name}`", self.group.name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        if matches!(entry.node.value, Value::Null) {
            return None;
        }
        Some(Setting { path: join(&self.path, name), node: &entry.node, report: self.report })
    }

    /// As `get`, with a problem when it is not there.
    pub fn require(&self, name: &'static str, remedy: &str) -> Option<Setting<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.missing(name, "is missing", remedy);
        }
        found
    }

    /// A problem about a setting that is not there.
    pub fn missing(&self, name: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.problem(self.about(name, message.into(), remedy.into()));
    }

    /// A warning about a setting that is not there.
    pub fn warn_missing(&self, name: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(self.about(name, message.into(), remedy.into()));
    }

    fn about(&self, name: &str, message: String, remedy: String) -> Problem {
        Problem { setting: join(&self.path, name), place: self.place.clone(), message, remedy }
    }

    /// What `read` makes of the text, or of the default where there is no text that it can use.
    pub fn read<T>(&self, declared: &Text, read: impl Fn(&str) -> Result<T, Refusal>) -> Option<T> {
        let written = self.get(declared.name).and_then(|setting| setting.parse(&read));
        written.or_else(|| match declared.standard {
            Standard::Written(text) => read(text).ok(),
            Standard::Required | Standard::Unset => None,
        })
    }

    pub fn number(&self, declared: &Number) -> u64 {
        let written = self.get(declared.name).and_then(|setting| setting.number(declared.range.clone()));
        written.unwrap_or(declared.default)
    }

    pub fn choice<T: Copy>(&self, declared: &Choice<T>) -> T {
        let written = self.get(declared.name).and_then(|setting| setting.choice(declared.words));
        // The first word, which every choice has, is its default.
        written.unwrap_or(declared.words[0].1)
    }

    /// The settings of a group that may be left out; all of it is then as if nobody had written it.
    pub fn group(&self, group: &'static Group) -> Section<'a> {
        let empty =
            Section { path: join(&self.path, group.name), place: None, entries: &[], group, report: self.report };
        self.get(group.name).and_then(|setting| setting.section(group)).unwrap_or(empty)
    }

    fn report_unknown(&self) {
        let known = self.group.names();
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let remedy = match nearest(&entry.key, known.iter().copied()) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => format!("Known here: {}.", known.join(", ")),
            };
            self.report.problem(Problem {
                setting: join(&self.path, &entry.key),
                place: entry.place.clone(),
                message: "unknown setting".to_owned(),
                remedy,
            });
        }
    }
}

/// `a.b`, or `a["b.c"]` where a name would be read as two.
pub(super) fn join(path: &str, name: impl Display) -> String {
    let name = name.to_string();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (path.is_empty(), plain) {
        (true, true) => name,
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}
