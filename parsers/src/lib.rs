//! Bytes in, records out.
//!
//! This crate holds the domain model that all else speaks ([`record`]), what a container runtime wraps round a line
//! ([`container`]), the formats of a host's own logs ([`journal`], [`syslog`]), the log formats ([`mod@line`]), the stages that a configuration puts lines through ([`stage`]), the
//! rules that find ids ([`derived`]), the pages on which programs show their metrics ([`exposition`]) and the walk over OTLP protobuf (`otlp`). It does no I/O, knows no clock and no other
//! crate of ours. Every parser is total: any bytes give records and noted problems, never an error that stops a file or a
//! request, and never a panic.

pub mod container;
pub mod derived;
pub mod exposition;
pub mod journal;
pub mod line;
pub mod otlp;
pub mod pattern;
pub mod record;
pub mod stack;
pub mod stage;
pub mod syslog;
