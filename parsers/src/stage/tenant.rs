//! `tenant`: whom a line is sent for.

use super::config::TenantConfig;
use super::entry::Entry;

#[derive(Debug, Clone)]
pub(super) struct Tenant(TenantConfig);

impl Tenant {
    pub fn new(config: &TenantConfig) -> Result<Self, String> {
        let (TenantConfig::Label(text) | TenantConfig::Source(text) | TenantConfig::Value(text)) = config;
        if text.is_empty() {
            return Err("expected one of `label`, `source` and `value`, and not empty".into());
        }
        Ok(Self(config.clone()))
    }

    pub fn apply(&self, entry: &mut Entry) {
        let tenant = match &self.0 {
            TenantConfig::Label(name) => entry.labels.get(name),
            TenantConfig::Source(name) => entry.extracted.get(name),
            TenantConfig::Value(value) => Some(value.as_str()),
        };
        if let Some(tenant) = tenant.filter(|tenant| !tenant.is_empty()) {
            entry.tenant = Some(tenant.to_owned());
        }
    }
}
