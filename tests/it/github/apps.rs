//! A GitHub App: its installation's tokens, for all of its repositories.

use std::path::PathBuf;

use fgd_sync::repo::github::Installations;
use tempfile::TempDir;

use super::faults::CALLS;
use super::*;
use crate::support::fakes::github::{APP_KEY, Fault, Level, Permission};

/// A scene whose repository an App is installed on.
struct WithApp {
    scene: Scene,
    dir: TempDir,
    app: u64,
    installation: u64,
}

impl WithApp {
    fn start() -> Self {
        let scene = Scene::start();
        let app = scene.github.add_app("fgd-sync");
        let installation = scene.github.install(app, "acme", &[], &[(Permission::Contents, Level::Write)]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.pem"), APP_KEY).unwrap();
        Self { scene, dir, app, installation }
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("app.pem")
    }

    fn options(&self, installation: Option<u64>) -> Options {
        let auth = Auth::App { id: self.app.to_string(), installation, key_file: self.key_file() };
        Options { auth, ..self.scene.options() }
    }

    fn open(&self) -> GitHubRepository {
        GitHubRepository::open(self.options(Some(self.installation))).unwrap()
    }
}

#[tokio::test]
async fn an_app_finds_its_installation_and_writes() {
    let with_app = WithApp::start();
    let repository = GitHubRepository::open(with_app.options(None)).unwrap();

    let ours = commit(&repository, Some(&with_app.scene.first), &many(3)).await.unwrap();

    assert_eq!(with_app.scene.head(), Some(ours));
    let asked = with_app.scene.asked();
    assert_eq!((asked[&Route::GetRepositoryInstallation], asked[&Route::CreateToken]), (1, 1));
}

#[tokio::test]
async fn an_app_is_known_by_its_client_id_too() {
    let with_app = WithApp::start();
    let auth = Auth::App { id: "Iv23fgd-sync".to_owned(), installation: None, key_file: with_app.key_file() };
    let repository = GitHubRepository::open(Options { auth, ..with_app.scene.options() }).unwrap();

    assert_eq!(repository.head(&main()).await.unwrap(), Some(with_app.scene.first.clone()));
}

#[tokio::test]
async fn one_token_serves_all_repositories_of_an_installation() {
    let with_app = WithApp::start();
    with_app.scene.github.create("acme", "other");
    let installations = Arc::new(Installations::default());
    let open = |name: &str| {
        let options = with_app.options(Some(with_app.installation));
        let options = Options { name: name.to_owned(), installations: Arc::clone(&installations), ..options };
        GitHubRepository::open(options).unwrap()
    };
    let (one, other) = (open("fabric"), open("other"));

    let branch = main();
    let (first, second) = tokio::join!(one.head(&branch), other.head(&branch));

    assert_eq!((first.unwrap(), second.unwrap()), (Some(with_app.scene.first.clone()), None));
    assert_eq!(with_app.scene.github.tokens_made(), 1);
}

#[tokio::test]
async fn a_token_that_github_no_longer_takes_is_replaced_at_once() {
    let with_app = WithApp::start();
    let repository = with_app.open();
    repository.head(&main()).await.unwrap();

    with_app.scene.github.revoke_installation_tokens();

    assert_eq!(repository.head(&main()).await.unwrap(), Some(with_app.scene.first.clone()));
    assert_eq!(with_app.scene.asked()[&Route::CreateToken], 2);
}

#[tokio::test]
async fn a_call_that_was_refused_for_its_token_is_sent_once_more() {
    for route in CALLS {
        let with_app = WithApp::start();
        with_app.scene.github.fault(route, Fault::Unauthorized);
        let repository = with_app.open();

        let head = repository.head(&main()).await.unwrap();
        let ours = commit(&repository, head.as_ref(), &many(3)).await.unwrap();

        assert_eq!(with_app.scene.head(), Some(ours), "{route:?}");
        assert_eq!(with_app.scene.bare.git(&["rev-list", "--count", "main"]), "2");
    }
}

#[tokio::test]
async fn a_replaced_key_counts_at_the_next_token() {
    let with_app = WithApp::start();
    std::fs::write(with_app.key_file(), "no key").unwrap();
    let repository = with_app.open();
    let before = repository.head(&main()).await.unwrap_err();

    std::fs::write(with_app.key_file(), APP_KEY).unwrap();

    assert!(matches!(&before, Error::Local { detail, .. } if detail.contains("app.pem")), "{before:?}");
    assert_eq!(repository.head(&main()).await.unwrap(), Some(with_app.scene.first.clone()));
}

#[tokio::test]
async fn a_key_of_another_app_is_denied_with_the_remedy() {
    let with_app = WithApp::start();
    let auth = Auth::App { id: "4711".to_owned(), installation: Some(1), key_file: with_app.key_file() };
    let repository = GitHubRepository::open(Options { auth, ..with_app.scene.options() }).unwrap();

    let error = repository.head(&main()).await.unwrap_err();

    assert!(matches!(&error, Error::Denied { detail, .. } if detail.contains("check the App's id")), "{error:?}");
    with_app.scene.github.forgive();
}

#[tokio::test]
async fn a_suspended_installation_is_denied() {
    let with_app = WithApp::start();
    with_app.scene.github.suspend(with_app.installation);

    let error = with_app.open().head(&main()).await.unwrap_err();

    assert!(matches!(&error, Error::Denied { detail, .. } if detail.contains("suspended")), "{error:?}");
}

#[tokio::test]
async fn an_app_that_is_not_installed_here_is_told_so() {
    let scene = Scene::start();
    let app = scene.github.add_app("stranger");
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("app.pem");
    std::fs::write(&key_file, APP_KEY).unwrap();
    let auth = Auth::App { id: app.to_string(), installation: None, key_file };
    let repository = GitHubRepository::open(Options { auth, ..scene.options() }).unwrap();

    let error = repository.head(&main()).await.unwrap_err();

    assert!(matches!(&error, Error::NotFound { detail, .. } if detail.contains("not installed")), "{error:?}");
}

#[tokio::test]
async fn an_app_without_a_permission_names_it() {
    let scene = Scene::start();
    let app = scene.github.add_app("reader");
    let installation = scene.github.install(app, "acme", &[], &[(Permission::Contents, Level::Read)]);
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("app.pem");
    std::fs::write(&key_file, APP_KEY).unwrap();
    let auth = Auth::App { id: app.to_string(), installation: Some(installation), key_file };
    let repository = GitHubRepository::open(Options { auth, ..scene.options() }).unwrap();

    let error = commit(&repository, Some(&scene.first), &many(1)).await.unwrap_err();

    assert!(matches!(&error, Error::Denied { detail, .. } if detail.contains("`contents: write`")), "{error:?}");
}
