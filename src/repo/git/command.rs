//! One `git` process: an environment of its own, a time limit, bounded and scrubbed words.
//!
//! The environment is built from nothing, so neither the user's nor the machine's configuration, hooks, `.netrc` or
//! credential store has a say, and the service's own variables reach no child. Settings travel in `GIT_CONFIG_*`
//! variables rather than in argv, which every user of the machine can read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tracing::Instrument;

use super::credentials::{Credentials, Opened};
use super::failure;
use super::remote::{Remote, Transport};
use crate::repo::Error;
use crate::telemetry;

/// The oldest `git` that is tested against: Ubuntu 22.04's.
const OLDEST: (u32, u32) = (2, 34);
/// Variables of ours that a `git` process keeps.
const KEPT: &[&str] = &[
    "PATH",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];
/// Settings of every call. Of a local remote only its own settings count: Git drops these before it starts the other
/// side, so its hooks run and ours do not.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    // A cache needs no disk flush: it is built again when it is broken.
    ("core.fsync", "none"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // A body that fits in the buffer has a Content-Length; some servers and proxies refuse chunked ones.
    ("http.postBuffer", "67108864"),
    ("protocol.version", "2"),
    ("push.recurseSubmodules", "no"),
    // A cache without blobs cannot have them.
    ("repack.writeBitmaps", "false"),
];
/// How much of what `git` says is kept; the end, where the reason is.
const MAX_WORDS: usize = 16 * 1024;

/// The `git` command for one remote.
pub(super) struct Git {
    remote: Remote,
    credentials: Credentials,
    environment: Vec<(OsString, OsString)>,
    /// The proxy may hold a password.
    proxy: Option<SecretString>,
    /// An empty home, with the one configuration file that the other side of a local remote reads too.
    home: TempDir,
}

/// What to run.
pub(super) struct Call<'a> {
    /// For people: "reading the tree".
    pub doing: &'static str,
    pub args: Vec<OsString>,
    /// The repository to run in; `None` for calls that need none.
    pub repository: Option<&'a Path>,
    pub stdin: Vec<u8>,
    /// More settings.
    pub config: &'a [(&'a str, &'a str)],
    pub reach: Reach,
    pub limit: Duration,
}

/// Whether a call may speak to the remote, and so gets the credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Local,
    Remote,
}

/// How a process ended.
pub(super) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The end of what it said, without secrets.
    pub words: String,
}

/// Why a process has no end of its own.
pub(super) enum Ran {
    Ended(Output),
    /// Killed, with everything that it started.
    TimedOut,
}

impl<'a> Call<'a> {
    pub(super) fn new<const N: usize>(doing: &'static str, args: [&str; N], limit: Duration) -> Self {
        let args = args.iter().map(OsString::from).collect();
        Self { doing, args, repository: None, stdin: Vec::new(), config: &[], reach: Reach::Local, limit }
    }

    pub(super) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn stdin(mut self, stdin: Vec<u8>) -> Self {
        self.stdin = stdin;
        self
    }

    pub(super) fn config(mut self, config: &'a [(&'a str, &'a str)]) -> Self {
        self.config = config;
        self
    }

    pub(super) fn reaching_the_remote(mut self) -> Self {
        self.reach = Reach::Remote;
        self
    }
}

