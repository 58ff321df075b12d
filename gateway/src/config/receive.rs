//! `receive`: what is listened for, and where.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use parsers::otlp::Promoted;
use receive::elastic_apm::AgentSettings;

use super::node::{Kind, Node};
use super::reader::{Mistakes, Section, scalar};
use super::{default_address, values};

/// All receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    /// `receive.otlp`
    pub otlp: Otlp,
    /// `receive.zipkin`
    pub zipkin: Zipkin,
    /// `receive.jaeger`
    pub jaeger: Jaeger,
    /// `receive.elastic_apm`
    pub elastic_apm: ElasticApm,
    /// `receive.loki_push`
    pub loki_push: MainPort,
    /// `receive.remote_write`
    pub remote_write: MainPort,
    /// `receive.pods`: whether the cluster's API is asked which pods send; `None` is `auto`
    pub pods: Option<bool>,
}

/// The Elastic APM receiver. Its paths are on the main port in any case.
#[derive(Clone, PartialEq, Eq)]
pub struct ElasticApm {
    /// `receive.elastic_apm.http`; `None` is no port of its own
    pub http: Option<SocketAddr>,
    /// `receive.elastic_apm.secret_token`: what agents have to show, on either port
    pub secret_token: Option<String>,
    /// `receive.elastic_apm.secret_token_file`: a file that holds it, read at the start
    pub secret_token_file: Option<PathBuf>,
    /// `receive.elastic_apm.api_keys`: `id:key`, any of which will do instead
    pub api_keys: Vec<String>,
    /// `receive.elastic_apm.api_keys_file`: a file that holds more of them, one a line, read at the start
    pub api_keys_file: Option<PathBuf>,
    /// `receive.elastic_apm.tls`: with `server.tls`, whether this port has it too; the default
    pub tls: bool,
    /// `receive.elastic_apm.max_body_bytes`: of one request, on the wire and decompressed
    pub max_body_bytes: u64,
    /// `receive.elastic_apm.agents`: settings that agents fetch
    pub agents: Vec<AgentSettings>,
}

/// A receiver that is on the main port alone, since its clients are given a whole URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainPort {
    /// `max_body_bytes`: of one request, on the wire and decompressed
    pub max_body_bytes: u64,
}

/// The OTLP receiver. Its paths are on the main port in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// `receive.otlp.grpc`; `None` is no port of its own
    pub grpc: Option<SocketAddr>,
    /// `receive.otlp.http`; `None` is no port of its own
    pub http: Option<SocketAddr>,
    /// `receive.otlp.tls`: with `server.tls`, whether these ports have it too; the default
    pub tls: bool,
    /// `receive.otlp.max_body_bytes`: of one request, on the wire and decompressed
    pub max_body_bytes: u64,
    /// `receive.otlp.promote_resource_attributes`: those that become labels of series
    pub promoted: Promoted,
}

/// The Zipkin receiver. Its paths are on the main port in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zipkin {
    /// `receive.zipkin.http`; `None` is no port of its own
    pub http: Option<SocketAddr>,
    /// `receive.zipkin.tls`: with `server.tls`, whether this port has it too; the default
    pub tls: bool,
    /// `receive.zipkin.max_body_bytes`: of one request, on the wire and decompressed
    pub max_body_bytes: u64,
}

/// The Jaeger receiver; `None` is no such port. `POST /api/traces` and `PostSpans` are on the main port in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jaeger {
    /// `receive.jaeger.http`: thrift over HTTP
    pub http: Option<SocketAddr>,
    /// `receive.jaeger.grpc`: `PostSpans`
    pub grpc: Option<SocketAddr>,
    /// `receive.jaeger.udp_compact`: the agent's datagrams in the compact protocol
    pub udp_compact: Option<SocketAddr>,
    /// `receive.jaeger.udp_binary`: the agent's datagrams in the binary protocol
    pub udp_binary: Option<SocketAddr>,
    /// `receive.jaeger.sampling`: where old clients ask an agent how to sample
    pub sampling: Option<SocketAddr>,
    /// `receive.jaeger.tls`: with `server.tls`, whether these ports have it too; the default
    pub tls: bool,
    /// `receive.jaeger.max_body_bytes`: of one request, on the wire and decompressed
    pub max_body_bytes: u64,
}

