//! The section `scrape`: targets in the shape that Prometheus' users know.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use receive::scrape::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, Group, Job, Kubernetes, ScrapeOptions, Tls};

use super::node::{Kind, Node};
use super::reader::{Mistakes, Section, scalar};
use super::render::{duration, flow, list, quoted, shown};
use super::{is_label_name, known, stages, values};

/// What is scraped, and the rules as they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scrape {
    /// What the scraper takes.
    pub options: ScrapeOptions,
    /// Of each job: its lists of rules, in one line each.
    written: Vec<Vec<(&'static str, String)>>,
}

/// What jobs have that say nothing else.
#[derive(Clone, Copy)]
struct Defaults {
    interval: Duration,
    timeout: Duration,
}

/// A target cannot be asked more often than it can answer, and a timer has its bounds.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
/// A page beyond this would need more than half of what all receivers have for bodies.
const MAX_BODY: u64 = 64 << 20;

pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> Scrape {
    let interval = section.value("interval", interval, mistakes).unwrap_or(DEFAULT_INTERVAL);
    let timeout = timeout(&mut section, interval, DEFAULT_TIMEOUT, mistakes);
    let defaults = Defaults { interval, timeout };
    let mut scrape = Scrape::default();
    let mut names: Vec<String> = Vec::new();
    for (path, node) in section.list("jobs", mistakes).unwrap_or_default() {
        let place = node.place.clone();
        let entry = Section::new(Some(node), &path, mistakes);
        let Some((job, written)) = job(entry, &place, &path, defaults, mistakes) else { continue };
        if names.contains(&job.name) {
            let message = format!("there is another job `{}` above", job.name);
            mistakes.push(&place, &format!("{path}.job"), message);
        }
        names.push(job.name.clone());
        scrape.options.jobs.push(job);
        scrape.written.push(written);
    }
    section.end(mistakes);
    scrape
}

