//! Objects and refs of one repository, made and read by real Git in a bare repository: every id is true.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::commit::Commit;
use crate::support::git_server::Bare;

/// The tree without entries, which every Git knows.
pub(super) const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// No object: a ref that must not be there, or goes away.
pub(super) const ZERO: &str = "0000000000000000000000000000000000000000";

/// One entry of a tree.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub mode: String,
    pub kind: String,
    pub sha: String,
    pub size: Option<u64>,
    pub path: String,
}

/// What becomes of one path: an object with its mode, or nothing.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub path: String,
    pub to: Option<(String, String)>,
}

impl Change {
    /// A deletion, or a directory in the place of another.
    fn takes_away(&self) -> bool {
        self.to.as_ref().is_none_or(|(mode, _)| mode == "040000")
    }
}

/// A way to the objects and refs of a bare repository.
#[derive(Debug, Clone)]
pub(super) struct Store {
    bare: Bare,
}

impl Store {
    pub fn new(bare: Bare) -> Self {
        Self { bare }
    }

    pub fn bare(&self) -> &Bare {
        &self.bare
    }

    /// The kind of an object; `None` when there is none.
    pub fn kind(&self, sha: &str) -> Option<String> {
        let answer = self.kinds(&[sha]).remove(0);
        is_oid(sha).then_some(answer).flatten()
    }

    /// The kinds of objects, in their order.
    pub fn kinds(&self, shas: &[&str]) -> Vec<Option<String>> {
        let asked: String = shas.iter().map(|sha| format!("{sha}\n")).collect();
        let listed = text(&self.must(&["cat-file", "--batch-check=%(objecttype)"], asked.as_bytes()));
        listed
            .lines()
            .map(|line| (!line.ends_with(" missing") && !line.contains(' ')).then(|| line.to_owned()))
            .collect()
    }

    /// An object's content.
    pub fn read(&self, kind: &str, sha: &str) -> Option<Vec<u8>> {
        let output = self.run(&["cat-file", kind, sha], b"", None);
        output.status.success().then_some(output.stdout)
    }

    /// Many at once come as one pack: a file for each would be most of what a large request takes.
    pub fn write_blobs(&self, contents: &[Vec<u8>]) -> Vec<String> {
        let mut orders = Vec::new();
        for (at, content) in contents.iter().enumerate() {
            let mark = at + 1;
            orders.extend(format!("blob\nmark :{mark}\ndata {}\n", content.len()).into_bytes());
            orders.extend(content);
            orders.extend(format!("\nget-mark :{mark}\n").into_bytes());
        }
        let made = self.must(&["-c", "fastimport.unpackLimit=50", "fast-import", "--quiet"], &orders);
        text(&made).lines().map(str::to_owned).collect()
    }

    /// The entries of a tree or a commit's tree; with `recursive` all below, directories included.
    pub fn entries(&self, tree: &str, recursive: bool) -> Vec<Entry> {
        let mut args = vec!["ls-tree", "-z", "--long", "--full-tree"];
        if recursive {
            args.extend(["-r", "-t"]);
        }
        args.push(tree);
        let listed = self.must(&args, b"");
        text(&listed).split('\0').filter(|line| !line.is_empty()).map(entry).collect()
    }

    /// Every path below a tree, directories included.
    fn paths(&self, tree: &str) -> std::collections::BTreeSet<String> {
        let listed = self.must(&["ls-tree", "-z", "--name-only", "--full-tree", "-r", "-t", tree], b"");
        text(&listed).split_terminator('\0').map(str::to_owned).collect()
    }

