//! What whole-system tests and benchmarks share: corpora, and a harness that boots the real gateway and the servers round it.

pub mod corpus;
pub mod harness;
pub mod hostile;
pub mod join;
pub mod node;
pub mod program;
pub mod shop;
