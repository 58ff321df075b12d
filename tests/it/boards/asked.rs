//! A dashboard's queries as Grafana fills them in and sends them, and whether an answer shows something.

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;
use tests::harness::{Answer, Http};

/// The shown range, s; what dashboards have for a start is an hour.
const RANGE: i64 = 3600;
/// Between two points, s: what Grafana comes to for an hour at a screen's width, with its smallest interval.
const STEP: &str = "15";
/// Four scrape intervals, and Grafana's own rule.
const RATE_INTERVAL: &str = "1m";
/// By Grafana's service map, which asks the metrics' data source.
const SERVICE_MAP: [&str; 8] = [
    "sum by (client, server) (rate(traces_service_graph_request_total[$__range]))",
    "sum by (client, server) (rate(traces_service_graph_request_failed_total[$__range]))",
    "sum by (client, server) (rate(traces_service_graph_request_server_seconds_sum[$__range]))",
    "sum by (client, server) (rate(traces_service_graph_request_server_seconds_bucket[$__range]))",
    "group by (client, connection_type, server) (traces_service_graph_request_total)",
    "topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind=\"SPAN_KIND_SERVER\"}[$__range])) by (span_name))",
    "topk(5, sum(rate(traces_spanmetrics_calls_total{span_kind=\"SPAN_KIND_SERVER\", status_code=\"STATUS_CODE_ERROR\"}[$__range])) by (span_name))",
    "histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name=~\"POST /orders|POST /charges\"}[$__range])) by (le))",
];

/// What is filled in for each variable.
#[derive(Debug, Clone, Default)]
pub(super) struct Choices(Vec<(String, String)>);

/// A variable with what can be chosen.
pub(super) struct Variable {
    name: String,
    /// What stands for everything, where that can be chosen.
    all: Option<String>,
    values: Vec<String>,
}

impl Variable {
    pub(super) fn is_used_in(&self, query: &Value) -> bool {
        let text = expression(query);
        text.contains(&format!("${}", self.name)) || text.contains(&format!("${{{}}}", self.name))
    }
}

impl Choices {
    /// All of what can be chosen; where one thing has to be, one after the other.
    pub(super) fn all(variables: &[&Variable]) -> Vec<Self> {
        Self::of(variables, |variable| match &variable.all {
            Some(all) => vec![all.clone()],
            None => variable.values.clone(),
        })
    }

    /// One thing of each variable.
    pub(super) fn one_each(variables: &[&Variable]) -> Vec<Self> {
        Self::of(variables, |variable| variable.values.clone())
    }

    fn of(variables: &[&Variable], values: impl Fn(&Variable) -> Vec<String>) -> Vec<Self> {
        variables.iter().fold(vec![Self::default()], |made, variable| {
            let with = |choices: &Self| -> Vec<Self> {
                let with = |value| [choices.0.clone(), vec![(variable.name.clone(), value)]].concat();
                values(variable).into_iter().map(|value| Self(with(value))).collect()
            };
            made.iter().flat_map(with).collect()
        })
    }

    fn fill(&self, text: &str) -> String {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
        });
        filled
            .replace("$__rate_interval", RATE_INTERVAL)
            .replace("$__interval", &format!("{STEP}s"))
            .replace("$__range", &format!("{RANGE}s"))
    }
}

fn expression(query: &Value) -> &str {
    query["expr"].as_str().or(query["query"].as_str()).unwrap_or_default()
}

/// Something that asks Trefoil as Grafana does.
#[derive(Clone, Copy)]
pub(super) struct Grafana<'a> {
    pub(super) http: &'a Http,
    pub(super) url: &'a str,
}

