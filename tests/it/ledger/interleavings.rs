//! Random interleavings against a model: no accepted change is lost, and no job says success before all it asked for
//! was worked on.

use super::*;
use std::collections::HashMap;

use fgd_sync::ledger::types::{Intervention, JobFilter, JobPart, LetterEnd, LetterFilter, Note, Part};

/// A small generator, so that a seed names a history.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// What a job asked for and was not yet worked on, with the moment of its accept.
type Wanted = (u64, BTreeSet<(String, String)>);

struct Model {
    test: TestLedger,
    dice: Dice,
    moment: u64,
    wanted: HashMap<JobId, Wanted>,
    cancelled: BTreeSet<JobId>,
    /// Claims whose worker has not settled, also those that have lost their lease.
    claims: Vec<Claim>,
    /// When the unsettled batch of a target was frozen, and who has it.
    frozen: HashMap<Target, (u64, Claim)>,
}

impl Model {
    async fn step(&mut self) {
        self.moment += 1;
        match self.dice.below(100) {
            0..45 => self.accept().await,
            45..65 => self.claim().await,
            65..82 => self.settle().await,
            82..92 => {
                let seconds = [1, 3, 20, 100][self.dice.below(4) as usize];
                self.test.clock.advance(SECOND * seconds);
            }
            92..95 => self.cancel().await,
            95..97 => self.replay().await,
            97 => self.discard().await,
            _ => self.pause_or_resume().await,
        }
    }

    async fn accept(&mut self) {
        let mut changes = Vec::new();
        for _ in 0..=self.dice.below(7) {
            let name = ["a", "b", "c"][self.dice.below(3) as usize];
            // The fabric `c` moves between two targets.
            let home = if name == "c" { ["x", "y"][self.dice.below(2) as usize] } else { "x" };
            let event = [ObjectEvent::Created, ObjectEvent::Updated, ObjectEvent::Deleted][self.dice.below(3) as usize];
            changes.push((fabric(name), target(home), vpc(self.dice.below(9), event, None)));
        }
        let homes: BTreeMap<_, _> =
            changes.iter().map(|(fabric, target, _)| (fabric.clone(), target.clone())).collect();
        for (fabric, target, _) in &mut changes {
            *target = homes[fabric].clone();
        }
        let wanted = changes.iter().map(|(fabric, _, change)| (fabric.to_string(), change.slot())).collect();
        let at_once = self.dice.below(5) == 0;
        let job = accept(&self.test.ledger, &Accept { changes, at_once, ..delivery("a", updated(0)) }).await;
        self.wanted.insert(job, (self.moment, wanted));
    }

    async fn claim(&mut self) {
        let Some(claim) = self.test.ledger.claim("worker").await.unwrap() else { return };
        let pauses = self.test.ledger.pauses().await.unwrap();
        assert_eq!(pauses.everything, None);
        assert!(claim.parts.iter().all(|part| !pauses.fabrics.contains_key(&part.fabric)), "{pauses:?}");
        let target = claim.proof.target().clone();
        let mut frozen = self.moment;
        if let Some((moment, before)) = self.frozen.remove(&target) {
            assert!(claim.proof.fence() > before.proof.fence());
            // The batch of a holder that died, unless that was buried and this is another one.
            let again = |part: &Part| {
                let same = |old: &&Part| (&old.fabric, old.attempt + 1) == (&part.fabric, part.attempt);
                before
                    .parts
                    .iter()
                    .find(same)
                    .is_some_and(|old| (&old.changes, &old.jobs) == (&part.changes, &part.jobs))
            };
            if claim.parts.iter().all(again) {
                frozen = moment;
            }
        }
        self.frozen.insert(target, (frozen, claim.clone()));
        self.claims.push(claim);
    }

    async fn settle(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let chosen = self.dice.below(self.claims.len() as u64) as usize;
        let claim = self.claims.swap_remove(chosen);
        let mut parts = Vec::new();
        for part in &claim.parts {
            let outcome = match self.dice.below(10) {
                0..4 => PartOutcome::Done { report: report(&claim, &part.fabric), held: false },
                4..7 => transient(),
                7 => PartOutcome::WaitUntil { after: SECOND * 30, error: error("rate_limited") },
                8 => PartOutcome::Stalled { error: error("denied") },
                _ => PartOutcome::Returned,
            };
            parts.push((part.fabric.clone(), outcome));
        }
        self.end(&claim, parts).await;
    }

    /// Settles, and holds the ledger to what the model knows.
    async fn end(&mut self, claim: &Claim, parts: Vec<(FabricName, PartOutcome)>) {
        let target = claim.proof.target();
        let holds = self.frozen.get(target).is_some_and(|(_, held)| held.proof.fence() == claim.proof.fence());
        let settlement = Settlement { parts, head: None };

        let settled = self.test.ledger.settle(&claim.proof, &claim.run, &settlement).await;

        if settled.is_err() {
            // Somebody else has the batch, or it was buried.
            for job in claim.parts.iter().flat_map(|part| &part.jobs) {
                let known = self.test.ledger.job(job).await.unwrap().unwrap();
                let mine = |part: &&JobPart| part.run.as_ref() == Some(&claim.run) && part.state == JobState::Running;
                assert_eq!(known.parts.iter().find(mine), None, "{settled:?}");
            }
            return;
        }
        assert!(holds, "an old holder has settled");
        let (frozen, _) = self.frozen.remove(target).unwrap();
        for (name, outcome) in &settlement.parts {
            if !matches!(outcome, PartOutcome::Done { .. }) {
                continue;
            }
            let part = claim.parts.iter().find(|part| part.fabric == *name).unwrap();
            for change in &part.changes {
                for (accepted, wanted) in self.wanted.values_mut() {
                    if *accepted < frozen {
                        wanted.remove(&(name.to_string(), change.slot()));
                    }
                }
            }
        }
        for job in claim.parts.iter().flat_map(|part| &part.jobs) {
            let known = self.test.ledger.job(job).await.unwrap().unwrap();
            for part in known.parts.iter().filter(|part| part.state == JobState::Succeeded) {
                let left = self.wanted[job].1.iter().find(|(fabric, _)| *fabric == part.fabric.to_string());
                assert_eq!(left, None, "{job} says success");
            }
        }
    }

