//! Times, names and states, as every page shows them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, html};
use url::form_urlencoded;

use crate::domain::key::Key;
use crate::domain::names::{FabricName, JobId, Oid, RunId};
use crate::domain::report::{ClosedBecause, JobState};
use crate::http::fabrics::Standing;
use crate::http::time::{millis, rfc3339};
use crate::ledger::types::{JobError, Millis, Origin, RunOutcome};

use super::session::Viewer;

/// How a state is coloured; the word beside it says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Busy,
    Attention,
    Bad,
    Quiet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Busy => "badge busy",
            Self::Attention => "badge attention",
            Self::Bad => "badge bad",
            Self::Quiet => "badge off",
        }
    }
}

/// A state in a word.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class=(tone.class()) { (word) } }
}

pub(super) fn job_state(state: JobState) -> Markup {
    let tone = match state {
        JobState::Queued | JobState::Cancelled => Tone::Quiet,
        JobState::Running | JobState::Waiting => Tone::Busy,
        JobState::Held | JobState::Stalled => Tone::Attention,
        JobState::Succeeded => Tone::Good,
        JobState::Failed | JobState::Dead => Tone::Bad,
    };
    badge(tone, state.as_str())
}

pub(super) fn run_outcome(outcome: RunOutcome) -> Markup {
    let tone = match outcome {
        RunOutcome::Running => Tone::Busy,
        RunOutcome::Succeeded => Tone::Good,
        RunOutcome::Held | RunOutcome::Stalled => Tone::Attention,
        RunOutcome::Transient | RunOutcome::Refused | RunOutcome::Dead | RunOutcome::Lost => Tone::Bad,
        RunOutcome::Wait | RunOutcome::Returned => Tone::Quiet,
    };
    let word = match outcome {
        RunOutcome::Transient => "failed, tried again",
        other => other.as_str(),
    };
    badge(tone, word)
}

pub(super) fn standing(standing: Standing) -> Markup {
    let (tone, word) = match standing {
        Standing::Paused => (Tone::Quiet, "paused"),
        Standing::Failing => (Tone::Bad, "failing"),
        Standing::Pending => (Tone::Busy, "pending"),
        Standing::Held => (Tone::Attention, "held"),
        Standing::NeverSynced => (Tone::Quiet, "never synced"),
        Standing::InSync => (Tone::Good, "in sync"),
    };
    badge(tone, word)
}

/// A time as its distance from now; the exact one is in the title.
pub(super) fn when(at: Millis) -> Markup {
    let exact = rfc3339(at);
    html! { time datetime=(exact) title=(exact) { (relative(now(), at)) } }
}

/// A time that may not have come yet.
pub(super) fn when_or(at: Option<Millis>, never: &str) -> Markup {
    match at {
        Some(at) => when(at),
        None => html! { span.quiet { (never) } },
    }
}