fn job(
    mut section: Section,
    place: &super::Place,
    path: &str,
    defaults: Defaults,
    mistakes: &mut Mistakes,
) -> Option<(Job, Vec<(&'static str, String)>)> {
    let name = section.value("job", values::text, mistakes);
    if name.is_none() && section.peek("job").is_none() {
        mistakes.push(place, &format!("{path}.job"), "expected a name, the value of the label `job`");
    }
    let mut job = Job::new(name.clone().unwrap_or_default());
    job.interval = section.value("interval", interval, mistakes).unwrap_or(defaults.interval);
    job.timeout = timeout(&mut section, job.interval, defaults.timeout, mistakes);
    if let Some(scheme) = section.value("scheme", scheme, mistakes) {
        job.scheme = scheme;
    }
    if let Some(path) = section.value("metrics_path", metrics_path, mistakes) {
        job.metrics_path = path;
    }
    job.params = params(section.take("params"), &section.path("params"), mistakes);
    job.credentials = known::credentials(&mut section, mistakes);
    job.tls = tls(section.section("tls", mistakes), mistakes);
    job.honor_labels = section.value("honor_labels", values::boolean, mistakes).unwrap_or(job.honor_labels);
    job.honor_timestamps =
        section.value("honor_timestamps", values::boolean, mistakes).unwrap_or(job.honor_timestamps);
    job.sample_limit = section.value("sample_limit", count, mistakes).filter(|limit| *limit > 0);
    if let Some(bytes) = section.value("body_size_limit", body_size, mistakes) {
        job.body_size_limit = bytes as usize;
    }
    let mut written = Vec::new();
    for key in ["relabel", "metric_relabel"] {
        written.extend(section.peek(key).map(|node| (key, flow(node))));
    }
    job.relabel = stages::relabel(&section.list("relabel", mistakes).unwrap_or_default(), mistakes);
    job.metric_relabel =
        stages::relabel(&section.list("metric_relabel", mistakes).unwrap_or_default(), mistakes);
    let sources = ["targets", "static", "file_sd", "kubernetes"];
    let has_source = sources.iter().any(|key| section.peek(key).is_some());
    if !has_source {
        mistakes.push(
            place,
            path,
            "expected `targets`, `static`, `file_sd` or `kubernetes`: nothing would ever be scraped",
        );
    }
    let group = group(&mut section, mistakes);
    if !group.targets.is_empty() {
        job.groups.push(group);
    } else if !group.labels.is_empty() {
        mistakes.push(
            place,
            &format!("{path}.labels"),
            "expected `targets` beside it, whose labels they are",
        );
    }
    for (path, node) in section.list("static", mistakes).unwrap_or_default() {
        let mut entry = Section::new(Some(node), &path, mistakes);
        job.groups.push(self::group(&mut entry, mistakes));
        entry.end(mistakes);
    }
    for (path, node) in section.list("file_sd", mistakes).unwrap_or_default() {
        job.files.extend(scalar(&node, &path, file, mistakes));
    }
    if let Some(pods) = section.optional_section("kubernetes", mistakes) {
        job.kubernetes.push(kubernetes(pods, mistakes));
    }
    section.end(mistakes);
    name.map(|_| (job, written))
}

/// `targets` and `labels`.
fn group(section: &mut Section, mistakes: &mut Mistakes) -> Group {
    let mut targets = Vec::new();
    for (path, node) in section.list("targets", mistakes).unwrap_or_default() {
        targets.extend(scalar(&node, &path, address, mistakes));
    }
    if let Some(Node { kind: Kind::Map(entries), .. }) = section.peek("labels") {
        for (name, place, _) in entries.iter().filter(|(name, ..)| !is_label_name(name)) {
            let path = format!("{}.{name}", section.path("labels"));
            mistakes.push(place, &path, "cannot name a label: expected letters, digits and `_`");
        }
    }
    Group { targets, labels: section.pairs("labels", mistakes) }
}

fn kubernetes(mut section: Section, mistakes: &mut Mistakes) -> Kubernetes {
    let mut namespaces = Vec::new();
    for (path, node) in section.list("namespaces", mistakes).unwrap_or_default() {
        namespaces.extend(scalar(&node, &path, values::text, mistakes));
    }
    let pods = Kubernetes {
        api: section.value("api", values::url, mistakes),
        token_file: section.value("token_file", values::text, mistakes).map(PathBuf::from),
        tls: tls(section.section("tls", mistakes), mistakes),
        namespaces,
        node: section.value("node", values::text, mistakes),
        selector: section.value("selector", values::text, mistakes),
    };
    section.end(mistakes);
    pods
}

fn tls(mut section: Section, mistakes: &mut Mistakes) -> Tls {
    let tls = Tls {
        ca_file: section.value("ca_file", values::text, mistakes).map(PathBuf::from),
        insecure_skip_verify: section
            .value("insecure_skip_verify", values::boolean, mistakes)
            .unwrap_or_default(),
    };
    section.end(mistakes);
    tls
}

/// `{name: value}` or `{name: [value, value]}`.
fn params(node: Option<Node>, path: &str, mistakes: &mut Mistakes) -> Vec<(String, String)> {
    let mut params = Vec::new();
    let any = |text: &str| Ok(text.to_owned());
    match node.map(|node| (node.place, node.kind)) {
        None | Some((_, Kind::Null)) => {}
        Some((_, Kind::Map(entries))) => {
            for (name, _, node) in entries {
                let values = match &node.kind {
                    Kind::List(list) => list.iter().collect(),
                    _ => vec![&node],
                };
                for value in values {
                    let value = scalar(value, &format!("{path}.{name}"), any, mistakes);
                    params.extend(value.map(|value| (name.clone(), value)));
                }
            }
        }
        Some((place, other)) => {
            mistakes.push(&place, path, format!("expected a mapping, came {}", other.describe()));
        }
    }
    params
}

fn interval(text: &str) -> Result<Duration, String> {
    let read = values::duration(text).ok().filter(|duration| INTERVALS.contains(duration));
    read.ok_or_else(|| "a duration from `100ms` to `1d`".to_owned())
}

/// One that is not given is no longer than the interval.
fn timeout(
    section: &mut Section,
    interval: Duration,
    default: Duration,
    mistakes: &mut Mistakes,
) -> Duration {
    let within = |text: &str| {
        let read = values::duration(text).ok();
        let read = read.filter(|timeout| *timeout <= interval && !timeout.is_zero());
        read.ok_or_else(|| format!("a duration up to the interval, which is `{}`", duration(interval)))
    };
    section.value("timeout", within, mistakes).unwrap_or(default.min(interval))
}

fn scheme(text: &str) -> Result<String, String> {
    if matches!(text, "http" | "https") { Ok(text.to_owned()) } else { Err("`http` or `https`".into()) }
}

fn metrics_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path such as `/metrics`".into()) }
}

