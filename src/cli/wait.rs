//! Waiting for jobs: a line that moves on a terminal, silence everywhere else.

use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::client::{Client, Failure, read};
use super::exit::Exit;
use super::output::{Output, on_one_line, print, print_json};
use super::views::{Job, results_table};

/// How often a job is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Whether to wait, and for how long.
#[derive(Args)]
pub struct WaitArgs {
    /// Do not wait for the job: print its id and end
    #[arg(long)]
    no_wait: bool,
    /// Wait no longer than this, such as 90s or 10m; the job goes on [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

impl WaitArgs {
    /// To wait for so long.
    pub fn until(timeout: Option<Duration>) -> Self {
        Self { no_wait: false, timeout }
    }
}

/// Asks for something for each of the names. Whoever is refused is told, and the others go on; a service that cannot be
/// asked is not asked again. Also how it ends for those.
pub async fn for_each<T>(names: &[String], ask: impl AsyncFn(&str) -> Result<T, Failure>) -> (Vec<(&String, T)>, Exit) {
    let (mut done, mut exit) = (Vec::new(), Exit::Done);
    for name in names {
        match ask(name).await {
            Ok(answer) => done.push((name, answer)),
            Err(failed) => {
                exit = exit.and(failed.tell());
                if !matches!(failed, Failure::Problem { .. }) {
                    break;
                }
            }
        }
    }
    (done, exit)
}

/// Waits for jobs as the arguments say and prints what came of them.
pub async fn finish(client: &Client, ids: &[String], args: &WaitArgs, output: Output) -> Result<Exit, Failure> {
    if ids.is_empty() {
        return Ok(Exit::Done);
    }
    if args.no_wait {
        match output {
            Output::Table => print(&format!("{}\n", ids.join("\n"))),
            Output::Json => print_json(&serde_json::json!({"jobs": ids})),
        }
        return Ok(Exit::Done);
    }
    let jobs = until_ended(client, ids, args.timeout).await?;
    let known = jobs.iter().map(read::<Job>).collect::<Result<Vec<_>, _>>()?;
    match output {
        Output::Table => print(&results_table(&known)),
        Output::Json => print_json(&serde_json::json!({"jobs": jobs})),
    }
    Ok(if known.iter().all(Job::is_good) { Exit::Done } else { Exit::Failed })
}

/// The jobs once each has ended, or stalled: a stalled one waits for a person.
pub async fn until_ended(client: &Client, ids: &[String], timeout: Option<Duration>) -> Result<Vec<Value>, Failure> {
    let begun = Instant::now();
    let mut line = ProgressLine::new();
    let mut ended = Vec::new();
    for id in ids {
        loop {
            let job = client.get(&["api", "v1", "jobs", id], &[]).await?;
            let known: Job = read(&job)?;
            if known.has_ended() {
                ended.push(job);
                break;
            }
            line.show(&known.progress(), begun.elapsed());
            let left = timeout.map(|timeout| (timeout, timeout.saturating_sub(begun.elapsed())));
            match left {
                Some((after, Duration::ZERO)) => {
                    return Err(Failure::TimedOut { job: id.clone(), after, progress: known.progress() });
                }
                Some((_, left)) => tokio::time::sleep(left.min(LOOK)).await,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }
    Ok(ended)
}

/// One line of a terminal that is written over, and wiped in the end.
struct ProgressLine {
    is_shown: bool,
    turn: usize,
}

impl ProgressLine {
    fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), turn: 0 }
    }

    fn show(&mut self, what: &str, since: Duration) {
        const SPOKES: [char; 4] = ['|', '/', '-', '\\'];
        if !self.is_shown {
            return;
        }
        let spoke = SPOKES[self.turn % SPOKES.len()];
        self.turn += 1;
        let mut out = std::io::stderr().lock();
        // Nothing depends on it.
        let _ = write!(out, "\r\x1b[K{spoke} {}, {} s", on_one_line(what), since.as_secs()).and_then(|()| out.flush());
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.is_shown && self.turn > 0 {
            eprint!("\r\x1b[K");
        }
    }
}
