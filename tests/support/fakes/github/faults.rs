//! What goes wrong with one request, as data.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// What one request runs into.
pub enum Fault {
    /// The connection is cut; nothing is done.
    Drop,
    /// It is done, and the connection is cut instead of an answer.
    ApplyThenDrop,
    /// It is done, and the connection is cut in the middle of the answer.
    ApplyThenCut,
    /// Nothing is done; this status is answered, with a page as GitHub's proxies have them.
    Status(u16),
    /// It is done; this status is answered.
    ApplyThenStatus(u16),
    /// Nothing is done before somebody notifies; the test need not wait for it.
    Until(Arc<Notify>),
    /// It is done, and answered when somebody notifies.
    ApplyThenUntil(Arc<Notify>),
    /// It is done and answered this much later.
    Delay(Duration),
    /// 403 for too much at once; the header when seconds are given.
    Secondary { retry_after: Option<u64> },
    /// 429; the header when seconds are given.
    TooMany { retry_after: Option<u64> },
    /// The token's budget is used up for so many seconds.
    Exhausted { reset_after: u64 },
    /// `Bad credentials`, although they are good.
    Unauthorized,
    /// `Resource not accessible by …`, although the token may.
    Forbidden,
    /// A page of a proxy with status 200.
    Html,
    /// It is done; the next reads of the refs it moved still see what was before.
    StaleFor { reads: usize },
    /// Somebody does something first, on a thread that may block; the request is then answered as usual.
    Before(Box<dyn FnOnce() + Send>),
}

impl Fault {
    /// Somebody does something right before the request is answered.
    pub fn before(act: impl FnOnce() + Send + 'static) -> Self {
        Self::Before(Box::new(act))
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drop => f.write_str("Drop"),
            Self::ApplyThenDrop => f.write_str("ApplyThenDrop"),
            Self::ApplyThenCut => f.write_str("ApplyThenCut"),
            Self::Status(status) => write!(f, "Status({status})"),
            Self::ApplyThenStatus(status) => write!(f, "ApplyThenStatus({status})"),
            Self::Until(_) => f.write_str("Until"),
            Self::ApplyThenUntil(_) => f.write_str("ApplyThenUntil"),
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Secondary { retry_after } => write!(f, "Secondary({retry_after:?})"),
            Self::TooMany { retry_after } => write!(f, "TooMany({retry_after:?})"),
            Self::Exhausted { reset_after } => write!(f, "Exhausted({reset_after})"),
            Self::Unauthorized => f.write_str("Unauthorized"),
            Self::Forbidden => f.write_str("Forbidden"),
            Self::Html => f.write_str("Html"),
            Self::StaleFor { reads } => write!(f, "StaleFor({reads})"),
            Self::Before(_) => f.write_str("Before"),
        }
    }
}
