//! Every key of the ledger.
//!
//! All begin with `{<prefix>}:`. The braces are Redis Cluster's hash tag: all keys of one ledger are in one slot, because
//! every script changes jobs, changes and due times together. One slot is enough: Redis takes more deliveries in a
//! second than NetBox sends in ten minutes. Several ledgers may share a server (or a cluster) by their prefixes.
//!
//! | key | type | holds | written by | goes |
//! |---|---|---|---|---|
//! | `meta` | hash | `layout`, `id` of the ledger, counters `seq`, `fence`, `id_ms`, `id_count`, `clock` as last noted | open, accept, claim | never |
//! | `job:<job>` | hash | `origin` (JSON), `created`, `updated`, `duplicates`, `state`, `part:<fabric>` (JSON), `alone` with the slot of what is claimed by itself, `trace` (the span it was accepted in) when it was traced | all but advance | with the retention |
//! | `jobs`, `jobs:fabric:<fabric>` | zset, by id | jobs | accept | with the job |
//! | `jobs:state:<state>`, `jobs:fabric_state:<state>:<fabric>` | zset, by id | jobs in that state | all but advance | with the job |
//! | `jobs:finished`, `jobs:dead` | zset, by time | jobs that the retention counts: dead ones by themselves | settle, claim, cancel, letters | with the job |
//! | `delivery:<sha256>` | string | the job of a dedupe text | accept | after 7 days |
//! | `servers` | hash | `repository:<name>` or `netbox:<name>` -> how many runs it takes at once, and a repository's host (JSON) | open | with the next settings |
//! | `at_work:<server>` | hash | target -> fence of the run on that server; counts while its lease lasts | claim, settle | with the run |
//! | `parked`, `parked:<server>` | set, zset by time | servers with targets in line; the targets, with when they were due | claim | when they have a place |
//! | `circuit:<server>` | hash | `failures` in a row, `error` and `problem` (JSON); while it is left alone `since`, `waits` | circuit | when a run got on with it |
//! | `broken` | zset, by time | servers that are left alone until then | circuit | as above |
//! | `pending:<fabric>` | hash | slot -> change (JSON, see `entry.rs`) | accept, settle, letters | when claimed |
//! | `pending_order:<fabric>` | zset, by sequence | slots, oldest first | as above | when claimed |
//! | `pending_jobs:<fabric>` | zset, by sequence | jobs that wait for the changes | as above | when claimed |
//! | `batch:<fabric>`, `batch_jobs:<fabric>` | as pending | what a run works on, frozen | claim | when settled |
//! | `batch_fabrics:<target>` | set | fabrics of the unsettled batch | claim | when settled |
//! | `fabric:<fabric>` | hash | `target`, debounce (`first`, `last`, `at_once`, `because`), back-off (`attempts`, `not_before`, `blocked`), `batch_of`, `alone`, `netbox`, `waits_for` (a server that is left alone) and `waits_to` (the last job that was told so), `error` (JSON), `last_sync`, `lag`, `head` (of its target, as far as it was dealt with for this fabric), `commit`, `committed`, `changed`, `rejected` (JSON), `adopt`, `new_history`, `compared` (JSON), `directory` (JSON), `shown` (JSON: what NetBox was told) | accept, claim, settle, advance | never |
//! | `target:<target>` | hash | `head`, `proposal` (JSON), `broken` (history, JSON), `fence`, `settled`; with a batch also `servers` (JSON), `batch`, `worker`, `run`, `because`, `claimed`, `lease_until` | claim, renew, settle, propose, history | never |
//! | `target_fabrics:<target>` | set | fabrics whose changes go there | accept | with its members |
//! | `due` | zset, by time | targets; one with an unsettled batch is due when its lease ends | all but advance | with nothing pending |
//! | `dead:<fence>:<fabric>`, `dead_jobs:<fence>:<fabric>` | as pending | a batch that was given up | settle, claim | when ended, or with its jobs |
//! | `dead_letter:<fence>:<fabric>` | hash | `target`, `died`, `attempts`, `run`, `error` (JSON), `code` of the error | settle, claim | as above |
//! | `dead_letters`, `dead_letters:fabric:<fabric>`, `dead_letters:code:<code>`, `dead_letters:fabric_code:<code>:<fabric>` | zset, by name | `<fence>:<fabric>`, the fence in 14 digits | settle, claim | as above |
//! | `paused` | hash | fabric, or the empty name for all -> time and note (JSON) | pause | when resumed |
//! | `run:<run>` | hash | `target`, `worker`, `because`, `started`, `ended`, `head`, `part:<fabric>` (JSON) | claim, settle | with the retention |
//! | `runs`, `runs:fabric:<fabric>` | zset, by time | runs | claim | with the run |
//! | `report:<run>:<fabric>` | string | report (JSON) | settle | with the run |
//! | `edits:<run>:<fabric>` | string | what a run changed in files (JSON) | keep_edits | after a week |
//! | `last_report:<fabric>` | string | report of the last run that was no dry run | settle | never |
//! | `base:<fabric>`, `intents:<fabric>`, `held:<fabric>` | hash | key (JSON) -> base, intent, reason (JSON) | advance | never |
//! | `conflicts:<fabric>`, `conflict_documents:<fabric>` | hash | key (JSON) -> conflict, its documents (JSON) | advance | when the sides are equal |
//! | `drift:<fabric>`, `drift_files:<fabric>` | hash | key, or path of a file that is no object (JSON) -> what differs (JSON) | advance | when the sides are equal |
//! | `resolutions:<fabric>` | hash | key (JSON) -> what a person decided (JSON) | resolve | when a run has applied it |
//! | `lost_edits:<fabric>` | hash | key (JSON) -> a user's edit that we overwrote (JSON) | advance | when somebody has dealt with it |
//! | `history:<fabric>:<key (JSON)>` | list | what happened to the object, newest first: `<time> <JSON>` | advance | beyond the newest 20, and with the retention |
//! | `remembered:<fabric>` | hash | raw document (JSON) -> fate (JSON) | advance | when its file leaves raw/ |
//! | `guarded:<fabric>`, `confirmed:<fabric>` | set | keys (JSON) | advance, confirm | when deleted |
//! | `deletions:<fabric>` | zset, by time | deleted keys | advance | after the window |
//! | `fabric_ids:<netbox>` | hash | plugin id -> fabric | learn | never |
//! | `change_logs` | hash | NetBox -> until when its change log was read, by its clock | note_change_log_read | never |
//! | `deliveries` | stream | `at`, and `origin` (JSON) and `job` (and `duplicate`), or `ignored` (JSON) | accept, ignore | beyond the newest 10,000 |
//! | `deliveries:ignored` | stream | as above, of ignored ones alone | ignore | beyond the newest 1,000 |
//! | `events` | stream | `kind`, `at` and what changed: see `events.rs` | all but advance | beyond the newest 20,000 or so |
//! | `request:<sha256>` | string | a write's digest and answer (JSON), by its Idempotency-Key | begin, finish | after a day |
//! | `session:<sha256>` | string | who signed in to the dashboard (JSON) | sign-in | after its length, or when signed out |
//! | `health` | hash | `repository:<name>` or `netbox:<name>` -> how it answered last (JSON) | health | never |
//! | `budgets` | hash | token and resource: JSON of what was left, and when | budget | a day after its last use |
//! | `budget:<token>` | hash | `<resource>_until`, `<resource>_left`, `paused_until`, `strikes`, `next_write` | budget | a day after its last use |
//! | `turns` | hash | schedule -> time of the last turn | turn | never |
//!
//! `<target>` is `repository@branch`. `<server>` is `repository:<name>`, `netbox:<name>` or, where repositories have one,
//! `host:<host>`. Times are milliseconds since 1970 by Redis's clock. A sequence number is one
//! accept's, so the order of changes is that of accepts.

