//! What need not be asked for again, as much as may stay in memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map that forgets what came first when it holds too much. For values that never change under their key.
pub(super) struct Bounded<K, V> {
    values: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    weight: usize,
    limit: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Bounded<K, V> {
    /// Holds values up to this weight together, whatever the unit.
    pub fn new(limit: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), weight: 0, limit }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.values.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value unless it alone is too heavy.
    pub fn put(&mut self, key: K, value: V, weight: usize) {
        if weight > self.limit || self.values.contains_key(&key) {
            return;
        }
        self.weight += weight;
        self.order.push_back(key.clone());
        self.values.insert(key, (value, weight));
        while self.weight > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((_, weight)) = self.values.remove(&oldest) {
                self.weight -= weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_what_is_too_heavy_stays_out() {
        let mut kept = Bounded::new(10);
        for (key, weight) in [("a", 4), ("b", 4), ("a", 4), ("heavy", 11), ("c", 4)] {
            kept.put(key, weight, weight);
        }

        let found: Vec<_> = ["a", "b", "c", "heavy"].iter().filter(|key| kept.get(key).is_some()).collect();

        assert_eq!((found, kept.weight), (vec![&"b", &"c"], 8));
    }
}
