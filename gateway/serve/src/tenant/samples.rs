//! Samples and exemplars of some tenants. Whose a series is is one of its labels, which a tenant that asks for its own is not
//! shown.

use std::sync::Arc;

use parsers::record::{Labels, MetricMeta};
use store::read::{
    ExemplarLimits, ExemplarRead, Matcher, ReadError, SampleLimits, SampleRead, SeriesSamples,
    StoredExemplars, Window,
};

use super::Tenants;

/// Of the inner ones, those of the tenants' series.
pub(super) struct Of<T: ?Sized> {
    pub(super) inner: Arc<T>,
    pub(super) tenants: Tenants,
}

impl<T: ?Sized> Of<T> {
    fn narrowed(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        matchers.iter().chain([&self.tenants.matcher.0]).cloned().collect()
    }

    fn each_narrowed(&self, selectors: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
        selectors.iter().map(|matchers| self.narrowed(matchers)).collect()
    }
}

impl SampleRead for Of<dyn SampleRead> {
    fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let mut found = self.inner.select(&self.narrowed(matchers), window, limits)?;
        for series in &mut found {
            series.labels = self.tenants.shown(std::mem::take(&mut series.labels));
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    fn label_sets(&self, selectors: &[Vec<Matcher>], window: Window) -> Result<Vec<Arc<Labels>>, ReadError> {
        let all = [Vec::new()];
        let selectors = if selectors.is_empty() { &all } else { selectors };
        let found = self.inner.label_sets(&self.each_narrowed(selectors), window)?;
        let mut found: Vec<Arc<Labels>> =
            found.into_iter().map(|labels| self.tenants.shown(labels)).collect();
        found.sort();
        Ok(found)
    }

    fn any(&self, matchers: &[Matcher], window: Window) -> Result<bool, ReadError> {
        self.inner.any(&self.narrowed(matchers), window)
    }

    /// Families of which the tenants have series.
    fn metadata(&self) -> Result<Vec<MetricMeta>, ReadError> {
        let mut said = self.inner.metadata()?;
        if !said.is_empty() {
            let names = self.label_values("__name__", &[], Window::ALL)?;
            said.retain(|meta| names.iter().any(|name| name.starts_with(&*meta.name)));
        }
        Ok(said)
    }
}

impl ExemplarRead for Of<dyn ExemplarRead> {
    fn stored_exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: ExemplarLimits,
    ) -> Result<StoredExemplars, ReadError> {
        let mut found = self.inner.stored_exemplars(&self.each_narrowed(selectors), window, limits)?;
        for exemplar in &mut found.exemplars {
            exemplar.series = self.tenants.shown(std::mem::take(&mut exemplar.series));
        }
        Ok(found)
    }
}
