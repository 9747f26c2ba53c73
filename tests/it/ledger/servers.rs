use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use fgd_sync::ledger::Clock;
use fgd_sync::ledger::circuits::Fared;
use fgd_sync::ledger::servers::{Endpoint, Needs, RepositoryNeeds};
use fgd_sync::ledger::types::JobFilter;

fn branch(repo: &str, branch: &str) -> Target {
    Target { repo: RepoName::new(repo), branch: BranchName::new(branch) }
}

fn host(name: &str) -> Endpoint {
    Endpoint::Host(name.to_owned())
}

fn netbox(name: &str) -> Endpoint {
    Endpoint::NetBox(NetBoxName::new(name))
}

fn repository(max_runs: u32, host: Option<&str>) -> RepositoryNeeds {
    RepositoryNeeds { max_runs, host: host.map(str::to_owned) }
}

/// Repositories and fabrics by name; each fabric has a NetBox.
fn needs(repositories: &[(&str, RepositoryNeeds)], netboxes: &[(&str, u32)], fabrics: &[(&str, &str)]) -> Needs {
    let named = |(name, needs): &(&str, RepositoryNeeds)| (RepoName::new(*name), needs.clone());
    Needs {
        repositories: repositories.iter().map(named).collect(),
        netboxes: netboxes.iter().map(|(name, limit)| (NetBoxName::new(*name), *limit)).collect(),
        fabrics: fabrics.iter().map(|(fabric, netbox)| (FabricName::new(*fabric), NetBoxName::new(*netbox))).collect(),
    }
}

async fn with_needs(needs: Needs) -> TestLedger {
    TestLedger::with(|options| options.needs = needs).await
}

/// Accepts a change that is due at once; later ones are due later.
async fn ask(test: &TestLedger, name: &str, target: Target) -> JobId {
    test.clock.advance(Duration::from_millis(1));
    let changes = vec![(fabric(name), target, updated(1))];
    accept(&test.ledger, &Accept { origin: netbox_delivery(), dedupe: None, changes, at_once: true }).await
}

async fn claimed(ledger: &Ledger) -> Vec<Claim> {
    let mut claims = Vec::new();
    while let Some(claim) = ledger.claim("worker").await.expect("Redis answers") {
        claims.push(claim);
    }
    claims
}

fn fabrics(claims: &[Claim]) -> Vec<&str> {
    claims.iter().flat_map(|claim| &claim.parts).map(|part| part.fabric.as_str()).collect()
}

/// A run that fails on a server, as the workers end it.
async fn fails_on(test: &TestLedger, claim: &Claim, server: &Endpoint) -> bool {
    let broke = test.ledger.record_run_on(server, Fared::Failed(&error("git_unavailable"))).await.unwrap();
    settle(&test.ledger, claim, &transient()).await.unwrap();
    broke
}

/// A run that its server answers.
async fn is_done_on(test: &TestLedger, claim: &Claim, server: &Endpoint) {
    test.ledger.record_run_on(server, Fared::Answered).await.unwrap();
    done(&test.ledger, claim).await.unwrap();
}

#[tokio::test]
async fn a_repository_has_no_more_runs_than_it_takes_over_all_replicas() {
    let test = with_needs(needs(&[("busy", repository(2, None)), ("other", repository(2, None))], &[], &[])).await;
    let mut options = test.server.options();
    options.needs = needs(&[("busy", repository(2, None)), ("other", repository(2, None))], &[], &[]);
    let replica = Ledger::open(options, test.clock.clone()).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        ask(&test, name, branch("busy", name)).await;
    }
    ask(&test, "e", branch("other", "e")).await;

    let first = claim(&test.ledger).await;
    let theirs = claimed(&replica).await;

    assert_eq!((fabrics(std::slice::from_ref(&first)), fabrics(&theirs)), (vec!["a"], vec!["b", "e"]));
    assert!(nothing_is_due(&test.ledger).await);
    done(&test.ledger, &first).await.unwrap();
    assert_eq!(fabrics(&claimed(&replica).await), ["c"], "the place goes to whoever waited longest");
    done(&replica, &theirs[0]).await.unwrap();
    let last = claim(&test.ledger).await;
    assert_eq!(last.parts[0].fabric, fabric("d"));
}

