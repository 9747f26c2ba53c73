//! Tokens: wrong, rotated, ending.

use std::path::Path;
use std::time::SystemTime;

use super::*;

fn with_file(scene: &Scene, file: &Path) -> GitHubRepository {
    let auth = Auth::Token(SecretSource::File(file.to_owned()));
    GitHubRepository::open(Options { auth, ..scene.options() }).unwrap()
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_not_shown() {
    let scene = Scene::start();
    let auth = Auth::Token(SecretSource::Text("wr0ng-token".into()));
    let repository = GitHubRepository::open(Options { auth, ..scene.options() }).unwrap();

    let errors = [
        repository.head(&main()).await.unwrap_err(),
        repository.tree(&scene.first, &RepoPath::root()).await.unwrap_err(),
        commit(&repository, Some(&scene.first), &many(1)).await.unwrap_err(),
    ];

    for error in errors {
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("wr0ng-token"), "{error:?}");
    }
}

#[tokio::test]
async fn a_rotated_token_counts_at_once() {
    let scene = Scene::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "an-old-one\n").unwrap();
    let repository = with_file(&scene, &file);
    assert!(matches!(repository.head(&main()).await, Err(Error::Denied { .. })));

    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();

    assert_eq!(repository.head(&main()).await.unwrap(), Some(scene.first.clone()));
}

#[tokio::test]
async fn the_end_of_a_token_is_known() {
    let scene = Scene::start();
    let repository = scene.open();
    assert_eq!(repository.expires(), None);
    scene.github.expire_token(TOKEN, Duration::from_secs(5 * 86_400));

    repository.head(&main()).await.unwrap();

    let left = repository.expires().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!((4 * 86_400..=5 * 86_400).contains(&left.as_secs()), "{left:?}");
}

#[tokio::test]
async fn an_empty_token_file_is_this_machines_trouble() {
    let scene = Scene::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "\n").unwrap();

    let error = with_file(&scene, &file).head(&main()).await.unwrap_err();

    assert!(matches!(&error, Error::Local { detail, .. } if detail.contains("is empty")), "{error:?}");
    assert!(scene.github.served().is_empty());
}