    /// The tree that a change makes of another. `Err` names a deleted path that is not there.
    pub fn change_tree(&self, base: Option<&str>, changes: &[Change]) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let index = dir.path().join("index");
        if let Some(base) = base {
            self.in_index(&index, &["read-tree", base], b"");
        }
        // One by one as far as deletions go: what is deleted must be there at that moment.
        let mut present: std::collections::BTreeSet<String> = match base {
            Some(base) if changes.iter().any(Change::takes_away) => self.paths(base),
            Some(_) | None => std::collections::BTreeSet::new(),
        };
        let mut lines = Vec::new();
        for change in changes {
            match &change.to {
                Some((mode, sha)) if mode == "040000" => {
                    self.forget_below(&mut present, &mut lines, &change.path);
                    for entry in self.entries(sha, true).iter().filter(|entry| entry.kind != "tree") {
                        let path = format!("{}/{}", change.path, entry.path);
                        lines.extend(format!("{} {}\t{path}\0", entry.mode, entry.sha).into_bytes());
                        present.insert(path);
                    }
                    present.insert(change.path.clone());
                }
                Some((mode, sha)) => {
                    lines.extend(format!("{mode} {sha}\t{}\0", change.path).into_bytes());
                    present.insert(change.path.clone());
                }
                None if present.contains(&change.path) => self.forget_below(&mut present, &mut lines, &change.path),
                None => return Err(change.path.clone()),
            }
        }
        self.in_index(&index, &["update-index", "-z", "--add", "--replace", "--index-info"], &lines);
        Ok(text(&self.in_index(&index, &["write-tree"], b"")).trim_end().to_owned())
    }

    fn forget_below(&self, present: &mut std::collections::BTreeSet<String>, lines: &mut Vec<u8>, path: &str) {
        let below = format!("{path}/");
        let gone: Vec<String> = present.iter().filter(|at| *at == path || at.starts_with(&below)).cloned().collect();
        for path in gone {
            lines.extend(format!("0 {ZERO}\t{path}\0").into_bytes());
            present.remove(&path);
        }
    }

    pub fn write_commit(&self, commit: &Commit) -> String {
        let made = self.must(&["hash-object", "-w", "-t", "commit", "--stdin"], commit.to_bytes().as_bytes());
        text(&made).trim_end().to_owned()
    }

    pub fn commit(&self, sha: &str) -> Option<Commit> {
        Commit::parse(&String::from_utf8_lossy(&self.read("commit", sha)?))
    }

    /// The commit that a branch, a tag, a full ref name or an id stands for.
    pub fn resolve(&self, name: &str) -> Option<String> {
        if name.is_empty() || name.starts_with('-') {
            return None;
        }
        let heads = format!("refs/heads/{name}^{{commit}}");
        let tags = format!("refs/tags/{name}^{{commit}}");
        let plain = format!("{name}^{{commit}}");
        let candidates = if name.starts_with("refs/") || is_oid(name) || name == "HEAD" {
            vec![plain]
        } else if name.len() >= 7 && name.chars().all(|c| c.is_ascii_hexdigit()) {
            vec![heads, tags, plain]
        } else {
            vec![heads, tags]
        };
        candidates.iter().find_map(|candidate| {
            let output = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", candidate], b"", None);
            output.status.success().then(|| text(&output.stdout).trim_end().to_owned())
        })
    }

    /// Where a ref points, by its full name.
    pub fn ref_target(&self, name: &str) -> Option<String> {
        self.refs(name).into_iter().find(|(found, _)| found == name).map(|(_, sha)| sha)
    }

    /// Refs whose full name begins so, and their targets.
    pub fn refs(&self, prefix: &str) -> Vec<(String, String)> {
        let listed = text(&self.must(&["for-each-ref", "--format=%(objectname) %(refname)"], b""));
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs
            .filter(|(_, name)| name.starts_with(prefix))
            .map(|(sha, name)| (name.to_owned(), sha.to_owned()))
            .collect()
    }

    /// No branch yet, so no commit either.
    pub fn is_empty(&self) -> bool {
        self.refs("refs/").is_empty()
    }

    /// Moves refs, all or none: name, where to (`ZERO`: away), from where (`ZERO`: must not be).
    pub fn move_refs(&self, moves: &[(String, String, Option<String>)]) -> bool {
        let mut orders = Vec::new();
        orders.extend(b"start\0");
        for (name, to, from) in moves {
            orders.extend(format!("update {name}\0{to}\0{}\0", from.as_deref().unwrap_or_default()).into_bytes());
        }
        orders.extend(b"prepare\0commit\0");
        self.run(&["update-ref", "-z", "--stdin"], &orders, None).status.success()
    }

    /// The object at a path of a commit or tree; the path of its root is empty.
    pub fn object_at(&self, at: &str, path: &str) -> Option<String> {
        let output = self.run(&["rev-parse", "--verify", "--quiet", &format!("{at}:{path}")], b"", None);
        output.status.success().then(|| text(&output.stdout).trim_end().to_owned())
    }

    /// The tree that an id of a commit or tree stands for.
    pub fn tree_of(&self, sha: &str) -> Option<String> {
        match self.kind(sha)?.as_str() {
            "commit" => self.commit(sha).map(|commit| commit.tree),
            "tree" => Some(sha.to_owned()),
            _ => None,
        }
    }

    pub fn is_valid_ref(&self, name: &str) -> bool {
        self.run(&["check-ref-format", name], b"", None).status.success()
    }

    pub fn is_ancestor(&self, old: &str, new: &str) -> bool {
        self.run(&["merge-base", "--is-ancestor", old, new], b"", None).status.success()
    }

    pub fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        let output = self.run(&["merge-base", one, other], b"", None);
        output.status.success().then(|| text(&output.stdout).trim_end().to_owned())
    }

    /// The commits of a range, newest first.
    pub fn log(&self, range: &[&str], path: Option<&str>) -> Vec<String> {
        let mut args = vec!["rev-list", "--topo-order"];
        args.extend(range);
        args.push("--");
        args.extend(path);
        text(&self.must(&args, b"")).lines().map(str::to_owned).collect()
    }

    /// The files that differ: status letter, path, former path.
    pub fn differences(&self, from: &str, to: &str) -> Vec<(char, String, Option<String>)> {
        let listed =
            text(&self.must(&["diff-tree", "-r", "-z", "-M", "--no-commit-id", "--name-status", from, to], b""));
        let mut words = listed.split('\0').filter(|word| !word.is_empty());
        let mut found = Vec::new();
        while let Some(status) = words.next() {
            let letter = status.chars().next().unwrap_or('M');
            let path = words.next().unwrap_or_default().to_owned();
            match letter {
                'R' => found.push((letter, words.next().unwrap_or_default().to_owned(), Some(path))),
                _ => found.push((letter, path, None)),
            }
        }
        found
    }

    /// The tree of a merge; `None` on a conflict.
    pub fn merge_trees(&self, base: Option<&str>, ours: &str, theirs: &str) -> Option<String> {
        let base = base.map(|base| format!("--merge-base={base}"));
        let mut args = vec!["merge-tree", "--write-tree"];
        args.extend(base.as_deref());
        args.extend([ours, theirs]);
        let output = self.run(&args, b"", None);
        output.status.success().then(|| text(&output.stdout).lines().next().unwrap_or_default().to_owned())
    }

    fn in_index(&self, index: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
        checked(args, self.run(args, input, Some(index)))
    }

    fn must(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        checked(args, self.run(args, input, None))
    }

    fn run(&self, args: &[&str], input: &[u8], index: Option<&Path>) -> Output {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.bare.path()).env("GIT_DIR", self.bare.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("LC_ALL", "C");
        command.env_remove("GIT_INDEX_FILE").envs(index.map(|index| ("GIT_INDEX_FILE", index)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("git starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_vec();
        // A thread of its own: Git may answer before it read everything.
        let feed = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("git ends");
        feed.join().expect("the feeder ends");
        output
    }
}

fn checked(args: &[&str], output: Output) -> Vec<u8> {
    assert!(output.status.success(), "git {args:?}: {}", text(&output.stderr));
    output.stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// 40 hexadecimal digits.
pub(super) fn is_oid(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn entry(line: &str) -> Entry {
    let (facts, path) = line.split_once('\t').expect("a line of ls-tree");
    let mut words = facts.split_ascii_whitespace().map(str::to_owned);
    let mut next = || words.next().expect("a word of ls-tree");
    Entry { mode: next(), kind: next(), sha: next(), size: next().parse().ok(), path: path.to_owned() }
}
