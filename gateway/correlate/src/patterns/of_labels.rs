//! Spans that conditions on the labels of streams mean, too.

use parsers::record::{Labels, Resource, Workload};
use store::read::Matcher;

use crate::{LabelMapping, WorkloadField};

/// Conditions on labels, each with the field of a workload that its label carries.
#[derive(Debug, Default)]
pub(super) struct OfLabels<'a>(Vec<(WorkloadField, &'a Matcher)>);

impl<'a> OfLabels<'a> {
    /// The first label that spans have nothing like, if there is one.
    pub(super) fn new(matchers: &'a [Matcher], mapping: &LabelMapping) -> Result<Self, &'a str> {
        let field = |matcher: &'a Matcher| {
            let row = mapping.rows.iter().find(|(_, names)| names.contains(&matcher.name));
            row.map(|(field, _)| (*field, matcher)).ok_or(matcher.name.as_str())
        };
        matchers.iter().map(field).collect::<Result<_, _>>().map(Self)
    }

    /// Whether what the resource says meets all of them.
    pub(super) fn mean(&self, resource: &Resource) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let workload = Workload::from_resource(resource);
        self.0.iter().all(|(field, matcher)| {
            let value = field.of(&workload).unwrap_or_default();
            matcher.matches(&Labels::new([(matcher.name.as_str(), value)]))
        })
    }
}
