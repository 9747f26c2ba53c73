//! TLS of our own listener: real handshakes, and certificates that are replaced while it runs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use fgd_sync::http::{HttpState, TlsError, TlsFiles, serve};
use fgd_sync::webhook::netbox::Model;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::receive::service::{TOKEN, routing, tokens};
use crate::support::redis::TestLedger;

/// A certificate for 127.0.0.1 in PEM, its key, and the authority that vouches for it.
struct Issued {
    certificate: String,
    key: String,
    authority: String,
}

fn issue() -> Issued {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    Issued { certificate: certificate.pem(), key: key.serialize_pem(), authority: authority.pem() }
}

struct World {
    _test: TestLedger,
    directory: TempDir,
    address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
}

impl World {
    async fn start(issued: &Issued) -> Self {
        let (test, directory) = (TestLedger::open().await, TempDir::new().unwrap());
        install(directory.path(), issued);
        let state = HttpState::new(test.ledger.clone(), routing(Model::CustomObjects), tokens(), Arc::default());
        let state = state.with_tls(files(directory.path())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(listener, state, async { stopped.await.unwrap_or(()) }));
        Self { _test: test, directory, address, stop, serving }
    }

    /// Asks over a new connection, trusting only this authority.
    async fn ask(&self, authority: &str) -> reqwest::Result<reqwest::Response> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
        client.get(format!("https://{}/healthz", self.address)).send().await
    }

    async fn finish(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

fn install(directory: &Path, issued: &Issued) {
    let files = files(directory);
    std::fs::write(files.certificate, &issued.certificate).unwrap();
    std::fs::write(files.key, &issued.key).unwrap();
}

#[tokio::test]
async fn it_is_spoken_with_whoever_trusts_the_certificate() {
    let issued = issue();
    let world = World::start(&issued).await;

    let answer = world.ask(&issued.authority).await.unwrap();
    let stranger = world.ask(&issue().authority).await;
    let plain = reqwest::get(format!("http://{}/healthz", world.address)).await;

    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    assert!(stranger.is_err_and(|error| error.is_connect()));
    assert!(plain.is_err(), "nothing is said without TLS");
    world.finish().await;
}

#[tokio::test]
async fn a_new_certificate_counts_at_once_and_a_bad_one_changes_nothing() {
    let (old, new) = (issue(), issue());
    let world = World::start(&old).await;
    world.ask(&old.authority).await.unwrap();

    install(world.directory.path(), &new);
    let (by_new, by_old) = (world.ask(&new.authority).await, world.ask(&old.authority).await);
    // Half of a replacement.
    std::fs::write(files(world.directory.path()).key, "not a key").unwrap();
    let still = world.ask(&new.authority).await;

    assert!(by_new.is_ok() && by_old.is_err());
    assert_eq!(still.unwrap().status(), 200);
    world.finish().await;
}

#[tokio::test]
async fn the_commands_trust_an_authority_that_they_are_told_of() {
    let issued = issue();
    let world = World::start(&issued).await;
    let authority: PathBuf = world.directory.path().join("ca.pem");
    std::fs::write(&authority, &issued.authority).unwrap();
    let url = format!("https://{}", world.address);
    let list = |more: Vec<String>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fgd-sync"));
        command.args(["jobs", "list", "--url", &url]).args(more).env_clear().env("FGD_TOKEN", TOKEN);
        tokio::task::spawn_blocking(move || command.output().unwrap().status.code())
    };

    let trusting = list(vec!["--ca-file".to_owned(), authority.display().to_string()]).await.unwrap();
    let careful = list(Vec::new()).await.unwrap();

    assert_eq!((trusting, careful), (Some(0), Some(3)));
    world.finish().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let (directory, issued, other) = (TempDir::new().unwrap(), issue(), issue());
    let test = TestLedger::open().await;
    let tried = |certificate: &str, key: &str| {
        let files = files(directory.path());
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let state = HttpState::new(test.ledger.clone(), routing(Model::CustomObjects), tokens(), Arc::default());
        state.with_tls(files).err()
    };

    assert!(tried(&issued.certificate, &issued.key).is_none());
    assert!(matches!(tried("", &issued.key), Some(TlsError::NotPem { path, .. }) if path.ends_with("tls.crt")));
    assert!(matches!(tried(&issued.certificate, ""), Some(TlsError::NotPem { path, .. }) if path.ends_with("tls.key")));
    assert!(matches!(tried(&issued.certificate, &other.key), Some(TlsError::Unfit(_))));
}
