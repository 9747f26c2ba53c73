//! The integration tests: one binary, real Redis, real Git server, strict stand-ins.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod adoption;
mod api;
mod borders;
mod catch_up;
mod circuits;
mod cli;
mod codes;
mod conflicts;
mod dashboard;
mod deploy;
mod drift;
mod fabric_status;
mod fake_github;
mod flows;
mod github;
mod github_setup;
mod history;
mod incomplete;
mod journal;
mod large_fabrics;
mod ledger;
mod lint;
mod more_kinds;
mod neighbours;
mod netbox_client;
mod objects;
mod onboarding;
mod outages;
mod plugin;
mod private_networks;
mod proposals;
mod queue;
mod receive;
mod repository_contract;
mod rollback;
mod settings;
mod status_api;
mod storm;
mod telemetry;
mod tls;
mod validation;

#[path = "../support/mod.rs"]
mod support;
