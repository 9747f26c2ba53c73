//! Reading commits, trees and blobs from the cache.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::cache::Held;
use crate::domain::edit::{Mode, RUN_TRAILER};
use crate::domain::names::{BranchName, Oid, RunId};
use crate::domain::path::RepoPath;
use crate::repo::{Error, History};

/// A file of a commit as Git names it: the path may be one that a `RepoPath` cannot be.
pub(super) struct Listed {
    pub path: Vec<u8>,
    pub mode: Mode,
    pub blob: Oid,
}

/// Every file of a commit below a directory, fetched first if need be.
pub(super) async fn list_commit(held: &Held<'_>, commit: &Oid, directory: &RepoPath) -> Result<Vec<Listed>, Error> {
    held.need_commit(None, commit).await?;
    list(held, commit, directory).await
}

/// Every file of a commit that is here, below a directory, ordered as Git orders them.
pub(super) async fn list(held: &Held<'_>, commit: &Oid, directory: &RepoPath) -> Result<Vec<Listed>, Error> {
    let mut call = held.call("reading the tree", ["ls-tree", "-r", "-z", "--full-tree", commit.as_str(), "--"]);
    if !directory.is_root() {
        call = call.arg(format!("{directory}/"));
    }
    let answer = held.git().run(call).await?;
    answer.split(|byte| *byte == 0).filter(|line| !line.is_empty()).map(parse_listed).collect()
}

/// `<mode> SP <type> SP <oid> TAB <path>`
fn parse_listed(line: &[u8]) -> Result<Listed, Error> {
    let wrong = || reading_failed(format!("git listed {:?}", String::from_utf8_lossy(line)));
    let tab = line.iter().position(|byte| *byte == b'\t').ok_or_else(wrong)?;
    let head = str::from_utf8(&line[..tab]).map_err(|_| wrong())?;
    let mut words = head.split(' ');
    let mode = match words.next() {
        // 100664 stands in histories that very old versions of Git wrote.
        Some("100644" | "100664") => Mode::File,
        Some("100755") => Mode::Executable,
        Some("120000") => Mode::Symlink,
        Some("160000") => Mode::Submodule,
        Some(_) | None => return Err(wrong()),
    };
    let blob = words.nth(1).and_then(|oid| oid.parse().ok()).ok_or_else(wrong)?;
    Ok(Listed { path: line[tab + 1..].to_vec(), mode, blob })
}

