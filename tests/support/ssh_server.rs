//! A real `sshd` on a port of its own, open to one key of this machine's user.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `sshd`, gone with this value.
pub struct SshServer {
    child: Child,
    port: u16,
    user: String,
    directory: TempDir,
}

impl SshServer {
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("fgd-ssh-").unwrap();
        let at = |name: &str| directory.path().join(name);
        for key in ["host", "client", "stranger"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", at(key).to_str().unwrap()]);
        }
        std::fs::copy(at("client.pub"), at("authorized")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let known = |key: &str| format!("[127.0.0.1]:{port} {}", std::fs::read_to_string(at(key)).unwrap());
        std::fs::write(at("known_hosts"), known("host.pub")).unwrap();
        std::fs::write(at("other_hosts"), known("stranger.pub")).unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("config"), config).unwrap();
        let user = run("id", &["-un"]);
        if user == "root" {
            // Debian's service makes it; without it sshd does not start as root.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = std::fs::File::create(at("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd is installed (package openssh-server)");
        let server = Self { child, port, user, directory };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(server.directory.path().join("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen: {}", log());
            std::thread::yield_now();
        }
        server
    }

    /// The address of a repository on this machine.
    pub fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, repository.display())
    }

    /// The private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("client")
    }

    /// A private key that is not let in.
    pub fn strangers_key(&self) -> PathBuf {
        self.directory.path().join("stranger")
    }

    /// The server's true host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// Another host key for the same address, as if somebody stood in between.
    pub fn other_hosts(&self) -> PathBuf {
        self.directory.path().join("other_hosts")
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
