//! What is said, what is found, and what is left alone.

use axum::http::Request;
use parsers::otlp::{SpanEncoder, walk_logs};
use parsers::record::{
    LogRecord, Position, Resource, Scope, Span, SpanId, SpanKind, Spelling, SpellingKind, Status, TraceId,
    Value,
};

use super::*;

/// Two pods; the second one has two containers.
struct Cluster(Vec<Arc<Pod>>);

impl Senders for Cluster {
    fn of_uid(&self, uid: &str) -> Option<Arc<Pod>> {
        self.0.iter().find(|pod| pod.uid == uid).cloned()
    }

    fn of_address(&self, address: IpAddr) -> Option<Arc<Pod>> {
        self.0.iter().find(|pod| pod.addresses.contains(&address)).cloned()
    }
}

const CART: &str = "10.1.0.4";
const DB: &str = "10.1.0.5";

fn cluster() -> Cluster {
    let pod = |name: &str, uid: &str, address: &str, containers: &[&str]| {
        Arc::new(Pod {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            node: "n1".to_owned(),
            version: Some("1.4.0".to_owned()),
            labels: vec![("team".to_owned(), "red".to_owned())],
            containers: containers.iter().map(|&name| name.to_owned()).collect(),
            addresses: vec![address.parse().unwrap()],
            ..Pod::default()
        })
    };
    Cluster(vec![pod("cart-0", "u1", CART, &["web"]), pod("db-0", "u2", DB, &["db", "proxy"])])
}

type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A span of each resource.
fn spans_of(resources: &[Attributes<'_>]) -> Batch {
    let mut encoder = SpanEncoder::default();
    for attributes in resources {
        let pairs =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), Value::Str((*value).to_owned())));
        encoder
            .push(&Span {
                trace_id: TraceId::new(7, Spelling::new(SpellingKind::Hex(32))).unwrap(),
                span_id: SpanId::new(7).unwrap(),
                parent_span_id: None,
                trace_state: String::new(),
                flags: 0,
                name: "call".to_owned(),
                kind: SpanKind::Server,
                start: 1,
                end: 2,
                attributes: Vec::new(),
                events: Vec::new(),
                links: Vec::new(),
                status: Status::default(),
                resource: Arc::new(Resource { attributes: pairs.collect() }),
                scope: Arc::new(Scope::default()),
            })
            .unwrap();
    }
    Batch { spans: encoder.finish(), ..Batch::default() }
}

/// What stands at each resource after all, sorted, if it came from this address.
fn marked(address: &str, resources: &[Attributes<'_>]) -> Vec<String> {
    let mut batch = spans_of(resources);
    mark(&mut batch, &cluster(), address.parse().ok());
    let decoded = batch.spans.resources.iter().map(|row| decode_resource(row.payload.of(&batch.spans.bytes)));
    decoded
        .map(|resource| {
            let pairs = resource.attributes.iter();
            let mut pairs: Vec<String> =
                pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap())).collect();
            pairs.sort();
            pairs.join(" ")
        })
        .collect()
}

#[test]
fn spans_that_do_not_say_their_pod_get_that_of_the_senders_address() {
    assert_eq!(
        marked(CART, &[&[("service.name", "cart"), ("service.version", "2")]]),
        [
            "k8s.container.name=web k8s.namespace.name=shop k8s.node.name=n1 k8s.pod.label.team=red k8s.pod.name=cart-0 \
          k8s.pod.uid=u1 service.name=cart service.version=2 trefoil.pod_by=connection"
        ]
    );
    let of_two = marked(DB, &[&[("service.name", "db"), ("host.name", "db-0")]]);
    assert!(of_two[0].contains("k8s.pod.name=db-0") && !of_two[0].contains("container"), "{of_two:?}");
    assert_eq!(marked("10.9.9.9", &[&[("service.name", "cart")]]), ["service.name=cart"], "nobody's address");
    assert_eq!(marked("", &[&[("service.name", "cart")]]), ["service.name=cart"], "no address");
}

#[test]
fn the_uid_and_the_address_that_a_resource_names_count_before_the_senders() {
    let by_uid = marked(CART, &[&[("k8s.pod.uid", "u2")]]);
    assert!(
        by_uid[0].contains("k8s.pod.name=db-0") && by_uid[0].contains("trefoil.pod_by=uid"),
        "{by_uid:?}"
    );
    let by_ip = marked("10.9.9.9", &[&[("k8s.pod.ip", DB)], &[("k8s.pod.ip", CART)]]);
    assert!(by_ip[0].contains("k8s.pod.name=db-0") && by_ip[0].contains("trefoil.pod_by=ip"), "{by_ip:?}");
    assert!(by_ip[1].contains("k8s.pod.name=cart-0"), "{by_ip:?}");
    assert_eq!(marked(CART, &[&[("k8s.pod.uid", "gone")]]), ["k8s.pod.uid=gone"]);
}

