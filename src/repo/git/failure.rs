//! What `git` says when it fails, as our errors. The only place that reads its words.

use std::time::Duration;

use super::command::Reach;
use super::remote::{Remote, Transport};
use crate::domain::names::Oid;
use crate::repo::Error;

/// A failed fetch, by what can be done about it.
#[derive(Debug)]
pub(super) enum Fetch {
    /// The branch does not exist.
    NoBranch,
    /// The server does not have this object, or hides it.
    NoObject(Oid),
    /// The server has no protocol 2 and gives nothing but the tips of branches.
    OnlyTips,
    Other(Error),
}

/// What the server said of one ref that was not updated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The branch is not where the lease says, or somebody else is updating it right now.
    Moved,
    /// A rule or hook says no.
    Refused,
    /// The server has trouble of its own.
    Trouble,
    /// It did not say.
    Unknown,
}

/// Words, in lower case, that stand in what `git` or a server says, and what they mean. The first match counts.
const MEANINGS: &[(&str, Meaning)] = &[
    ("no space left on device", Meaning::Local),
    ("disk quota exceeded", Meaning::Local),
    ("authentication failed", Meaning::Denied),
    ("could not read username", Meaning::Denied),
    ("could not read password", Meaning::Denied),
    ("returned error: 401", Meaning::Denied),
    ("returned error: 403", Meaning::Denied),
    ("returned error: 407", Meaning::Denied),
    ("http 401", Meaning::Denied),
    ("http 403", Meaning::Denied),
    ("permission denied (", Meaning::Denied),
    ("host key verification failed", Meaning::Denied),
    ("access denied", Meaning::Denied),
    ("permission to ", Meaning::Denied),
    ("returned error: 404", Meaning::NotFound),
    ("repository not found", Meaning::NotFound),
    ("does not appear to be a git repository", Meaning::NotFound),
    ("could not be found or you don't have permission", Meaning::NotFound),
    ("unable to access", Meaning::Unavailable),
    ("could not resolve", Meaning::Unavailable),
    ("connection refused", Meaning::Unavailable),
    ("connection reset", Meaning::Unavailable),
    ("connection timed out", Meaning::Unavailable),
    ("connection closed", Meaning::Unavailable),
    ("operation timed out", Meaning::Unavailable),
    ("no route to host", Meaning::Unavailable),
    ("network is unreachable", Meaning::Unavailable),
    ("rpc failed", Meaning::Unavailable),
    ("hung up", Meaning::Unavailable),
    ("early eof", Meaning::Unavailable),
    ("unexpected disconnect", Meaning::Unavailable),
    ("expected flush", Meaning::Unavailable),
    ("bad line length", Meaning::Unavailable),
    ("invalid server response", Meaning::Unavailable),
    ("remote error:", Meaning::Unavailable),
    ("could not read from remote repository", Meaning::Unavailable),
];

#[derive(Clone, Copy)]
enum Meaning {
    Local,
    Denied,
    NotFound,
    Unavailable,
}

/// The error that the words of a failed call mean; what nobody else explains is this machine's trouble.
pub(super) fn error(remote: &Remote, doing: &'static str, words: &str) -> Error {
    let detail = telling(words);
    let remote_name = remote.to_string();
    let unavailable = |detail| Error::Unavailable { remote: remote.to_string(), detail, after: None };
    match meaning(&words.to_ascii_lowercase()) {
        Meaning::Denied => Error::Denied { remote: remote_name, detail },
        Meaning::NotFound => Error::NotFound { remote: remote_name, detail },
        Meaning::Unavailable => unavailable(detail),
        Meaning::Local => Error::Local { doing, detail },
    }
}

fn meaning(words: &str) -> Meaning {
    // `fatal: repository 'https://…/' not found` has the address in its middle.
    if words.lines().any(|line| line.starts_with("fatal: repository '") && line.ends_with("not found")) {
        return Meaning::NotFound;
    }
    MEANINGS.iter().find(|(part, _)| words.contains(part)).map_or(Meaning::Local, |(_, meaning)| *meaning)
}

/// A call that was killed.
pub(super) fn timed_out(remote: &Remote, doing: &'static str, reach: Reach, limit: Duration) -> Error {
    let detail = format!("{doing} took longer than {}", humantime::format_duration(limit));
    match reach {
        Reach::Local => Error::Local { doing, detail },
        Reach::Remote => Error::Unavailable { remote: remote.to_string(), detail, after: None },
    }
}

/// What a failed fetch means.
pub(super) fn fetch(remote: &Remote, doing: &'static str, words: &str) -> Fetch {
    if words.contains("couldn't find remote ref") {
        return Fetch::NoBranch;
    }
    if let Some(oid) = words.split_once("not our ref ").and_then(|(_, rest)| rest.get(..40)?.parse().ok()) {
        return Fetch::NoObject(oid);
    }
    if words.contains("unadvertised object") {
        return Fetch::OnlyTips;
    }
    Fetch::Other(error(remote, doing, words))
}

