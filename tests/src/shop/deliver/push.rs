//! A push in Loki's JSON, with the labels that a collector of a cluster's logs gives.

use serde_json::{Value as Json, json};

use super::{Carriage, Delivery};
use crate::shop::NAMESPACE;

/// A request with all lines that are pushed.
pub(super) fn body(delivery: &Delivery<'_>) -> Json {
    let streams = delivery.carried(Carriage::Push).filter_map(|number| {
        let pod = &delivery.traffic.pods[number];
        let lines = delivery.traffic.lines.iter().filter(|line| line.pod == number);
        let values: Vec<Json> =
            lines.map(|line| json!([delivery.shown(number, line.time).to_string(), line.text])).collect();
        let labels = json!({
            "namespace": NAMESPACE, "pod": pod.name, "container": pod.service.name(), "node": pod.host,
            "app": pod.service.name(),
        });
        (!values.is_empty()).then(|| json!({"stream": labels, "values": values}))
    });
    json!({"streams": streams.collect::<Vec<_>>()})
}
