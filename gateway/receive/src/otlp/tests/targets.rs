//! What a resource makes of its series: labels, and `target_info`.

use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint, metric::Data, number_data_point};
use parsers::otlp::Promoted;
use parsers::record::{Labels, MetricBatch};

use super::signals::{metrics_of, sum};

/// Labels of the first two series but those of the point, as PromQL writes them.
fn two(batch: &MetricBatch) -> [String; 2] {
    let shown = |labels: &Labels| {
        let pairs: Vec<String> =
            labels.iter().filter(|(n, _)| *n != "k").map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join(" ")
    };
    [shown(&batch.series[0]), shown(&batch.series[1])]
}

#[test]
fn two_pods_are_two_series_with_the_labels_that_find_them_and_a_target_info_each() {
    let pod = |name: &'static str| {
        [
            ("service.name", "twopods"),
            ("service.version", "1.2"),
            ("deployment.environment", "prod"),
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.name", name),
            ("k8s.container.name", "app"),
            ("k8s.node.name", "n1"),
            ("team.name", "payments"),
        ]
    };
    let (first, second) = (pod("pay-1"), pod("pay-2"));
    for temporality in [2, 1] {
        let resources: [&[_]; 2] = [&first, &second];
        let (batch, rejections) =
            metrics_of(&resources, "tp", "", &sum(temporality, "v"), &Promoted::default());
        assert!(rejections.is_empty());
        let own = batch.series.iter().filter(|labels| labels.get("k").is_some());
        let pods: Vec<_> = own.map(|labels| (labels.get("pod"), labels.get("instance"))).collect();
        assert_eq!(pods, [(Some("pay-1"), Some("shop.pay-1.app")), (Some("pay-2"), Some("shop.pay-2.app"))]);
        let delta = if temporality == 1 { "__temporality__=delta " } else { "" };
        let name = if temporality == 1 { "tp" } else { "tp_total" };
        assert_eq!(
            two(&batch),
            [
                format!(
                    "__name__={name} {delta}container=app deployment_environment=prod instance=shop.pay-1.app \
                     job=twopods namespace=shop node=n1 pod=pay-1 service_name=twopods service_version=1.2"
                ),
                "__name__=target_info deployment_environment=prod instance=shop.pay-1.app job=twopods \
                 k8s_container_name=app k8s_namespace_name=shop k8s_node_name=n1 k8s_pod_name=pay-1 \
                 service_name=twopods service_version=1.2 team_name=payments"
                    .to_owned()
            ]
        );
        let info: Vec<_> = batch.samples.iter().filter(|row| row.value == 1.0).map(|row| row.time).collect();
        assert_eq!(info, [99, 99]);
        assert!(batch.families.iter().any(|family| family.name == "target_info"));
    }
}

#[test]
fn an_instance_is_told_by_what_the_resource_says_of_it() {
    for (resource, expected) in [
        (&[("service.instance.id", "i"), ("k8s.pod.name", "p"), ("process.pid", "7")][..], Some("i")),
        (&[("k8s.pod.name", "p"), ("k8s.pod.uid", "u"), ("host.name", "h")], Some("p")),
        (&[("k8s.pod.name", "p"), ("k8s.namespace.name", "n"), ("process.pid", "7")], Some("n.p:7")),
        (&[("k8s.pod.uid", "u"), ("k8s.container.name", "c")], Some("u.c")),
        (&[("container.id", "c"), ("host.name", "h")], Some("c")),
        (&[("faas.instance", "f")], Some("f")),
        (&[("host.name", "h"), ("process.pid", "7")], Some("h:7")),
        (&[("host.id", "i")], Some("i")),
        (&[("process.pid", "7")], Some("7")),
        (&[("service.version", "1")], None),
    ] {
        let (batch, _) = metrics_of(&[resource], "g", "", &sum(2, "v"), &Promoted::default());
        assert_eq!(batch.series[0].get("instance"), expected, "{resource:?}");
    }
}

#[test]
fn which_attributes_become_labels_is_configurable_and_a_points_own_come_first() {
    let resource =
        [("service.name", "s"), ("k8s.pod.name", "p"), ("k", "of the resource"), ("team.name", "t")];
    let promoted = Promoted::new(["team.name", "k"]);
    let (batch, _) = metrics_of(&[&resource], "g", "", &sum(2, "v"), &promoted);
    assert_eq!(two(&batch)[0], "__name__=g_total instance=p job=s team_name=t");
    assert_eq!(batch.series[0].get("k"), Some("v"));
    // What says no more than which service it is has no target_info.
    let (batch, _) = metrics_of(&[&[("service.name", "s")]], "g", "", &sum(2, "v"), &Promoted::default());
    assert_eq!(batch.series.len(), 1);
}

#[test]
fn a_target_info_lasts_as_long_as_the_samples_of_its_resource() {
    let points = [0, 200, 400].map(|seconds| NumberDataPoint {
        value: Some(number_data_point::Value::AsInt(5)),
        time_unix_nano: (1_000 + seconds) * 1_000_000_000,
        ..NumberDataPoint::default()
    });
    let data = Data::Gauge(Gauge { data_points: points.into() });
    let (batch, _) = metrics_of(&[&[("host.name", "h")]], "g", "", &data, &Promoted::default());
    let times: Vec<u64> =
        batch.samples.iter().filter(|row| row.value == 1.0).map(|row| row.time / 1_000_000_000).collect();
    assert_eq!(times, [1_100, 1_250, 1_400]);
}
