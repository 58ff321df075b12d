//! Promise: the Kubernetes manifests fit together, and the configurations in them load through the gateway's own reader.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gateway::config::{Config, load};
use serde_json::Value;

const NAMESPACE: &str = "trefoil";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s")
}

fn documents(path: &Path) -> Vec<Value> {
    parsed(&std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The objects in a text of several documents.
pub(super) fn parsed(text: &str) -> Vec<Value> {
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

fn listed() -> Vec<String> {
    texts(&documents(&folder().join("kustomization.yaml"))[0]["resources"])
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn objects() -> Vec<Value> {
    listed().iter().flat_map(|name| documents(&folder().join(name))).collect()
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn find(kind: &str, wanted: &str) -> Value {
    find_in(&objects(), kind, wanted)
}

pub(super) fn find_in(objects: &[Value], kind: &str, wanted: &str) -> Value {
    let found = objects.iter().find(|object| object["kind"] == kind && name(object) == wanted);
    found.unwrap_or_else(|| panic!("there is no {kind} {wanted}")).clone()
}

/// The objects that run pods.
fn workloads(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| object["spec"]["template"]["spec"].is_object())
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn configuration(map: &str, file: &str) -> Config {
    let map = find("ConfigMap", map);
    let text = map["data"][file].as_str().unwrap();
    load(text, file, []).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn container_ports(workload: &str, kind: &str) -> BTreeMap<String, u64> {
    ports(&find(kind, workload))
}

pub(super) fn ports(workload: &Value) -> BTreeMap<String, u64> {
    list(&workload["spec"]["template"]["spec"]["containers"][0], "ports")
        .iter()
        .map(|port| (port["name"].as_str().unwrap().to_owned(), port["containerPort"].as_u64().unwrap()))
        .collect()
}

#[test]
fn every_manifest_is_listed_and_every_listed_one_is_there() {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "yaml") && name != "kustomization.yaml" {
            found.insert(name);
        }
    }
    assert_eq!(found, listed().into_iter().collect());
}

#[test]
fn every_object_is_named_once_and_in_the_namespace() {
    let mut seen = BTreeSet::new();
    for object in objects() {
        assert!(object["apiVersion"].is_string(), "{object}");
        let kind = object["kind"].as_str().unwrap();
        assert!(seen.insert((kind.to_owned(), name(&object).to_owned())), "{kind} {} twice", name(&object));
        if !["Namespace", "ClusterRole", "ClusterRoleBinding"].contains(&kind) {
            assert_eq!(object["metadata"]["namespace"], NAMESPACE, "{kind} {}", name(&object));
        }
    }
    find("Namespace", NAMESPACE);
}

#[test]
fn the_gateways_configuration_loads_and_listens_on_the_containers_ports() {
    let config = configuration("trefoil-config", "trefoil.yaml");
    let ports = container_ports("trefoil", "StatefulSet");
    assert_eq!(u64::from(config.server.listen.port()), ports["http"]);
    let mut addresses = vec![config.server.listen];
    let jaeger = &config.receive.jaeger;
    for (name, address) in [
        ("otlp-grpc", config.receive.otlp.grpc),
        ("otlp-http", config.receive.otlp.http),
        ("zipkin", config.receive.zipkin.http),
        ("jaeger-http", jaeger.http),
        ("jaeger-grpc", jaeger.grpc),
        ("jaeger-compact", jaeger.udp_compact),
        ("jaeger-binary", jaeger.udp_binary),
        ("jaeger-sampling", jaeger.sampling),
        ("elastic-apm", config.receive.elastic_apm.http),
    ] {
        assert_eq!(address.map(|address| u64::from(address.port())), Some(ports[name]), "{name}");
        addresses.extend(address);
    }
    for address in addresses {
        assert!(address.ip().is_unspecified(), "{address} cannot be reached from outside the pod");
    }
    assert!(config.collect.files.is_empty(), "the agents tail");
    let workload = find("StatefulSet", "trefoil");
    let mounts = &workload["spec"]["template"]["spec"]["containers"][0];
    let data = list(mounts, "volumeMounts").iter().find(|mount| mount["name"] == "data").unwrap();
    assert_eq!(data["mountPath"].as_str().unwrap(), config.store.dir.to_str().unwrap());
}

#[test]
fn the_agents_configuration_loads_and_ships_to_the_gateways_service() {
    let config = configuration("trefoil-agent-config", "agent.yaml");
    assert_eq!(u64::from(config.server.listen.port()), container_ports("trefoil-agent", "DaemonSet")["http"]);
    let service = find("Service", "trefoil");
    let port = list(&service["spec"], "ports").iter().find(|port| port["name"] == "http").unwrap();
    let expected = format!("http://trefoil.{NAMESPACE}.svc:{}", port["port"]);
    let ship = config.ship.unwrap();
    assert_eq!((format!("{:?}", ship.protocol), ship.url), ("Trefoil".to_owned(), expected));

    let workload = find("DaemonSet", "trefoil-agent");
    let pod = &workload["spec"]["template"]["spec"];
    let mount = |path: &str| {
        let mounts = list(&pod["containers"][0], "volumeMounts");
        mounts
            .iter()
            .find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()))
            .unwrap_or_else(|| panic!("{path} is on no volume"))
            .clone()
    };
    for glob in &config.collect.files {
        assert_eq!(mount(&glob.path)["readOnly"], true, "{}", glob.path);
    }
    assert_ne!(mount(config.collect.positions_dir.to_str().unwrap())["readOnly"], true);
}

#[test]
fn the_node_name_reaches_the_agents_configuration() {
    let workload = find("DaemonSet", "trefoil-agent");
    let environment = list(&workload["spec"]["template"]["spec"]["containers"][0], "env");
    let node = environment.iter().find(|variable| variable["name"] == "NODE_NAME").unwrap();
    assert_eq!(node["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
    let ours: Vec<(String, String)> = environment
        .iter()
        .filter_map(|variable| {
            Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned()))
        })
        .map(|(name, value)| (name, value.replace("$(NODE_NAME)", "node-7")))
        .collect();
    assert_eq!(load("", "(none)", ours).unwrap().collect.node.as_deref(), Some("node-7"));
}

/// That pods refer to nothing but what is among these objects or, of the names in `elsewhere`, in the cluster.
pub(super) fn pods_refer_only_to_what_exists(objects: &[Value], elsewhere: &[&str]) {
    let find = |kind: &str, name: &str| {
        assert!(elsewhere.contains(&name) || find_in(objects, kind, name).is_object());
    };
    for workload in workloads(objects) {
        let spec = &workload["spec"];
        let pod = &spec["template"]["spec"];
        find("ServiceAccount", pod["serviceAccountName"].as_str().unwrap());
        let labels = spec["template"]["metadata"]["labels"].as_object().unwrap();
        let selector = spec["selector"]["matchLabels"].as_object().unwrap();
        assert!(!selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
        let mut volumes: BTreeSet<&str> =
            list(pod, "volumes").iter().map(|volume| volume["name"].as_str().unwrap()).collect();
        volumes.extend(list(spec, "volumeClaimTemplates").iter().map(name));
        for volume in list(pod, "volumes") {
            if let Some(map) = volume["configMap"]["name"].as_str() {
                find("ConfigMap", map);
            }
        }
        for container in list(pod, "containers") {
            for mount in list(container, "volumeMounts") {
                assert!(volumes.contains(mount["name"].as_str().unwrap()), "{mount}");
            }
            let ports: BTreeSet<&str> =
                list(container, "ports").iter().map(|port| port["name"].as_str().unwrap()).collect();
            for probe in ["livenessProbe", "readinessProbe"] {
                assert!(ports.contains(container[probe]["httpGet"]["port"].as_str().unwrap()), "{probe}");
            }
            assert!(container["resources"]["limits"]["memory"].is_string());
            assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        }
    }
}

/// That each service leads to one workload, to ports that it has.
pub(super) fn services_select_pods_that_have_their_ports(objects: &[Value]) {
    for service in objects.iter().filter(|object| object["kind"] == "Service") {
        let selector = &service["spec"]["selector"];
        let selected: Vec<&Value> = workloads(objects)
            .filter(|workload| workload["spec"]["selector"]["matchLabels"] == *selector)
            .collect();
        assert_eq!(selected.len(), 1, "{} selects one workload", name(service));
        let ports = ports(selected[0]);
        for port in list(&service["spec"], "ports") {
            assert!(ports.contains_key(port["targetPort"].as_str().unwrap()), "{port}");
        }
    }
}

#[test]
fn the_plain_manifests_hold_together() {
    pods_refer_only_to_what_exists(&objects(), &[]);
    services_select_pods_that_have_their_ports(&objects());
    let set = find("StatefulSet", "trefoil");
    assert_eq!(find("Service", set["spec"]["serviceName"].as_str().unwrap())["spec"]["clusterIP"], "None");
}
