//! The webhooks, through the real server into a real Redis.

mod github;
mod netbox;
mod secrets;
pub mod service;
