//! What is wrong with the settings, in words for the person who has to mend them.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to mend (or, among the warnings, to think about). Never holds a secret's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as a path through the file: `fabrics.lab.directory`, `api_tokens[1].token`.
    pub setting: String,
    /// `None` when it stands nowhere, such as a setting that is missing altogether.
    pub place: Option<Place>,
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    /// Two lines: setting, place and message; then the remedy, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}\n    {}", self.message, self.remedy)
    }
}

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Both from 1; the column counts characters.
    File { file: String, line: u64, column: u64 },
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    /// `file:line:column`, which editors and terminals open, or the variable's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "from {name}"),
        }
    }
}

/// Collects everything that is found while the settings are read, so that one look shows all of it.
#[derive(Debug)]
pub(super) struct Report {
    /// Relative paths in the settings file start here.
    directory: PathBuf,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), problems: RefCell::new(Vec::new()), warnings: RefCell::new(Vec::new()) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn warning(&self, warning: Problem) {
        self.warnings.borrow_mut().push(warning);
    }

    /// The problems and the warnings, each in the order of the file.
    pub fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        let (mut problems, mut warnings) = (self.problems.into_inner(), self.warnings.into_inner());
        problems.sort_by_key(order);
        warnings.sort_by_key(order);
        (problems, warnings)
    }
}

/// By line; what stands nowhere in the file comes last.
fn order(problem: &Problem) -> (bool, u64, u64) {
    match &problem.place {
        Some(Place::File { line, column, .. }) => (false, *line, *column),
        Some(Place::Variable(_)) | None => (true, 0, 0),
    }
}
