//! Objects that a plan is told only the number of.

use super::sides::{World, key, one};
use crate::domain::report::{Item, MAX_ITEMS, Outcome};
use crate::plan::Unchanged;

#[test]
fn unchanged_objects_without_sides_are_counted_and_the_first_are_listed() {
    let mut world = World::new();
    world.row("web", 7, one());
    let first = (0..MAX_ITEMS).map(|number| key(&format!("object-{number:04}"))).collect();
    world.sides.unchanged = Unchanged { count: 5_000, first };

    let plan = world.plan();

    assert_eq!((plan.counts.unchanged, plan.counts.git_written), (5_000, 1));
    assert_eq!((plan.items.len(), plan.unlisted), (MAX_ITEMS + 1, 5_000 - MAX_ITEMS as u64));
    let outcome = |at: usize| match &plan.items[at] {
        Item::Object { outcome, .. } => outcome.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((outcome(0), outcome(MAX_ITEMS)), (Outcome::Unchanged, Outcome::GitCreated));
}
