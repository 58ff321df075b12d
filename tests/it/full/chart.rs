//! Promise: the Helm chart gives valid objects for every set of values that is shipped with it, Trefoil takes the configurations
//! in them, and the plain manifests are what it renders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dashboards::{Target, TargetKind, Token};
use gateway::config::load;
use serde_json::Value;

use crate::manifests::{
    list, name, parsed, pods_refer_only_to_what_exists, ports, services_select_pods_that_have_their_ports,
};

/// Kinds that come with other projects: their schemas are in their definitions.
const FOREIGN: [&str; 3] = ["HTTPRoute", "PodMonitor", "ServiceMonitor"];
/// Kinds of Grafana's operator, which the dashboards and data sources can be resources of.
const OPERATORS: [&str; 2] = ["GrafanaDashboard", "GrafanaDatasource"];
/// What the values files name that is in the cluster already.
const ELSEWHERE: [&str; 5] = ["log-reader", "ca", "trefoil-tls", "trefoil-tokens", "trefoil-agent-token"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn helm() -> PathBuf {
    root().join("tests/clients/kubernetes/built/helm")
}

fn chart(command: &str, values: &[&Path]) -> Result<(bool, String)> {
    let mut helm = Command::new(helm());
    helm.arg(command);
    if command == "template" {
        // A helm built by `go install` takes itself for a very old one.
        helm.args(["shop", "--namespace", "observability", "--kube-version", "1.31.0"]);
    } else {
        helm.arg("--strict");
    }
    helm.arg(root().join("k8s/chart"));
    for file in values {
        helm.arg("--values").arg(file);
    }
    let output = helm.output().context("helm: tests/run --full installs it")?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    Ok((output.status.success(), String::from_utf8(said)?))
}

/// All values files of the chart, and none.
fn values() -> Result<Vec<Option<PathBuf>>> {
    let mut files = vec![None];
    for entry in std::fs::read_dir(root().join("k8s/chart/ci"))? {
        files.push(Some(entry?.path()));
    }
    ensure!(files.len() > 3);
    Ok(files)
}

fn validate(text: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, text)?;
    let validator = root().join(".venv/kubernetes/bin/kubernetes-validate");
    let output = Command::new(validator).arg("--strict").arg(&file).output()?;
    let said = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    for line in said.lines().filter(|line| !line.contains(" passed for resource ")) {
        ensure!(FOREIGN.iter().any(|kind| line.contains(&format!("schema for kind {kind} "))), "{line}");
    }
    Ok(())
}

/// Validates objects of other projects' kinds; which kinds there were.
fn validate_foreign(text: &str) -> Result<BTreeSet<String>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, text)?;
    let tools = root().join("tests/clients/kubernetes");
    let mut validator = Command::new(root().join(".venv/kubernetes/bin/python"));
    validator.arg(tools.join("validate_custom.py")).arg(tools.join("built/crds")).arg(&file);
    let output = validator.output()?;
    let said = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{said}");
    let kinds = said.lines().filter_map(|line| line.strip_prefix("ok ")?.split(' ').next());
    Ok(kinds.map(str::to_owned).collect())
}

#[test]
fn what_grafanas_operator_is_given_holds_to_its_definitions() -> Result<()> {
    let instances = ("dashboards".to_owned(), "grafana".to_owned());
    let kind = TargetKind::Operator { namespace: "monitoring".to_owned(), instances };
    let secret = Token::Secret { name: "trefoil-token".to_owned(), key: "token".to_owned() };
    let target =
        Target { token: Some(secret), correlations: true, ..Target::new(kind, "http://trefoil:8080") };
    let datasources = dashboards::datasources(&target)?;
    let boards = dashboards::dashboards(&target);
    let texts: Vec<&str> = std::iter::once(datasources.as_str())
        .chain(boards.iter().map(|file| file.contents.as_str()))
        .collect();
    let kinds = validate_foreign(&texts.join("\n---\n"))?;
    ensure!(kinds == OPERATORS.map(str::to_owned).into(), "{kinds:?}");
    let misspelt = "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: m}, \
                    spec: {selector: {}, podMetricsEndpoints: [{prot: http}]}}";
    ensure!(validate_foreign(misspelt).is_err_and(|said| said.to_string().contains("'prot' was unexpected")));
    Ok(())
}

