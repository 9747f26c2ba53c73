//! NetBox over REST: live rows in, idempotent writes out.
//!
//! Nothing that NetBox answers is believed further than it was measured: filters are checked again on each row, a
//! listing is complete or an error, a 404 counts only from an endpoint that answers, and a write whose answer is lost
//! is looked up before it is repeated. What NetBox says no to is data (`Written::Refused`); what stops everything is an
//! `Error`.
//!
//! | file | knows |
//! |---|---|
//! | `client` | options, the two object models, fabrics |
//! | `http` | one request and its answer: token, time limits, size bound, meaning of a status |
//! | `pages` | complete listings |
//! | `fabric` | the fabric's own row: how the fabric stands |
//! | `form` | how one kind's rows look in one NetBox |
//! | `rows` | NetBox's JSON to rows and back |
//! | `read` | single reads, searches, listings of a fabric |
//! | `changelog` | proof of deletions, edits that our writes covered |
//! | `catch_up` | what the change log says of a span of time |
//! | `write` | one lot: look, send, settle every row |
//! | `lookup` | what of a lot NetBox has, before and after a request |
//! | `refusal` | NetBox's errors, in all their shapes |
//! | `journal` | entries in the journals of objects |
//! | `examine` | what the token may do, and whether changes are told to us |
//! | `setup` | object types, webhook and event rules |

mod catch_up;
mod changelog;
mod client;
mod examine;
mod fabric;
mod form;
mod http;
mod journal;
mod lookup;
mod pages;
mod read;
mod refusal;
mod rows;
pub mod setup;
mod write;

use std::time::Duration;

use crate::domain::key::ObjectId;
use crate::domain::lease::LeaseLost;

pub use catch_up::Logged;
pub use client::{Client, Model, Options, Status, Timeouts};
pub use examine::{Access, Examined, Hooks};
pub use fabric::{FabricRow, StateWritten};
pub use journal::{JournalEntry, JournalLevel};
pub use read::Listing;
pub use rows::Found;
pub use write::{MAX_LOT, Request, WriteContext};

/// What NetBox can answer instead of a result. A variant for each choice that the caller has.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Try again later; `after` when the server said when.
    #[error("NetBox {netbox} could not be reached: {detail}")]
    Unavailable { netbox: String, detail: String, after: Option<Duration> },
    /// The token is missing, wrong, or may not do this.
    #[error("NetBox {netbox} denied {request}: {detail}")]
    Denied { netbox: String, request: String, detail: String },
    /// The endpoint does not exist: not set up, or another model than configured.
    #[error("NetBox {netbox} has no {request}: {detail}")]
    NoEndpoint { netbox: String, request: String, detail: String },
    /// An answer that cannot be what was asked for: HTML, a half page, a wrong shape.
    #[error("NetBox {netbox} answered {request} with something else: {detail}")]
    Unexpected { netbox: String, request: String, detail: String },
    /// This NetBox's settings cannot be used on this machine: the url, the CA file, the proxy, the token file.
    #[error("the settings of NetBox {netbox} cannot be used: {detail}")]
    Settings { netbox: String, detail: String },
    #[error(transparent)]
    Lease(#[from] LeaseLost),
}

/// What became of one write.
#[derive(Debug)]
pub enum Written {
    /// Acknowledged, and read back as this row (`None`: deleted).
    Done {
        row: Option<Box<crate::domain::row::Row>>,
        /// NetBox's own id of the request, the same as in its change log; `None` for a row that was found as wished, and
        /// that nothing proves to be a request's of ours.
        request: Option<String>,
    },
    /// The row is no longer what was planned against: plan again.
    Changed,
    /// NetBox says no to this content, in its own words.
    Refused { words: String },
    /// NetBox fails on this one row although it answers otherwise.
    Failing { detail: String },
    /// A user's change was overwritten between our read and our write; NetBox's change record holds it.
    LostEdit { object: ObjectId, by: Option<String>, before: serde_json::Value },
    /// The lot ended before this row was settled; others of it were. It may or may not be written: its intent stays.
    Unanswered(Error),
}
