//! `server`: the main listener, and what every listener has.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use serve::Capacity;

use super::reader::{Mistakes, Section, scalar};
use super::render::{list, quoted};
use super::{default_address, values};

/// The main listener, and what every listener has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `server.listen`
    pub listen: SocketAddr,
    /// `server.external_url`: how Grafana reaches this gateway, for generated data sources
    pub external_url: Option<String>,
    /// `server.mcp`: where the key stands, tools are offered at `/mcp`
    pub mcp: Option<Mcp>,
    /// `server.tls`: of this listener, and of those of receivers that do not have it off
    pub tls: Option<ServerTls>,
    /// `server.cors.origins`: pages of these origins may read answers; `*` is any, none is none
    pub origins: Vec<String>,
    /// `server.queries`: of metric queries
    pub queries: Queries,
    /// `server.own_traces`: Trefoil's own requests begin traces of service `trefoil`; those that are part of their caller's trace
    /// are in it either way
    pub own_traces: bool,
}

/// What metric queries in LogQL, TraceQL and PromQL may give and hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// `server.queries.max_points`: of one answer
    pub max_points: usize,
    /// `server.queries.max_memory`: bytes of all that are under way
    pub max_memory: u64,
}

impl Default for Queries {
    fn default() -> Self {
        Self { max_points: Capacity::POINTS, max_memory: Capacity::BYTES }
    }
}

impl Queries {
    /// The bounds, shared by all queries.
    pub fn capacity(self) -> Capacity {
        Capacity::new(self.max_points, self.max_memory)
    }
}

/// Who may speak to `/mcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mcp {
    /// `server.mcp.hosts`: names by which it may be asked besides those of the loopback and of `server.external_url`
    pub hosts: Vec<String>,
    /// `server.mcp.origins`: pages that may ask it
    pub origins: Vec<String>,
}

/// Where certificates are. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// `server.tls.cert_file`: the certificate, and those between it and the root
    pub cert_file: PathBuf,
    /// `server.tls.key_file`: its private key
    pub key_file: PathBuf,
    /// `server.tls.client_ca_file`: roots of clients' certificates, which clients must have then
    pub client_ca_file: Option<PathBuf>,
}

/// Loopback: nothing is protected before tokens are set, so a configuration must open it.
const LISTEN: &str = "127.0.0.1:8080";

/// Who looks for their own services does not want those of the looking among them.
const OWN_TRACES: bool = false;

pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> Server {
    let tls = section.given("tls");
    let tls = tls.zip(section.optional_section("tls", mistakes));
    let mut cors = section.section("cors", mistakes);
    let mut origins = Vec::new();
    for (path, node) in cors.list("origins", mistakes).unwrap_or_default() {
        origins.extend(scalar(&node, &path, origin, mistakes));
    }
    cors.end(mistakes);
    let queries = queries(section.section("queries", mistakes), mistakes);
    let server = Server {
        listen: section.value("listen", values::address, mistakes).unwrap_or_else(|| default_address(LISTEN)),
        external_url: section.value("external_url", values::url, mistakes),
        mcp: section.optional_section("mcp", mistakes).map(|section| mcp(section, mistakes)),
        origins,
        queries,
        own_traces: section.value("own_traces", values::boolean, mistakes).unwrap_or(OWN_TRACES),
        tls: tls.and_then(|(place, mut tls)| {
            let mut file = |key| tls.value(key, values::text, mistakes).map(PathBuf::from);
            let (cert_file, key_file, client_ca_file) =
                (file("cert_file"), file("key_file"), file("client_ca_file"));
            tls.end(mistakes);
            if cert_file.is_none() || key_file.is_none() {
                mistakes.push(&place, "server.tls", "expected a `cert_file` and a `key_file`, both PEM");
            }
            Some(ServerTls { cert_file: cert_file?, key_file: key_file?, client_ca_file })
        }),
    };
    section.end(mistakes);
    server
}

fn queries(mut section: Section, mistakes: &mut Mistakes) -> Queries {
    let Queries { max_points, max_memory } = Queries::default();
    let queries = Queries {
        max_points: section.value("max_points", points, mistakes).unwrap_or(max_points),
        max_memory: section.value("max_memory", memory, mistakes).unwrap_or(max_memory),
    };
    section.end(mistakes);
    queries
}

/// Fewer than a series' own steps would refuse any panel.
fn points(text: &str) -> Result<usize, String> {
    let expected = || "a number of points from 11001 to 100000000".to_owned();
    text.parse().ok().filter(|points| (11_001..=100_000_000).contains(points)).ok_or_else(expected)
}

/// Less would refuse what dashboards ask at once.
fn memory(text: &str) -> Result<u64, String> {
    let expected = || "a size from `32MiB` up".to_owned();
    values::bytes(text).ok().filter(|bytes| *bytes >= 32 << 20).ok_or_else(expected)
}

fn mcp(mut section: Section, mistakes: &mut Mistakes) -> Mcp {
    let mut texts = |key: &'static str, read: fn(&str) -> Result<String, String>| {
        let list = section.list(key, mistakes).unwrap_or_default();
        list.into_iter().filter_map(|(path, node)| scalar(&node, &path, read, mistakes)).collect()
    };
    let mcp = Mcp { hosts: texts("hosts", host), origins: texts("origins", values::url) };
    section.end(mistakes);
    mcp
}

/// `trefoil`, `trefoil:8080`
fn host(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && !text.contains(['/', '*', '@']) && !text.contains(char::is_whitespace);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "a name with or without a port, such as `trefoil:8080`".into())
}

/// As browsers send it.
fn origin(text: &str) -> Result<String, String> {
    let expected = || "an origin such as `https://grafana.example.com`, or `*` for any".to_owned();
    if text == "*" {
        return Ok(text.to_owned());
    }
    let origin = reqwest::Url::parse(text).map_err(|_| expected())?.origin().ascii_serialization();
    if origin == text { Ok(origin) } else { Err(expected()) }
}

impl Server {
    pub(super) fn render(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "server:\n  listen: {}", quoted(&self.listen.to_string()))?;
        if let Some(url) = &self.external_url {
            writeln!(out, "  external_url: {}", quoted(url))?;
        }
        if let Some(tls) = &self.tls {
            let files = [("cert_file", Some(&tls.cert_file)), ("key_file", Some(&tls.key_file))];
            writeln!(out, "  tls:")?;
            for (key, file) in files.into_iter().chain([("client_ca_file", tls.client_ca_file.as_ref())]) {
                if let Some(file) = file {
                    writeln!(out, "    {key}: {}", quoted(&file.display().to_string()))?;
                }
            }
        }
        if let Some(mcp) = &self.mcp {
            writeln!(out, "  mcp: {{hosts: {}, origins: {}}}", list(&mcp.hosts), list(&mcp.origins))?;
        }
        writeln!(out, "  cors: {{origins: {}}}", list(&self.origins))?;
        writeln!(out, "  own_traces: {}", self.own_traces)?;
        let Queries { max_points, max_memory } = self.queries;
        writeln!(out, "  queries: {{max_points: {max_points}, max_memory: {max_memory}}}")
    }
}
