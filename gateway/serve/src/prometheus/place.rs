//! Where the series of a selector are, where a metrics server is configured: one rule for queries, lists and exemplars.

use correlate::Exemplars;
use correlate::red::{only_name, owned};
use query::series_selectors::Selector;
use store::read::{Matcher, ReadError, SampleRead, Window};

use crate::State;
use crate::blocking::NotRead;

/// Where the series of a selector are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Here alone.
    Ours,
    /// There alone.
    Theirs,
    /// Some are here, others may be there, but none of these names.
    Both(Vec<String>),
}

impl Place {
    pub(super) fn of(samples: &dyn SampleRead, matchers: &[Matcher]) -> Result<Self, ReadError> {
        let owned = owned(samples, matchers)?;
        if only_name(matchers).is_some() && !owned.is_empty() {
            return Ok(Self::Ours);
        }
        let here = !owned.is_empty() || samples.any(matchers, Window::ALL)?;
        Ok(if here { Self::Both(owned) } else { Self::Theirs })
    }
}

/// What finds exemplars of these selectors: of what queries answer from here alone, the server's are left out.
pub(crate) async fn exemplars(
    state: &State,
    selectors: &[Selector],
) -> Result<Result<Exemplars, ReadError>, NotRead> {
    if state.prometheus.is_none() {
        return Ok(Ok(state.exemplars.clone()));
    }
    let samples = state.samples.clone();
    let all: Vec<Vec<Matcher>> = selectors.iter().map(|selector| selector.matchers.clone()).collect();
    let names = state.reads.run(move || {
        let each = all.iter().map(|matchers| owned(&*samples, matchers));
        each.collect::<Result<Vec<_>, _>>().map(|names| names.concat())
    });
    Ok(names.await?.map(|names| state.exemplars.owning(names)))
}
