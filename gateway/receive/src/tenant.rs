//! Who sends, where one gateway serves several: `X-Scope-OrgID`, a header of HTTP and metadata of gRPC, by which Loki, Tempo
//! and Mimir tell tenants apart. Here it is a field that every record keeps; a request that names tenants in that header
//! reads what is theirs.

use std::sync::Arc;

use axum::http::HeaderMap;
use parsers::otlp::add_to_resources;
use parsers::record::{Batch, TENANT, TENANT_LABEL};

use crate::trouble::Trouble;

/// The header.
const HEADER: &str = "x-scope-orgid";
/// Bytes of a name. What Loki and its kin take.
const MAX_BYTES: usize = 150;
/// What a name may hold besides letters and digits, as Loki and its kin have it. `|` would name several, which only readers
/// may.
const MARKS: &str = "!-_.*'()";

/// A tenant's name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant(Arc<str>);

impl Tenant {
    /// What a request's head says; an empty name is none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Trouble> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let bad = |what: &str| {
            let expected = format!("expected one name of up to {MAX_BYTES} letters, digits and {MARKS}");
            Err(Trouble::Malformed(format!("bad X-Scope-OrgID: {what}; {expected}")))
        };
        if values.any(|other| other != value) {
            return bad("several names");
        }
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || MARKS.as_bytes().contains(byte);
        match value.to_str().map(str::trim) {
            Ok("") => Ok(None),
            Ok("." | "..") => bad("it is a path"),
            Ok(name) if name.len() > MAX_BYTES => bad(&format!("{} bytes", name.len())),
            Ok(name) => match name.bytes().find(|byte| !allowed(byte)) {
                Some(byte) => bad(&format!("{:?} in it", char::from(byte))),
                None => Ok(Some(Self(name.into()))),
            },
            Err(_) => bad("it is no ASCII text"),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Notes the tenant with spans, as an attribute of their resource, and with samples, as a label. Log records have it among
    /// their metadata since they became rows.
    pub(crate) fn mark(&self, batch: &mut Batch) {
        add_to_resources(&mut batch.spans, |_| vec![(TENANT.to_owned(), self.0.to_string())]);
        let name: Arc<str> = TENANT_LABEL.into();
        for series in &mut batch.metrics.series {
            *series = Arc::new(series.with(Arc::clone(&name), Arc::clone(&self.0)));
        }
    }
}
