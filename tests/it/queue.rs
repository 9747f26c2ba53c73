//! The workers, over a real ledger and a stand-in for the run.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fgd_sync::domain::change::Change;
use fgd_sync::domain::names::{BranchName, FabricName, JobId, RepoName, Target};
use fgd_sync::domain::report::{FabricReport, JobState};
use fgd_sync::ledger::types::{Accept, Claim, Job, Origin, PartOutcome, Settlement};
use fgd_sync::ledger::{Clock, Connection, Ledger, Options};
use fgd_sync::queue::{self, Work, WorkerOptions, work};
use tokio::sync::{Notify, Semaphore};

use crate::support::redis::{TestLedger, kill_embedded};

/// A run that ends every part as done, and counts.
struct Fake {
    /// Fabrics whose run panics.
    panics: HashSet<&'static str>,
    /// A run waits for one of these before it ends.
    gate: Semaphore,
    begun: Semaphore,
    at_work: AtomicUsize,
    most_at_work: AtomicUsize,
    targets: Mutex<HashSet<Target>>,
    /// How many runs end before `enough` is told.
    wanted: usize,
    ended: AtomicUsize,
    enough: Notify,
}

impl Fake {
    /// Runs that end at once.
    fn quick(wanted: usize) -> Self {
        Self {
            panics: HashSet::new(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            begun: Semaphore::new(0),
            at_work: AtomicUsize::new(0),
            most_at_work: AtomicUsize::new(0),
            targets: Mutex::default(),
            wanted,
            ended: AtomicUsize::new(0),
            enough: Notify::new(),
        }
    }

    /// Runs that wait until the test lets them go.
    fn slow() -> Self {
        Self { gate: Semaphore::new(0), ..Self::quick(usize::MAX) }
    }

    fn count_end(&self) {
        if self.ended.fetch_add(1, Ordering::SeqCst) + 1 == self.wanted {
            self.enough.notify_one();
        }
    }
}

impl Work for Fake {
    async fn run(&self, claim: Claim) -> Settlement {
        let new = self.targets.lock().unwrap().insert(claim.proof.target().clone());
        assert!(new, "{} is at work twice", claim.proof.target());
        let at_work = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_work.fetch_max(at_work, Ordering::SeqCst);
        self.begun.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        self.targets.lock().unwrap().remove(claim.proof.target());
        self.count_end();

        let fabric = claim.parts[0].fabric.clone();
        assert!(!self.panics.contains(fabric.as_str()), "{fabric} always fails");
        let report = FabricReport::empty(claim.run.clone(), fabric.clone(), claim.closed_because);
        Settlement { parts: vec![(fabric, PartOutcome::Done { report: Box::new(report), held: false })], head: None }
    }
}

async fn request(ledger: &Ledger, fabric: &str) -> JobId {
    let target = Target { repo: RepoName::new(fabric), branch: BranchName::new("main") };
    let accept = Accept {
        origin: Origin::Request { what: "sync".to_owned() },
        dedupe: None,
        changes: vec![(FabricName::new(fabric), target, Change::Everything)],
        at_once: true,
    };
    ledger.accept(&accept).await.unwrap().job
}

async fn job(ledger: &Ledger, id: &JobId) -> Job {
    ledger.job(id).await.unwrap().unwrap()
}

fn options(concurrency: usize) -> WorkerOptions {
    WorkerOptions { concurrency, name: "test".to_owned(), grace: Duration::from_secs(30), ..WorkerOptions::default() }
}

/// Works until the stand-in has ended as many runs as it wanted.
async fn work_until_enough(ledger: &Ledger, fake: &Arc<Fake>, concurrency: usize) {
    let enough = fake.clone();
    let stop = async move { enough.enough.notified().await };
    work(ledger.clone(), fake.clone(), options(concurrency), Arc::default(), stop).await.unwrap();
}

#[tokio::test]
async fn everything_due_is_done_no_more_at_once_than_allowed() {
    let test = TestLedger::open().await;
    let mut jobs = Vec::new();
    for n in 0..300 {
        jobs.push(request(&test.ledger, &format!("fabric-{n}")).await);
    }
    let fake = Arc::new(Fake::quick(300));

    work_until_enough(&test.ledger, &fake, 6).await;

    for id in &jobs {
        assert_eq!(job(&test.ledger, id).await.state, JobState::Succeeded);
    }
    assert!(fake.most_at_work.load(Ordering::SeqCst) <= 6);
    assert_eq!(test.ledger.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_run_that_panics_fails_alone_and_is_settled() {
    let test = TestLedger::open().await;
    let mut good = Vec::new();
    let bad = request(&test.ledger, "bad").await;
    for n in 0..20 {
        good.push(request(&test.ledger, &format!("fabric-{n}")).await);
    }
    let fake = Arc::new(Fake { panics: HashSet::from(["bad"]), ..Fake::quick(21) });

    work_until_enough(&test.ledger, &fake, 2).await;

    let bad = job(&test.ledger, &bad).await;
    assert_eq!((bad.state, bad.parts[0].attempts), (JobState::Waiting, 1));
    let error = bad.parts[0].error.as_ref().unwrap();
    assert!(error.code == "panicked" && error.message.contains("bad always fails"), "{error:?}");
    for id in &good {
        assert_eq!(job(&test.ledger, id).await.state, JobState::Succeeded);
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_is_at_work_and_begins_nothing_more() {
    let test = TestLedger::open().await;
    let slow = request(&test.ledger, "slow").await;
    let fake = Arc::new(Fake::slow());
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let working = tokio::spawn(work(test.ledger.clone(), fake.clone(), options(4), Arc::default(), async move {
        stopped.notified().await
    }));
    fake.begun.acquire().await.unwrap().forget();
    stop.notify_one();
    // The stop is seen before anything that is accepted now.
    tokio::task::yield_now().await;
    let late = request(&test.ledger, "late").await;
    assert!(!working.is_finished());

    fake.gate.add_permits(1);
    working.await.unwrap().unwrap();

    assert_eq!(job(&test.ledger, &slow).await.state, JobState::Succeeded);
    assert_eq!(job(&test.ledger, &late).await.state, JobState::Queued);
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_the_grace_time() {
    let test = TestLedger::open().await;
    request(&test.ledger, "stuck").await;
    let fake = Arc::new(Fake::slow());
    let begun = fake.clone();
    let stop = async move { begun.begun.acquire().await.unwrap().forget() };
    let options = WorkerOptions { grace: Duration::from_millis(20), ..options(1) };

    let ended = work(test.ledger.clone(), fake.clone(), options, Arc::default(), stop).await;

    assert!(matches!(ended, Err(queue::Error::StillRunning { .. })), "{ended:?}");
}

#[tokio::test]
async fn what_is_accepted_while_the_workers_are_idle_is_done_too() {
    let test = TestLedger::open().await;
    let fake = Arc::new(Fake::quick(2));
    let wake = Arc::new(Notify::new());
    let enough = fake.clone();
    let stop = async move { enough.enough.notified().await };
    let working = tokio::spawn(work(test.ledger.clone(), fake.clone(), options(1), wake.clone(), stop));

    let first = request(&test.ledger, "a").await;
    wake.notify_one();
    fake.begun.acquire().await.unwrap().forget();
    let second = request(&test.ledger, "a").await;
    wake.notify_one();
    working.await.unwrap().unwrap();

    assert_eq!(job(&test.ledger, &first).await.state, JobState::Succeeded);
    assert_eq!(job(&test.ledger, &second).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn connections_that_are_cut_lose_nothing() {
    let test = TestLedger::open().await;
    let mut jobs = Vec::new();
    for n in 0..60 {
        jobs.push(request(&test.ledger, &format!("fabric-{n}")).await);
    }
    let fake = Arc::new(Fake { gate: Semaphore::new(0), ..Fake::quick(60) });
    let cutter = async {
        let mut connection = test.server.connect().await;
        for _ in 0..60 {
            fake.begun.acquire().await.unwrap().forget();
            let cut = ::redis::cmd("CLIENT").arg(("KILL", "TYPE", "normal")).exec_async(&mut connection).await;
            cut.unwrap();
            fake.gate.add_permits(1);
        }
    };

    tokio::join!(work_until_enough(&test.ledger, &fake, 4), cutter);

    for id in &jobs {
        assert_eq!(job(&test.ledger, id).await.state, JobState::Succeeded);
    }
}

#[tokio::test]
async fn a_redis_that_dies_during_a_run_does_not_cost_the_run() {
    let directory = tempfile::TempDir::new().unwrap();
    let connection = Connection::Embedded { directory: directory.path().to_owned() };
    let ledger = Ledger::open(Options::new(connection), Clock::default()).await.unwrap();
    let id = request(&ledger, "a").await;
    let fake = Fake::slow();

    let (worked, ()) = tokio::join!(queue::step(&ledger, &fake, "test"), async {
        fake.begun.acquire().await.unwrap().forget();
        kill_embedded(directory.path()).await;
        fake.gate.add_permits(1);
    });

    assert!(worked.unwrap());
    assert_eq!(job(&ledger, &id).await.state, JobState::Succeeded);
    ledger.close().await;
}

/// Works on although its lease would have ended, were it not renewed.
struct Longer(Duration);

impl Work for Longer {
    async fn run(&self, claim: Claim) -> Settlement {
        tokio::time::sleep(self.0).await;
        assert!(claim.proof.left() > Duration::ZERO, "the lease ended");
        let stalled = |part: &fgd_sync::ledger::types::Part| (part.fabric.clone(), PartOutcome::Returned);
        Settlement { parts: claim.parts.iter().map(stalled).collect(), head: None }
    }
}

#[tokio::test]
async fn a_lease_is_kept_while_its_run_is_at_work() {
    let lease = Duration::from_millis(600);
    let test = TestLedger::with(|options| options.lease = lease).await;
    let id = request(&test.ledger, "a").await;

    let worked = queue::step(&test.ledger, &Longer(lease * 2), "test").await.unwrap();

    assert!(worked);
    let job = job(&test.ledger, &id).await;
    assert_eq!((job.state, &job.parts[0].error), (JobState::Queued, &None));
}

#[tokio::test]
async fn a_step_does_one_batch_and_says_whether_there_was_one() {
    let test = TestLedger::open().await;
    let fake = Fake::quick(usize::MAX);
    assert!(!queue::step(&test.ledger, &fake, "test").await.unwrap());
    let first = request(&test.ledger, "a").await;
    let second = request(&test.ledger, "b").await;

    assert!(queue::step(&test.ledger, &fake, "test").await.unwrap());
    assert_eq!(job(&test.ledger, &first).await.state, JobState::Succeeded);
    assert_eq!(job(&test.ledger, &second).await.state, JobState::Queued);
    assert!(queue::step(&test.ledger, &fake, "test").await.unwrap());
    assert!(!queue::step(&test.ledger, &fake, "test").await.unwrap());
    assert_eq!(job(&test.ledger, &second).await.state, JobState::Succeeded);
}