fn address(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(['/', '@', '?', '#', ' ']) {
        return Err("an address such as `shop:9100`; scheme and path have keys of their own".into());
    }
    Ok(text.to_owned())
}

fn file(text: &str) -> Result<String, String> {
    let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
    let lower = name.to_ascii_lowercase();
    let known = [".json", ".yml", ".yaml"].iter().any(|end| lower.ends_with(end));
    if text.starts_with('/') && known && !folder.contains('*') {
        Ok(text.to_owned())
    } else {
        Err("an absolute path that ends in `.json`, `.yml` or `.yaml`, `*` only in its last name".into())
    }
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a number of samples, 0 for any".into())
}

fn body_size(text: &str) -> Result<u64, String> {
    let read = values::bytes(text).ok().filter(|bytes| (1..=MAX_BODY).contains(bytes));
    read.ok_or_else(|| "a size up to `64MiB`".to_owned())
}

impl Scrape {
    pub(super) fn render(&self, out: &mut String) {
        if self.options.jobs.is_empty() {
            return;
        }
        let _ = writeln!(out, "scrape:\n  jobs:");
        for (job, written) in self.options.jobs.iter().zip(&self.written) {
            let _ = render_job(job, written, out);
        }
    }
}

fn render_job(job: &Job, written: &[(&'static str, String)], out: &mut String) -> std::fmt::Result {
    writeln!(out, "    - job: {}", quoted(&job.name))?;
    writeln!(out, "      interval: {}", duration(job.interval))?;
    writeln!(out, "      timeout: {}", duration(job.timeout))?;
    writeln!(out, "      scheme: {}", job.scheme)?;
    writeln!(out, "      metrics_path: {}", quoted(&job.metrics_path))?;
    if !job.params.is_empty() {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &job.params {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let params: Vec<String> = names
            .iter()
            .map(|name| {
                let values = job.params.iter().filter(|(param, _)| param == name);
                let values: Vec<String> = values.map(|(_, value)| value.clone()).collect();
                format!("{}: {}", quoted(name), list(&values))
            })
            .collect();
        writeln!(out, "      params: {{{}}}", params.join(", "))?;
    }
    known::render_credentials(out, "      ", job.credentials.as_ref());
    if job.tls != Tls::default() {
        writeln!(out, "      tls: {}", rendered_tls(&job.tls))?;
    }
    writeln!(out, "      honor_labels: {}", job.honor_labels)?;
    writeln!(out, "      honor_timestamps: {}", job.honor_timestamps)?;
    writeln!(out, "      sample_limit: {}", job.sample_limit.unwrap_or_default())?;
    writeln!(out, "      body_size_limit: {}", job.body_size_limit)?;
    for (key, text) in written {
        writeln!(out, "      {key}: {text}")?;
    }
    if !job.groups.is_empty() {
        writeln!(out, "      static:")?;
    }
    for group in &job.groups {
        let labels = group.labels.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
        let labels = labels.collect::<Vec<_>>().join(", ");
        writeln!(out, "        - {{targets: {}, labels: {{{labels}}}}}", list(&group.targets))?;
    }
    if !job.files.is_empty() {
        writeln!(out, "      file_sd: {}", list(&job.files))?;
    }
    for pods in &job.kubernetes {
        writeln!(out, "      kubernetes:\n        namespaces: {}", list(&pods.namespaces))?;
        let file = pods.token_file.as_ref().map(|file| file.display().to_string());
        let api = pods.api.as_ref().map(|url| shown(url));
        let given =
            [("api", &api), ("token_file", &file), ("node", &pods.node), ("selector", &pods.selector)];
        for (key, value) in given {
            if let Some(value) = value {
                writeln!(out, "        {key}: {}", quoted(value))?;
            }
        }
        if pods.tls != Tls::default() {
            writeln!(out, "        tls: {}", rendered_tls(&pods.tls))?;
        }
    }
    Ok(())
}

fn rendered_tls(tls: &Tls) -> String {
    let file = tls.ca_file.as_ref().map(|file| format!("ca_file: {}, ", quoted(&file.display().to_string())));
    format!("{{{}insecure_skip_verify: {}}}", file.unwrap_or_default(), tls.insecure_skip_verify)
}
