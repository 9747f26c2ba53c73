//! How much is asked, and what is not asked twice.

use fgd_sync::domain::edit::Mode;

use super::*;
use crate::support::fakes::github::Fault;

#[tokio::test]
async fn a_head_that_did_not_move_costs_nothing() {
    let scene = Scene::start();
    let repository = scene.open();
    repository.head(&main()).await.unwrap();
    scene.github.forget_served();

    let again = repository.head(&main()).await.unwrap();

    assert_eq!(again, Some(scene.first.clone()));
    let served = scene.github.served();
    assert_eq!(served.iter().map(|served| served.status).collect::<Vec<_>>(), [304]);
}

#[tokio::test]
async fn a_head_that_moved_is_seen() {
    let scene = Scene::start();
    let repository = scene.open();
    repository.head(&main()).await.unwrap();

    let moved = oid(&scene.person.write("c.yaml", "c: 1\n").push("main", "second"));

    assert_eq!(repository.head(&main()).await.unwrap(), Some(moved));
}

#[tokio::test]
async fn a_commit_is_listed_once() {
    let scene = Scene::start();
    let repository = scene.open();
    repository.tree(&scene.first, &RepoPath::root()).await.unwrap();
    scene.github.forget_served();

    let directory = repository.tree(&scene.first, &path("dir")).await.unwrap();

    assert_eq!(directory.keys().map(RepoPath::as_str).collect::<Vec<_>>(), ["dir/b.yaml"]);
    assert!(scene.github.served().is_empty(), "{:?}", scene.asked());
}

#[tokio::test]
async fn a_tree_that_github_cuts_off_is_read_whole_all_the_same() {
    let names: Vec<String> = (0..40).map(|at| format!("fabrics/lab/{}/{at}.yaml", at % 4)).collect();
    let others: Vec<String> = (0..40).map(|at| format!("elsewhere/{at}")).collect();
    let files: Vec<(&str, &str)> = names.iter().chain(&others).map(|name| (name.as_str(), "x")).collect();
    let scene = Scene::with(&files);
    // Less than the fabric has, and no less than any one of its directories.
    scene.github.set_tree_limit(40);
    let repository = scene.open();

    let fabric = repository.tree(&scene.first, &path("fabrics/lab")).await.unwrap();
    let all = repository.tree(&scene.first, &RepoPath::root()).await.unwrap();

    assert_eq!(fabric.len(), 40);
    assert_eq!(all.len(), 80);
    assert!(fabric.values().all(|entry| entry.mode == Mode::File));
}

