//! Finding the commit of a run by its trailer.

use reqwest::StatusCode;
use serde::Deserialize;

use super::call::Call;
use super::http::Http;
use crate::domain::edit::RUN_TRAILER;
use crate::domain::names::{Oid, RunId};
use crate::repo::Error;

/// Commits a page, the most that GitHub gives.
const PAGE: usize = 100;
/// How far a history without a bound is read back; a run is looked for soon after it was carried.
const PAGES: usize = 10;

#[derive(Deserialize)]
struct Listed {
    sha: Oid,
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    message: String,
}

/// The commit with the run's trailer that is reachable from `head` but not from `since`, within the newest thousand.
///
/// A `since` that no longer exists bounds nothing.
pub(super) async fn find(http: &Http, head: &Oid, since: Option<&Oid>, run: &RunId) -> Result<Option<Oid>, Error> {
    if since == Some(head) {
        return Ok(None);
    }
    if let Some(since) = since
        && let Some(found) = between(http, head, since, run).await?
    {
        return Ok(found);
    }
    let page_of = |page: usize| Call::get(["commits"]).query("sha", head).query("per_page", PAGE).query("page", page);
    for page in 1..=PAGES {
        let call = page_of(page);
        let reply = http.read(&call).await?;
        match reply.status {
            StatusCode::OK => {}
            // The history went away while it was read.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => return Ok(None),
            _ => return Err(http.failure(&call, &reply)),
        }
        let listed: Vec<Listed> = http.parse(&call, &reply)?;
        let is_last = listed.len() < PAGE;
        let found = carrying(listed, run);
        if found.is_some() || is_last {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The commits after `since`; `None` when the two have nothing to do with each other.
///
/// <https://docs.github.com/en/rest/commits/commits#compare-two-commits>
async fn between(http: &Http, head: &Oid, since: &Oid, run: &RunId) -> Result<Option<Option<Oid>>, Error> {
    #[derive(Deserialize)]
    struct Comparison {
        commits: Vec<Listed>,
    }
    let range = format!("{since}...{head}");
    for page in 1..=PAGES {
        let call = Call::get(["compare", &range]).query("per_page", PAGE).query("page", page);
        let reply = http.read(&call).await?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(http.failure(&call, &reply)),
        }
        let Comparison { commits } = http.parse(&call, &reply)?;
        let is_last = commits.len() < PAGE;
        let found = carrying(commits, run);
        if found.is_some() || is_last {
            return Ok(Some(found));
        }
    }
    Ok(Some(None))
}

fn carrying(commits: Vec<Listed>, run: &RunId) -> Option<Oid> {
    commits.into_iter().find(|listed| names(&listed.commit.message, run)).map(|listed| listed.sha)
}

/// Whether a message's trailers, its last paragraph, name the run.
pub(super) fn names(message: &str, run: &RunId) -> bool {
    let lines: Vec<&str> = message.lines().map(str::trim_end).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let start = lines[..end].iter().rposition(|line| line.is_empty()).map(|blank| blank + 1);
    // A subject alone has no trailers.
    let Some(start) = start else { return false };
    lines[start..end].iter().any(|line| {
        line.split_once(':').is_some_and(|(key, value)| {
            key.trim_end().eq_ignore_ascii_case(RUN_TRAILER) && value.trim() == run.as_str()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_in_the_last_paragraph_alone() {
        let run = RunId::new("01RU");

        for message in
            ["Sync\n\nFgd-Run: 01RU\n", "Sync\n\nbody\n\nChanged-by: a\nFgd-Run: 01RU", "s\n\nfgd-run:01RU\n\n\n"]
        {
            assert!(names(message, &run), "{message:?}");
        }
        for message in
            ["Fgd-Run: 01RU", "s\n\nFgd-Run: 01RUN\n", "s\n\nFgd-Run: 01RU\n\nand a body\n", "s\n\nx Fgd-Run: 01RU", ""]
        {
            assert!(!names(message, &run), "{message:?}");
        }
    }
}