/// Fails unless a `git` that is new enough can be started.
pub(super) fn check_version() -> Result<(), Error> {
    let doing = "looking for git";
    let output = std::process::Command::new("git")
        .arg("--version")
        .output()
        .map_err(|error| Error::Local { doing, detail: format!("git cannot be started: {error}") })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match parse_version(&text) {
        Some(version) if version >= OLDEST => Ok(()),
        Some(_) | None => Err(Error::Local {
            doing,
            detail: format!("git {}.{} or newer is needed; there is: {}", OLDEST.0, OLDEST.1, text.trim()),
        }),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("git version ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Git {
    pub(super) fn new(
        remote: Remote,
        credentials: Credentials,
        ca_file: Option<PathBuf>,
        proxy: Option<String>,
    ) -> Result<Self, Error> {
        credentials.check(&remote)?;
        let home = private_home()
            .map_err(|error| Error::Local { doing: "making a private directory for git", detail: error.to_string() })?;
        let mut environment: Vec<(OsString, OsString)> =
            KEPT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?))).collect();
        let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            environment.push((name.into(), value.as_ref().to_owned()));
        };
        set("HOME", &home.path());
        set("LC_ALL", &"C");
        set("GIT_CONFIG_NOSYSTEM", &"1");
        set("GIT_CONFIG_GLOBAL", &home.path().join("gitconfig"));
        set("GIT_ATTR_NOSYSTEM", &"1");
        set("GIT_CEILING_DIRECTORIES", &home.path());
        set("GIT_TERMINAL_PROMPT", &"0");
        set("GIT_LITERAL_PATHSPECS", &"1");
        set("GIT_NO_REPLACE_OBJECTS", &"1");
        set("GIT_SSH_VARIANT", &"ssh");
        set("GIT_ALLOW_PROTOCOL", &allowed_protocols(remote.transport()));
        if let Some(ca_file) = ca_file {
            set("GIT_SSL_CAINFO", &ca_file);
        }
        Ok(Self { remote, credentials, environment, proxy: proxy.map(SecretString::from), home })
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Fails when the credentials cannot be read.
    pub(super) fn check_credentials(&self) -> Result<(), Error> {
        self.credentials.open(&self.remote).map(drop)
    }

    /// Runs a call that must end well; anything else becomes the error that its words mean.
    pub(super) async fn run(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
        let (doing, reach, limit) = (call.doing, call.reach, call.limit);
        match self.output(call).await? {
            Ran::Ended(output) if output.status.success() => Ok(output.stdout),
            Ran::Ended(output) => Err(failure::error(&self.remote, doing, &output.words)),
            Ran::TimedOut => Err(failure::timed_out(&self.remote, doing, reach, limit)),
        }
    }

    /// Runs a call, whatever its end.
    pub(super) async fn output(&self, call: Call<'_>) -> Result<Ran, Error> {
        let span = tracing::debug_span!("git", doing = call.doing);
        if call.reach == Reach::Remote {
            telemetry::describe(&span, |span| span.kind(telemetry::Kind::Client));
        }
        self.ended(call).instrument(span).await
    }

    async fn ended(&self, call: Call<'_>) -> Result<Ran, Error> {
        let local = |error: std::io::Error| Error::Local { doing: call.doing, detail: error.to_string() };
        let opened = match call.reach {
            Reach::Local => Opened::default(),
            Reach::Remote => self.credentials.open(&self.remote)?,
        };
        let mut child = self.command(&call, &opened).spawn().map_err(local)?;
        let group = Group::of(&child);
        match tokio::time::timeout(call.limit, converse(&mut child, &call.stdin)).await {
            Ok(ended) => {
                let (status, stdout, words) = ended.map_err(local)?;
                group.ended();
                Ok(Ran::Ended(Output { status, stdout, words: self.scrubbed(&words, &opened) }))
            }
            Err(_) => Ok(Ran::TimedOut),
        }
    }

    fn command(&self, call: &Call<'_>, opened: &Opened) -> Command {
        let mut command = Command::new("git");
        command.args(&call.args).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home.path());
        if let Some(repository) = call.repository {
            command.env("GIT_DIR", repository);
        }
        let trace = telemetry::outgoing().map(|trace| format!("traceparent: {trace}"));
        let mut config: Vec<(&str, &str)> = SETTINGS.to_vec();
        config.extend_from_slice(call.config);
        if call.reach == Reach::Remote {
            config.push(("remote.origin.url", self.remote.as_str()));
            config.extend(self.proxy.iter().map(|proxy| ("http.proxy", proxy.expose_secret())));
            config.extend(trace.iter().map(|trace| ("http.extraHeader", trace.as_str())));
        }
        config.extend(opened.config.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        command.env("GIT_CONFIG_COUNT", config.len().to_string());
        for (at, (key, value)) in config.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.envs(opened.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that ssh and git-remote-https die with it.
        command.process_group(0).kill_on_drop(true);
        command
    }

    fn scrubbed(&self, words: &[u8], opened: &Opened) -> String {
        let mut text = String::from_utf8_lossy(words).into_owned();
        for secret in opened.secrets.iter().chain(&self.proxy) {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        text
    }
}

/// A directory for this process alone. Its configuration file says that the repositories named in our settings may
/// belong to another user, as mounted volumes do.
fn private_home() -> std::io::Result<TempDir> {
    let home = tempfile::Builder::new().prefix("fgd-git-").tempdir()?;
    std::fs::write(home.path().join("gitconfig"), "[safe]\n\tdirectory = *\n")?;
    Ok(home)
}

/// A redirect may lead to https, never away from it.
fn allowed_protocols(transport: &Transport) -> &'static str {
    match transport {
        Transport::Http { tls: true, .. } => "https",
        Transport::Http { tls: false, .. } => "http:https",
        Transport::Ssh => "ssh",
        Transport::Local => "file",
    }
}