#[tokio::test]
async fn one_level_that_github_cuts_off_is_an_error_and_not_a_part() {
    let names: Vec<String> = (0..20).map(|at| format!("{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let scene = Scene::with(&files);
    scene.github.set_tree_limit(10);

    let error = scene.open().tree(&scene.first, &RepoPath::root()).await.unwrap_err();

    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_large_repository_is_written_without_listing_it() {
    let names: Vec<String> = (0..60).map(|at| format!("elsewhere/{}/{at}", at % 3)).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    files.push(("fabrics/lab/a.yaml", "a: 1\n"));
    let scene = Scene::with(&files);
    scene.github.set_tree_limit(30);
    let repository = scene.open();
    let wanted = edits([
        ("fabrics/lab/a.yaml", write("a: 2\n")),
        ("fabrics/lab/new/b.yaml", write("b: 1\n")),
        ("fabrics/none/gone.yaml", Edit::Delete),
    ]);

    let ours = commit(&repository, Some(&scene.first), &wanted).await.unwrap();
    let in_the_way = commit(&repository, Some(&ours), &edits([("elsewhere/1", write("x"))])).await.unwrap_err();

    assert_eq!(scene.bare.paths("main").len(), 62);
    assert_eq!(scene.bare.show("main", "fabrics/lab/a.yaml"), "a: 2");
    assert!(matches!(in_the_way, Error::Refused { .. }), "{in_the_way:?}");
}

#[tokio::test]
async fn blobs_come_a_hundred_at_a_time_and_once() {
    let contents: Vec<String> = (0..250).map(|at| format!("object {at}\n")).collect();
    let names: Vec<String> = (0..250).map(|at| format!("{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(contents.iter().map(String::as_str)).collect();
    let scene = Scene::with(&files);
    let ids: Vec<Oid> = contents.iter().map(|content| Oid::of_blob(content.as_bytes())).collect();
    let repository = scene.open();

    let read = repository.read(&ids).await.unwrap();
    let once = scene.asked();
    repository.read(&ids).await.unwrap();

    assert_eq!(read.len(), 250);
    assert_eq!(once, BTreeMap::from([(Route::Query, 3)]));
    assert_eq!(scene.asked(), once);
}

#[tokio::test]
async fn what_is_no_text_comes_exactly_by_another_way() {
    let scene = Scene::start();
    let contents: [Vec<u8>; 4] =
        [b"\xff\xfe".to_vec(), b"a\0b".to_vec(), b"\xef\xbb\xbfbom: 1\n".to_vec(), vec![b'x'; 600_000]];
    for (at, content) in contents.iter().enumerate() {
        scene.person.write(&format!("{at}.bin"), content);
    }
    scene.person.push("main", "other bytes");
    let ids: Vec<Oid> = contents.iter().map(|content| Oid::of_blob(content)).collect();

    let read = scene.open().read(&ids).await.unwrap();

    assert_eq!(read, ids.into_iter().zip(contents.map(Bytes::from)).collect());
}

#[tokio::test]
async fn without_graphql_everything_is_read_and_written_all_the_same() {
    let scene = Scene::start();
    let repository = scene.open();
    let ids = [Oid::of_blob(b"a: 1\n"), Oid::of_blob(b"b: 1\n")];
    scene.github.fault(Route::Query, Fault::Status(404));

    let read = repository.read(&ids).await.unwrap();
    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
    let other = Target { repo: RepoName::new("lab"), branch: BranchName::new("team/new") };
    let new = edits([("n.yaml", write("n: 1\n"))]);
    let beside = repository.commit(&proof_for(&other), None, &new, &message("02RUN")).await.unwrap();

    assert_eq!(read.len(), 2);
    assert_eq!(scene.head(), Some(ours));
    assert_eq!(scene.bare.head("team/new").as_deref(), Some(beside.as_str()));
    let asked = scene.asked();
    assert_eq!((asked[&Route::PatchRef], asked[&Route::PostRef]), (1, 1));
    assert_eq!(asked[&Route::Query], 1, "what is not there is not asked for again");
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let scene = Scene::start();
    let repository = scene.open();
    scene.github.hosted("acme/fabric").rename("acme", "renamed");

    let head = repository.head(&main()).await.unwrap();
    scene.github.forget_served();
    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    assert_eq!(head, Some(scene.first.clone()));
    assert_eq!(scene.head(), Some(ours));
    let redirected = scene.github.served().iter().filter(|served| (300..400).contains(&served.status)).count();
    assert_eq!(redirected, 0, "the new place is remembered");
}

#[tokio::test]
async fn a_write_to_a_renamed_repository_is_followed_too() {
    let scene = Scene::start();
    let repository = scene.open();
    repository.tree(&scene.first, &RepoPath::root()).await.unwrap();
    scene.github.hosted("acme/fabric").rename("other", "name");

    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();

    assert_eq!(scene.head(), Some(ours));
}

#[tokio::test]
async fn a_token_follows_no_redirect_to_another_server() {
    let scene = Scene::start();
    let other = GitHub::start();
    let address = a_server_that_redirects_to(other.rest_url()).await;
    let repository = GitHubRepository::open(Options { api: address.parse().unwrap(), ..scene.options() }).unwrap();

    let error = repository.head(&main()).await.unwrap_err();

    assert!(matches!(&error, Error::Unavailable { detail, .. } if detail.contains("redirect")), "{error:?}");
    assert!(other.served().is_empty());
}

/// Answers three requests, as often as a read is tried, with a redirect.
async fn a_server_that_redirects_to(place: String) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            assert!(head[..length].starts_with(b"GET /repos/acme/fabric/git/ref/heads/main"));
            let headers = "content-length: 0\r\nconnection: close";
            let answer = format!("HTTP/1.1 301 Moved\r\nlocation: {place}/x\r\n{headers}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}
