//! Bodies that nobody should send: what real clients sent, changed in ways that a seed decides, given to the real receivers.
//!
//! `bodies` holds what was sent, `mutation` spoils it, [`Trial`] sends it and looks at the answer. A receiver may refuse whatever
//! it likes, in its protocol's words; it may not panic, answer 500, or hold more memory than its bounds allow.

mod bodies;
mod mutation;
mod otlp;
mod trial;

pub use trial::{Findings, Trial};
