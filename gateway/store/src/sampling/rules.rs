//! The rules of sampling, and what they decide of a trace. How spans are compared with them is in `conditions`.

use std::sync::Arc;
use std::time::Duration;

use super::summary::Summary;

/// Spans of one trace come within seconds of each other: exporters send every five, a slow one or a retry takes some more.
pub const WAIT: Duration = Duration::from_secs(30);
/// Rules that a trace may be compared with, each a bit of what is held of an undecided trace.
pub const MAX_RULES: usize = 32;
/// Conditions on spans of all rules together, each a bit of what a span meets.
pub const MAX_CONDITIONS: usize = 64;

/// Sampling of whole traces, after they were received.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingOptions {
    /// A trace is decided when no span of it has come for so long.
    pub wait: Duration,
    /// The first whose condition a trace meets decides it; a trace that meets none is kept. At most [`MAX_RULES`], with at most
    /// [`MAX_CONDITIONS`] on spans: what is over is never met.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What look-ups call it.
    pub name: Arc<str>,
    /// Which traces it decides.
    pub when: When,
    /// How many of them stay.
    pub keep: KeepTraces,
}

/// What a trace must be like; all that is said must hold, and nothing said holds always.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct When {
    /// Whether some span failed.
    pub error: Option<bool>,
    /// From the first start to the last end of its spans it took longer.
    pub slower_than: Option<Duration>,
    /// Some span is of this service...
    pub service: Option<ValueMatch>,
    /// ...and that span has all of these attributes, its own or its resource's.
    pub attributes: Vec<(String, ValueMatch)>,
}

impl When {
    /// Whether every trace meets it.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }

    /// How many conditions a span has to meet.
    pub fn span_conditions(&self) -> usize {
        usize::from(self.service.is_some()) + self.attributes.len()
    }
}

/// How a value is compared. Numbers and truth values compare as they are written.
#[derive(Debug, Clone)]
pub enum ValueMatch {
    /// Equal to the byte.
    Equal(String),
    /// Matches from the first character to the last.
    Regex(Pattern),
}

/// A regular expression, anchored on both ends.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    compiled: regex::Regex,
}

impl Pattern {
    /// Anchors and compiles it; an error says what is wrong with it.
    pub fn new(written: &str) -> Result<Self, regex::Error> {
        let compiled = regex::Regex::new(&format!("^(?:{written})$"))?;
        Ok(Self { written: written.to_owned(), compiled })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl ValueMatch {
    /// Whether a value is meant.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => wanted == value,
            Self::Regex(pattern) => pattern.compiled.is_match(value),
        }
    }
}

impl PartialEq for ValueMatch {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Equal(a), Self::Equal(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// How many of the traces that a rule decides stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KeepTraces {
    /// This share of them, 0 to 1, told by the id alone: every replica says the same, in whichever spelling it has the id.
    Share(f64),
    /// So many a second; a second's worth may come at once.
    PerSecond(f64),
}

/// What is said of one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the rule that decided; `None` if it met no rule.
    pub rule: Option<usize>,
    /// Whether it stays.
    pub keep: bool,
}

/// Rules that decide, with what those that count have counted.
#[derive(Debug)]
pub struct Judge {
    rules: Vec<Rule>,
    buckets: Vec<Bucket>,
}

/// What a rate has left.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: u64,
}

impl Judge {
    /// With a second's worth left to each rate.
    pub fn new(rules: &[Rule]) -> Self {
        let rules: Vec<Rule> = rules.iter().take(MAX_RULES).cloned().collect();
        let full = |rule: &Rule| match rule.keep {
            KeepTraces::PerSecond(rate) => rate.max(1.0),
            KeepTraces::Share(_) => 0.0,
        };
        let buckets = rules.iter().map(|rule| Bucket { left: full(rule), at: 0 }).collect();
        Self { rules, buckets }
    }

    /// Decides a trace by its low 64 bits and what its spans say together.
    pub fn decide(&mut self, low64: u64, trace: &Summary, now: u64) -> Verdict {
        let met = |(number, rule): (usize, &Rule)| {
            let when = &rule.when;
            let duration = trace.last_end.saturating_sub(trace.first_start);
            when.error.is_none_or(|error| error == trace.error)
                && when.slower_than.is_none_or(|limit| u128::from(duration) > limit.as_nanos())
                && (when.span_conditions() == 0 || trace.met >> number & 1 == 1)
        };
        let Some(number) = self.rules.iter().enumerate().position(met) else {
            return Verdict { rule: None, keep: true };
        };
        let keep = match self.rules.get(number).map(|rule| rule.keep) {
            Some(KeepTraces::Share(share)) => is_in_share(low64, share),
            Some(KeepTraces::PerSecond(rate)) => {
                self.buckets.get_mut(number).is_none_or(|bucket| bucket.take(rate, now))
            }
            None => true,
        };
        Verdict { rule: Some(number), keep }
    }
}

impl Bucket {
    fn take(&mut self, rate: f64, now: u64) -> bool {
        if self.at > 0 {
            let passed = now.saturating_sub(self.at) as f64 / 1e9;
            self.left = (self.left + passed * rate).min(rate.max(1.0));
        }
        self.at = now.max(self.at);
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }
}

/// Whether an id is among this share of all. The mixing must never change: replicas and restarts agree by it.
fn is_in_share(low64: u64, share: f64) -> bool {
    let mut hash = low64.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    // 53 bits are all that a double tells apart.
    ((hash >> 11) as f64) < share * (1u64 << 53) as f64
}