impl fmt::Debug for ElasticApm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticApm").field("http", &self.http).finish_non_exhaustive()
    }
}

impl ElasticApm {
    /// Whether agents have something of their own to show.
    pub fn has_keys(&self) -> bool {
        let files = [&self.secret_token_file, &self.api_keys_file];
        self.secret_token.is_some() || !self.api_keys.is_empty() || files.iter().any(|file| file.is_some())
    }
}

impl Receive {
    /// Without the ports that others than OTLP have.
    pub fn on_fewest_ports(self) -> Self {
        let zipkin = Zipkin { http: None, ..self.zipkin };
        let jaeger = Jaeger {
            http: None,
            grpc: None,
            udp_compact: None,
            udp_binary: None,
            sampling: None,
            ..self.jaeger
        };
        let elastic_apm = ElasticApm { http: None, ..self.elastic_apm };
        Self { zipkin, jaeger, elastic_apm, ..self }
    }
}

/// Loopback, as the main listener; the port is the one that SDKs have wired in.
const OTLP_GRPC: &str = "127.0.0.1:4317";
/// Loopback, as the main listener; the port is the one that SDKs have wired in.
const OTLP_HTTP: &str = "127.0.0.1:4318";
/// What the OTLP specification recommends.
const MAX_BODY: u64 = 64 << 20;
/// Zipkin's own port.
const ZIPKIN_HTTP: &str = "127.0.0.1:9411";
/// The port of Elastic's own server.
const ELASTIC_APM_HTTP: &str = "127.0.0.1:8200";
/// The collector's port for thrift over HTTP.
const JAEGER_HTTP: &str = "127.0.0.1:14268";
/// The collector's port for gRPC.
const JAEGER_GRPC: &str = "127.0.0.1:14250";
/// The agent's port for `jaeger.thrift` in the compact protocol, the only one that the Python and Go clients write.
const JAEGER_UDP_COMPACT: &str = "127.0.0.1:6831";
/// The agent's port for `jaeger.thrift` in the binary protocol, which the old Node client writes.
const JAEGER_UDP_BINARY: &str = "127.0.0.1:6832";
/// The agent's port for sampling strategies.
const JAEGER_SAMPLING: &str = "127.0.0.1:5778";

pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> Receive {
    let receive = Receive {
        otlp: otlp(&mut section, mistakes),
        zipkin: zipkin(&mut section, mistakes),
        jaeger: jaeger(&mut section, mistakes),
        elastic_apm: elastic_apm(&mut section, mistakes),
        loki_push: main_port(section.section("loki_push", mistakes), mistakes),
        remote_write: main_port(section.section("remote_write", mistakes), mistakes),
        pods: section.value("pods", super::kubernetes::enabled, mistakes).flatten(),
    };
    section.end(mistakes);
    receive
}

fn otlp(receive: &mut Section, mistakes: &mut Mistakes) -> Otlp {
    let (mut section, off) = section_or_off(receive, "otlp", mistakes);
    let otlp = Otlp {
        grpc: listener(&mut section, "grpc", OTLP_GRPC, off, mistakes),
        http: listener(&mut section, "http", OTLP_HTTP, off, mistakes),
        tls: tls(&mut section, mistakes),
        max_body_bytes: max_body(&mut section, mistakes),
        promoted: promoted(&mut section, mistakes),
    };
    section.end(mistakes);
    otlp
}

fn promoted(section: &mut Section, mistakes: &mut Mistakes) -> Promoted {
    let Some(list) = section.list("promote_resource_attributes", mistakes) else {
        return Promoted::default();
    };
    Promoted::new(list.iter().filter_map(|(path, node)| scalar(node, path, values::text, mistakes)))
}

fn zipkin(receive: &mut Section, mistakes: &mut Mistakes) -> Zipkin {
    let (mut section, off) = section_or_off(receive, "zipkin", mistakes);
    let zipkin = Zipkin {
        http: listener(&mut section, "http", ZIPKIN_HTTP, off, mistakes),
        tls: tls(&mut section, mistakes),
        max_body_bytes: max_body(&mut section, mistakes),
    };
    section.end(mistakes);
    zipkin
}

