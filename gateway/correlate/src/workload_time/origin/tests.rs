use super::*;

fn line(labels: &[(&str, &str)], metadata: &[(&str, &str)]) -> Origin {
    Origin::of_line(&Labels::new(labels.iter().copied()), metadata.iter().copied())
}

fn span(attributes: &[(&str, &str)]) -> Origin {
    let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), Value::Str((*v).to_owned())));
    Origin::of_resource(&Resource { attributes: attributes.collect() })
}

#[test]
fn the_pods_uid_decides_then_its_name_then_service_and_host() {
    let cart = span(&[("service.name", "cart"), ("k8s.pod.name", "cart-1"), ("k8s.pod.uid", "u1")]);
    assert_eq!(line(&[("pod", "cart-1")], &[("pod_uid", "u1")]).fits(&cart), Some(Fit::Same));
    assert_eq!(line(&[("pod", "cart-1")], &[("pod_uid", "u2")]).fits(&cart), None);
    assert_eq!(line(&[("pod", "cart-1")], &[]).fits(&cart), Some(Fit::Same));
    assert_eq!(line(&[("pod", "cart-2"), ("service_name", "cart")], &[]).fits(&cart), None);
    let host = span(&[("service.name", "cart"), ("host.name", "a")]);
    assert_eq!(line(&[("service_name", "cart"), ("host", "a")], &[]).fits(&host), Some(Fit::Same));
    assert_eq!(line(&[("service_name", "cart"), ("host", "b")], &[]).fits(&host), None);
    assert_eq!(line(&[("service_name", "shop"), ("host", "a")], &[]).fits(&host), None);
}

#[test]
fn a_proxy_in_the_pod_stands_beside() {
    let cart = span(&[("service.name", "cart"), ("k8s.pod.name", "cart-1")]);
    assert_eq!(line(&[("pod", "cart-1"), ("container", "istio-proxy")], &[]).fits(&cart), Some(Fit::Beside));
    assert_eq!(line(&[("pod", "cart-1"), ("container", "app")], &[]).fits(&cart), Some(Fit::Same));
}

#[test]
fn nothing_fits_across_tenants_namespaces_and_clusters() {
    let cart = span(&[("service.name", "cart"), ("k8s.pod.name", "cart-1"), ("k8s.namespace.name", "shop")]);
    assert_eq!(line(&[("pod", "cart-1"), ("namespace", "test")], &[]).fits(&cart), None);
    assert_eq!(line(&[("pod", "cart-1")], &[(TENANT, "team-7")]).fits(&cart), None);
    let mine = span(&[("service.name", "cart"), ("k8s.pod.name", "cart-1"), (TENANT, "team-7")]);
    assert_eq!(line(&[("pod", "cart-1")], &[]).fits(&mine), None);
    assert_eq!(line(&[("pod", "cart-1")], &[(TENANT, "team-7")]).fits(&mine), Some(Fit::Same));
}