#[test]
fn every_set_of_values_gives_objects_that_kubernetes_and_trefoil_take() -> Result<()> {
    let mut foreign = BTreeSet::new();
    for file in values()? {
        let given: Vec<&Path> = file.iter().map(PathBuf::as_path).collect();
        let (fine, said) = chart("lint", &given)?;
        ensure!(fine, "{given:?}: {said}");
        let (fine, text) = chart("template", &given)?;
        ensure!(fine, "{given:?}: {text}");
        validate(&text).with_context(|| format!("{given:?}"))?;
        foreign.extend(validate_foreign(&text).with_context(|| format!("{given:?}"))?);
        let objects = parsed(&text);
        pods_refer_only_to_what_exists(&objects, &ELSEWHERE);
        services_select_pods_that_have_their_ports(&objects);
        policies_let_through_what_services_name(&objects);
        for map in objects.iter().filter(|object| object["kind"] == "ConfigMap") {
            for (file, text) in map["data"].as_object().into_iter().flatten() {
                if name(map).ends_with("-config") {
                    configuration(&objects, name(map), file, text.as_str().context("text")?)?;
                }
            }
        }
    }
    ensure!(foreign == FOREIGN.map(str::to_owned).into(), "no values file has all of them: {foreign:?}");
    Ok(())
}

/// That no policy shuts a port that a service of the same pods leads to.
fn policies_let_through_what_services_name(objects: &[Value]) {
    for policy in objects.iter().filter(|object| object["kind"] == "NetworkPolicy") {
        let pods = &policy["spec"]["podSelector"]["matchLabels"];
        let open: Vec<&Value> =
            list(&policy["spec"], "ingress").iter().flat_map(|rule| list(rule, "ports")).collect();
        let services = objects.iter().filter(|object| object["kind"] == "Service");
        for service in services.filter(|service| service["spec"]["selector"] == *pods) {
            for port in list(&service["spec"], "ports") {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                let through =
                    |open: &&Value| open["port"] == port["targetPort"] && open["protocol"] == protocol;
                assert!(open.iter().any(through), "{} shuts {port}", name(policy));
            }
        }
    }
}

/// Trefoil takes it, and the pod that mounts it has the ports that it opens.
fn configuration(objects: &[Value], map: &str, file: &str, text: &str) -> Result<()> {
    let config = load(text, file, []).map_err(|mistakes| anyhow::anyhow!("{map}: {mistakes:#?}"))?;
    let mounts = |object: &&Value| {
        let volumes = list(&object["spec"]["template"]["spec"], "volumes");
        volumes.iter().any(|volume| volume["configMap"]["name"] == map)
    };
    let workload = objects.iter().find(mounts).with_context(|| format!("nothing mounts {map}"))?;
    let open = ports(workload);
    ensure!(open.get("http") == Some(&u64::from(config.server.listen.port())), "{map}: {open:?}");
    if file == "trefoil.yaml" {
        let zipkin = config.receive.zipkin.http.filter(|address| address.ip().is_unspecified());
        let zipkin = zipkin.map(|address| u64::from(address.port()));
        ensure!(open.get("zipkin").copied() == zipkin, "{map}: {open:?}");
    }
    Ok(())
}

#[test]
fn values_that_cannot_be_are_refused_with_their_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("values.yaml");
    for (values, told) in [
        ("gateway: {replicaz: 2}", "replicaz"),
        ("gateway: {replicas: 2}", "several need gateway.stateless"),
        ("gateway: {autoscaling: {enabled: true}}", "only a gateway with gateway.stateless"),
        ("gateway: {enabled: false}", "the agent needs to be told where to ship"),
        ("gateway: {httpRoute: {enabled: true}}", "the Gateway that the route belongs to"),
        ("gateway: {config: {server: {listen: nowhere}}}", "listen"),
        ("gateway: {config: {store: null}}", "store"),
        ("agent: {config: {collect: {positions_dir: null}}}", "positions_dir"),
        ("image: {pullPolicy: Sometimes}", "pullPolicy"),
    ] {
        std::fs::write(&file, values)?;
        let (fine, said) = chart("template", &[&file])?;
        ensure!(!fine && said.contains(told), "{values}: {said:.400}");
    }
    Ok(())
}

#[test]
fn the_plain_manifests_are_what_the_chart_renders() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let status = Command::new(root().join("k8s/render")).arg(helm()).arg(folder.path()).status()?;
    ensure!(status.success());
    for file in ["trefoil.yaml", "grafana.yaml"] {
        let fresh = std::fs::read_to_string(folder.path().join(file))?;
        let found = std::fs::read_to_string(root().join("k8s").join(file))?;
        ensure!(fresh == found, "k8s/{file} is stale: k8s/render renders it");
    }
    Ok(())
}