/// What the reason of a rejected ref means: `stale info` of `[rejected] (stale info)`.
pub(super) fn rejection(reason: &str) -> Rejection {
    const MOVED: &[&str] = &[
        "stale info",
        "fetch first",
        "non-fast-forward",
        "already exists",
        "failed to update ref",
        "failed to lock",
        "cannot lock ref",
        "incorrect old value",
        "remote ref updated since checkout",
        "reference does not exist",
    ];
    const TROUBLE: &[&str] = &["unpacker error", "internal", "missing necessary objects", "failed to write", "timeout"];
    const UNKNOWN: &[&str] = &["failed to report status", "expecting report"];
    let reason = reason.to_ascii_lowercase();
    let is = |list: &[&str]| list.iter().any(|part| reason.contains(part));
    if is(MOVED) {
        Rejection::Moved
    } else if is(TROUBLE) {
        Rejection::Trouble
    } else if is(UNKNOWN) {
        Rejection::Unknown
    } else {
        Rejection::Refused
    }
}

/// Whether a push failed before anything was sent: while it asked for the refs, or asked for credentials.
pub(super) fn before_sending(remote: &Remote, words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    if lower.contains("rpc failed") {
        return false;
    }
    match remote.transport() {
        Transport::Http { .. } => {
            lower.contains("unable to access")
                || lower.contains("could not read username")
                || matches!(meaning(&lower), Meaning::Denied | Meaning::NotFound)
        }
        Transport::Ssh => {
            lower.contains("could not read from remote repository")
                && !lower.contains("hung up unexpectedly")
                && !lower.contains("disconnect")
        }
        Transport::Local => matches!(meaning(&lower), Meaning::NotFound),
    }
}

/// The lines that tell a person something: what the server said and what `git` calls fatal.
pub(super) fn telling(words: &str) -> String {
    const NOISE: &[&str] = &["hint:", "To ", "POST git-", "Everything up-to-date"];
    let lines: Vec<&str> = words
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && *line != "remote:" && !NOISE.iter().any(|noise| line.starts_with(noise)))
        .collect();
    if lines.is_empty() { "git said nothing".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Error {
        error(&"https://example.com/f.git".parse().unwrap(), "testing", words)
    }

    #[test]
    fn captured_words_mean_what_they_mean() {
        let denied = [
            "fatal: Authentication failed for 'https://example.com/f.git/'",
            "fatal: could not read Username for 'https://example.com': terminal prompts disabled",
            "fatal: unable to access 'https://example.com/f.git/': The requested URL returned error: 403",
            "remote: Permission to a/f.git denied to bot.\nfatal: unable to access 'x': The requested URL returned error: 403",
            "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "Host key verification failed.\nfatal: Could not read from remote repository.",
        ];
        let not_found = [
            "remote: Repository not found.\nfatal: repository 'https://example.com/f.git/' not found",
            "fatal: '/srv/f.git' does not appear to be a git repository\nfatal: Could not read from remote repository.",
        ];
        let unavailable = [
            "fatal: unable to access 'https://example.com/f.git/': Could not resolve host: example.com",
            "fatal: unable to access 'https://example.com/f.git/': The requested URL returned error: 502",
            "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: the remote end hung up unexpectedly",
            "ssh: connect to host example.com port 22: Connection refused\nfatal: Could not read from remote repository.",
            "fatal: early EOF",
        ];
        let local = ["fatal: write error: No space left on device", "fatal: not a git repository: '/c'", ""];

        denied.iter().for_each(|words| assert!(matches!(of(words), Error::Denied { .. }), "{words}"));
        not_found.iter().for_each(|words| assert!(matches!(of(words), Error::NotFound { .. }), "{words}"));
        unavailable.iter().for_each(|words| assert!(matches!(of(words), Error::Unavailable { .. }), "{words}"));
        local.iter().for_each(|words| assert!(matches!(of(words), Error::Local { .. }), "{words}"));
    }

    #[test]
    fn a_rejection_is_a_move_a_refusal_or_the_servers_trouble() {
        for (reason, want) in [
            ("stale info", Rejection::Moved),
            ("failed to update ref", Rejection::Moved),
            ("cannot lock ref 'refs/heads/main': is at a but expected b", Rejection::Moved),
            ("reference already exists", Rejection::Moved),
            ("pre-receive hook declined", Rejection::Refused),
            ("protected branch hook declined", Rejection::Refused),
            ("push declined due to repository rule violations", Rejection::Refused),
            ("branch is currently checked out", Rejection::Refused),
            ("unpacker error", Rejection::Trouble),
            ("Internal Server Error", Rejection::Trouble),
            ("remote failed to report status", Rejection::Unknown),
        ] {
            assert_eq!(rejection(reason), want, "{reason}");
        }
    }

    #[test]
    fn only_a_failure_before_the_body_is_known_to_have_changed_nothing() {
        let remote: Remote = "https://example.com/f.git".parse().unwrap();

        assert!(before_sending(&remote, "fatal: unable to access 'x': Failed to connect to example.com port 443"));
        assert!(before_sending(&remote, "fatal: Authentication failed for 'https://example.com/f.git/'"));
        assert!(!before_sending(&remote, "error: RPC failed; HTTP 403\nfatal: the remote end hung up unexpectedly"));
        assert!(!before_sending(&remote, "fatal: the remote end hung up unexpectedly"));
    }

    #[test]
    fn a_missing_object_is_named() {
        let remote: Remote = "/srv/f.git".parse().unwrap();
        let oid = "1".repeat(40);

        let words = format!("fatal: remote error: upload-pack: not our ref {oid}\n");

        assert!(matches!(fetch(&remote, "x", &words), Fetch::NoObject(found) if found.as_str() == oid));
    }
}