#[test]
fn what_speaks_against_the_sender_leaves_spans_as_they_came() {
    let against: [Attributes<'_>; 4] = [
        &[("k8s.pod.name", "other-0")],
        &[("k8s.namespace.name", "other")],
        &[("host.name", "worker-7")],
        &[("log.file.path", "/var/log/app.log")],
    ];
    for said in against {
        assert_eq!(marked(CART, &[said]), [format!("{}={}", said[0].0, said[0].1)]);
    }
    let several = marked(CART, &[&[("service.name", "cart")], &[("service.name", "db")]]);
    assert_eq!(several, ["service.name=cart", "service.name=db"], "a collector's");
}

fn head(address: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let address: SocketAddr = format!("{address}:4711").parse().unwrap();
    request.extension(ConnectInfo(address)).body(()).unwrap().into_parts().0
}

#[test]
fn a_request_that_was_handed_on_has_no_address() {
    let of = |address: &str, headers: &[(&str, &str)]| address_of(address, headers);
    assert_eq!(of(CART, &[]), Some(CART.to_owned()));
    assert_eq!(
        of("[::ffff:10.1.0.4]", &[("user-agent", "OTel-OTLP-Exporter-Python/1.37.0")]),
        Some(CART.to_owned())
    );
    for (name, value) in [
        ("x-forwarded-for", "10.1.0.5"),
        ("forwarded", "for=10.1.0.5"),
        ("via", "1.1 proxy"),
        ("user-agent", "OpenTelemetry Collector Contrib/0.136.0 (linux/amd64)"),
        ("user-agent", "promtail/3.5.1"),
        ("user-agent", "Fluent-Bit"),
        ("user-agent", "Alloy/1.10.0 (linux; docker)"),
    ] {
        assert_eq!(of(CART, &[(name, value)]), None, "{name}: {value}");
    }
}

fn address_of(address: &str, headers: &[(&str, &str)]) -> Option<String> {
    super::address(&head(address, headers)).map(|address| address.to_string())
}

/// An `ExportLogsServiceRequest` with a record of each resource.
fn logs_of(resources: &[Attributes<'_>]) -> Batch {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message;

    let text = |value: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    let resource = |attributes: &Attributes<'_>| ResourceLogs {
        resource: Some(opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: attributes
                .iter()
                .map(|(key, value)| KeyValue {
                    key: (*key).to_owned(),
                    value: text(value),
                    ..KeyValue::default()
                })
                .collect(),
            ..Default::default()
        }),
        scope_logs: vec![ScopeLogs {
            log_records: ["one", "two"]
                .iter()
                .map(|line| LogRecord { body: text(line), ..LogRecord::default() })
                .collect(),
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    };
    let request = ExportLogsServiceRequest { resource_logs: resources.iter().map(resource).collect() };
    let walked = walk_logs(&request.encode_to_vec(), 1, None, None).unwrap();
    Batch { logs: walked.logs, ..Batch::default() }
}

fn records(batch: &Batch) -> Vec<LogRecord> {
    batch.logs.rows.iter().map(|row| batch.logs.record(row)).collect()
}

#[test]
fn log_records_get_labels_and_metadata_as_tailed_lines_have_them() {
    let mut batch = logs_of(&[&[("service.name", "cart"), ("service.version", "2")]]);
    mark(&mut batch, &cluster(), CART.parse().ok());
    let records = records(&batch);
    assert_eq!(batch.logs.streams.len(), 1);
    assert_eq!([&*records[0].line, &*records[1].line], [b"one", b"two"]);
    let expected = [("container", "web"), ("namespace", "shop"), ("pod", "cart-0"), ("service_name", "cart")];
    for record in &records {
        assert_eq!(record.labels.iter().collect::<Vec<_>>(), expected);
        let metadata: Vec<(&str, &str)> =
            record.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("service_version", "2"),
            ("pod_uid", "u1"),
            ("k8s_node_name", "n1"),
            ("k8s_pod_label_team", "red"),
            (KNOWN_BY, "connection"),
        ];
        assert_eq!(metadata, expected);
    }
}

#[test]
fn log_records_of_others_stay_as_they_came() {
    let batch =
        || logs_of(&[&[("k8s.pod.uid", "u2")], &[("service.name", "cart"), ("host.name", "worker-7")]]);
    let mut known = batch();
    mark(&mut known, &cluster(), CART.parse().ok());
    let (before, after) = (records(&batch()), records(&known));
    assert_eq!(after[0].labels.get("pod"), Some("db-0"));
    assert_eq!(after[2..], before[2..]);

    // An agent's.
    let position = Position {
        agent: "a".into(),
        file: parsers::record::FileId::default(),
        offset: 1,
        resume: 1,
        held: [1, 1],
        marker: 0,
        path: "/f".into(),
        time: 1,
    };
    let mut of_agent = Batch { positions: vec![position], ..batch() };
    mark(&mut of_agent, &cluster(), CART.parse().ok());
    assert_eq!(records(&of_agent), before);
}
