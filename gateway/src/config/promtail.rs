//! A Promtail configuration in, a Trefoil configuration out, with a note on everything that has no counterpart. Stages and
//! relabelling rules are the same in both, so they are carried over as they are written.

use std::fmt::Write as _;

use super::node::{Kind, Node, Place};
use super::reader::Mistake;
use super::render::{flow, quoted};
use super::{load, stages};

/// Where pods' logs are when Promtail found them through the Kubernetes API.
const POD_LOGS: &str = "/var/log/pods/*/*/*.log";
/// Labels that are metadata here: ids make a stream of every request.
const IDS: [&str; 6] = ["trace_id", "traceID", "traceId", "span_id", "spanID", "spanId"];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The new configuration.
    pub yaml: String,
    /// What was left out or changed, each with its line in the old one.
    pub notes: Vec<String>,
}

/// Converts; an error when the text is no YAML, or not a mapping.
pub fn from_promtail(text: &str, name: &str) -> Result<Converted, String> {
    let root: Node = serde_saphyr::from_str(text).map_err(|error| format!("{name}: {error}"))?;
    let Kind::Map(entries) = &root.kind else {
        return Err(format!("{name}: expected a mapping, came {}", root.kind.describe()));
    };
    let mut work = Work::default();
    let (mut server, mut ship, mut positions) = (String::new(), String::new(), None);
    // Labels of the clients belong to every file, so clients are read first.
    for (key, place, node) in entries {
        match key.as_str() {
            "client" => work.client(node, &mut ship),
            "clients" => {
                for (at, client) in node.list().iter().enumerate() {
                    if at == 0 {
                        work.client(client, &mut ship);
                    } else {
                        work.note(
                            &client.place,
                            "clients",
                            "an agent ships to one server: this one is left out",
                        );
                    }
                }
            }
            "server" => work.server(node, &mut server),
            "positions" => positions = node.get("filename").and_then(Node::text).map(str::to_owned),
            "scrape_configs" => {}
            _ => work.note(place, key, "has no counterpart"),
        }
    }
    for job in root.get("scrape_configs").map(Node::list).unwrap_or_default() {
        work.job(job);
    }
    let mut yaml = server;
    yaml.push_str("collect:\n");
    match work.files.as_str() {
        "" => yaml.push_str("  files: []\n"),
        files => yaml.push_str(&format!("  files:\n{files}")),
    }
    if !work.exclude.is_empty() {
        yaml.push_str(&format!("  exclude: [{}]\n", work.exclude.join(", ")));
    }
    yaml.push_str(&work.journal);
    if !work.syslog.is_empty() {
        yaml.push_str(&format!("  syslog:\n{}", work.syslog));
    }
    yaml.push_str("  positions_dir: /var/lib/trefoil\n");
    if let Some(file) = positions {
        yaml.push_str(&format!("  import_positions: {}\n", quoted(&file)));
    }
    yaml.push_str(&ship);
    let mut notes: Vec<String> = work.notes.iter().map(|note| format!("{name}:{note}")).collect();
    if let Err(mistakes) = load(&yaml, "the new file", []) {
        notes.extend(mistakes.iter().map(|mistake: &Mistake| mistake.to_string()));
    }
    Ok(Converted { yaml, notes })
}

#[derive(Default)]
struct Work {
    notes: Vec<String>,
    files: String,
    journal: String,
    syslog: String,
    exclude: Vec<String>,
    /// Labels that every stream has, as relabelling rules.
    labels: Vec<String>,
}

impl Work {
    fn note(&mut self, place: &Place, key: &str, what: &str) {
        let line = match place {
            Place::Line(line) => *line,
            Place::Variable(_) => 0,
        };
        self.notes.push(format!("{line}: {key}: {what}"));
    }

    /// Notes the keys of a mapping that are not among those known.
    fn rest(&mut self, node: &Node, path: &str, known: &[&str]) {
        for (key, place, _) in node.entries() {
            if !known.contains(&key.as_str()) {
                self.note(place, &format!("{path}.{key}"), "has no counterpart");
            }
        }
    }

    fn server(&mut self, node: &Node, out: &mut String) {
        self.rest(node, "server", &["http_listen_port", "http_listen_address", "disable"]);
        let port = node.get("http_listen_port").and_then(Node::text).unwrap_or("80");
        let address = node.get("http_listen_address").and_then(Node::text).unwrap_or("0.0.0.0");
        // Port 0 and a server that is off both mean that nobody needs to find it.
        let address = if port == "0" { "127.0.0.1:0".to_owned() } else { format!("{address}:{port}") };
        let _ = writeln!(out, "server:\n  listen: {}", quoted(&address));
    }

