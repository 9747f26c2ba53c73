//! A real Git server: `git http-backend` behind HTTP on a free port, with bare repositories in a directory of its own.
//!
//! Faults are data, each used once; what is left of them when the server goes fails the test. `Person` is somebody who
//! clones and pushes with ordinary Git.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::body::BodyStream;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures::StreamExt;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// The requests of Git's smart HTTP, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `GET info/refs?service=git-upload-pack`: the first request of a look or fetch.
    LookRefs,
    /// `POST git-upload-pack`: refs (protocol 2) and objects.
    Fetch,
    /// `GET info/refs?service=git-receive-pack`: the first request of a push.
    PushRefs,
    /// `POST git-receive-pack`: the push itself.
    Push,
}

/// What goes wrong with one request.
pub enum Fault {
    /// This status instead of an answer; nothing is done.
    Status(u16),
    /// Everything is done, and then the connection breaks before the answer. On a connection that it used before, curl
    /// then sends the request again by itself.
    ApplyThenDrop,
    /// Everything is done, and then the connection breaks in the middle of the answer.
    ApplyThenCut,
    /// Everything is done, and then this status comes, as from a proxy that gave up.
    ApplyThenStatus(u16),
    /// The answer comes late.
    Delay(Duration),
    /// Something else happens first, on a thread that may block.
    Before(Box<dyn FnOnce() + Send>),
}

/// A branch that a push through the server moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The repository's name on the server.
    pub repo: String,
    /// Without `refs/heads/`.
    pub branch: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// A running server. `stop` and `start_again` are a server that is down for a while, at the same address.
pub struct GitServer {
    root: TempDir,
    port: u16,
    shared: Arc<Shared>,
    running: Mutex<Option<ServerHandle>>,
}

struct Shared {
    root: PathBuf,
    /// User and password that every request must carry.
    account: Option<(String, String)>,
    /// Requests for protocol 2 are not heard, as by servers before Git 2.18.
    old: AtomicBool,
    faults: Mutex<VecDeque<(Route, Fault)>>,
    requests: Mutex<Vec<Route>>,
    /// Branches as the listeners know them, by repository.
    known: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    listeners: Mutex<Vec<mpsc::UnboundedSender<Pushed>>>,
}

impl GitServer {
    /// Open to everybody, for reading and writing.
    pub async fn start() -> Self {
        Self::launch(None)
    }

    /// Open to one account.
    pub async fn start_with_account(user: &str, password: &str) -> Self {
        Self::launch(Some((user.to_owned(), password.to_owned())))
    }

    fn launch(account: Option<(String, String)>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared {
            root: root.path().to_owned(),
            account,
            old: AtomicBool::new(false),
            faults: Mutex::default(),
            requests: Mutex::default(),
            known: Mutex::default(),
            listeners: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { root, port, shared, running: Mutex::new(None) };
        server.serve(listener);
        server
    }

    fn serve(&self, listener: TcpListener) {
        let shared = web::Data::from(self.shared.clone());
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(1 << 30))
                .default_service(web::to(answer))
        };
        let server = HttpServer::new(app)
            .workers(2)
            .disable_signals()
            .shutdown_timeout(0)
            .listen(listener)
            .expect("the listener is bound")
            .run();
        *lock(&self.running) = Some(server.handle());
        // A thread of its own: tests block theirs while a person's Git talks to the server.
        std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    }

    /// From now on connections are refused.
    pub async fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some(handle) = running {
            handle.stop(false).await;
        }
    }

    /// Serves again, at the same address.
    pub async fn start_again(&self) {
        self.serve(TcpListener::bind(("127.0.0.1", self.port)).unwrap());
    }

    /// Makes an empty repository; blobless fetches are allowed.
    pub fn create(&self, name: &str) -> Bare {
        Bare::create(&self.root.path().join(name))
    }

    /// The address of a repository, without credentials.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// The address with the account inside, as people write it into a clone.
    pub fn url_with_account(&self, name: &str) -> String {
        let account = self.shared.account.as_ref().map(|(user, password)| format!("{user}:{password}@"));
        format!("http://{}127.0.0.1:{}/{name}", account.unwrap_or_default(), self.port)
    }

    /// From now on only the protocol before version 2 is spoken.
    pub fn be_old(&self) {
        self.shared.old.store(true, Ordering::Relaxed);
    }

    /// The next request of this route goes wrong so. Faults of one route happen in the order they were given.
    pub fn fault(&self, route: Route, fault: Fault) {
        lock(&self.shared.faults).push_back((route, fault));
    }

    /// Every branch that a push moves from now on. The first push of a repository also tells what was there before.
    pub fn pushes(&self) -> mpsc::UnboundedReceiver<Pushed> {
        let (send, receive) = mpsc::unbounded_channel();
        lock(&self.shared.listeners).push(send);
        receive
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Route> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        if let Some(handle) = lock(&self.running).take() {
            drop(handle.stop(false));
        }
        if !std::thread::panicking() {
            let unused: Vec<Route> = lock(&self.shared.faults).iter().map(|(route, _)| *route).collect();
            assert!(unused.is_empty(), "faults that nobody ran into: {unused:?}");
        }
    }
}