use super::Error;

/// Replicas of one layout work side by side, whatever their versions: that is what a rolling upgrade does. Another layout
/// is refused at the start. 1 is the first release's.
///
/// What leaves the layout as it is: a new key; a new field of a record, if whoever does not know it may leave it out and
/// may drop it when it writes the record (the loss costs another comparison at most). Fields that are not known are passed
/// over. What needs a new layout: a new word where there is a list of words (a kind of change, a state, a fate), another
/// type, another meaning; and whatever all replicas count by (`at_work`, `circuit`, `broken`): a replica that does not write
/// it would not be counted, and to find its runs by looking at every target would make each claim as long as their list.
pub(super) const LAYOUT: u32 = 1;
/// How long a repeated delivery is recognised: as long as GitHub lets one be sent again by hand, and more.
pub(super) const DELIVERY_DAYS: u64 = 7;
/// Events that a listener can come back to.
pub(super) const MOST_EVENTS: usize = 20_000;
/// Deliveries in the log of all.
pub(super) const MOST_DELIVERIES: usize = 10_000;
/// Deliveries in the log of ignored ones.
pub(super) const MOST_IGNORED: usize = 1_000;

/// Spells keys with the ledger's prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// Refuses a prefix that would break the hash tag.
    pub(super) fn new(prefix: &str) -> Result<Self, Error> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(Error::Settings { detail: format!("`{prefix}` is no prefix: it is empty or has a brace") });
        }
        Ok(Self { prefix: format!("{{{prefix}}}:") })
    }

    /// What scripts put before every key.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key without a variable part.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A key of one thing.
    pub(super) fn of(&self, name: &str, of: impl std::fmt::Display) -> String {
        format!("{}{name}:{of}", self.prefix)
    }
}
