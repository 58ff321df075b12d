//! The language by tables, and what holds for any text. That answers are Prometheus' own is checked against a real one, in
//! the whole-system tests; here is what that one does not know yet.

mod evaluation;
mod later;
mod parsing;
mod source;
