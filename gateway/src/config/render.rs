//! The effective configuration as YAML, which [`super::load`] reads back to the same settings.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::node::{Kind, Node, Place};
use super::{Config, Receive, known};

/// Stands where a secret is.
pub(super) const HIDDEN: &str = "(not shown)";

/// Every setting with its value, defaults included.
pub fn render(config: &Config) -> String {
    let mut out = String::new();
    let _ = write_config(&mut out, config);
    out
}

fn write_config(out: &mut String, config: &Config) -> std::fmt::Result {
    config.server.render(out)?;
    if let Some(access) = &config.access {
        access.render(out)?;
    }
    let store = &config.store;
    writeln!(out, "store:\n  dir: {}", quoted(&store.dir.display().to_string()))?;
    writeln!(
        out,
        "  retention: {{logs: {}, traces: {}, metrics: {}}}",
        duration(store.logs),
        duration(store.traces),
        duration(store.metrics)
    )?;
    writeln!(
        out,
        "  max_bytes: {}\n  max_series: {}\n  out_of_order: {}\n  head_bytes: {}\n  sync: {}",
        store.max_bytes,
        store.samples.max_series,
        duration(store.samples.out_of_order),
        store.head_bytes,
        store.sync.map_or("batch".into(), duration)
    )?;
    writeln!(out, "collect:\n  files:")?;
    for files in &config.collect.files {
        writeln!(out, "    - path: {}", quoted(&files.path))?;
        for (key, text) in &files.written {
            writeln!(out, "      {key}: {text}")?;
        }
    }
    writeln!(out, "  redact: {}", config.collect.redact)?;
    writeln!(out, "  exclude: {}", list(&config.collect.exclude))?;
    if config.collect.stdin.is_given() {
        writeln!(out, "  stdin:")?;
        config.collect.stdin.render("    ", out);
    }
    if let Some(journal) = &config.collect.journal {
        writeln!(out, "  journal:")?;
        journal.render("    ", out);
    }
    if !config.collect.syslog.is_empty() {
        writeln!(out, "  syslog:")?;
        config.collect.syslog.iter().for_each(|source| source.render("    ", out));
    }
    writeln!(out, "  positions_dir: {}", quoted(&config.collect.positions_dir.display().to_string()))?;
    if let Some(file) = &config.collect.import_positions {
        writeln!(out, "  import_positions: {}", quoted(&file.display().to_string()))?;
    }
    if let Some(node) = &config.collect.node {
        writeln!(out, "  node: {}", quoted(node))?;
    }
    config.collect.kubernetes.render(out);
    writeln!(out, "derive:\n  rules:{}", if config.rules.is_empty() { " []" } else { "" })?;
    for rule in &config.rules {
        writeln!(out, "    - {{name: {}, regex: {}}}", quoted(&rule.name), quoted(&rule.regex))?;
    }
    if let Some(ship) = &config.ship {
        let key = super::ship::PROTOCOLS.iter().find(|(_, protocol)| *protocol == ship.protocol);
        let key = key.map_or("otlp", |(key, _)| *key);
        writeln!(
            out,
            "ship:\n  {key}:\n    url: {}\n    timeout: {}\n    request_bytes: {}\n    in_flight_bytes: {}",
            quoted(&shown(&ship.url)),
            duration(ship.timeout),
            ship.request_bytes,
            ship.in_flight_bytes
        )?;
        headers(out, "    ", &ship.headers)?;
        known::render_certificates(out, "    ", &ship.certificates);
        known::render_credentials(out, "    ", ship.credentials.as_ref());
    }
    receive(out, &config.receive)?;
    if let Some(options) = &config.sampling {
        super::sampling::render(options, out)?;
    }
    config.metrics_from_spans.render(out)?;
    config.scrape.render(out);
    if let Some(prometheus) = &config.prometheus {
        writeln!(out, "upstream:\n  prometheus:\n    url: {}", quoted(&shown(&prometheus.url)))?;
        writeln!(out, "    timeout: {}", duration(prometheus.timeout))?;
        headers(out, "    ", &prometheus.headers)?;
        known::render_certificates(out, "    ", &prometheus.certificates);
        known::render_credentials(out, "    ", prometheus.credentials.as_ref());
        writeln!(out, "    labels:")?;
        for (key, field) in super::WORKLOAD_FIELDS {
            writeln!(out, "      {key}: {}", list(prometheus.labels.names(field)))?;
        }
    }
    Ok(())
}