pub(super) fn now() -> Millis {
    Millis(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// The script does the same in the browser; keep both alike.
fn relative(now: Millis, at: Millis) -> String {
    let (ahead, ms) = if at > now { (true, at.0 - now.0) } else { (false, now.0 - at.0) };
    let seconds = ms / 1_000;
    let text = match seconds {
        0..=4 if ahead => return "now".to_owned(),
        0..=4 => return "just now".to_owned(),
        5..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    if ahead { format!("in {text}") } else { format!("{text} ago") }
}

/// How long something took.
pub(super) fn span(length: Duration) -> String {
    let ms = length.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 => format!("{:.1} s", length.as_secs_f64()),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A commit or blob by the letters that people use for it.
pub(super) fn oid(oid: &Oid) -> Markup {
    html! { code.oid title=(oid) { (oid.short()) } }
}

/// A part of an address.
pub(super) fn escaped(part: &str) -> String {
    // A `+` means a space in a query only.
    form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
}

pub(super) fn fabric_path(fabric: &FabricName) -> String {
    format!("/fabrics/{}", escaped(fabric.as_str()))
}

pub(super) fn fabric_link(viewer: &Viewer, fabric: &FabricName) -> Markup {
    html! { a.fabric href=(viewer.link(&fabric_path(fabric))) { (fabric) } }
}

/// A job by the end of its id, which tells it from its neighbours.
pub(super) fn job_link(viewer: &Viewer, job: &JobId) -> Markup {
    let id = job.as_str();
    html! { a.id href=(viewer.link(&format!("/jobs/{}", escaped(id)))) title=(id) { (tail(id)) } }
}

pub(super) fn run_link(viewer: &Viewer, run: &RunId) -> Markup {
    let id = run.as_str();
    html! { a.id href=(viewer.link(&format!("/runs/{}", escaped(id)))) title=(id) { (tail(id)) } }
}

fn tail(id: &str) -> &str {
    id.char_indices().rev().nth(7).map_or(id, |(at, _)| &id[at..])
}

/// An object by kind and name; the namespace where it is not the usual one.
pub(super) fn object(key: &Key) -> Markup {
    html! {
        span.object {
            span.kind { (key.kind) } " "
            @if key.namespace != crate::domain::key::DEFAULT_NAMESPACE { (key.namespace) "/" }
            (key.name)
        }
    }
}

/// An object with the way to its page.
pub(super) fn object_link(viewer: &Viewer, fabric: &FabricName, key: &Key) -> Markup {
    let parts = [fabric.as_str(), key.kind.as_str(), &key.namespace, &key.name].map(escaped);
    html! { a href=(viewer.link(&format!("/objects/{}", parts.join("/")))) { (object(key)) } }
}

pub(super) fn conflict_path(fabric: &FabricName, key: &Key) -> String {
    let [fabric, kind, namespace, name] = [fabric.as_str(), key.kind.as_str(), &key.namespace, &key.name].map(escaped);
    format!("/conflicts/{fabric}/{kind}/{namespace}/{name}")
}

/// Who asked for a job, in a line.
pub(super) fn origin(origin: &Origin) -> Markup {
    match origin {
        Origin::NetboxDelivery { netbox, object, event, user, .. } => html! {
            span.from { "NetBox " (netbox) } " " (object) " " (event)
            @if let Some(user) = user { span.quiet { " by " (user) } }
        },
        Origin::GithubDelivery { repository, branch, pusher, .. } => html! {
            span.from { "Push" } " " (repository) " " (branch)
            @if let Some(pusher) = pusher { span.quiet { " by " (pusher) } }
        },
        Origin::Request { what } => html! { span.from { "Request" } " " (what) },
        Origin::Schedule { what } => html! { span.from { "Schedule" } " " (what) },
    }
}

/// What failed and what to do, in full.
pub(super) fn error(error: &JobError) -> Markup {
    html! {
        div.notice.bad {
            p { (super::shell::capitalised(&error.message)) " " code { (error.code) } }
            p.quiet { (super::shell::capitalised(&error.remedy)) }
        }
    }
}

pub(super) fn closed_because(because: ClosedBecause) -> &'static str {
    match because {
        ClosedBecause::Quiet => "nothing new came for a while",
        ClosedBecause::MaxWait => "the oldest change had waited long enough",
        ClosedBecause::MaxChanges => "it was full",
        ClosedBecause::Requested => "it was asked for at once",
        ClosedBecause::Retry => "it was tried again",
    }
}

/// `1 object`, `2 objects`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A link to the rest of a list.
pub(super) fn next_page(viewer: &Viewer, path: &str, query: &[(&str, &str)], next: Option<&str>) -> Markup {
    let Some(next) = next else { return html! {} };
    let mut address = form_urlencoded::Serializer::for_suffix(format!("{path}?"), path.len() + 1);
    address.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty())).append_pair("cursor", next);
    html! { p.more { a href=(viewer.link(&address.finish())) rel="next" { "Next page" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_distance() {
        let now = Millis(1_795_236_530_238);
        let before = |seconds: u64| relative(now, Millis(now.0 - seconds * 1_000));

        assert_eq!(before(0), "just now");
        assert_eq!(before(42), "42 s ago");
        assert_eq!(before(60), "1 min ago");
        assert_eq!(before(47 * 3_600), "47 h ago");
        assert_eq!(before(3 * 86_400), "3 days ago");
        assert_eq!(relative(now, Millis(now.0 + 90_000)), "in 1 min");
        assert_eq!(relative(now, Millis(now.0 + 1_000)), "now");
    }

    #[test]
    fn a_part_of_an_address_stays_one_part() {
        assert_eq!(escaped("a/b c?d#e+f%"), "a%2Fb%20c%3Fd%23e%2Bf%25");
    }

    #[test]
    fn lengths_are_told_in_fitting_units() {
        let told = |ms: u64| span(Duration::from_millis(ms));

        assert_eq!((told(3), told(3_725), told(61_000)), ("3 ms".into(), "3.7 s".into(), "1 min 1 s".into()));
        assert_eq!(told(7_260_000), "2 h 1 min");
    }
}
