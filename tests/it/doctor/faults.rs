//! Settings that kill a link, each one alone.

use anyhow::{Context, Result};
use gateway::doctor::DataSource;
use serde_json::json;

use super::settings;

/// A fault: its name, how it is made, the link that it kills, and what the remedy says.
pub(super) type Fault = (&'static str, fn(&mut [DataSource]) -> Result<()>, &'static str, &'static str);

pub(super) const FAULTS: [Fault; 17] = [
    (
        "two data sources that are taken where none is named",
        |sources| {
            for (n, source) in sources.iter_mut().enumerate() {
                source.is_default = n < 2;
            }
            Ok(())
        },
        "isDefault",
        "one of them",
    ),
    (
        "a variable that Grafana does not know",
        |sources| {
            let query = r#"{${__tags}} | trace_id="${__span.traceID}""#;
            settings(sources, "trefoil-tempo")?["tracesToLogsV2"]["query"] = json!(query);
            Ok(())
        },
        "span to logs",
        "${__trace.traceId}",
    ),
    (
        "a uid that names nothing",
        |sources| {
            settings(sources, "trefoil-tempo")?["tracesToLogsV2"]["datasourceUid"] = json!("loki-old");
            Ok(())
        },
        "tracesToLogsV2",
        "trefoil-loki",
    ),
    (
        "a uid of another kind",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][0]["datasourceUid"] =
                json!("trefoil-prometheus");
            Ok(())
        },
        "derivedFields `trace_id`",
        "trefoil-tempo",
    ),
    (
        "the first form of the link to logs",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            tempo["tracesToLogs"] = json!({"datasourceUid": "trefoil-loki", "tags": ["job"]});
            Ok(())
        },
        "tracesToLogs",
        "tracesToLogsV2",
    ),
    (
        "a metric that was renamed",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            let query = "sum(rate(http_server_request_duration_milliseconds_count{$__tags}[5m]))";
            tempo["tracesToMetrics"]["queries"] = json!([{"name": "Requests", "query": query}]);
            Ok(())
        },
        "span to metrics, `Requests`",
        "http_server_request_duration_seconds_count",
    ),
    (
        "a label that no stream has the service in",
        |sources| {
            let tempo = settings(sources, "trefoil-tempo")?;
            tempo["tracesToLogsV2"]["tags"] = json!([{"key": "service.name", "value": "namespace"}]);
            Ok(())
        },
        "span to logs",
        "service_name",
    ),
    (
        "an id that is looked for under another key",
        |sources| {
            let loki = settings(sources, "trefoil-loki")?;
            let field = json!({"name": "id", "matcherType": "label", "matcherRegex": "^traceID$",
                               "datasourceUid": "trefoil-tempo", "url": "${__value.raw}"});
            loki["derivedFields"] = json!([field]);
            Ok(())
        },
        "log line to trace, field `id`",
        "^trace_id$",
    ),
    (
        "an exemplar's label that is called otherwise",
        |sources| {
            let prometheus = settings(sources, "trefoil-prometheus")?;
            prometheus["exemplarTraceIdDestinations"] =
                json!([{"name": "traceId", "datasourceUid": "trefoil-tempo"}]);
            Ok(())
        },
        "exemplar to trace",
        "trace_id",
    ),
    (
        "an expression that no line has",
        |sources| {
            let loki = settings(sources, "trefoil-loki")?;
            loki["derivedFields"] = json!([{"name": "id", "matcherRegex": r"tid=(\w+)", "datasourceUid": "trefoil-tempo",
                                            "url": "${__value.raw}"}]);
            Ok(())
        },
        "log line to trace",
        "^trace_id$",
    ),
    (
        "an expression that takes nothing",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][1]["matcherRegex"] = json!("trace_id=");
            Ok(())
        },
        "log line to trace, field `trace_id in line`",
        "into a group",
    ),
    (
        "an expression that is none",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][1]["matcherRegex"] = json!("trace_id=(");
            Ok(())
        },
        "log line to trace, field `trace_id in line`",
        "matcherRegex",
    ),
    (
        "a link without the id",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][0]["url"] = json!("");
            Ok(())
        },
        "log line to trace, field `trace_id`",
        "${__value.raw}",
    ),
    (
        "doubled dollars where there is no file",
        |sources| {
            settings(sources, "trefoil-loki")?["derivedFields"][0]["url"] = json!("$${__value.raw}");
            Ok(())
        },
        "jsonData.derivedFields[0].url",
        "a single `$`",
    ),
    (
        "a graph that is switched off",
        |sources| {
            settings(sources, "trefoil-jaeger")?["nodeGraph"]["enabled"] = json!(false);
            Ok(())
        },
        "node graph",
        "nodeGraph: {enabled: true}",
    ),
    (
        "a window that the lines are not in",
        |sources| {
            let link = &mut settings(sources, "trefoil-tempo")?["tracesToLogsV2"];
            link["spanStartTimeShift"] = json!("1h");
            link["spanEndTimeShift"] = json!("2h");
            Ok(())
        },
        "span to logs",
        "spanStartTimeShift",
    ),
    (
        "a map without a data source",
        |sources| {
            settings(sources, "trefoil-tempo")?.as_object_mut().context("settings")?.remove("serviceMap");
            Ok(())
        },
        "service map",
        "serviceMap.datasourceUid",
    ),
];
