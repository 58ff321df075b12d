//! What Grafana demands of provisioning, checked on what is generated.