/// The name of a commit's author, fetched first if need be.
pub(super) async fn author(held: &Held<'_>, commit: &Oid) -> Result<Option<String>, Error> {
    held.need_commit(None, commit).await?;
    let call = held.call("reading a commit", ["log", "-1", "--format=%an", commit.as_str(), "--"]);
    let answer = held.git().run(call).await?;
    let name = String::from_utf8_lossy(&answer).trim().to_owned();
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// The content of blobs; those that are not here come in one request.
pub(super) async fn read(held: &Held<'_>, blobs: &[Oid]) -> Result<BTreeMap<Oid, Bytes>, Error> {
    let mut wanted: Vec<&Oid> = blobs.iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = read_present(held, &wanted).await?;
    let missing: Vec<&Oid> = wanted.into_iter().filter(|oid| !found.contains_key(*oid)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    held.fetch_blobs(&missing).await?;
    found.extend(read_present(held, &missing).await?);
    match missing.into_iter().find(|oid| !found.contains_key(*oid)) {
        Some(oid) => Err(held.missing(oid)),
        None => Ok(found),
    }
}

async fn read_present(held: &Held<'_>, blobs: &[&Oid]) -> Result<BTreeMap<Oid, Bytes>, Error> {
    if blobs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: String = blobs.iter().map(|oid| format!("{oid}\n")).collect();
    let call = held.call("reading blobs", ["cat-file", "--batch"]).stdin(names.into_bytes());
    parse_batch(Bytes::from(held.git().run(call).await?))
}

/// `<oid> SP <type> SP <size> LF <content> LF`, or `<oid> SP missing LF`. What is not a blob counts as missing.
fn parse_batch(mut answer: Bytes) -> Result<BTreeMap<Oid, Bytes>, Error> {
    let cut = || reading_failed("git's answer is cut short".to_owned());
    let mut found = BTreeMap::new();
    while !answer.is_empty() {
        let end = answer.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let line = answer.split_to(end + 1);
        let line = str::from_utf8(&line).map_err(|_| cut())?;
        let mut words = line.trim_end().split(' ');
        let (oid, kind, size) = (words.next(), words.next(), words.next());
        let (Some(oid), Some(kind), Some(size)) = (oid, kind, size) else { continue };
        let size: usize = size.parse().map_err(|_| cut())?;
        if answer.len() <= size {
            return Err(cut());
        }
        let content = answer.split_to(size);
        let _newline = answer.split_to(1);
        if kind == "blob" {
            // A copy of its own, so that a small blob does not keep the whole answer in memory.
            found.insert(parse_oid(oid)?, Bytes::copy_from_slice(&content));
        }
    }
    Ok(found)
}

/// The commit that carries a run's trailer. A `since` that no longer exists bounds nothing.
pub(super) async fn find_run(
    held: &Held<'_>,
    branch: &BranchName,
    since: Option<&Oid>,
    run: &RunId,
) -> Result<Option<Oid>, Error> {
    let Some(head) = held.fetch_branch(branch).await? else { return Ok(None) };
    let format = format!("--format=%H%x09%(trailers:key={RUN_TRAILER},valueonly,separator=%x09)");
    let mut call = held.call("looking for the run's commit", ["log", &format, head.as_str()]);
    if let Some(since) = since
        && held.has_commit(since).await?
    {
        call = call.arg(format!("^{since}"));
    }
    let answer = held.git().run(call.arg("--")).await?;
    let text = String::from_utf8_lossy(&answer);
    let carrying = text.lines().find_map(|line| {
        let (oid, runs) = line.split_once('\t')?;
        runs.split('\t').any(|found| found.trim() == run.as_str()).then_some(oid)
    });
    carrying.map(parse_oid).transpose()
}

/// How the history of `head` stands to a commit that may be gone.
pub(super) async fn history(held: &Held<'_>, known: &Oid, head: &Oid) -> Result<History, Error> {
    held.need_commit(None, head).await?;
    match held.need_commit(None, known).await {
        Ok(()) => {}
        Err(Error::Missing { .. }) => return Ok(History::Unrelated),
        Err(error) => return Err(error),
    }
    Ok(match held.is_ancestor(known, head).await? {
        true => History::Contains,
        false if held.have_a_common_ancestor(known, head).await? => History::Rewritten,
        false => History::Unrelated,
    })
}

pub(super) fn parse_oid(text: &str) -> Result<Oid, Error> {
    text.parse().map_err(|error| reading_failed(format!("{error}")))
}

fn reading_failed(detail: String) -> Error {
    Error::Local { doing: "reading what git answered", detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_every_byte_and_leaves_out_what_is_missing() {
        let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        let mut answer = format!("{a} blob 4\n").into_bytes();
        answer.extend(b"\n\0\xff\n\n");
        answer.extend(format!("{b} missing\n{c} blob 0\n\n").bytes());

        let found = parse_batch(answer.into()).unwrap();

        let want: BTreeMap<Oid, Bytes> =
            [(a, &b"\n\0\xff\n"[..]), (c, b"")].map(|(oid, bytes)| (oid.parse().unwrap(), bytes.into())).into();
        assert_eq!(found, want);
    }

    #[test]
    fn a_batch_that_is_cut_short_is_an_error() {
        let answer = format!("{} blob 40\nabc", "a".repeat(40));

        assert!(parse_batch(answer.into()).is_err());
    }
}