/// The record is written by hand, as the layout has it: what a later version writes otherwise, it must not call layout 1.
#[tokio::test]
async fn a_run_of_another_version_on_the_same_layout_takes_a_place() {
    let test = with_needs(needs(&[("busy", repository(1, None))], &[], &[])).await;
    let mut connection = test.server.connect().await;
    let (now, _): (u64, u64) = ::redis::cmd("TIME").query_async(&mut connection).await.unwrap();
    let until = now * 1_000 + 60_000;
    let run = [("fence", 77), ("lease_until", until), ("batch", 1)];
    let mut other = ::redis::pipe();
    other.hset("{fgd}:at_work:repository:busy", "busy@theirs", 77).hset_multiple("{fgd}:target:busy@theirs", &run);
    other.exec_async(&mut connection).await.unwrap();
    ask(&test, "a", branch("busy", "a")).await;

    assert!(nothing_is_due(&test.ledger).await);

    test.clock.advance(Duration::from_secs(61));
    assert_eq!(fabrics(&claimed(&test.ledger).await), ["a"], "its lease has ended");
}

#[tokio::test]
async fn a_netbox_with_as_many_runs_as_it_takes_keeps_only_its_own_fabrics_waiting() {
    let of = [("a", "small"), ("b", "small"), ("c", "large")];
    let test = with_needs(needs(&[], &[("small", 1), ("large", 0)], &of)).await;
    let first = ask(&test, "a", target("one")).await;
    let second = ask(&test, "b", target("two")).await;
    ask(&test, "c", target("two")).await;

    let claims = claimed(&test.ledger).await;

    assert_eq!(fabrics(&claims), ["a", "c"], "b's neighbour on the branch goes on");
    assert_eq!(state(&test.ledger, &second).await, JobState::Queued);
    done(&test.ledger, &claims[1]).await.unwrap();
    assert!(nothing_is_due(&test.ledger).await);
    done(&test.ledger, &claims[0]).await.unwrap();
    assert_eq!(state(&test.ledger, &first).await, JobState::Succeeded);
    let last = claim(&test.ledger).await;
    assert_eq!(last.parts[0].fabric, fabric("b"));
    done(&test.ledger, &last).await.unwrap();
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_holder_that_dies_frees_its_place_when_its_lease_ends() {
    let test = with_needs(needs(&[("busy", repository(1, None))], &[], &[])).await;
    ask(&test, "a", branch("busy", "a")).await;
    ask(&test, "b", branch("busy", "b")).await;
    let dead = claim(&test.ledger).await;
    assert!(nothing_is_due(&test.ledger).await);

    test.clock.advance(LEASE);
    let next = claim(&test.ledger).await;

    assert_eq!(next.parts[0].fabric, fabric("b"), "it has waited for longer than the batch that was left");
    assert!(nothing_is_due(&test.ledger).await, "and has the only place");
    done(&test.ledger, &next).await.unwrap();
    let again = claim(&test.ledger).await;
    assert_eq!((again.parts[0].fabric.clone(), again.parts[0].attempt), (fabric("a"), 2));
    assert!(done(&test.ledger, &dead).await.is_err());
    done(&test.ledger, &again).await.unwrap();
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_lease_that_is_kept_keeps_its_place() {
    let test = with_needs(needs(&[("busy", repository(1, None))], &[], &[])).await;
    ask(&test, "a", branch("busy", "a")).await;
    ask(&test, "b", branch("busy", "b")).await;
    let kept = claim(&test.ledger).await;

    test.clock.advance(LEASE / 2);
    test.ledger.renew(&kept.proof).await.unwrap();
    test.clock.advance(LEASE / 2 + SECOND);

    assert!(nothing_is_due(&test.ledger).await);
}

#[tokio::test]
async fn after_failures_in_a_row_the_others_wait_for_one_that_tries() {
    let test = with_needs(Needs::default()).await;
    let server = Endpoint::Repository(RepoName::new("far"));
    let mut jobs = Vec::new();
    for number in 0..8 {
        jobs.push(ask(&test, &format!("f{number}"), branch("far", &format!("b{number}"))).await);
    }

    let mut broke = Vec::new();
    for _ in 0..5 {
        broke.push(fails_on(&test, &claim(&test.ledger).await, &server).await);
    }

    assert_eq!(broke, [false, false, false, false, true]);
    assert!(nothing_is_due(&test.ledger).await, "three have not run, and do not");
    let waiting = test.ledger.job(&jobs[7]).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.parts[0].attempts), (JobState::Waiting, 0));
    let told = waiting.parts[0].error.as_ref().unwrap();
    assert_eq!(told.code, "server_left_alone");
    assert!(told.message.contains("repository:far") && told.message.contains("it failed"), "{}", told.message);
    let circuits = test.ledger.circuits().await.unwrap();
    let circuit = &circuits[&server];
    assert_eq!((circuit.failures, circuit.waiting_targets, circuit.error.code.as_str()), (5, 3, "git_unavailable"));
    assert_eq!(waiting.parts[0].next_try, Some(circuit.until));
    assert!((8_000..=10_000).contains(&(circuit.until.0 - circuit.since.0)), "{circuit:?}");
    assert_eq!(test.ledger.left_alone().await.unwrap(), BTreeSet::from([server.clone()]));

    test.clock.advance(Duration::from_secs(10));
    let tries = claimed(&test.ledger).await;
    assert_eq!(tries.len(), 1, "one tries");
    is_done_on(&test, &tries[0], &server).await;

    assert_eq!(test.ledger.circuits().await.unwrap(), BTreeMap::new());
    let rest = claimed(&test.ledger).await;
    assert!(fabrics(&rest).contains(&"f7"), "then all go on: {:?}", fabrics(&rest));
    for claim in &rest {
        done(&test.ledger, claim).await.unwrap();
    }
    while let Some(due) = test.ledger.next_due().await.unwrap() {
        test.clock.advance(due + SECOND);
        done(&test.ledger, &claim(&test.ledger).await).await.unwrap();
    }
    for job in &jobs {
        assert_eq!(state(&test.ledger, job).await, JobState::Succeeded);
    }
}

