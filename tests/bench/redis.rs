//! A Redis that syncs every write, the calls that it sees, and `redis-benchmark`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::support::process::Failure;

/// Longest wait for a server or a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis-server` as the product asks for it: append-only, every write synced, nothing evicted.
pub struct Redis {
    child: Child,
    /// Short, for the kernel limits the path of a socket.
    socket: TempDir,
    _data: TempDir,
}

impl Redis {
    /// Starts it with its data on the disk that `home` is on, and waits until it answers.
    pub fn start(home: &std::path::Path) -> Result<Self, Failure> {
        let (socket, data) = (TempDir::with_prefix("fgd-bench-")?, TempDir::with_prefix_in("redis-", home)?);
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--maxmemory-policy", "noeviction"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", "--dir"])
            .arg(data.path())
            .arg("--unixsocket")
            .arg(socket.path().join("redis.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { child, socket, _data: data };
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(server.path()).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(Failure("redis-server does not listen".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its socket.
    pub fn path(&self) -> PathBuf {
        self.socket.path().join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    /// Watches every command that the server gets.
    pub async fn monitor(&self) -> Result<Monitor, Failure> {
        let mut stream = UnixStream::connect(self.path()).await?;
        stream.write_all(b"MONITOR\r\n").await?;
        let mut lines = BufReader::new(stream);
        lines.read_line(&mut String::new()).await?;
        Ok(Monitor(lines))
    }

    /// Runs one command.
    pub async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> Result<T, Failure> {
        let failed = |error: redis::RedisError| Failure(error.to_string());
        let client = redis::Client::open(self.url()).map_err(failed)?;
        let mut connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
        let (name, arguments) = command.split_first().ok_or_else(|| Failure("no command".to_owned()))?;
        redis::cmd(name).arg(arguments).query_async(&mut connection).await.map_err(failed)
    }

    /// Runs `redis-benchmark` with one command; `__rand_int__` in it is 12 random digits, new each time.
    pub async fn benchmark(
        &self,
        connections: usize,
        calls: usize,
        command: &[String],
    ) -> Result<Benchmarked, Failure> {
        let output = tokio::process::Command::new("redis-benchmark")
            .arg("-s")
            .arg(self.path())
            .args(["-c", &connections.to_string(), "-n", &calls.to_string(), "-r", "2000000000", "--csv"])
            .args(command)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        // The columns are "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95...","p99...","max...".
        // The test's own name holds quotes and commas, so the columns are counted from the end.
        let columns: Vec<f64> = text
            .lines()
            .rfind(|line| line.ends_with('"'))
            .map(|line| line.rsplit(',').take(7).filter_map(|cell| cell.trim_matches('"').parse().ok()).collect())
            .unwrap_or_default();
        match columns.as_slice() {
            [max, p99, _, p50, _, _, rate] => Ok(Benchmarked { rate: *rate, p50_ms: *p50, p99_ms: *p99, max_ms: *max }),
            _ => Err(Failure(format!("redis-benchmark said: {text}{}", String::from_utf8_lossy(&output.stderr)))),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `redis-benchmark` measured.
pub struct Benchmarked {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// The commands that a server gets, one after the other.
pub struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// The next command that has all of these texts in it, as its arguments.
    pub async fn next_with(&mut self, texts: &[&str]) -> Result<Vec<String>, Failure> {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return Err(Failure(format!("redis-server got no command with {texts:?}")));
            }
            if texts.iter().all(|text| line.contains(text)) {
                return Ok(arguments(&line));
            }
        }
    }
}

/// The arguments of a line of MONITOR: `time [db client] "arg" "arg"`, with `\"`, `\\` and `\xHH` in them.
fn arguments(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = line.chars();
    while characters.by_ref().any(|c| c == '"') {
        let mut argument = String::new();
        while let Some(c) = characters.next().filter(|c| *c != '"') {
            argument.push(if c == '\\' { characters.next().unwrap_or_default() } else { c });
        }
        found.push(argument);
    }
    found
}
