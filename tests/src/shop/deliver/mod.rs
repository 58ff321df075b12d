//! Brings a shop's traffic to a gateway: spans in the protocol of each service, lines as files or pushes, metrics by remote write.
//! One file a protocol makes the bodies; here they are sent.

mod elastic;
mod files;
mod jaeger;
mod otlp;
mod push;
mod remote_write;
mod zipkin;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};

use super::{Carriage, Protocol, Service, Span, Traffic, Value};
use crate::harness::Http;
use crate::program::SECRET_TOKEN;

/// Spans of one body.
const SPANS_A_BODY: usize = 200;

/// Traffic on its way to a gateway.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// What there is to bring.
    pub traffic: &'a Traffic,
    /// When the shop opened, in nanoseconds since the epoch.
    pub opened: u64,
    /// Whether ids of 64 bits are all that payment's library knows.
    pub short_ids: bool,
}

/// How many records were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Spans.
    pub spans: u64,
    /// Log records; errors that Elastic APM's agents report are such, too.
    pub logs: u64,
}

impl Delivery<'_> {
    /// Sends all of it to a gateway's main port, files below `pods`.
    pub async fn send(&self, http: &Http, main: SocketAddr, pods: &Path) -> Result<Sent> {
        files::write(self, pods)?;
        self.send_spans(http, main).await?;
        let push = push::body(self).to_string().into_bytes();
        post(http, main, "/loki/api/v1/push", &[("content-type", "application/json")], push).await?;
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        for body in remote_write::bodies(self)? {
            post(http, main, "/api/v1/write", &headers, body).await?;
        }
        let thrown = self.traffic.of(Service::Reviews).filter(|span| span.thrown.is_some()).count();
        let (spans, lines) = (self.traffic.spans.len(), self.traffic.lines.len());
        Ok(Sent { spans: spans as u64, logs: (lines + thrown) as u64 })
    }

    async fn send_spans(&self, http: &Http, main: SocketAddr) -> Result<()> {
        let token = format!("Bearer {SECRET_TOKEN}");
        for number in 0..self.traffic.pods.len() {
            let own: Vec<&Span> = self.traffic.spans.iter().filter(|span| span.pod == number).collect();
            for spans in own.chunks(SPANS_A_BODY) {
                let (path, media, body) = match self.traffic.pods[number].service.protocol() {
                    Protocol::Otlp => {
                        ("/v1/traces", "application/x-protobuf", otlp::body(self, number, spans))
                    }
                    Protocol::Zipkin => {
                        let body = zipkin::body(self, number, spans).to_string().into_bytes();
                        ("/api/v2/spans", "application/json", body)
                    }
                    Protocol::Jaeger => {
                        ("/api/traces", "application/x-thrift", jaeger::body(self, number, spans))
                    }
                    Protocol::Elastic => {
                        let body = elastic::body(self, number, spans);
                        ("/intake/v2/events", "application/x-ndjson", body)
                    }
                };
                let headers = [("content-type", media), ("authorization", &*token)];
                post(http, main, path, &headers, body).await?;
            }
        }
        Ok(())
    }

    /// What a pod's clock shows.
    fn shown(&self, pod: usize, time: u64) -> u64 {
        self.traffic.shown(pod, self.opened, time)
    }

    /// What describes a pod, as OpenTelemetry names it.
    fn resource(&self, pod: usize) -> Vec<(&'static str, String)> {
        let pod = &self.traffic.pods[pod];
        vec![
            ("service.name", pod.service.name().to_owned()),
            ("service.version", pod.version.to_owned()),
            ("service.instance.id", pod.name.clone()),
            ("k8s.namespace.name", super::NAMESPACE.to_owned()),
            ("k8s.pod.name", pod.name.clone()),
            ("k8s.pod.uid", pod.uid.clone()),
            ("k8s.container.name", pod.service.name().to_owned()),
            ("k8s.node.name", pod.host.to_owned()),
            ("host.name", pod.host.to_owned()),
        ]
    }

    /// Pods whose lines travel in this way.
    fn carried(&self, carriage: Carriage) -> impl Iterator<Item = usize> {
        (0..self.traffic.pods.len()).filter(move |pod| self.traffic.pods[*pod].service.carriage() == carriage)
    }
}

impl Value {
    fn as_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
        }
    }
}

/// The frames of something thrown, as one text.
fn stack(thrown: &super::Thrown) -> String {
    format!("{}: {}\n  {}", thrown.class, thrown.message, thrown.stack.join("\n  "))
}

async fn post(
    http: &Http,
    main: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<()> {
    let answer = http.post(&format!("http://{main}{path}"), headers, body).await?;
    let whole = matches!(answer.status, 200 | 202 | 204) && !answer.text().contains("left out");
    ensure!(whole, "{path} was answered {}: {}", answer.status, answer.text());
    Ok(())
}
