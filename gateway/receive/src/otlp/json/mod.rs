//! OTLP/JSON to OTLP protobuf, driven by the tables of `schema`, with the tolerances that senders in the field need: null
//! is absent, enums by number or name, numbers as strings, `"NaN"`, whole doubles as integers, both base64 alphabets,
//! unknown keys. What cannot be read spoils its record alone; only text that is not JSON fails the request.

mod scalar;
mod schema;
mod visit;

use parsers::otlp::Rejections;
use serde::de::DeserializeSeed;

use super::Signal;
use crate::trouble::Trouble;

/// Rewrites a request. Records left out are counted.
pub(super) fn to_protobuf(signal: Signal, body: &[u8]) -> Result<(Vec<u8>, Rejections), Trouble> {
    let message = match signal {
        Signal::Traces => &schema::TRACES,
        Signal::Logs => &schema::LOGS,
        Signal::Metrics => &schema::METRICS,
    };
    let mut state = visit::State::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let bad = |error: serde_json::Error| Trouble::Malformed(format!("bad JSON: {error}"));
    visit::Root { message, state: &mut state }.deserialize(&mut json).map_err(bad)?;
    json.end().map_err(bad)?;
    if state.spoilt {
        return Err(Trouble::Malformed(
            "a resource, scope or list is not what OTLP/JSON has there".to_owned(),
        ));
    }
    Ok((state.out, state.rejections))
}
