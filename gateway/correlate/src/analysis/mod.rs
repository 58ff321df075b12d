//! Why it varies, and what is different: the variance of an operation's time split among what it waits for, two traces or two
//! sets of traces compared, a version of a service against another.
//!
//! A question reads its traces once (`sample`) and keeps little of each (`digest`, `vocabulary`); log lines are read of a part of
//! them (`lines`, `code`). What is said of them is tested (`stats`, `with`). Plain data in and out; HTTP is the surface's.

mod analyst;
mod answer;
mod calls;
mod code;
pub mod compare;
mod digest;
mod lines;
mod options;
#[cfg(test)]
mod planted;
mod resources;
mod sample;
mod stats;
mod variance;
mod vocabulary;
mod with;

pub use analyst::{Analyst, VarianceQuestion};
pub use answer::{
    AttributeValue, CodeSeen, Contributor, Example, LinePattern, Others, Presence, Strength, Times, Variance,
};
pub use code::CodePlace;
pub use options::AnalysisOptions;
pub use stats::Test;
pub use vocabulary::{AttributeScope, Operation};
