//! Whether a cluster would take a document: the operator's CRDs, the rules that upstream keeps in code, and references
//! between objects.
//!
//! Pure: CRDs come in as texts, findings go out with the place in the document; who knows its text adds the line.
//! A validator of our own, because structural schemas are a small closed subset of OpenAPI: it takes Go's patterns,
//! keeps integers exact, knows what a cluster would silently drop, and names the schema's path.
//!
//! | file | knows |
//! |---|---|
//! | `crd` | CRDs: which schema is whose |
//! | `schema` | one structural schema, compiled |
//! | `check` | a value against a schema |
//! | `hedgehog` | rules of the 12 kinds that stand in no schema |
//! | `references` | objects that others name |

mod check;
mod crd;
mod hedgehog;
mod references;
mod schema;

use crate::domain::document::Document;
use crate::domain::pointer::Pointer;
use crate::domain::policy::Validation;

pub use crd::{Crds, NotCrds};
pub use references::{Known, Subnets, references, subnets_of};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A cluster would refuse the document.
    Error,
    /// A cluster might refuse it, or take it for something else.
    Warning,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable word for programs.
    pub code: &'static str,
    /// A sentence without the place.
    pub message: String,
    /// Where in the document.
    pub at: Pointer,
    /// Which part of the CRD's schema says so.
    pub schema: Option<String>,
}

impl Finding {
    fn warning(code: &'static str, at: Pointer, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, message: message.into(), at, schema: None }
    }

    /// The place, the sentence and the schema's path on one line.
    pub fn sentence(&self) -> String {
        let place = self.at.to_string();
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        match &self.schema {
            Some(schema) => format!("{place}{} (schema: {schema})", self.message),
            None => format!("{place}{}", self.message),
        }
    }
}

/// The most findings of one document; what is wrong that often is wrong for one reason.
const MAX_FINDINGS: usize = 100;

/// Everything that is wrong with a document by itself, errors first, then in the document's order.
pub fn validate(document: &Document, crds: &Crds, mode: Validation) -> Vec<Finding> {
    let mut findings = match mode {
        Validation::Off => return Vec::new(),
        Validation::Strict => crds.check(&document.body),
        Validation::Warn => {
            let found = crds.check(&document.body).into_iter();
            found.map(|finding| Finding { severity: Severity::Warning, ..finding }).collect()
        }
    };
    // What a schema says as well is said once, with the schema's path.
    let more = hedgehog::check(document).into_iter();
    let said = |finding: &Finding| findings.iter().any(|found: &Finding| found.at == finding.at);
    let more: Vec<Finding> = more.filter(|finding| !said(finding)).collect();
    findings.extend(more);
    findings.sort_by_key(|finding| finding.severity);
    findings.truncate(MAX_FINDINGS);
    findings
}
