//! What a commit costs, and what it does with unusual files.

use super::*;
use crate::support::fakes::github::Fault;

#[tokio::test]
async fn the_requests_of_a_commit_grow_by_one_for_every_200_changes() {
    let scene = Scene::start();
    let repository = scene.open();
    let mut costs = Vec::new();
    for count in [1, 200, 201, 1_000] {
        let edits: Edits = many(count).into_keys().map(|at| (at, write(format!("{count}\n")))).collect();
        scene.github.forget_served();
        let head = repository.head(&main()).await.unwrap().unwrap();
        repository.tree(&head, &RepoPath::root()).await.unwrap();
        commit(&repository, Some(&head), &edits).await.unwrap();
        costs.push(scene.github.served().len());
    }

    // Head, trees, commit, swap, confirmation; the first time also what is then remembered.
    assert_eq!(costs, [9, 5, 6, 9]);
    assert_eq!(scene.bare.git(&["rev-list", "--count", "main"]), "5");
}

#[tokio::test]
async fn trees_become_smaller_when_github_cannot_take_them() {
    let scene = Scene::start();
    scene.github.set_inline_limit(30);

    commit(&scene.open(), Some(&scene.first), &many(200)).await.unwrap();

    assert_eq!(scene.bare.paths("main").len(), 202);
    // 200, 100 and 50 were too much, 25 are not.
    assert_eq!(scene.asked()[&Route::PostTree], 3 + 8);
}

#[tokio::test]
async fn a_time_out_at_a_tree_makes_smaller_ones() {
    let scene = Scene::start();
    scene.github.fault(Route::PostTree, Fault::Status(502));

    commit(&scene.open(), Some(&scene.first), &many(100)).await.unwrap();

    assert_eq!(scene.bare.paths("main").len(), 102);
    assert_eq!(scene.asked()[&Route::PostTree], 3);
}

#[tokio::test]
async fn other_bytes_than_text_are_written_exactly() {
    let scene = Scene::start();
    let all: Vec<u8> = (0..=255).collect();
    let wanted = edits([
        ("empty", write("")),
        ("nul", write("a\0b")),
        ("all", write(&all)),
        ("bom", write("\u{feff}a: 1\r\n")),
        ("moved.yaml", write("a: 1\n")),
    ]);

    let ours = commit(&scene.open(), Some(&scene.first), &wanted).await.unwrap();

    let tree = scene.open().tree(&ours, &RepoPath::root()).await.unwrap();
    for (at, edit) in &wanted {
        let Edit::Write(bytes) = edit else { continue };
        assert_eq!(tree[at].blob, Oid::of_blob(bytes), "{at}");
    }
    assert_eq!(scene.asked()[&Route::PostBlob], 3, "only what is no text needs a request of its own");
}

#[tokio::test]
async fn a_file_and_a_directory_change_places_in_one_commit() {
    let scene = Scene::with(&[("file", "1"), ("dir/a", "2"), ("dir/b", "3"), ("stays", "4")]);
    let wanted = edits([
        ("file", Edit::Delete),
        ("file/now/a", write("5")),
        ("dir", write("6")),
        ("dir/a", Edit::Delete),
        ("dir/b", Edit::Delete),
    ]);

    commit(&scene.open(), Some(&scene.first), &wanted).await.unwrap();

    assert_eq!(scene.bare.paths("main"), ["dir", "file/now/a", "stays"]);
    assert_eq!(scene.bare.git(&["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn everything_can_be_replaced_but_something_must_stay() {
    let scene = Scene::with(&[("dir/a", "1"), ("b", "2")]);
    let repository = scene.open();
    let replaced = edits([("dir/a", Edit::Delete), ("b", Edit::Delete), ("dir", write("3"))]);

    let ours = commit(&repository, Some(&scene.first), &replaced).await.unwrap();
    let paths = scene.bare.paths("main");
    let nothing = commit(&repository, Some(&ours), &edits([("dir", Edit::Delete)])).await.unwrap_err();

    assert_eq!(paths, ["dir"]);
    assert!(matches!(nothing, Error::Refused { .. }), "{nothing:?}");
    assert_eq!(scene.head(), Some(ours));
}

#[tokio::test]
async fn the_tree_that_we_made_is_known_without_asking() {
    let scene = Scene::start();
    let repository = scene.open();
    let ours = commit(&repository, Some(&scene.first), &edits([("a.yaml", write("a: 2\n"))])).await.unwrap();
    scene.github.forget_served();

    let tree = repository.tree(&ours, &RepoPath::root()).await.unwrap();
    let read = repository.read(&[Oid::of_blob(b"a: 2\n")]).await.unwrap();
    let asked = scene.asked();

    assert_eq!(tree, scene.open().tree(&ours, &RepoPath::root()).await.unwrap());
    assert_eq!(read.len(), 1);
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn writes_of_one_repository_come_one_at_a_time() {
    let scene = Scene::start();
    let repository = scene.open();
    let branch = |at: usize| Target { repo: RepoName::new("lab"), branch: BranchName::new(format!("branch-{at}")) };
    let proofs: Vec<LeaseProof> = (0..4).map(|at| proof_for(&branch(at))).collect();
    let (wanted, words) = (many(120), message("01RUN"));

    let commits = proofs.iter().map(|proof| repository.commit(proof, None, &wanted, &words));
    let made = futures::future::join_all(commits).await;

    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(scene.github.most_writes_at_once(), 1);
    assert_eq!(scene.bare.branches().len(), 5);
}

#[tokio::test]
async fn an_empty_repository_gets_one_whole_commit() {
    let github = GitHub::start();
    let bare = github.create("acme", "fabric").bare();
    let repository = GitHubRepository::open(options_for(&github, "acme/fabric")).unwrap();

    let ours = commit(&repository, None, &many(120)).await.unwrap();

    assert_eq!(bare.head("main").as_deref(), Some(ours.as_str()));
    assert_eq!(bare.paths("main").len(), 120);
    assert_eq!(bare.git(&["rev-list", "--count", "main"]), "1");
    assert!(bare.git(&["log", "-1", "--format=%B", "main"]).contains("Fgd-Run: 01RUN"));
    assert_eq!(repository.head(&main()).await.unwrap(), Some(ours));
}
