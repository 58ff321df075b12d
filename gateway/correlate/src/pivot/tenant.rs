//! Whose records an answer holds: of one tenant alone.

use std::collections::BTreeSet;

use parsers::record::{Labels, LogRecord, Resource, TENANT, Value, attribute};

/// The label by which series say whose they are.
const SERIES_LABEL: &str = "__tenant_id__";

/// What the names of series begin with that are counted here of spans: those say whose they are.
const COUNTED: [&str; 2] = ["traces_span", "traces_service_graph"];

/// Where series come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesFrom {
    /// This store, where all that were received say whose they are.
    Received,
    /// This store, where some were scraped.
    Stored,
    /// Another server.
    Elsewhere,
}

impl SeriesFrom {
    /// Whether a series without a tenant is of none.
    fn tells(self, labels: &Labels) -> bool {
        let name = labels.get("__name__").unwrap_or_default();
        match self {
            Self::Received => true,
            Self::Stored => COUNTED.iter().any(|start| name.starts_with(start)),
            Self::Elsewhere => false,
        }
    }
}

/// Lets in records of one tenant: the one that is named, or that of the first record.
#[derive(Debug, Clone, Default)]
pub(super) struct OneTenant {
    /// Once it is known.
    decided: Option<Option<String>>,
    /// Those that were kept out.
    others: BTreeSet<String>,
    /// Nothing else is read anyway, and series do not say it.
    narrowed: bool,
}

impl OneTenant {
    pub(super) fn named(tenant: Option<String>, narrowed: bool) -> Self {
        Self { decided: tenant.map(Some), others: BTreeSet::new(), narrowed }
    }

    /// Whether a record of this tenant belongs here.
    pub(super) fn lets_in(&mut self, tenant: Option<&str>) -> bool {
        let decided = self.decided.get_or_insert_with(|| tenant.map(str::to_owned));
        let same = decided.as_deref() == tenant;
        if !same && !self.others.contains(tenant.unwrap_or("(none)")) {
            self.others.insert(tenant.unwrap_or("(none)").to_owned());
        }
        same
    }

    pub(super) fn lets_in_span(&mut self, resource: &Resource) -> bool {
        self.lets_in(of_resource(resource))
    }

    pub(super) fn lets_in_line(&mut self, record: &LogRecord) -> bool {
        self.lets_in(of_record(record))
    }

    /// Series that were scraped, and those of another server, may not say whose they are.
    pub(super) fn lets_in_series(&mut self, labels: &Labels, from: SeriesFrom) -> bool {
        let tenant = labels.get(SERIES_LABEL);
        if tenant.is_none() && (self.narrowed || !from.tells(labels)) {
            return true;
        }
        self.lets_in(tenant)
    }

    /// The tenant, if there is one.
    pub(super) fn name(&self) -> Option<&str> {
        self.decided.as_ref().and_then(|tenant| tenant.as_deref())
    }

    /// What a reader has to know.
    pub(super) fn warning(&self) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let others = self.others.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!(
            "records of other tenants ({others}) are left out: an answer is of one tenant, which `tenant` names"
        ))
    }
}

pub(super) fn of_resource(resource: &Resource) -> Option<&str> {
    attribute(&resource.attributes, TENANT).and_then(Value::as_str)
}

fn of_record(record: &LogRecord) -> Option<&str> {
    record.metadata.iter().find(|(name, _)| name == TENANT).map(|(_, value)| value.as_str())
}
