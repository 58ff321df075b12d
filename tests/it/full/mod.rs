//! Tests of clients that take minutes to build: `tests/run --full` has them built, and runs these.

use std::time::Duration;

mod chart;
mod collector;
mod go_clients;
mod image;
mod retries;

/// Collections a second apart and senders' pauses of seconds, on a machine that may be compiling.
const SOON: Duration = Duration::from_mins(1);
