//! What is different between two traces, two sets of traces, or versions of a service.

mod answer;
mod causes;
mod metrics;
mod pair;
mod question;
mod ranked;
mod repeats;
mod sets;
#[cfg(test)]
mod tests;
mod traffic;
mod versions;

pub use answer::{Comparison, Detail, Finding, FindingKind, Side, Significance, SpanPair, SpanSide, Unit};
pub use metrics::Metrics;
pub use question::{CompareQuestion, OTHERS, Selection};
pub(super) use sets::{duration, named};
pub use versions::{VersionFindings, VersionShare, Versions, VersionsQuestion};
