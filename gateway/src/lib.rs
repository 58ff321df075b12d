//! The binary's parts: command line, configuration, the one composition root, the demo and what a terminal shows.
//!
//! This is a library as well, so that the tests boot the real thing.

pub mod demo;
pub mod listener;
pub mod telemetry;
