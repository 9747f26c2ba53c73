//! A repository on `emulate`, a GitHub emulator that nobody here wrote, beside a bare repository that is kept the same.
//!
//! People push to the bare repository by path, and it is the witness of what the emulator holds. It knows REST only: no
//! GraphQL, no ETag, no rulesets, no statuses. Where it differs from GitHub, GitHub is right.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::git_server::{Bare, Person};

/// The token of the repository's owner. Fake.
pub const TOKEN: &str = "gho_emulated_0123456789";

/// The repository, as `owner/name`; empty at first.
pub const REPOSITORY: &str = "acme/fabric";

/// A running emulator; ends when dropped, also when the test is killed.
pub struct Emulated {
    child: Child,
    address: String,
    bare: Bare,
    _dir: TempDir,
}

impl Emulated {
    /// Starts one, and installs it first where that was not done yet: that needs npm.
    pub fn start() -> Self {
        let installed = Command::new(script()).arg("install").status().expect("the script starts");
        assert!(installed.success(), "the emulator could not be installed; the reason is above");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let bare = Bare::create(&dir.path().join("emulated.git"));
        let mut child = Command::new(script())
            .args(["serve".as_ref(), bare.path().as_os_str(), REPOSITORY.as_ref(), TOKEN.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the emulator tells its address");
        let told: serde_json::Value = serde_json::from_str(&line).expect("the emulator's address");
        let text = |name: &str| told[name].as_str().expect("an address").to_owned();
        let receive = format!("exec '{}' receive {} {REPOSITORY} {TOKEN}\n", script().display(), text("inner"));
        bare.hook("pre-receive", &receive);
        Self { child, address: text("address"), bare, _dir: dir }
    }

    /// REST's root, as on GitHub Enterprise Server.
    pub fn rest_url(&self) -> String {
        format!("{}/api/v3", self.address)
    }

    /// What it holds.
    pub fn bare(&self) -> &Bare {
        &self.bare
    }

    /// Somebody's clone.
    pub fn person(&self) -> Person {
        Person::clone_of(self.bare.path().to_str().expect("a path in UTF-8"))
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // It ends with its standard input, which goes first.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/github/emulate")
}
