//! What NetBox was told of a fabric, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fabric_state::SyncStatus;
use crate::ledger::shown::{ShowOutcome, Shown};

use super::answers::ErrorView;
use super::time::rfc3339;

/// What NetBox was last told of a fabric.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NetBoxStatusView {
    status: SyncStatus,
    /// Why it is not in sync, a line each, bounded; empty when it is.
    details: String,
    /// When it was told: RFC 3339, UTC.
    told: String,
    /// Whether the fabric's row says so; false where NetBox has no place for it, and after an error.
    written: bool,
    /// Why it could not be written; it is tried again every minute, and no run fails by it.
    error: Option<ErrorView>,
}

impl From<Shown> for NetBoxStatusView {
    fn from(Shown { state, at, outcome }: Shown) -> Self {
        let (written, error) = match outcome {
            ShowOutcome::Written => (true, None),
            ShowOutcome::NoPlace => (false, None),
            ShowOutcome::Failed { error } => (false, Some(ErrorView::from(error))),
        };
        Self { status: state.status, details: state.details, told: rfc3339(at), written, error }
    }
}