impl Shared {
    fn take_fault(&self, route: Route) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|(of, _)| *of == route)?;
        faults.remove(at).map(|(_, fault)| fault)
    }

    /// Branches as they are; for a repository that was not looked at yet, they become what the listeners know.
    fn remember(&self, repo: &str) {
        lock(&self.known).entry(repo.to_owned()).or_insert_with(|| Bare::at(&self.root.join(repo)).branches());
    }

    fn tell_listeners(&self, repo: &str) {
        let mut known = lock(&self.known);
        let now = Bare::at(&self.root.join(repo)).branches();
        let then = known.insert(repo.to_owned(), now.clone()).unwrap_or_default();
        let names: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        for branch in names.into_iter().filter(|branch| then.get(*branch) != now.get(*branch)) {
            let pushed = Pushed {
                repo: repo.to_owned(),
                branch: branch.clone(),
                before: then.get(branch).cloned(),
                after: now.get(branch).cloned(),
            };
            lock(&self.listeners).retain(|listener| listener.send(pushed.clone()).is_ok());
        }
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = &self.account else { return true };
        let want = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == want.as_bytes())
    }
}

async fn answer(request: HttpRequest, body: Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let Some((repo, route)) = parse_route(&request) else {
        return HttpResponse::NotFound().body("no such route");
    };
    if !shared.is_allowed(request.headers()) {
        return HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"git\"")).finish();
    }
    lock(&shared.requests).push(route);
    let fault = shared.take_fault(route);
    let after = match fault {
        Some(Fault::Status(code)) => return status(code),
        Some(Fault::Before(happens)) => {
            web::block(happens).await.expect("what happens before does not panic");
            None
        }
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            None
        }
        fault => fault,
    };
    if route == Route::Push && shared.root.join(&repo).is_dir() {
        shared.remember(&repo);
    }
    let response = backend(&request, body, &shared).await;
    if route == Route::Push && shared.root.join(&repo).is_dir() {
        shared.tell_listeners(&repo);
    }
    match after {
        Some(Fault::ApplyThenDrop) => cut(false),
        Some(Fault::ApplyThenCut) => cut(true),
        Some(Fault::ApplyThenStatus(code)) => status(code),
        _ => response,
    }
}

fn parse_route(request: &HttpRequest) -> Option<(String, Route)> {
    let path = request.path().trim_start_matches('/');
    let (repo, route) = if let Some(repo) = path.strip_suffix("/info/refs") {
        match request.query_string() {
            "service=git-upload-pack" => (repo, Route::LookRefs),
            "service=git-receive-pack" => (repo, Route::PushRefs),
            _ => return None,
        }
    } else if let Some(repo) = path.strip_suffix("/git-upload-pack") {
        (repo, Route::Fetch)
    } else {
        (path.strip_suffix("/git-receive-pack")?, Route::Push)
    };
    Some((repo.to_owned(), route))
}

/// Runs `git http-backend` as CGI (RFC 3875).
async fn backend(request: &HttpRequest, body: Bytes, shared: &Shared) -> HttpResponse {
    let header_text =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = tokio::process::Command::new("git");
    command.arg("http-backend").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.path())
        .env("QUERY_STRING", request.query_string())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("CONTENT_TYPE", header_text("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1");
    for (name, variable) in [("content-encoding", "HTTP_CONTENT_ENCODING"), ("git-protocol", "GIT_PROTOCOL")] {
        let unheard = variable == "GIT_PROTOCOL" && shared.old.load(Ordering::Relaxed);
        if !unheard && !header_text(name).is_empty() {
            command.env(variable, header_text(name));
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("git http-backend starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let feed = async move {
        // The backend may refuse before it read everything.
        let _ = stdin.write_all(&body).await;
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    parse_cgi(Bytes::from(output.expect("git http-backend runs").stdout))
}

fn parse_cgi(output: Bytes) -> HttpResponse {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else { return status(500) };
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = HttpResponse::Ok();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name == "Status" {
            let code = value.split(' ').next().and_then(|code| code.parse().ok()).expect("a CGI status");
            response.status(StatusCode::from_u16(code).expect("a status code"));
        } else {
            response.append_header((name, value));
        }
    }
    response.body(output.slice(end + 4..))
}

fn status(code: u16) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(code).expect("a status code")).finish()
}

