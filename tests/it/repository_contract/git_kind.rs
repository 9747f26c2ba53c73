//! What only the kind `git` has: a cache that may break, old servers, and processes that others can look at.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;
use crate::support::git_server::{Fault, Route};
use fgd_sync::domain::edit::Edit;
use fgd_sync::domain::secret::SecretSource;

/// A repository with one commit, opened with a cache that was used.
async fn used() -> (LocalPath, PathBuf, Arc<dyn Repository>, Oid) {
    let subject = LocalPath::start().await;
    let (_, head) = seed(&subject);
    let cache = subject.dir.path().join("cache");
    let repository = open(&subject, &cache);
    read_all(&repository, &head).await.unwrap();
    (subject, cache, repository, head)
}

fn open(subject: &LocalPath, cache: &Path) -> Arc<dyn Repository> {
    let remote = subject.bare.path().to_str().unwrap();
    Arc::new(GitRepository::open(options(remote, cache, Credentials::None)).unwrap())
}

/// Two files; a repository that works reads both.
async fn read_all(repository: &Arc<dyn Repository>, head: &Oid) -> Result<usize, Error> {
    let tree = repository.tree(head, &RepoPath::root()).await?;
    let blobs: Vec<Oid> = tree.values().map(|entry| entry.blob.clone()).collect();
    Ok(repository.read(&blobs).await?.len())
}

#[tokio::test]
async fn a_cache_that_was_deleted_is_made_again() {
    let (_subject, cache, repository, head) = used().await;

    fs::remove_dir_all(cache).unwrap();

    assert_eq!(read_all(&repository, &head).await.unwrap(), 2);
}

#[tokio::test]
async fn a_cache_that_lost_its_objects_is_made_again() {
    let (_subject, cache, repository, head) = used().await;

    fs::remove_dir_all(cache.join("bare.git/objects")).unwrap();
    fs::create_dir_all(cache.join("bare.git/objects")).unwrap();

    assert_eq!(read_all(&repository, &head).await.unwrap(), 2);
    commit(&repository, Some(&head), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
}

#[tokio::test]
async fn a_cache_with_damaged_packs_is_made_again() {
    use std::os::unix::fs::PermissionsExt;
    let (_subject, cache, repository, head) = used().await;

    for entry in fs::read_dir(cache.join("bare.git/objects/pack")).unwrap() {
        let file = entry.unwrap().path();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, "garbage").unwrap();
    }

    assert_eq!(read_all(&repository, &head).await.unwrap(), 2);
    commit(&repository, Some(&head), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_is_no_obstacle() {
    let (subject, cache, repository, _) = used().await;
    let theirs = subject.person().write("x", "1").push("main", "theirs");
    repository.find_run(&main(), None, &RunId::new("none")).await.unwrap();
    let theirs = oid(&theirs);
    for entry in fs::read_dir(cache.join("bare.git/refs/fgd")).unwrap() {
        fs::write(entry.unwrap().path().with_extension("lock"), "").unwrap();
    }
    fs::write(cache.join("bare.git/refs/fgd-new.lock"), "").unwrap();

    commit(&repository, Some(&theirs), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    let human = subject.person().write("y", "1").push("main", "theirs");
    assert!(repository.find_run(&main(), None, &RunId::new("01RUN")).await.unwrap().is_some());
    assert_eq!(read_all(&repository, &oid(&human)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_cache_of_another_remote_is_not_used() {
    let (_subject, cache, repository, head) = used().await;
    drop(repository);
    let other = LocalPath::start().await;
    let (_, other_head) = {
        let person = other.person();
        let head = person.write("only.yaml", "1").push("main", "another");
        (person, oid(&head))
    };

    let repository = open(&other, &cache);

    assert_eq!(read_all(&repository, &other_head).await.unwrap(), 1);
    let gone = repository.tree(&head, &RepoPath::root()).await.unwrap_err();
    assert!(matches!(gone, Error::Missing { .. }), "{gone:?}");
}

#[tokio::test]
async fn replicas_may_share_a_cache() {
    let (subject, cache, _, head) = used().await;
    let replicas: Vec<_> = (0..4).map(|_| open(&subject, &cache)).collect();

    let reads = replicas.iter().map(|replica| read_all(replica, &head));

    assert_eq!(futures::future::join_all(reads).await.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2; 4]);
}

#[tokio::test]
async fn a_server_that_cannot_filter_is_read_all_the_same() {
    let (subject, cache, _, head) = used().await;
    fs::remove_dir_all(&cache).unwrap();
    subject.bare.git(&["config", "uploadpack.allowFilter", "false"]);

    assert_eq!(read_all(&open(&subject, &cache), &head).await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_that_gives_only_tips_is_read_all_the_same() {
    let subject = Http::start().await;
    subject.server.be_old();
    let person = subject.person();
    person.write("old.yaml", "1").push("main", "first");
    let first = oid(&subject.bare.head("main").unwrap());
    let head = oid(&person.delete("old.yaml").write("new.yaml", "2").push("main", "second"));
    let repository = subject.repository();

    assert_eq!(read_all(&repository, &first).await.unwrap(), 1);
    commit(&repository, Some(&head), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
}

#[tokio::test]
async fn a_commit_downloads_no_blob() {
    let subject = Http::start().await;
    let person = subject.person();
    let head = oid(&person.write("big.bin", vec![7; 1 << 20]).write("a.yaml", "a: 1\n").push("main", "first"));
    let cache = subject.dir.path().join("cache");
    let token = SecretSource::Text(SecretString::from(PASSWORD));
    let repository: Arc<dyn Repository> =
        Arc::new(GitRepository::open(Options { cache: cache.clone(), ..subject.options(token) }).unwrap());

    let edits = edits([("a.yaml", write("a: 2\n")), ("big.bin", Edit::Delete)]);
    commit(&repository, Some(&head), &edits).await.unwrap();

    let check = Bare::at(&cache.join("bare.git")).git(&["rev-list", "--objects", "--missing=print", head.as_str()]);
    let missing: Vec<&str> = check.lines().filter_map(|line| line.strip_prefix('?')).collect();
    assert!(missing.contains(&Oid::of_blob(&vec![7; 1 << 20]).as_str()), "{check}");
    assert!(missing.contains(&Oid::of_blob(b"a: 1\n").as_str()), "{check}");
}

#[tokio::test]
async fn no_process_shows_the_password_and_no_file_keeps_it() {
    let password = "t0ken-that-only-this-test-has";
    let server = GitServer::start_with_account("bot", password).await;
    let bare = server.create("fabric.git");
    let cache = tempfile::tempdir().unwrap();
    let token = SecretSource::Text(SecretString::from(password));
    let credentials = Credentials::Token { user: "bot".to_owned(), token };
    let repository: Arc<dyn Repository> =
        Arc::new(GitRepository::open(options(&server.url("fabric.git"), cache.path(), credentials)).unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let look = seen.clone();
    server.fault(Route::Push, Fault::Before(Box::new(move || *look.lock().unwrap() = command_lines())));

    commit(&repository, None, &edits([("a.yaml", write("a: 1\n"))])).await.unwrap();

    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|line| line.contains("push\0--porcelain")), "the push was not seen");
    assert!(!seen.iter().any(|line| line.contains(password)));
    assert!(
        !files_below(cache.path())
            .iter()
            .any(|file| fs::read(file).unwrap().windows(29).any(|w| w == password.as_bytes()))
    );
    bare.assert_sound();
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
