//! How many of a container's requests send spans: the lines of the others must not be given to those that do.
//!
//! What spans say of their sampler and lines with ids whose traces have no spans tell the share; where neither does, what lines
//! say tells it (see [`super::writers`]), and until then it is what services usually are set to.

use super::OfTrace;

/// Shares that are considered, with how probable each is before anything is known: one service of two sends spans of all.
pub(super) const SHARES: [(f64, f64); 9] = [
    (0.995, 0.5),
    (0.9, 0.07),
    (0.7, 0.07),
    (0.5, 0.07),
    (0.3, 0.07),
    (0.2, 0.07),
    (0.1, 0.07),
    (0.05, 0.05),
    (0.02, 0.03),
];
/// For how many requests, of which it is known whether they sent spans, a share counts that a sampler states: rules and parents
/// decide otherwise for some.
const STATED: f64 = 20.0;

/// What is known of requests: how many sent spans, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sampled {
    pub(super) with: f64,
    pub(super) without: f64,
}

impl Sampled {
    /// What the spans of a trace say of the sampler that chose it.
    pub(super) fn stated(trace: &OfTrace<'_>) -> Self {
        let spans = || trace.nodes.iter().map(|node| &node.span);
        let by_state = spans().find_map(|span| of_state(&span.trace_state));
        let by_sampler = || {
            spans().find_map(|span| {
                let value = |key| parsers::record::attribute(&span.attributes, key);
                let kind = value("sampler.type")?.as_str()?;
                (kind == "probabilistic").then(|| number(value("sampler.param")?)).flatten()
            })
        };
        let share = by_state.or_else(by_sampler).filter(|share| *share > 0.0 && *share <= 1.0);
        share.map_or(Self::default(), |share| Self { with: STATED * share, without: STATED * (1.0 - share) })
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { with: self.with + other.with, without: self.without + other.without }
    }

    /// Logarithms of how probable each share is, less a constant.
    pub(super) fn logs(self) -> [f64; SHARES.len()] {
        SHARES.map(|(share, before)| before.ln() + self.with * share.ln() + self.without * (1.0 - share).ln())
    }
}

fn number(value: &parsers::record::Value) -> Option<f64> {
    match value {
        parsers::record::Value::Double(share) => Some(*share),
        parsers::record::Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}

/// The share that a `tracestate` tells: OpenTelemetry's rejection threshold (`ot=th:c`) or power (`ot=p:3`), Elastic's rate
/// (`es=s:0.2`).
fn of_state(state: &str) -> Option<f64> {
    let members = state.split(',').filter_map(|member| member.trim().split_once('='));
    let mut told = members.flat_map(|(vendor, fields)| {
        fields.split(';').filter_map(move |field| Some((vendor, field.split_once(':')?)))
    });
    told.find_map(|(vendor, (key, value))| match (vendor, key) {
        ("ot", "th") if (1..=14).contains(&value.len()) => {
            let threshold = u64::from_str_radix(value, 16).ok()? << (4 * (14 - value.len()));
            Some(1.0 - threshold as f64 / (1u64 << 56) as f64)
        }
        ("ot", "p") => Some(0.5f64.powi(value.parse::<u8>().ok()?.into())),
        ("es", "s") => value.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