/// An answer that breaks off: before its first byte, or after some of its body was sent.
fn cut(begun: bool) -> HttpResponse {
    let broken = async move {
        if begun {
            // Until the server has flushed what it has.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(std::io::Error::other("cut by the test"))
    };
    let beginning = futures::stream::iter(begun.then(|| Ok(Bytes::from_static(b"0"))));
    let body = beginning.chain(futures::stream::once(broken));
    HttpResponse::Ok().content_type("application/x-git-receive-pack-result").body(BodyStream::new(Box::pin(body)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..4)
            .map(|at| if at > chunk.len() { '=' } else { char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]) })
            .collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

/// A bare repository on disk: the independent witness of what a server holds.
#[derive(Debug, Clone)]
pub struct Bare {
    path: PathBuf,
}

impl Bare {
    /// Makes an empty one whose default branch is `main`.
    pub fn create(path: &Path) -> Self {
        git(Path::new("/"), &["init", "--quiet", "--bare", "--initial-branch=main", path.to_str().unwrap()]);
        let bare = Self::at(path);
        bare.git(&["config", "http.receivepack", "true"]);
        bare.git(&["config", "uploadpack.allowFilter", "true"]);
        // Collecting garbage while a test looks would be an accident of timing.
        bare.git(&["config", "gc.auto", "0"]);
        bare.git(&["config", "receive.autogc", "false"]);
        bare
    }

    /// One that is there already.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `git` prints, without white space at its end; fails the test when it fails.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    /// Branches without `refs/heads/`, and their commits.
    pub fn branches(&self) -> BTreeMap<String, String> {
        let listed = self.git(&["for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"]);
        listed.lines().filter_map(|line| line.split_once(' ')).map(|(oid, name)| (name.into(), oid.into())).collect()
    }

    /// The branch's commit.
    pub fn head(&self, branch: &str) -> Option<String> {
        self.branches().remove(branch)
    }

    /// A file's text at a branch or commit.
    pub fn show(&self, at: &str, path: &str) -> String {
        self.git(&["show", &format!("{at}:{path}")])
    }

    /// A file's mode at a branch or commit, as Git spells it.
    pub fn mode(&self, at: &str, path: &str) -> String {
        self.git(&["ls-tree", "--format=%(objectmode)", "--full-tree", at, path])
    }

    /// All paths at a branch or commit.
    pub fn paths(&self, at: &str) -> Vec<String> {
        let listed = self.git(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", at]);
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// Rewrites the branch to one commit with the same files, and drops everything else for good.
    pub fn forget_history(&self, branch: &str) {
        let tree = self.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
        let identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@fgd.example"];
        let commit = self.git(&[&identity[..], &["commit-tree", &tree, "-m", "anew"]].concat());
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
        self.git(&["reflog", "expire", "--expire=now", "--all"]);
        self.git(&["gc", "--quiet", "--prune=now"]);
    }

    /// Every push is refused with these lines, as a ruleset of GitHub does (GH013).
    pub fn refuse_pushes(&self, words: &str) {
        self.hook("pre-receive", &format!("cat >&2 <<'END'\n{words}\nEND\nexit 1\n"));
    }

    /// Installs a hook, given as the body of a shell script.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path.join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Fails the test when an object is damaged, missing or malformed.
    pub fn assert_sound(&self) {
        self.git(&["fsck", "--full", "--strict", "--no-dangling"]);
    }
}

/// Somebody with a clone, who writes files and pushes them.
pub struct Person {
    clone: TempDir,
}

impl Person {
    /// Clones from a path or address.
    pub fn clone_of(remote: &str) -> Self {
        let clone = tempfile::tempdir().unwrap();
        git(Path::new("/"), &["clone", "--quiet", remote, clone.path().to_str().unwrap()]);
        let person = Self { clone };
        person.git(&["config", "user.name", "A Person"]);
        person.git(&["config", "user.email", "person@example.com"]);
        person.git(&["config", "gc.auto", "0"]);
        person
    }

    /// What `git` prints in the clone; fails the test when it fails.
    pub fn git(&self, args: &[&str]) -> String {
        git(self.clone.path(), args)
    }

    /// The clone's working directory.
    pub fn dir(&self) -> &Path {
        self.clone.path()
    }

    /// Takes over what others pushed, throwing local work away.
    pub fn update(&self, branch: &str) -> &Self {
        self.git(&["fetch", "--quiet", "origin"]);
        self.git(&["checkout", "--quiet", "-B", branch, &format!("origin/{branch}")]);
        self
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.clone.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self
    }

    /// Makes a file executable.
    pub fn make_executable(&self, path: &str) -> &Self {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.clone.path().join(path), mode).unwrap();
        self
    }

    pub fn delete(&self, path: &str) -> &Self {
        std::fs::remove_file(self.clone.path().join(path)).unwrap();
        self
    }

    /// Commits everything and returns the commit.
    pub fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits everything, pushes it to the branch and returns the commit.
    pub fn push(&self, branch: &str, subject: &str) -> String {
        let commit = self.commit(subject);
        self.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        commit
    }

    /// Moves the branch to a commit, whatever was there.
    pub fn force(&self, branch: &str, commit: &str) {
        self.git(&["push", "--quiet", "--force", "origin", &format!("{commit}:refs/heads/{branch}")]);
    }
}

/// Runs ordinary Git, free of the machine's configuration; fails the test with its words when it fails.
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
