//! A report for people, for programs, and for GitHub's annotations.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Remark, Report};
use crate::validate::Severity;

/// One line for each remark, as compilers write them, and a summary.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for remark in &report.remarks {
        let Remark { file, line, column, code, message, .. } = remark;
        _ = write!(text, "{file}:{line}:{column}: {}: {message} [{code}]", word(remark.severity));
        if let Some(schema) = &remark.schema {
            _ = write!(text, " ({schema})");
        }
        text.push('\n');
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let errors = count(report.count(Severity::Error), "error");
    let warnings = count(report.count(Severity::Warning), "warning");
    _ = writeln!(
        text,
        "{} in {}: {errors}, {warnings}",
        count(report.documents, "document"),
        count(report.files, "file")
    );
    text
}

/// One JSON object; its fields only ever grow.
pub fn json(report: &Report) -> String {
    let whole = Whole {
        files: report.files,
        documents: report.documents,
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        remarks: report.remarks.iter().map(Item::of).collect(),
    };
    let mut text = serde_json::to_string_pretty(&whole).expect("texts and numbers are always written");
    text.push('\n');
    text
}

/// Workflow commands that GitHub shows beside the lines
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    for remark in &report.remarks {
        let Remark { file, line, column, code, message, .. } = remark;
        _ = writeln!(
            text,
            "::{} file={},line={line},col={column},title={}::{}",
            word(remark.severity),
            property(file),
            property(code),
            escaped(message)
        );
    }
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[derive(Serialize)]
struct Whole<'r> {
    files: usize,
    documents: usize,
    errors: usize,
    warnings: usize,
    remarks: Vec<Item<'r>>,
}

#[derive(Serialize)]
struct Item<'r> {
    file: &'r str,
    line: u64,
    column: u64,
    severity: &'static str,
    code: &'r str,
    message: &'r str,
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'r str>,
}

impl<'r> Item<'r> {
    fn of(remark: &'r Remark) -> Self {
        Self {
            file: &remark.file,
            line: remark.line,
            column: remark.column,
            severity: word(remark.severity),
            code: &remark.code,
            message: &remark.message,
            index: remark.index,
            item: remark.item,
            object: remark.object.as_ref().map(ToString::to_string),
            field: remark.field.as_deref(),
            schema: remark.schema.as_deref(),
        }
    }
}
