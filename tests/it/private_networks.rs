//! Servers that are reached over ssh, through a proxy, or with a certificate of a private authority.

use std::path::PathBuf;
use std::sync::Arc;

use fgd_sync::domain::change::Change;
use fgd_sync::domain::edit::{CommitMessage, Edit, Edits, RUN_TRAILER, Signature};
use fgd_sync::domain::names::{BranchName, FabricName, NetBoxName, Oid, RepoName, RunId, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::ledger::types::{Accept, Origin};
use fgd_sync::ledger::{Clock, Connection, Ledger};
use fgd_sync::netbox::{self, Client, Model};
use fgd_sync::repo::git::{self, Credentials, GitRepository};
use fgd_sync::repo::{Error, Repository};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::support::fakes::netbox::{NetBox, TOKEN};
use crate::support::front::{Behind, Proxy, TlsFront};
use crate::support::git_server::{Bare, GitServer, Person};
use crate::support::lease::proof_for;
use crate::support::redis::RedisServer;
use crate::support::ssh_server::SshServer;

const PASSWORD: &str = "s3cret-password";

/// A Git server with one commit, behind TLS.
struct PrivateGit {
    server: GitServer,
    front: TlsFront,
    head: Oid,
    cache: TempDir,
}

impl PrivateGit {
    async fn start() -> Self {
        let server = GitServer::start_with_account("bot", PASSWORD).await;
        server.create("fabric.git");
        let person = Person::clone_of(&server.url_with_account("fabric.git"));
        let head = person.write("a.yaml", "a: 1\n").push("main", "first").parse().unwrap();
        let front = TlsFront::before(Behind::Port(port_of(&server.url("fabric.git"))));
        Self { server, front, head, cache: tempfile::tempdir().unwrap() }
    }

    fn open(&self, ca_file: Option<PathBuf>, proxy: Option<&Proxy>) -> Arc<dyn Repository> {
        let token = SecretSource::Text(SecretString::from(PASSWORD));
        let remote = format!("https://127.0.0.1:{}/fabric.git", self.front.port());
        let credentials = Credentials::Token { user: "bot".to_owned(), token };
        open(&remote, &self.cache, git::Options { ca_file, proxy: proxy.map(Proxy::url), ..plain(credentials) })
    }
}

fn plain(credentials: Credentials) -> git::Options {
    git::Options {
        remote: "/nowhere".parse().unwrap(),
        cache: PathBuf::new(),
        credentials,
        ca_file: None,
        proxy: None,
        timeouts: git::Timeouts::default(),
    }
}

fn open(remote: &str, cache: &TempDir, options: git::Options) -> Arc<dyn Repository> {
    let options = git::Options { remote: remote.parse().unwrap(), cache: cache.path().to_owned(), ..options };
    Arc::new(GitRepository::open(options).unwrap())
}

fn port_of(url: &str) -> u16 {
    url.parse::<url::Url>().unwrap().port().unwrap()
}

fn main_branch() -> BranchName {
    BranchName::new("main")
}

/// Reads everything and puts one commit on top.
async fn read_and_commit(repository: &Arc<dyn Repository>, head: &Oid) {
    let tree = repository.tree(head, &RepoPath::root()).await.unwrap();
    let blobs: Vec<Oid> = tree.values().map(|entry| entry.blob.clone()).collect();
    assert_eq!(repository.read(&blobs).await.unwrap().len(), 1);
    let edits = Edits::from([(RepoPath::new("b.yaml").unwrap(), Edit::Write("b: 1\n".into()))]);
    let person = Signature { name: "alice".to_owned(), email: "alice@example.com".to_owned() };
    let message = CommitMessage {
        text: format!("Sync\n\n{RUN_TRAILER}: 01RUN\n"),
        author: person.clone(),
        committer: person,
        run: RunId::new("01RUN"),
    };
    let target = Target { repo: RepoName::new("lab"), branch: main_branch() };

    let commit = repository.commit(&proof_for(&target), Some(head), &edits, &message).await.unwrap();

    assert_eq!(repository.head(&main_branch()).await.unwrap(), Some(commit));
}

#[tokio::test]
async fn git_trusts_a_private_authority_that_the_settings_name() {
    let git = PrivateGit::start().await;
    let repository = git.open(Some(git.front.ca_file()), None);

    read_and_commit(&repository, &git.head).await;
}

#[tokio::test]
async fn git_does_not_trust_a_private_authority_by_itself() {
    let git = PrivateGit::start().await;

    let error = git.open(None, None).head(&main_branch()).await.unwrap_err();

    assert!(matches!(&error, Error::Unavailable { detail, .. } if detail.contains("certificate")), "{error:?}");
    assert_eq!(git.server.requests().len(), 4, "only the person's own clone and push came through");
}

#[tokio::test]
async fn git_goes_through_the_proxy_of_the_settings() {
    let git = PrivateGit::start().await;
    let proxy = Proxy::start();
    let repository = git.open(Some(git.front.ca_file()), Some(&proxy));

    read_and_commit(&repository, &git.head).await;

    let to = format!("127.0.0.1:{}", git.front.port());
    assert!(!proxy.tunnels().is_empty() && proxy.tunnels().iter().all(|tunnel| *tunnel == to), "{:?}", proxy.tunnels());
}

/// A bare repository with one commit, and an `sshd` that leads to it.
struct Ssh {
    server: SshServer,
    bare: Bare,
    head: Oid,
    directory: TempDir,
}

impl Ssh {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bare = Bare::create(&directory.path().join("fabric.git"));
        let person = Person::clone_of(bare.path().to_str().unwrap());
        let head = person.write("a.yaml", "a: 1\n").push("main", "first").parse().unwrap();
        Self { server: SshServer::start(), bare, head, directory }
    }

    fn person(&self) -> Person {
        Person::clone_of(self.bare.path().to_str().unwrap())
    }

    fn open(&self, file: PathBuf, known_hosts: PathBuf) -> Arc<dyn Repository> {
        let cache = tempfile::tempdir_in(&self.directory).unwrap();
        open(&self.server.url(self.bare.path()), &cache, plain(Credentials::SshKey { file, known_hosts }))
    }
}