    fn client(&mut self, node: &Node, out: &mut String) {
        let known = [
            "url",
            "headers",
            "tenant_id",
            "basic_auth",
            "bearer_token",
            "bearer_token_file",
            "timeout",
            "tls_config",
            "external_labels",
        ];
        self.rest(node, "clients", &known);
        out.push_str("ship:\n  loki:\n");
        for (from, to) in [
            ("url", "url"),
            ("headers", "headers"),
            ("tenant_id", "tenant"),
            ("basic_auth", "basic_auth"),
            ("bearer_token", "bearer_token"),
            ("bearer_token_file", "bearer_token_file"),
            ("timeout", "timeout"),
        ] {
            if let Some(value) = node.get(from) {
                let _ = writeln!(out, "    {to}: {}", flow(value));
            }
        }
        if let Some(tls) = node.get("tls_config") {
            self.rest(tls, "clients.tls_config", &["ca_file"]);
            if let Some(file) = tls.get("ca_file") {
                let _ = writeln!(out, "    ca_file: {}", flow(file));
            }
        }
        if let Some(labels) = node.get("external_labels") {
            self.labels = labels.entries().iter().filter_map(|(name, _, value)| label(name, value)).collect();
        }
    }

    fn job(&mut self, node: &Node) {
        let known = [
            "job_name",
            "pipeline_stages",
            "relabel_configs",
            "static_configs",
            "kubernetes_sd_configs",
            "journal",
            "syslog",
        ];
        let job = node.get("job_name").and_then(Node::text).unwrap_or_default().to_owned();
        self.rest(node, &format!("scrape_configs.{job}"), &known);
        let mut targets: Vec<(String, Vec<String>)> = Vec::new();
        for target in node.get("static_configs").map(Node::list).unwrap_or_default() {
            let labels = target.get("labels").map(Node::entries).unwrap_or_default();
            let of = |name: &str| {
                labels.iter().find(|(key, _, _)| key == name).and_then(|(_, _, value)| value.text())
            };
            if let Some(path) = of("__path_exclude__") {
                self.exclude.push(quoted(path));
            }
            match of("__path__") {
                Some(path) => {
                    let own = labels.iter().filter(|(name, _, _)| !name.starts_with("__"));
                    targets.push((
                        path.to_owned(),
                        own.filter_map(|(name, _, value)| label(name, value)).collect(),
                    ));
                }
                None => self.note(&target.place, &job, "a target without `__path__` names no files"),
            }
        }
        if node.get("kubernetes_sd_configs").is_some() {
            targets.push((POD_LOGS.to_owned(), Vec::new()));
            self.note(
                &node.place,
                &job,
                "pods are found by their log files, not through the Kubernetes API: rules over labels and annotations of pods find nothing",
            );
        }
        let mut rules = Vec::new();
        for rule in node.get("relabel_configs").map(Node::list).unwrap_or_default() {
            match rule.get("target_label").and_then(Node::text) {
                Some(target @ ("__path__" | "__host__" | "__path_exclude__")) => {
                    let what =
                        format!("a rule that makes `{target}` is left out: files are found by their paths");
                    self.note(&rule.place, &job, &what);
                }
                _ => rules.push(flow(rule)),
            }
        }
        let stages = self.stages(node.get("pipeline_stages").map(Node::list).unwrap_or_default(), &job);
        let stages: Vec<String> = stages.iter().map(flow).collect();
        for (path, labels) in targets {
            let _ = writeln!(self.files, "    - path: {}", quoted(&path));
            let all = [&self.labels[..], &labels[..], &rules[..]].concat();
            lists("      ", &all, &stages, &mut self.files);
        }
        if let Some(syslog) = node.get("syslog") {
            let syslog = self.syslog(syslog, &job, &rules, &stages);
            self.syslog.push_str(&syslog);
        }
        if let Some(journal) = node.get("journal") {
            if self.journal.is_empty() {
                self.journal = self.journal(journal, &job, &rules, &stages);
            } else {
                self.note(&journal.place, &job, "one journal is read: this one is left out");
            }
        }
    }