#[tokio::test]
async fn each_try_in_vain_doubles_the_wait_up_to_the_longest() {
    let test = TestLedger::with(|options| {
        options.circuit.failures = 1;
        options.circuit.first = SECOND;
        options.circuit.longest = 8 * SECOND;
        options.retry.max_attempts = 1_000;
        options.retry.longest = SECOND;
    })
    .await;
    let server = Endpoint::Repository(RepoName::new("far"));
    ask(&test, "f", branch("far", "main")).await;

    let mut waits = Vec::new();
    for _ in 0..6 {
        fails_on(&test, &claim(&test.ledger).await, &server).await;
        test.clock.advance(SECOND);
        assert!(test.ledger.claim("worker").await.unwrap().is_none() || waits.is_empty());
        let due = test.ledger.next_due().await.unwrap().unwrap_or_default();
        waits.push(due.as_secs_f64() + 1.0);
        test.clock.advance(due);
    }

    for (wait, longest) in waits.iter().skip(1).zip([2.0, 4.0, 8.0, 8.0, 8.0]) {
        assert!((0.75 * longest..=longest + 0.1).contains(wait), "{waits:?}");
    }
}

#[tokio::test]
async fn an_outage_of_one_host_costs_a_few_runs_and_the_sound_one_waits_for_none() {
    let names: Vec<String> = (0..50).map(|number| format!("dead-{number}")).collect();
    let mut repositories: Vec<(&str, RepositoryNeeds)> =
        names.iter().map(|name| (name.as_str(), repository(4, Some("dead.example.com")))).collect();
    repositories.push(("sound", repository(4, Some("sound.example.com"))));
    let test = with_needs(needs(&repositories, &[], &[])).await;
    for name in &names {
        ask(&test, name, target(name)).await;
    }
    let runs = AtomicUsize::new(0);
    let hour = Duration::from_secs(3_600);
    let (mut passed, mut sound_runs, mut asked) = (Duration::ZERO, 0, 0);

    while passed < hour {
        // Every minute somebody edits the sound fabric.
        if passed >= Duration::from_secs(60) * asked {
            ask(&test, "sound", target("sound")).await;
            asked += 1;
        }
        let mut at_work = Vec::new();
        // As many as one replica has workers.
        while at_work.len() < 4
            && let Some(claim) = test.ledger.claim("worker").await.unwrap()
        {
            at_work.push(claim);
        }
        for claim in at_work {
            if claim.proof.target().repo.as_str() == "sound" {
                sound_runs += 1;
                is_done_on(&test, &claim, &host("sound.example.com")).await;
            } else {
                runs.fetch_add(1, Ordering::Relaxed);
                fails_on(&test, &claim, &host("dead.example.com")).await;
            }
        }
        test.clock.advance(SECOND);
        passed += SECOND;
    }

    assert_eq!(sound_runs, 60, "each edit had a run of its own at once");
    let runs = runs.into_inner();
    assert!((10..=30).contains(&runs), "{runs} runs on the dead host in an hour, for 50 targets");
    let jobs = test.ledger.jobs(&JobFilter { limit: 200, ..JobFilter::default() }).await.unwrap().jobs;
    let dead = jobs.iter().filter(|job| job.parts[0].fabric != fabric("sound"));
    assert_eq!(dead.filter(|job| job.state == JobState::Waiting).count(), 50, "none was given up");
}

