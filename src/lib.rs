//! fgd-sync keeps a Fabric GitOps Directory in Git and NetBox equal, both ways.
//!
//! There is one kind of work, a run on a target (repository and branch), whatever asked for it:
//!
//! | step | what happens | where |
//! |---|---|---|
//! | receive | verify, parse, reduce to hints; one atomic record; 202 | [`http`], [`webhook`], [`ledger`] |
//! | claim | lease on the target; what is pending becomes an immutable batch | [`ledger`], [`queue`] |
//! | gather | the three sides of every key in scope: base, Git, NetBox; the raw documents | [`run`], [`repo`], [`netbox`] |
//! | plan | pure: sides, raw documents and policy in; edits, writes, fates out | [`plan`] |
//! | apply | NetBox writes, then one commit by compare-and-swap | [`run`], [`netbox`], [`repo`] |
//! | settle | new base, per-item results, states of the jobs | [`run`], [`ledger`] |
//!
//! The planner is called again after each round of NetBox writes, with NetBox's answers among the sides; what is left
//! when it asks for no more writes is the commit. A run that was killed anywhere starts over and finds itself there.
//!
//! | module | knows | may import |
//! |---|---|---|
//! | [`domain`] | values: keys, documents, digests, fates, policies | nothing |
//! | [`config`] | settings from a file and the environment | `domain` |
//! | [`webhook`] | bytes of a delivery to our words | `domain` |
//! | [`plan`] | what brings both sides together | `domain` |
//! | [`validate`] | whether a cluster would take a document | `domain` |
//! | [`lint`] | local files, held to all of it without a server | `plan`, `validate`, `domain` |
//! | [`repo`] | repositories; kind `git` | `domain` |
//! | [`netbox`] | NetBox over REST, and its setup | `domain` |
//! | [`ledger`] | Redis: the truth | `domain` |
//! | [`run`] | gather, validate, apply and settle around the plan | `plan`, `validate`, `repo`, `netbox`, `ledger`, `domain` |
//! | [`queue`] | workers and schedules | `run`, `ledger`, `domain` |
//! | [`http`] | webhooks in, status API and dashboard out | `webhook`, `ledger`, `queue`, `domain` |
//! | [`telemetry`] | traces: spans, their way to a collector | `domain` |
//! | [`app`] | the composition root | all |

pub mod app;
pub mod config;
pub mod domain;
pub mod http;
pub mod ledger;
pub mod lint;
pub mod netbox;
pub mod plan;
pub mod queue;
pub mod repo;
pub mod run;
pub mod telemetry;
pub mod validate;
pub mod webhook;
