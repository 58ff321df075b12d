//! Whole-system tests, a module a promise. They boot the real program and the real servers round it; `tests/run` has them all
//! in place before.

#[cfg(test)]
mod absences;
#[cfg(test)]
mod agent;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod boards;
#[cfg(test)]
mod chart_values;
#[cfg(test)]
mod collect_model;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod elastic_apm;
#[cfg(test)]
mod first_light;
#[cfg(test)]
mod full;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod grafana;
#[cfg(test)]
mod grafana_schema;
#[cfg(test)]
mod grammars;
#[cfg(test)]
mod hostile_bodies;
#[cfg(test)]
mod hostile_queries;
#[cfg(test)]
mod image;
#[cfg(test)]
mod jaeger;
#[cfg(test)]
mod jaeger_surface;
#[cfg(test)]
mod join;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod line_metrics;
#[cfg(test)]
mod loki_push;
#[cfg(test)]
mod loki_surface;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod otlp_sdks;
#[cfg(test)]
mod own_metrics;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod prometheus_surface;
#[cfg(test)]
mod promql;
#[cfg(test)]
mod provision;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remote_write;
#[cfg(test)]
mod resent;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod sampling;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scrape;
#[cfg(test)]
mod security;
#[cfg(test)]
mod service_map;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tempo;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod zipkin;
#[cfg(test)]
mod zipkin_surface;