fn jaeger(receive: &mut Section, mistakes: &mut Mistakes) -> Jaeger {
    let (mut section, off) = section_or_off(receive, "jaeger", mistakes);
    let mut port = |key, default| listener(&mut section, key, default, off, mistakes);
    let jaeger = Jaeger {
        http: port("http", JAEGER_HTTP),
        grpc: port("grpc", JAEGER_GRPC),
        udp_compact: port("udp_compact", JAEGER_UDP_COMPACT),
        udp_binary: port("udp_binary", JAEGER_UDP_BINARY),
        sampling: port("sampling", JAEGER_SAMPLING),
        tls: tls(&mut section, mistakes),
        max_body_bytes: max_body(&mut section, mistakes),
    };
    section.end(mistakes);
    jaeger
}

fn elastic_apm(receive: &mut Section, mistakes: &mut Mistakes) -> ElasticApm {
    let (mut section, off) = section_or_off(receive, "elastic_apm", mistakes);
    let mut api_keys = Vec::new();
    for (path, node) in section.list("api_keys", mistakes).unwrap_or_default() {
        api_keys.extend(scalar(&node, &path, api_key, mistakes));
    }
    let mut agents = Vec::new();
    for (path, node) in section.list("agents", mistakes).unwrap_or_default() {
        let mut entry = Section::new(Some(node), &path, mistakes);
        agents.push(AgentSettings {
            service: entry.value("service", values::text, mistakes),
            environment: entry.value("environment", values::text, mistakes),
            settings: entry.pairs("settings", mistakes).into_iter().collect(),
        });
        entry.end(mistakes);
    }
    super::known::one_of(&section, &["secret_token", "secret_token_file"], mistakes);
    let elastic_apm = ElasticApm {
        http: listener(&mut section, "http", ELASTIC_APM_HTTP, off, mistakes),
        secret_token: section.value("secret_token", values::text, mistakes),
        secret_token_file: section.value("secret_token_file", values::text, mistakes).map(PathBuf::from),
        api_keys,
        api_keys_file: section.value("api_keys_file", values::text, mistakes).map(PathBuf::from),
        tls: tls(&mut section, mistakes),
        max_body_bytes: max_body(&mut section, mistakes),
        agents,
    };
    section.end(mistakes);
    elastic_apm
}

fn tls(section: &mut Section, mistakes: &mut Mistakes) -> bool {
    section.value("tls", values::boolean, mistakes).unwrap_or(true)
}

fn max_body(section: &mut Section, mistakes: &mut Mistakes) -> u64 {
    section.value("max_body_bytes", values::bytes, mistakes).unwrap_or(MAX_BODY)
}

/// What `Authorization: ApiKey` has in base64.
pub(crate) fn api_key(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((id, key)) if !id.is_empty() && !key.is_empty() => Ok(text.to_owned()),
        _ => Err("an API key as `id:key`".to_owned()),
    }
}

fn main_port(mut section: Section, mistakes: &mut Mistakes) -> MainPort {
    let max_body_bytes = max_body(&mut section, mistakes);
    section.end(mistakes);
    MainPort { max_body_bytes }
}

/// `null` in the file, or as the text of a variable.
fn is_null(node: Option<&Node>) -> bool {
    node.is_some_and(|node| match &node.kind {
        Kind::Null => true,
        Kind::Scalar(text) => text == "null",
        _ => false,
    })
}

/// A receiver's section, and whether `null` stands there, which turns all its ports off.
fn section_or_off(receive: &mut Section, key: &'static str, mistakes: &mut Mistakes) -> (Section, bool) {
    let path = receive.path(key);
    let node = receive.take(key);
    let off = is_null(node.as_ref());
    (Section::new(node.filter(|_| !off), &path, mistakes), off)
}

/// The address of a port that may be turned off: by `null`, or with all of its receiver.
fn listener(
    section: &mut Section,
    key: &'static str,
    default: &str,
    off: bool,
    mistakes: &mut Mistakes,
) -> Option<SocketAddr> {
    let path = section.path(key);
    let address =
        |text: &str| values::address(text).map_err(|expected| format!("{expected}, or `null` for none"));
    match section.take(key) {
        None => (!off).then(|| default_address(default)),
        node if is_null(node.as_ref()) => None,
        Some(node) => scalar(&node, &path, address, mistakes),
    }
}
