//! Reports beside a commit.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::answer;
use super::call::Call;
use super::http::{Http, NoAnswer};
use crate::domain::names::Oid;
use crate::repo::{Error, StatusReport, StatusState};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 140;

/// <https://docs.github.com/en/rest/commits/statuses#create-a-commit-status>
pub(super) async fn report(http: &Http, commit: &Oid, report: &StatusReport) -> Result<(), Error> {
    let body = json!({
        "state": match report.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        },
        "description": short(&report.description),
        "target_url": report.target_url,
        "context": report.context,
    });
    let call = Call::of(Method::POST, ["statuses", commit.as_str()]).body(&body);
    match http.send(&call).await {
        Ok(reply) if reply.status == StatusCode::CREATED => Ok(()),
        // GitHub takes a thousand reports of one context, and none of a commit that is gone.
        Ok(reply) if reply.status == StatusCode::UNPROCESSABLE_ENTITY => {
            tracing::warn!(repository = %http.shown(), %commit, words = %answer::words(&reply), "no status was written");
            Ok(())
        }
        Ok(reply) => Err(http.write_failure(&call, &reply).await),
        Err(NoAnswer::NotDone(error)) => Err(error),
        // A report that came twice shows once.
        Err(NoAnswer::Lost(words)) => Err(http.unavailable(format!("POST statuses: {words}"))),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_DESCRIPTION {
        return text.to_owned();
    }
    text.chars().take(MAX_DESCRIPTION - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_the_length_that_github_takes() {
        assert_eq!(short("fine"), "fine");
        assert_eq!(short(&"ü".repeat(140)).chars().count(), 140);
        assert_eq!(short(&"ü".repeat(141)).chars().count(), 140);
    }
}