impl Grafana<'_> {
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.url), parameters)?;
        self.http.get(url.as_str()).await
    }

    async fn over_time(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let end = Timestamp::now().as_second() + 1;
        let (start, end) = ((end - RANGE).to_string(), end.to_string());
        let parameters = [&[("start", start.as_str()), ("end", &end)], parameters].concat();
        self.get(path, &parameters).await?.ok_json()
    }

    /// The values of a label.
    async fn values(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let answer = self.over_time(path, parameters).await?;
        let values = answer["data"].as_array().into_iter().flatten();
        Ok(values.filter_map(|value| value.as_str().map(str::to_owned)).collect())
    }

    /// Reads a variable as the dashboard has it; a text is the id of a trace, or empty.
    pub(super) async fn variable(&self, variable: &Value, trace: &str) -> Result<Variable> {
        let name = variable["name"].as_str().context("a name")?.to_owned();
        if variable["type"] == "textbox" {
            let values = vec![if name == "trace_id" { trace.to_owned() } else { String::new() }];
            return Ok(Variable { name, all: None, values });
        }
        let query = &variable["query"];
        let values = match variable["datasource"]["type"].as_str() {
            Some("loki") => {
                let label = query["label"].as_str().context("a label")?;
                self.values(&format!("/loki/api/v1/label/{label}/values"), &[]).await?
            }
            _ => {
                let asked = query["query"].as_str().and_then(|q| q.strip_prefix("label_values("));
                let asked = asked.and_then(|q| q.strip_suffix(')')).context("label_values(..)")?;
                let (metric, label) = match asked.rsplit_once(", ") {
                    Some((metric, label)) => (vec![("match[]", metric)], label),
                    None => (Vec::new(), asked),
                };
                self.values(&format!("/prometheus/api/v1/label/{label}/values"), &metric).await?
            }
        };
        ensure!(!values.is_empty(), "no value");
        let all = (variable["includeAll"] == true).then(|| variable["allValue"].as_str());
        Ok(Variable { name, all: all.flatten().map(str::to_owned), values })
    }

    /// A trace of the shop that has log lines, by its id.
    pub(super) async fn trace_with_lines(&self) -> Result<String> {
        let query = "{service_name=\"frontend\"} | trace_id!=\"\"";
        let found =
            self.over_time("/loki/api/v1/query_range", &[("query", query), ("direction", "forward")]).await?;
        let id = found["data"]["result"][0]["stream"]["trace_id"].as_str();
        Ok(id.context("no line with an id")?.to_owned())
    }

    /// A query of metrics as of now.
    pub(super) async fn instant(&self, query: &str) -> Result<()> {
        let query = Choices::default().fill(query);
        let answer = self.get("/prometheus/api/v1/query", &[("query", &query)]).await?.ok_json()?;
        ensure!(numbers(&answer).next().is_some(), "no number: {answer:.300}");
        Ok(())
    }

    /// Whether a target of a panel shows something.
    pub(super) async fn shows(&self, panel: &Value, query: &Value, choices: &Choices) -> Result<()> {
        let text = choices.fill(expression(query));
        let text = text.as_str();
        let told = || format!("`{text}`");
        match (query["datasource"]["type"].as_str(), query["queryType"].as_str()) {
            (Some("loki"), _) => self.shows_logs(panel, query, text).await,
            (Some("tempo"), Some("serviceMap")) => {
                for query in SERVICE_MAP {
                    self.instant(query).await.with_context(|| query)?;
                }
                Ok(())
            }
            (Some("tempo"), _) => self.shows_traces(panel, query, text).await,
            (Some("prometheus"), _) => self.shows_metrics(panel, query, text).await,
            (other, _) => bail!("a query of {other:?}"),
        }
        .with_context(told)
    }

    async fn shows_logs(&self, panel: &Value, query: &Value, text: &str) -> Result<()> {
        let parameters = [("query", text), ("step", STEP), ("limit", "100")];
        let answer = self.over_time("/loki/api/v1/query_range", &parameters).await?;
        let result = answer["data"]["result"].as_array().context("a result")?;
        ensure!(!result.is_empty(), "nothing");
        ensure!((answer["data"]["resultType"] == "streams") == (panel["type"] == "logs"), "another kind");
        let labels: Vec<&Value> = result.iter().map(|series| &series["metric"]).collect();
        if panel["type"] == "logs" { Ok(()) } else { in_legend(query, &labels) }
    }

    async fn shows_traces(&self, panel: &Value, query: &Value, text: &str) -> Result<()> {
        if panel["type"] == "traces" {
            let trace = self.get(&format!("/tempo/api/v2/traces/{text}"), &[]).await?;
            ensure!(trace.status == 200 && trace.body.len() > 200, "status {}", trace.status);
            return Ok(());
        }
        if panel["type"] == "table" {
            let answer = self.over_time("/tempo/api/search", &[("q", text), ("limit", "20")]).await?;
            ensure!(answer["traces"].as_array().is_some_and(|traces| !traces.is_empty()), "no trace");
            return Ok(());
        }
        let exemplars = query["exemplars"].as_i64().unwrap_or_default().to_string();
        let parameters = [("q", text), ("step", "15s"), ("exemplars", exemplars.as_str())];
        let answer = self.over_time("/tempo/api/metrics/query_range", &parameters).await?;
        let series: Vec<&Value> = answer["series"].as_array().into_iter().flatten().collect();
        let samples = series.iter().flat_map(|series| series["samples"].as_array().into_iter().flatten());
        ensure!(samples.filter_map(|sample| sample["value"].as_f64()).any(|value| value > 0.0), "no sample");
        let dots = series.iter().any(|series| series["exemplars"].as_array().is_some_and(|e| !e.is_empty()));
        ensure!(exemplars == "0" || dots, "no exemplar");
        Ok(())
    }

    async fn shows_metrics(&self, panel: &Value, query: &Value, text: &str) -> Result<()> {
        let answer = if query["instant"] == true {
            self.get("/prometheus/api/v1/query", &[("query", text)]).await?.ok_json()?
        } else {
            self.over_time("/prometheus/api/v1/query_range", &[("query", text), ("step", STEP)]).await?
        };
        ensure!(numbers(&answer).next().is_some(), "no number");
        let result = answer["data"]["result"].as_array().into_iter().flatten();
        let labels: Vec<&Value> = result.map(|series| &series["metric"]).collect();
        in_legend(query, &labels)?;
        for link in panel["fieldConfig"]["overrides"].as_array().into_iter().flatten() {
            let field = link["matcher"]["options"].as_str().unwrap_or_default();
            let is_link = link["properties"].as_array().into_iter().flatten().any(|p| p["id"] == "links");
            ensure!(!is_link || labels.iter().any(|labels| labels[field].is_string()), "no column {field}");
        }
        if query["exemplar"] == true {
            let found = self.over_time("/prometheus/api/v1/query_exemplars", &[("query", text)]).await?;
            ensure!(found["data"].as_array().is_some_and(|series| !series.is_empty()), "no exemplar");
        }
        Ok(())
    }
}

/// The values of a vector or matrix that are numbers.
fn numbers(answer: &Value) -> impl Iterator<Item = f64> {
    let series = answer["data"]["result"].as_array().into_iter().flatten();
    let points = series
        .flat_map(|series| series["values"].as_array().into_iter().flatten().chain(series.get("value")));
    points.filter_map(|point| point[1].as_str()?.parse().ok()).filter(|value: &f64| value.is_finite())
}

/// Each label that the legend names is one of some series.
fn in_legend(query: &Value, labels: &[&Value]) -> Result<()> {
    let legend = query["legendFormat"].as_str().unwrap_or_default();
    for name in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        ensure!(labels.iter().any(|labels| labels[name].is_string()), "the legend's `{name}` is no label");
    }
    Ok(())
}
