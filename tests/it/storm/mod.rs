//! Storms: random interleavings over the whole service, held to what is promised when it is quiet again.
//!
//! People edit both sides, deliveries are lost, doubled and late, calls fail, processes die at any await and in the
//! middle of any call, leases end under holders that go on, Redis is killed. A storm is a list of acts; one that breaks a
//! promise is shrunk, printed and kept in `regressions.txt`, whose storms come first from then on. `FGD_TEST_CASES` is how
//! many storms each test has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acts;
mod people;
mod remote;
mod verdict;
mod world;

use std::fmt::Debug;

use fgd_sync::domain::policy::{Direction, OnConflict, OnDrift, OnFirstDifference, OnGitDelete, Policy};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use acts::{Act, Trouble, storms, storms_over_redis};
use world::World;

use crate::support::redis::RedisServer;

/// Storms of a test when nobody says.
const CASES: u32 = 60;
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/storm/regressions.txt");

/// Puts the service through storms, each with a policy, over one fabric or two on one branch.
fn weather<S: Strategy<Value = Vec<Act>>>(policies: impl Strategy<Value = Policy>, storms: S)
where
    S::Value: Debug,
{
    let cases = std::env::var("FGD_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let config = Config {
        cases,
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    let redis = std::cell::RefCell::new(RedisServer::start_durable());
    let tally = std::cell::Cell::new(Tally::default());
    let runtime = actix_web::rt::System::new();
    let end = TestRunner::new(config).run(&(1..=2_usize, policies, storms), |(fabrics, policy, acts)| {
        let broken = runtime.block_on(storm(&mut redis.borrow_mut(), (fabrics, policy), &acts));
        tally.set(tally.get().and(fabrics, &acts));
        if broken.is_empty() { Ok(()) } else { Err(TestCaseError::fail(broken.join("\n"))) }
    });
    if let Err(failure) = end {
        panic!("{failure}");
    }
    let Tally { storms, of_two, acts, people, troubles } = tally.get();
    println!(
        "{storms} storms ({of_two} over two fabrics), {acts} acts: {people} by people, {troubles} steps of workers with a \
         fault, a kill or a stop. No promise was broken."
    );
}

/// What a test's storms consisted of.
#[derive(Clone, Copy, Default)]
struct Tally {
    storms: usize,
    of_two: usize,
    acts: usize,
    people: usize,
    troubles: usize,
}

impl Tally {
    fn and(self, fabrics: usize, acts: &[Act]) -> Self {
        let count = |is: fn(&&Act) -> bool| acts.iter().filter(is).count();
        Self {
            storms: self.storms + 1,
            of_two: self.of_two + usize::from(fabrics == 2),
            acts: self.acts + acts.len(),
            people: self.people + count(|act| matches!(act, Act::Person(..))),
            troubles: self.troubles
                + count(|act| {
                    matches!(act, Act::CrashRedis) || matches!(act, Act::Step(step) if !matches!(step, Trouble::None))
                }),
        }
    }
}

/// One storm and the calm after it; answers with the promises that it broke.
async fn storm(redis: &mut RedisServer, (fabrics, policy): (usize, Policy), acts: &[Act]) -> Vec<String> {
    let Policy { on_conflict, on_first_difference, on_drift, .. } = policy;
    let never_overwrites =
        (on_conflict, on_first_difference, on_drift) == (OnConflict::Hold, OnFirstDifference::Hold, OnDrift::Report);
    let mut world = World::new(redis, fabrics, policy).await;
    for act in acts {
        world.act(act).await;
    }
    world.calm().await;
    verdict::broken_promises(&mut world, never_overwrites).await
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let deletes = prop::sample::select(vec![OnGitDelete::Hold, OnGitDelete::Delete]);
    let firsts = prop::sample::select(vec![OnFirstDifference::Hold, OnFirstDifference::Netbox, OnFirstDifference::Git]);
    let conflicts = prop::sample::select(vec![OnConflict::Hold, OnConflict::Netbox, OnConflict::Git]);
    let directions =
        prop_oneof![3 => Just(Direction::Both), 1 => Just(Direction::NetboxToGit), 1 => Just(Direction::GitToNetbox)];
    let drifts = prop::sample::select(vec![OnDrift::Report, OnDrift::Heal]);
    let all = (deletes, firsts, conflicts, directions, drifts);
    all.prop_map(|(on_git_delete, on_first_difference, on_conflict, direction, on_drift)| Policy {
        on_git_delete,
        on_first_difference,
        on_conflict,
        direction,
        on_drift,
        ..Policy::default()
    })
}

#[test]
fn after_any_storm_both_sides_are_equal_or_the_difference_is_held() {
    weather(Just(Policy::default()), storms(30));
}

#[test]
fn whatever_the_policy_nothing_is_lost_in_a_storm() {
    weather(any_policy(), storms(30));
}

#[test]
fn a_redis_that_crashes_loses_nothing_that_was_accepted() {
    weather(Just(Policy::default()), storms_over_redis(15));
}