#[tokio::test]
async fn git_reads_and_writes_over_ssh() {
    let ssh = Ssh::start();
    let repository = ssh.open(ssh.server.key(), ssh.server.known_hosts());

    read_and_commit(&repository, &ssh.head).await;
    let next = ssh.person().update("main").write("c.yaml", "c: 1\n").push("main", "next").parse().unwrap();
    let tree = repository.tree(&next, &RepoPath::root()).await.unwrap();
    let blobs: Vec<Oid> = tree.values().map(|entry| entry.blob.clone()).collect();

    assert_eq!(repository.read(&blobs).await.unwrap().len(), 3);
    ssh.bare.assert_sound();
}

#[tokio::test]
async fn a_key_that_the_ssh_server_does_not_know_is_denied() {
    let ssh = Ssh::start();

    let error = ssh.open(ssh.server.strangers_key(), ssh.server.known_hosts()).head(&main_branch()).await.unwrap_err();

    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn an_ssh_server_with_another_host_key_gets_nothing() {
    let ssh = Ssh::start();

    let error = ssh.open(ssh.server.key(), ssh.server.other_hosts()).head(&main_branch()).await.unwrap_err();

    assert!(error.to_string().to_lowercase().contains("host key"), "{error:?}");
}

fn netbox_client(front: &TlsFront, ca_file: Option<PathBuf>, proxy: Option<&Proxy>) -> Client {
    Client::new(netbox::Options {
        name: NetBoxName::new("main"),
        url: format!("https://127.0.0.1:{}/", front.port()).parse().unwrap(),
        token: SecretSource::Text(SecretString::from(TOKEN)),
        model: Model::CustomObjects,
        catalogue: fgd_sync::domain::kind::Catalogue::hedgehog().clone(),
        ca_file,
        proxy: proxy.map(|proxy| proxy.url().parse().unwrap()),
        timeouts: netbox::Timeouts::default(),
    })
    .unwrap()
}

#[tokio::test]
async fn netbox_is_reached_with_a_private_authority_and_through_a_proxy() {
    let netbox = NetBox::custom_objects();
    let front = TlsFront::before(Behind::Port(port_of(netbox.url())));
    let proxy = Proxy::start();

    let direct = netbox_client(&front, Some(front.ca_file()), None).status().await;
    let tunnelled = netbox_client(&front, Some(front.ca_file()), Some(&proxy)).status().await;

    assert!(direct.is_ok() && tunnelled.is_ok(), "{direct:?} {tunnelled:?}");
    assert_eq!(proxy.tunnels(), [format!("127.0.0.1:{}", front.port())]);
}

#[tokio::test]
async fn a_netbox_with_an_unknown_authority_is_unavailable_and_says_why() {
    let netbox = NetBox::custom_objects();
    let front = TlsFront::before(Behind::Port(port_of(netbox.url())));

    let error = netbox_client(&front, None, None).status().await.unwrap_err();

    assert!(matches!(error, netbox::Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(netbox.served().is_empty(), "no token was sent");
}

/// A Redis behind TLS with one ACL user besides the default one.
async fn private_redis() -> (RedisServer, TlsFront) {
    let server = RedisServer::start();
    let mut connection = server.connect().await;
    let rules = ["SETUSER", "fgd", "on", ">s3cret", "~*", "+@all", "-@admin", "+info", "+config|get"];
    redis::cmd("ACL").arg(&rules).exec_async(&mut connection).await.unwrap();
    let front = TlsFront::before(Behind::Socket(server.socket()));
    (server, front)
}

fn over_tls(front: &TlsFront, password: &str, ca_file: Option<PathBuf>) -> fgd_sync::ledger::Options {
    let url = SecretString::from(format!("rediss://fgd:{password}@127.0.0.1:{}", front.port()));
    fgd_sync::ledger::Options::new(Connection::Url { url, ca_file })
}

#[tokio::test]
async fn the_ledger_works_over_tls_as_an_acl_user() {
    let (_server, front) = private_redis().await;
    let ledger = Ledger::open(over_tls(&front, "s3cret", Some(front.ca_file())), Clock::default()).await.unwrap();
    let target = Target { repo: RepoName::new("lab"), branch: main_branch() };
    let accept = Accept {
        origin: Origin::Request { what: "a test".to_owned() },
        dedupe: None,
        changes: vec![(FabricName::new("lab"), target.clone(), Change::Everything)],
        at_once: true,
    };

    ledger.accept(&accept).await.unwrap();
    let claim = ledger.claim("test").await.unwrap().unwrap();

    assert_eq!(*claim.proof.target(), target);
}

#[tokio::test]
async fn a_redis_that_is_not_trusted_or_refuses_us_is_named_without_the_password() {
    let (_server, front) = private_redis().await;
    let unknown = over_tls(&front, "s3cret", None);
    let wrong = over_tls(&front, "wr0ng", Some(front.ca_file()));

    for options in [unknown, wrong] {
        let Err(error) = Ledger::open(options, Clock::default()).await else { panic!("it must not open") };

        let text = fgd_sync::domain::cause::with_causes(&error);
        assert!(text.contains("certificate") || text.contains("Password authentication failed"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("wr0ng"), "{text}");
    }
}