fn receive(out: &mut String, receive: &Receive) -> std::fmt::Result {
    let port =
        |address: Option<SocketAddr>| address.map_or("null".into(), |address| quoted(&address.to_string()));
    let otlp = &receive.otlp;
    writeln!(
        out,
        "receive:\n  otlp:\n    grpc: {}\n    http: {}\n    tls: {}\n    max_body_bytes: {}",
        port(otlp.grpc),
        port(otlp.http),
        otlp.tls,
        otlp.max_body_bytes
    )?;
    let promoted: Vec<String> = otlp.promoted.attributes().map(str::to_owned).collect();
    writeln!(out, "    promote_resource_attributes: {}", list(&promoted))?;
    writeln!(out, "  zipkin:\n    http: {}\n    tls: {}", port(receive.zipkin.http), receive.zipkin.tls)?;
    writeln!(out, "    max_body_bytes: {}", receive.zipkin.max_body_bytes)?;
    let jaeger = &receive.jaeger;
    writeln!(out, "  jaeger:\n    http: {}\n    grpc: {}", port(jaeger.http), port(jaeger.grpc))?;
    writeln!(
        out,
        "    udp_compact: {}\n    udp_binary: {}",
        port(jaeger.udp_compact),
        port(jaeger.udp_binary)
    )?;
    writeln!(out, "    sampling: {}\n    tls: {}", port(jaeger.sampling), jaeger.tls)?;
    writeln!(out, "    max_body_bytes: {}", jaeger.max_body_bytes)?;
    let elastic = &receive.elastic_apm;
    writeln!(out, "  elastic_apm:\n    http: {}\n    tls: {}", port(elastic.http), elastic.tls)?;
    writeln!(out, "    max_body_bytes: {}", elastic.max_body_bytes)?;
    let files = [("secret_token", &elastic.secret_token_file), ("api_keys", &elastic.api_keys_file)];
    for (key, file) in files {
        if let Some(file) = file {
            writeln!(out, "    {key}_file: {}", quoted(&file.display().to_string()))?;
        }
    }
    if elastic.secret_token.is_some() {
        writeln!(out, "    secret_token: {}", quoted(HIDDEN))?;
    }
    let hidden: Vec<String> = elastic.api_keys.iter().map(|_| "hidden:key".to_owned()).collect();
    writeln!(out, "    api_keys: {}", list(&hidden))?;
    writeln!(out, "    agents:{}", if elastic.agents.is_empty() { " []" } else { "" })?;
    for agent in &elastic.agents {
        let settings: Vec<String> = agent
            .settings
            .iter()
            .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
            .collect();
        write!(out, "      - {{settings: {{{}}}", settings.join(", "))?;
        for (key, value) in [("service", &agent.service), ("environment", &agent.environment)] {
            if let Some(value) = value {
                write!(out, ", {key}: {}", quoted(value))?;
            }
        }
        writeln!(out, "}}")?;
    }
    for (key, receiver) in [("loki_push", &receive.loki_push), ("remote_write", &receive.remote_write)] {
        writeln!(out, "  {key}:\n    max_body_bytes: {}", receiver.max_body_bytes)?;
    }
    writeln!(out, "  pods: {}", receive.pods.map_or("auto".to_owned(), |pods| pods.to_string()))
}

/// A tree in one line.
pub(super) fn flow(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Scalar(text) => quoted(text),
        Kind::List(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            let pair = |(key, _, node): &(String, Place, Node)| format!("{}: {}", quoted(key), flow(node));
            format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A URL with its password, if it has one, hidden.
pub(super) fn shown(url: &str) -> String {
    let hidden = reqwest::Url::parse(url).ok().filter(|url| url.password().is_some()).and_then(|mut url| {
        url.set_password(Some("***")).ok()?;
        Some(url.into())
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

/// Header values may be secrets: only their names are shown.
fn headers(out: &mut String, indent: &str, headers: &[(String, String)]) -> std::fmt::Result {
    if headers.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = headers.iter().map(|(name, _)| format!("{}: '***'", quoted(name))).collect();
    writeln!(out, "{indent}headers: {{{}}}", names.join(", "))
}

pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

/// As YAML quotes a text: single quotes hold anything but control characters, for which there are escapes in double ones.
pub(super) fn quoted(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The largest unit that divides.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis > 0 && millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis}ms")
}