    fn syslog(&mut self, node: &Node, job: &str, rules: &[String], stages: &[String]) -> String {
        let path = format!("scrape_configs.{job}.syslog");
        let known = [
            "listen_address",
            "listen_protocol",
            "idle_timeout",
            "use_incoming_timestamp",
            "max_message_length",
            // Structured data is always seen by rules, and both formats are understood at once.
            "label_structured_data",
            "syslog_format",
            "labels",
        ];
        self.rest(node, &path, &known);
        let text = |key| node.get(key).and_then(Node::text);
        let (protocol, address) =
            (text("listen_protocol").unwrap_or("tcp"), text("listen_address").unwrap_or_default());
        let mut out = format!("    - listen: {}\n", quoted(&format!("{protocol}://{address}")));
        for (from, to) in [
            ("idle_timeout", "idle_timeout"),
            ("use_incoming_timestamp", "use_incoming_timestamp"),
            ("max_message_length", "max_message_bytes"),
        ] {
            if let Some(value) = node.get(from) {
                let _ = writeln!(out, "      {to}: {}", flow(value));
            }
        }
        self.feed("      ", node, rules, stages, &mut out);
        out
    }

    fn journal(&mut self, node: &Node, job: &str, rules: &[String], stages: &[String]) -> String {
        let path = format!("scrape_configs.{job}.journal");
        self.rest(node, &path, &["path", "max_age", "json", "matches", "labels"]);
        let mut out = String::from("  journal:\n");
        for key in ["path", "max_age", "json"] {
            if let Some(value) = node.get(key) {
                let _ = writeln!(out, "    {key}: {}", flow(value));
            }
        }
        if let Some(matches) = node.get("matches").and_then(Node::text) {
            let matches: Vec<String> = matches.split_whitespace().map(quoted).collect();
            let _ = writeln!(out, "    matches: [{}]", matches.join(", "));
        }
        self.feed("    ", node, rules, stages, &mut out);
        out
    }

    /// Labels, rules and stages of a source that is not a file.
    fn feed(&self, indent: &str, node: &Node, rules: &[String], stages: &[String], out: &mut String) {
        if let Some(labels) = node.get("labels") {
            let _ = writeln!(out, "{indent}labels: {}", flow(labels));
        }
        lists(indent, &[&self.labels[..], rules].concat(), stages, out);
    }

    /// The stages that are known here, less what has no meaning here.
    fn stages(&mut self, written: &[Node], job: &str) -> Vec<Node> {
        let mut list = Vec::new();
        for stage in written {
            let Some((name, place, _)) = stage.entries().first() else { continue };
            if !stages::STAGES.contains(&name.as_str()) {
                self.note(place, job, &format!("stage `{name}` has no counterpart and is left out"));
                continue;
            }
            let mut stage = stage.clone();
            self.settle(&mut stage, job);
            list.push(stage);
        }
        list
    }

    /// Takes out of a stage, and of those in it, what has no meaning here.
    fn settle(&mut self, stage: &mut Node, job: &str) {
        let Kind::Map(entries) = &mut stage.kind else { return };
        for (name, place, body) in entries {
            let Kind::Map(keys) = &mut body.kind else { continue };
            let mut gone = Vec::new();
            keys.retain(|(key, _, _)| {
                let keep = match name.as_str() {
                    "cri" => false,
                    "match" => key != "pipeline_name",
                    "labels" => !IDS.contains(&key.as_str()),
                    _ => true,
                };
                if !keep {
                    gone.push(key.clone());
                }
                keep
            });
            for key in gone {
                let why = match name.as_str() {
                    "labels" => "an id is no label: it is found without a stage and kept as metadata",
                    _ => "is left out: it has no effect here",
                };
                self.note(place, &format!("{job}.{name}.{key}"), why);
            }
            for (_, _, inner) in keys.iter_mut().filter(|(key, _, _)| key == "stages") {
                if let Kind::List(list) = &mut inner.kind {
                    *list = self.stages(list, job);
                }
            }
        }
    }
}

fn lists(indent: &str, rules: &[String], stages: &[String], out: &mut String) {
    for (key, list) in [("relabel_configs", rules), ("pipeline_stages", stages)] {
        if !list.is_empty() {
            let _ = writeln!(out, "{indent}{key}:");
            for item in list {
                let _ = writeln!(out, "{indent}  - {item}");
            }
        }
    }
}

/// A label that every line of some files has, as a relabelling rule.
fn label(name: &str, value: &Node) -> Option<String> {
    let value = value.text()?.replace('$', "$$");
    Some(format!("{{target_label: {}, replacement: {}}}", quoted(name), quoted(&value)))
}

impl Node {
    fn entries(&self) -> &[(String, Place, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    fn list(&self) -> &[Self] {
        match &self.kind {
            Kind::List(list) => list,
            _ => &[],
        }
    }

    fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }
}