#[tokio::test]
async fn a_netbox_that_was_left_alone_is_tried_with_one_fabric() {
    let of: Vec<(String, &str)> = (0..30).map(|number| (format!("f{number}"), "main")).collect();
    let of: Vec<(&str, &str)> = of.iter().map(|(name, netbox)| (name.as_str(), *netbox)).collect();
    let test = with_needs(needs(&[], &[("main", 4)], &of)).await;
    for (name, _) in &of {
        ask(&test, name, target("one")).await;
    }
    for _ in 0..5 {
        test.ledger.record_run_on(&netbox("main"), Fared::Failed(&error("netbox_unavailable"))).await.unwrap();
    }
    assert!(nothing_is_due(&test.ledger).await);

    test.clock.advance(Duration::from_secs(10));
    let tries = claimed(&test.ledger).await;

    assert_eq!((tries.len(), fabrics(&tries)), (1, vec!["f0"]));
    is_done_on(&test, &tries[0], &netbox("main")).await;
    let rest = claim(&test.ledger).await;
    assert_eq!(rest.parts.len(), 29);
    done(&test.ledger, &rest).await.unwrap();
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_server_that_asks_one_run_to_wait_is_not_left_alone_for_it() {
    let test = with_needs(Needs::default()).await;
    let server = host("api.example.com");
    let limited = error("git_unavailable");

    for _ in 0..20 {
        assert!(!test.ledger.record_run_on(&server, Fared::AskedToWait(&limited)).await.unwrap());
    }

    assert_eq!(test.ledger.circuits().await.unwrap(), BTreeMap::new());
    for _ in 0..5 {
        test.ledger.record_run_on(&server, Fared::Failed(&limited)).await.unwrap();
    }
    test.clock.advance(Duration::from_secs(10));
    assert!(test.ledger.left_alone().await.unwrap().is_empty(), "it may be tried");
    test.ledger.record_run_on(&server, Fared::AskedToWait(&limited)).await.unwrap();
    assert_eq!(test.ledger.left_alone().await.unwrap().len(), 1, "and that was in vain");
}

#[tokio::test]
async fn whoever_waits_can_be_cancelled_and_leaves_nothing_behind() {
    let test = with_needs(needs(&[("far", repository(4, Some("far.example.com")))], &[], &[])).await;
    for _ in 0..5 {
        test.ledger.record_run_on(&host("far.example.com"), Fared::Failed(&error("git_unavailable"))).await.unwrap();
    }
    let job = ask(&test, "f", target("far")).await;
    assert!(nothing_is_due(&test.ledger).await);
    assert_eq!(state(&test.ledger, &job).await, JobState::Waiting);

    test.ledger.cancel(&job).await.unwrap();

    assert_eq!(state(&test.ledger, &job).await, JobState::Cancelled);
    test.clock.advance(Duration::from_secs(11));
    assert!(nothing_is_due(&test.ledger).await);
    assert!(is_at_rest(&test.ledger).await);
}

#[tokio::test]
async fn a_try_whose_worker_dies_is_followed_by_another() {
    let test = with_needs(needs(&[("far", repository(4, Some("far.example.com")))], &[], &[])).await;
    for _ in 0..5 {
        test.ledger.record_run_on(&host("far.example.com"), Fared::Failed(&error("git_unavailable"))).await.unwrap();
    }
    ask(&test, "a", branch("far", "a")).await;
    ask(&test, "b", branch("far", "b")).await;
    test.clock.advance(Duration::from_secs(10));
    let lost = claimed(&test.ledger).await;
    assert_eq!(fabrics(&lost), ["a"]);

    let due = test.ledger.next_due().await.unwrap().expect("the end of its lease");
    test.clock.advance(due + SECOND);

    assert_eq!(claimed(&test.ledger).await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_wait() {
    let test = with_needs(needs(&[("far", repository(4, Some("far.example.com")))], &[], &[])).await;
    test.clock.advance(Duration::from_secs(3_600));
    for _ in 0..5 {
        test.ledger.record_run_on(&host("far.example.com"), Fared::Failed(&error("git_unavailable"))).await.unwrap();
    }
    ask(&test, "f", target("far")).await;
    assert!(nothing_is_due(&test.ledger).await);

    // The same ledger by a clock that is an hour behind.
    let mut options = test.server.options();
    options.needs = needs(&[("far", repository(4, Some("far.example.com")))], &[], &[]);
    let clock = Clock::default();
    let replica = Ledger::open(options, clock.clone()).await.unwrap();
    assert!(nothing_is_due(&replica).await);
    clock.advance(Duration::from_secs(11));

    assert_eq!(fabrics(&claimed(&replica).await), ["f"]);
}
