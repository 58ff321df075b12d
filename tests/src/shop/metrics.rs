//! What the shop's Prometheus would have scraped: histograms of durations, with exemplars from services whose libraries have them
//! and without from Django's, and what cAdvisor says of each container.

use std::collections::BTreeMap;

use super::plan::Fault;
use super::pods::{HOSTS, NAMESPACE, Service};
use super::traffic::{Kind, Series, Span, Traffic};
use super::world::{MS, THROTTLE_LASTS, THROTTLE_PERIOD, throttled};

/// Between two scrapes.
const STEP: u64 = 5_000 * MS;
/// Upper bounds of the buckets, in seconds.
const BOUNDS: [&str; 8] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "1", "+Inf"];

/// All series.
pub(super) fn series(traffic: &Traffic, fault: Fault) -> Vec<Series> {
    let mut series = Vec::new();
    for number in 0..traffic.pods.len() {
        for (name, values) in container(traffic, number, fault) {
            series.push(Series {
                name,
                labels: labels(traffic, number),
                samples: values,
                exemplars: Vec::new(),
            });
        }
        match traffic.pods[number].service {
            Service::Frontend | Service::Checkout => series.extend(requests(traffic, number)),
            Service::Reviews => series.extend(django(traffic, number)),
            _ => {}
        }
    }
    series
}

fn labels(traffic: &Traffic, number: usize) -> Vec<(&'static str, String)> {
    let pod = &traffic.pods[number];
    vec![
        ("container", pod.service.name().to_owned()),
        ("namespace", NAMESPACE.to_owned()),
        ("node", pod.host.to_owned()),
        ("pod", pod.name.clone()),
    ]
}

fn scrapes(traffic: &Traffic) -> impl Iterator<Item = u64> + Clone {
    (0..=traffic.closed / STEP).map(|scrape| scrape * STEP)
}

/// Nanoseconds since the opening in which a pod that is throttled now and then was.
fn throttled_until(time: u64) -> u64 {
    time / THROTTLE_PERIOD * THROTTLE_LASTS + (time % THROTTLE_PERIOD).min(THROTTLE_LASTS)
}

type Values = Vec<(u64, f64)>;

fn container(traffic: &Traffic, number: usize, fault: Fault) -> Vec<(&'static str, Values)> {
    let own: Vec<&Span> = traffic.spans.iter().filter(|s| s.pod == number && s.parent.is_some()).collect();
    let suffers = fault == Fault::Throttled && throttled(&traffic.pods) == Some(number);
    let host = HOSTS.iter().position(|host| *host == traffic.pods[number].host).unwrap_or_default();
    let throttling = scrapes(traffic).map(|t| {
        let lost = if suffers { throttled_until(t) as f64 / 1e9 } else { 0.0 };
        // Every container loses a little.
        (t, lost * 0.8 + t as f64 / 1e9 * 0.002)
    });
    let used = scrapes(traffic)
        .map(|t| (t, own.iter().filter(|span| span.end <= t).count() as f64 * 0.002 + t as f64 / 1e9 * 0.01));
    let memory = scrapes(traffic).map(|t| {
        let wave = (t / STEP + number as u64) % 7;
        (t, (90_000_000 + wave * 1_500_000 + host as u64 * 4_000_000) as f64)
    });
    vec![
        ("container_cpu_cfs_throttled_seconds_total", throttling.collect()),
        ("container_cpu_usage_seconds_total", used.collect()),
        ("container_memory_working_set_bytes", memory.collect()),
    ]
}

/// Requests of a pod by route, as OpenTelemetry's metric in Prometheus' names; each scrape shows the latest exemplar of a bucket.
fn requests(traffic: &Traffic, number: usize) -> Vec<Series> {
    let names = [
        "http_server_request_duration_seconds_bucket",
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_sum",
    ];
    histograms(traffic, number, names, true, |span| {
        let method = span.text("http.request.method").unwrap_or_default().to_owned();
        let route = span.text("http.route").unwrap_or_default().to_owned();
        vec![("http_request_method", method), ("http_route", route)]
    })
}

/// What django-prometheus counts, which knows no exemplars.
fn django(traffic: &Traffic, number: usize) -> Vec<Series> {
    let names = [
        "django_http_requests_latency_seconds_by_view_method_bucket",
        "django_http_requests_latency_seconds_by_view_method_count",
        "django_http_requests_latency_seconds_by_view_method_sum",
    ];
    histograms(traffic, number, names, false, |_| {
        vec![("method", "GET".to_owned()), ("view", "reviews".to_owned())]
    })
}

fn histograms(
    traffic: &Traffic,
    number: usize,
    [bucket, count, sum]: [&'static str; 3],
    exemplars: bool,
    group: impl Fn(&Span) -> Vec<(&'static str, String)>,
) -> Vec<Series> {
    let mut groups: BTreeMap<Vec<(&'static str, String)>, Vec<&Span>> = BTreeMap::new();
    for span in &traffic.spans {
        if span.pod == number && span.kind == Kind::Server {
            groups.entry(group(span)).or_default().push(span);
        }
    }
    let job = ("job", traffic.pods[number].service.name().to_owned());
    let mut series = Vec::new();
    for (own, spans) in groups {
        let seconds = |span: &Span| span.duration() as f64 / 1e9;
        let all = [labels(traffic, number), vec![job.clone()], own].concat();
        let at = |name, more: Option<(&'static str, String)>, value: &dyn Fn(u64) -> f64| Series {
            name,
            labels: all.iter().cloned().chain(more).collect(),
            samples: scrapes(traffic).map(|time| (time, value(time))).collect(),
            exemplars: Vec::new(),
        };
        let mut below = 0.0;
        for bound in BOUNDS {
            let limit: f64 = bound.parse().unwrap_or(f64::INFINITY);
            let inside: Vec<&&Span> = spans.iter().filter(|span| seconds(span) <= limit).collect();
            let counted = |time| inside.iter().filter(|span| span.end <= time).count() as f64;
            let mut made = at(bucket, Some(("le", bound.to_owned())), &counted);
            if exemplars {
                let newest = scrapes(traffic).filter_map(|time| {
                    let fresh = |span: &&&&Span| span.end <= time && span.end + STEP > time;
                    let within = |span: &&&&Span| seconds(span) > below;
                    let span = inside.iter().filter(fresh).filter(within).max_by_key(|span| span.end)?;
                    Some((span.end, seconds(span), span.trace, span.id))
                });
                made.exemplars = newest.collect();
            }
            series.push(made);
            below = limit;
        }
        series.push(at(count, None, &|time| spans.iter().filter(|span| span.end <= time).count() as f64));
        series.push(at(sum, None, &|time| {
            spans.iter().filter(|span| span.end <= time).map(|span| seconds(span)).sum()
        }));
    }
    series
}
