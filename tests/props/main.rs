//! Properties of the pure planner, over arbitrary bytes and over a model of both sides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod merge;
mod model;
mod raw;
mod readers;
mod render;
mod runs;
