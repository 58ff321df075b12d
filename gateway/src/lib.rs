//! The binary's parts: command line, configuration, the one composition root, the demo and what a terminal shows.
//!
//! This is a library as well, so that the tests boot the real thing.

pub mod access;
pub mod agent;
mod answer_view;
mod apm_keys;
pub mod app;
mod arenas;
pub mod caller;
pub mod cli;
mod collected;
pub mod config;
pub mod demo;
pub mod doctor;
mod exposed;
pub mod feeds;
mod front;
mod line_metrics;
pub mod listener;
mod own_spans;
pub mod parse_view;
mod pattern_feed;
mod pods;
mod ports;
mod promtail_positions;
pub mod provision;
pub mod reload;
pub mod renewed;
mod scraped;
mod sinks;
mod sources;
mod span_metrics;
mod stalled;
pub mod telemetry;
mod terminal;
pub mod tls;
mod trace_view;
mod unread;
