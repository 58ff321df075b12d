//! The pods of the shop: names, versions, and in which way each logs and exports. What they do is in `journey`.

use std::sync::Arc;

use parsers::record::{Resource, Scope, Value};

/// Namespace of all pods.
pub(super) const NAMESPACE: &str = "shop";

/// One pod of the shop. `payment` runs in two versions side by side, as during a canary release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Pod {
    /// What the browser talks to.
    Frontend,
    /// Orders.
    Checkout,
    /// Baskets.
    Cart,
    /// Payment, the released version.
    PaymentStable,
    /// Payment, the candidate, which fails more.
    PaymentCandidate,
    /// Products.
    Catalog,
    /// Parcels; slow now and then.
    Shipping,
    /// Texts.
    Pages,
}

/// How a pod writes its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Spring Boot with `[service,trace,span]`.
    Spring,
    /// A sentence, ids at its end.
    Text,
    /// Access log of an Envoy sidecar.
    Envoy,
    /// Logback, with ids where the programmer thought of them.
    Logback,
    /// OpenTelemetry's Python logging.
    OtelPython,
}

/// By which protocol a pod exports its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// OTLP/HTTP, protobuf, gzip.
    Http,
    /// OTLP/gRPC, gzip.
    Grpc,
}

/// What is fixed about a pod.
#[derive(Debug)]
pub(super) struct Spec {
    /// `service.name`, also the container's name.
    pub(super) service: &'static str,
    /// `service.version`.
    pub(super) version: &'static str,
    /// Pod name.
    pub(super) pod: &'static str,
    /// Pod UID.
    pub(super) uid: &'static str,
    /// Address within the cluster.
    pub(super) ip: &'static str,
    /// `telemetry.sdk.language`.
    pub(super) language: &'static str,
    /// Instrumentation scope of its spans.
    pub(super) scope: &'static str,
    /// Log format.
    pub(super) format: Format,
    /// Export protocol.
    pub(super) protocol: Protocol,
}

impl Pod {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Frontend,
        Self::Checkout,
        Self::Cart,
        Self::PaymentStable,
        Self::PaymentCandidate,
        Self::Catalog,
        Self::Shipping,
        Self::Pages,
    ];

    /// What is fixed about it.
    pub(super) fn spec(self) -> &'static Spec {
        match self {
            Self::Frontend => &Spec {
                service: "frontend",
                version: "3.12.0",
                pod: "frontend-7d9c6b5f4-x2x7k",
                uid: "0b1c6f0e-5a0e-4c59-9b6a-3f1d2c7a9e01",
                ip: "10.244.1.11",
                language: "nodejs",
                scope: "@opentelemetry/instrumentation-http",
                format: Format::Json,
                protocol: Protocol::Http,
            },
            Self::Checkout => &Spec {
                service: "checkout",
                version: "1.9.3",
                pod: "checkout-6f8d9c7b5-q8m2n",
                uid: "1d7a2b44-83c1-4d0f-a1f7-6e2b9d04c502",
                ip: "10.244.1.12",
                language: "go",
                scope: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
                format: Format::Logfmt,
                protocol: Protocol::Grpc,
            },
            Self::Cart => &Spec {
                service: "cart",
                version: "5.0.1",
                pod: "cart-5b9f7d8c6-zk4vl",
                uid: "2e90c3d8-17b5-4a6e-8c0d-94f1a7e3b603",
                ip: "10.244.2.21",
                language: "java",
                scope: "io.opentelemetry.spring-webmvc-6.0",
                format: Format::Spring,
                protocol: Protocol::Grpc,
            },
            Self::PaymentStable => &Spec {
                service: "payment",
                version: "1.4.0",
                pod: "payment-84d6f9b7c-h5t9w",
                uid: "3fa1d4e9-26c6-4b7f-9d1e-a502b8f4c704",
                ip: "10.244.2.22",
                language: "ruby",
                scope: "OpenTelemetry::Instrumentation::Rack",
                format: Format::Text,
                protocol: Protocol::Http,
            },
            Self::PaymentCandidate => &Spec {
                service: "payment",
                version: "2.0.0-rc1",
                pod: "payment-canary-6c5d8f9b4-m7r3p",
                uid: "40b2e5fa-35d7-4c80-8e2f-b613c905d805",
                ip: "10.244.2.23",
                language: "ruby",
                scope: "OpenTelemetry::Instrumentation::Rack",
                format: Format::Text,
                protocol: Protocol::Http,
            },
            Self::Catalog => &Spec {
                service: "catalog",
                version: "2.31.0",
                pod: "catalog-79c8b6d5f-2wq6j",
                uid: "51c3f60b-44e8-4d91-9f30-c724da16e906",
                ip: "10.244.3.31",
                language: "cpp",
                scope: "envoy",
                format: Format::Envoy,
                protocol: Protocol::Grpc,
            },
            Self::Shipping => &Spec {
                service: "shipping",
                version: "4.2.0",
                pod: "shipping-0",
                uid: "62d4071c-53f9-4ea2-8041-d835eb27fa07",
                ip: "10.244.3.32",
                language: "java",
                scope: "io.opentelemetry.servlet-5.0",
                format: Format::Logback,
                protocol: Protocol::Grpc,
            },
            Self::Pages => &Spec {
                service: "pages",
                version: "0.8.4",
                pod: "pages-5d4c7f8b9-t6x8s",
                uid: "73e5182d-620a-4fb3-9152-e946fc380b08",
                ip: "10.244.3.33",
                language: "python",
                scope: "opentelemetry.instrumentation.django",
                format: Format::OtelPython,
                protocol: Protocol::Http,
            },
        }
    }

    /// The resource that its spans and metrics come from.
    pub(super) fn resource(self) -> Resource {
        let spec = self.spec();
        let text = |key: &str, value: &str| (key.to_owned(), Value::Str(value.to_owned()));
        Resource {
            attributes: vec![
                text("service.name", spec.service),
                text("service.version", spec.version),
                text("service.instance.id", spec.pod),
                text("k8s.namespace.name", NAMESPACE),
                text("k8s.pod.name", spec.pod),
                text("k8s.pod.uid", spec.uid),
                text("k8s.container.name", spec.service),
                text("telemetry.sdk.name", "opentelemetry"),
                text("telemetry.sdk.language", spec.language),
            ],
        }
    }
}

/// What the spans of one pod share.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Resource.
    pub(super) resource: Arc<Resource>,
    /// Scope.
    pub(super) scope: Arc<Scope>,
}

/// The origins of all pods.
#[derive(Debug)]
pub(super) struct Origins(Vec<(Pod, Origin)>);

impl Origins {
    /// Built once.
    pub(super) fn new() -> Self {
        let origin = |pod: Pod| Origin {
            resource: Arc::new(pod.resource()),
            scope: Arc::new(Scope { name: pod.spec().scope.to_owned(), ..Scope::default() }),
        };
        Self(Pod::ALL.iter().map(|&pod| (pod, origin(pod))).collect())
    }

    /// The origin of this pod's spans.
    pub(super) fn of(&self, pod: Pod) -> Origin {
        match self.0.iter().find(|(known, _)| *known == pod) {
            Some((_, origin)) => origin.clone(),
            None => Origin { resource: Arc::default(), scope: Arc::default() },
        }
    }
}
