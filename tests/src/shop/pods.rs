//! Who is in the shop: services, their pods and the hosts that these run on; in which form each reports. What they do is in
//! `visits`.

use crate::corpus::Dice;

/// Namespace of all pods.
pub const NAMESPACE: &str = "shop";
/// The hosts.
pub const HOSTS: [&str; 3] = ["node-a", "node-b", "node-c"];

/// A service of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The proxy at the edge.
    Edge,
    /// Pages.
    Frontend,
    /// Orders.
    Checkout,
    /// Stock.
    Inventory,
    /// Money.
    Payment,
    /// Products; a quarter of its traffic goes to a canary.
    Catalog,
    /// What customers think of products.
    Reviews,
    /// Parcels.
    Shipping,
    /// Consumes the queue of orders.
    Mailer,
}

/// How a service writes its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Envoy's default access log: no trace id, but the id of the request.
    Envoy,
    /// One JSON object a line.
    Json,
    /// `key=value` pairs, with `caller=orders.go:118`.
    Logfmt,
    /// Go's `log`, with `[inventory.go:87]`.
    Go,
    /// A sentence, ids at its end.
    Text,
    /// Spring Boot, `[service,trace,span]` and the thread.
    Spring,
    /// Django with OpenTelemetry's Python logging, `[views.py:41]`.
    Django,
    /// Kubernetes' own, `shipper.go:55]`.
    Klog,
    /// Python's `logging`, as it is without configuration.
    Python,
}

/// How a service's spans travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over HTTP, protobuf.
    Otlp,
    /// Zipkin's JSON.
    Zipkin,
    /// Jaeger's thrift over HTTP.
    Jaeger,
    /// Elastic APM's intake.
    Elastic,
}

/// How a service's lines travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// A file in the kubelet's layout.
    File,
    /// A push to Loki's path.
    Push,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Edge,
        Self::Frontend,
        Self::Checkout,
        Self::Inventory,
        Self::Payment,
        Self::Catalog,
        Self::Reviews,
        Self::Shipping,
        Self::Mailer,
    ];

    /// `service.name`, also the container's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Frontend => "frontend",
            Self::Checkout => "checkout",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Catalog => "catalog",
            Self::Reviews => "reviews",
            Self::Shipping => "shipping",
            Self::Mailer => "mailer",
        }
    }

    /// How its lines look.
    pub fn format(self) -> Format {
        match self {
            Self::Edge => Format::Envoy,
            Self::Frontend => Format::Json,
            Self::Checkout => Format::Logfmt,
            Self::Inventory => Format::Go,
            Self::Payment => Format::Text,
            Self::Catalog => Format::Spring,
            Self::Reviews => Format::Django,
            Self::Shipping => Format::Klog,
            Self::Mailer => Format::Python,
        }
    }

    /// How its spans travel.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Payment => Protocol::Zipkin,
            Self::Catalog => Protocol::Jaeger,
            Self::Reviews => Protocol::Elastic,
            _ => Protocol::Otlp,
        }
    }

    /// How its lines travel.
    pub fn carriage(self) -> Carriage {
        match self {
            Self::Payment | Self::Catalog | Self::Mailer => Carriage::Push,
            _ => Carriage::File,
        }
    }

    /// Threads (or places for asynchronous tasks) of a pod.
    pub(super) fn threads(self) -> usize {
        match self {
            Self::Edge | Self::Frontend => 200,
            Self::Checkout | Self::Inventory | Self::Shipping => 64,
            Self::Payment | Self::Catalog | Self::Reviews => 16,
            Self::Mailer => 4,
        }
    }
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its service.
    pub service: Service,
    /// `service.version`.
    pub version: &'static str,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The node that it runs on.
    pub host: &'static str,
    /// Its address.
    pub ip: String,
    /// Its share of the service's traffic, to those of the others.
    pub weight: u64,
}

/// Version of a service that is not being changed.
pub const STABLE: &str = "1.4.2";
/// Version of the catalog's canary.
pub const CANARY: &str = "1.5.0-rc1";
/// Version that comes with a deployment while the shop is open.
pub const DEPLOYED: &str = "1.5.0";

/// The pods of a shop. Each service has two on one host and one on another; the catalog's canary has two besides.
pub(super) fn pods(dice: &mut Dice) -> Vec<Pod> {
    let mut pods = Vec::new();
    for (number, service) in Service::ALL.into_iter().enumerate() {
        let host = |further: usize| HOSTS[(number + further) % HOSTS.len()];
        for host in [host(0), host(1), host(0)] {
            pods.push(pod(dice, service, STABLE, host, 4));
        }
        if service == Service::Catalog {
            for host in &HOSTS[..2] {
                pods.push(pod(dice, service, CANARY, host, 2));
            }
        }
    }
    pods
}

/// One pod more.
pub(super) fn pod(
    dice: &mut Dice,
    service: Service,
    version: &'static str,
    host: &'static str,
    weight: u64,
) -> Pod {
    let uid = dice.trace_id();
    let (a, b, c) = (uid >> 96, (uid >> 80) & 0xFFFF, (uid >> 64) & 0xFFF);
    let (d, e) = ((uid >> 48) & 0x3FFF | 0x8000, uid & 0xFFFF_FFFF_FFFF);
    let set = if version == CANARY { "-canary" } else { "" };
    Pod {
        service,
        version,
        name: format!("{}{set}-{:09x}-{:05x}", service.name(), dice.below(1 << 36), dice.below(1 << 20)),
        uid: format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}"),
        host,
        ip: format!("10.244.{}.{}", dice.below(4), 1 + dice.below(250)),
        weight,
    }
}