    async fn any_job(&mut self) -> Option<JobId> {
        let page = self.test.ledger.jobs(&JobFilter { limit: 1_000, ..JobFilter::default() }).await.unwrap();
        let chosen = self.dice.below(page.jobs.len().max(1) as u64) as usize;
        page.jobs.into_iter().nth(chosen).map(|job| job.id)
    }

    async fn cancel(&mut self) {
        let Some(job) = self.any_job().await else { return };
        if self.test.ledger.cancel(&job).await.unwrap() == Intervention::Done {
            self.cancelled.insert(job);
        }
    }

    async fn discard(&mut self) {
        let letters = self.test.ledger.dead_letters(&LetterFilter::default()).await.unwrap().letters;
        let Some(letter) = letters.first() else { return };
        let end = LetterEnd::Discard(Note { by: "kim".to_owned(), reason: None });
        assert_eq!(self.test.ledger.end_letters_of(&letter.jobs[0], &end).await.unwrap(), Intervention::Done);
        for (job, (_, wanted)) in &mut self.wanted {
            let given_up = self.test.ledger.job(job).await.unwrap().unwrap().parts;
            let is_given_up = |fabric: &str| {
                given_up.iter().any(|part| part.fabric.as_str() == fabric && part.state == JobState::Failed)
            };
            wanted.retain(|(fabric, _)| !is_given_up(fabric));
        }
    }

    async fn pause_or_resume(&mut self) {
        let name = fabric(["a", "b", "c"][self.dice.below(3) as usize]);
        let one = Some(&name).filter(|_| self.dice.below(4) > 0);
        if self.dice.below(2) == 0 {
            self.test.ledger.pause(one, &Note { by: "kim".to_owned(), reason: None }).await.unwrap();
        } else {
            self.test.ledger.resume(one).await.unwrap();
        }
    }

    async fn replay(&mut self) {
        let filter = JobFilter { state: Some(JobState::Dead), limit: 100, ..JobFilter::default() };
        let dead = self.test.ledger.jobs(&filter).await.unwrap().jobs;
        if let Some(job) = dead.first() {
            assert_eq!(self.test.ledger.replay(&job.id).await.unwrap(), Intervention::Done);
        }
    }

    /// Everybody has time, nothing is paused, and every run succeeds.
    async fn come_to_rest(&mut self) {
        self.test.ledger.resume(None).await.unwrap();
        for name in ["a", "b", "c"] {
            self.test.ledger.resume(Some(&fabric(name))).await.unwrap();
        }
        for _ in 0..2_000 {
            self.moment += 1;
            self.test.clock.advance(Duration::from_secs(4_000));
            self.claims.clear();
            self.claim().await;
            match self.claims.pop() {
                Some(claim) => {
                    let done = |part: &Part| {
                        let report = report(&claim, &part.fabric);
                        (part.fabric.clone(), PartOutcome::Done { report, held: false })
                    };
                    let parts = claim.parts.iter().map(done).collect();
                    self.end(&claim, parts).await;
                }
                None => {
                    let filter = JobFilter { state: Some(JobState::Dead), limit: 1, ..JobFilter::default() };
                    if self.test.ledger.jobs(&filter).await.unwrap().jobs.is_empty() {
                        return;
                    }
                    self.replay().await;
                }
            }
        }
        panic!("the ledger does not come to rest");
    }
}

async fn history(seed: u64) {
    let test = TestLedger::with(|options| {
        options.debounce.max_changes = 4;
        options.retry.max_attempts = 2;
    })
    .await;
    let mut model = Model {
        test,
        dice: Dice(seed),
        moment: 0,
        wanted: HashMap::new(),
        cancelled: BTreeSet::new(),
        claims: Vec::new(),
        frozen: HashMap::new(),
    };
    for _ in 0..400 {
        model.step().await;
    }
    model.come_to_rest().await;

    for (job, (_, wanted)) in &model.wanted {
        if model.cancelled.contains(job) {
            continue;
        }
        let known = model.test.ledger.job(job).await.unwrap().unwrap();
        let discarded = known.parts.iter().any(|part| part.discarded.is_some());
        assert_eq!(known.state, if discarded { JobState::Failed } else { JobState::Succeeded }, "{job}");
        assert!(wanted.is_empty(), "{job} still wants {wanted:?}");
    }
    assert!(is_at_rest(&model.test.ledger).await);
    let mut left: Vec<String> =
        ::redis::cmd("KEYS").arg("*").query_async(&mut model.test.server.connect().await).await.unwrap();
    left.retain(|key| ["pending", "batch", "dead"].iter().any(|name| key.starts_with(&format!("{{fgd}}:{name}"))));
    assert_eq!(left, Vec::<String>::new(), "nothing is left lying about");
}

#[tokio::test]
async fn no_interleaving_loses_a_change_or_tells_success_too_early() {
    let cases = std::env::var("FGD_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    for seed in 0..cases {
        println!("seed {seed}");
        history(seed).await;
    }
}
