//! Tests of clients that take minutes to build: `tests/run --full` has them built, and runs these.

mod collector;
mod go_clients;