/// A process group that is killed unless its leader ended by itself, also when the call is dropped half-way.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Failing means that it is gone, which is what we want.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Feeds and reads all three pipes at once: with one after the other both sides could wait for ever.
async fn converse(child: &mut Child, input: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A process that ends before it read everything says why in its own words.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), stdout, words) = tokio::join!(feed, read_all(stdout), read_end(stderr));
    Ok((child.wait().await?, stdout?, words?))
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut all).await?;
    }
    Ok(all)
}

async fn read_end(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut end = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(end) };
    let mut piece = [0; 4096];
    loop {
        let count = pipe.read(&mut piece).await?;
        if count == 0 {
            return Ok(end);
        }
        end.extend_from_slice(&piece[..count]);
        let surplus = end.len().saturating_sub(MAX_WORDS);
        end.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_vendor_are_read() {
        assert_eq!(parse_version("git version 2.34.1\n"), Some((2, 34)));
        assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)\n"), Some((2, 39)));
        assert_eq!(parse_version("git version 3.0.rc1\n"), Some((3, 0)));
        assert_eq!(parse_version("git version unknown"), None);
    }

    #[tokio::test]
    async fn a_call_over_its_time_limit_is_killed_with_its_children() {
        let git = Git::new("/nowhere".parse().unwrap(), Credentials::None, None, None).unwrap();
        let marker = git.home.path().join("child");
        let script = format!("!echo $$ > {}; sleep 600 & wait", marker.display());
        let call = Call::new("waiting", ["wait"], Duration::from_millis(300));

        let ran = git.output(call.config(&[("alias.wait", &script)])).await.unwrap();

        assert!(matches!(ran, Ran::TimedOut));
        let pid: i32 = std::fs::read_to_string(marker).unwrap().trim().parse().unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        tokio::time::timeout(Duration::from_secs(10), async {
            while !gone() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the child lived on");
    }

    #[tokio::test]
    async fn a_long_conversation_does_not_block_itself() {
        let git = Git::new("/nowhere".parse().unwrap(), Credentials::None, None, None).unwrap();
        let input = vec![b'x'; 4 << 20];
        let call = Call::new("echoing", ["echo"], Duration::from_secs(60)).stdin(input.clone());

        let Ran::Ended(output) = git.output(call.config(&[("alias.echo", "!tee /dev/stderr")])).await.unwrap() else {
            panic!("timed out");
        };

        assert_eq!(output.stdout, input);
        assert_eq!(output.words.len(), MAX_WORDS);
    }
}
