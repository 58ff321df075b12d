//! `sampling`: keeps a share of the lines, chosen evenly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::pipeline::Flow;

#[derive(Debug, Clone)]
pub(super) struct Sampling {
    rate: f64,
    /// State of a linear generator; chance need not be unpredictable here. One for all containers: if each began anew, the
    /// first lines of all of them would meet the same fate.
    state: Arc<AtomicU64>,
    reason: Arc<str>,
}

/// Any odd number does.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

impl Sampling {
    pub fn new(rate: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&rate) {
            Ok(Self { rate, state: Arc::new(AtomicU64::new(SEED)), reason: "sampling_stage".into() })
        } else {
            Err(format!("expected a `rate` between 0 and 1, came {rate}"))
        }
    }

    pub fn apply(&self) -> Flow {
        let mut mixed = self.state.fetch_add(SEED, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let chance = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        if chance < self.rate { Flow::Next } else { Flow::Drop(Arc::clone(&self.reason)) }
    }
}
