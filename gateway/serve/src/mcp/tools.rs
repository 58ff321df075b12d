//! The tools: each a path with its parameters.

use std::sync::LazyLock;

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use serde_json::{Value, json};

use crate::native::encoded;

/// A question that can be asked.
pub(super) struct Tool {
    pub(super) name: &'static str,
    description: &'static str,
    /// A part in braces is filled by the argument of that name.
    path: &'static str,
    parameters: Vec<Parameter>,
}

/// An argument of a tool.
struct Parameter {
    name: String,
    description: String,
    needed: bool,
}

/// What a tool asks, and what it takes where the path's own description does not say: name, description, and whether it is needed.
struct Question {
    name: &'static str,
    description: &'static str,
    path: &'static str,
    parameters: &'static [(&'static str, &'static str, bool)],
}

/// All tools.
pub(super) static ALL: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let described = serde_json::to_value(crate::openapi()).unwrap_or_default();
    QUESTIONS.iter().map(|question| question.tool(&described)).collect()
});

impl Question {
    /// A path of the native surface takes what its description says that it takes.
    fn tool(&self, described: &Value) -> Tool {
        let of_path = described["paths"][self.path]["get"]["parameters"].as_array();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let native = of_path.into_iter().flatten().map(|parameter| Parameter {
            name: text(&parameter["name"]),
            description: text(&parameter["description"]),
            needed: parameter["required"] == true,
        });
        let own = self.parameters.iter().map(|(name, description, needed)| Parameter {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            needed: *needed,
        });
        let (name, description, path) = (self.name, self.description, self.path);
        Tool { name, description, path, parameters: native.chain(own).collect() }
    }
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "trace",
        description: "Everything about one request by its trace id, in any spelling: spans as a tree with self time and critical path, \
            log lines under their spans, exemplars, metrics, and what is absent and why.",
        path: "/api/v1/traces/{id}",
        parameters: &[],
    },
    Question {
        name: "correlate",
        description: "From anything to the other signals, ranked, each with its rule and confidence. Exactly one start: trace_id; \
            span_id; labels (a LogQL selector) with time: a log line; service with start and end; metric (a PromQL selector) with \
            time; workload (namespace/name) with start and end.",
        path: "/api/v1/correlate",
        parameters: &[],
    },
    Question {
        name: "services",
        description: "Services with their rates, errors and latency in a window.",
        path: "/api/v1/services",
        parameters: &[],
    },
    Question {
        name: "operations",
        description: "Operations of a service with their rates, errors and latency in a window.",
        path: "/api/v1/operations",
        parameters: &[],
    },
    Question {
        name: "service_graph",
        description: "Who calls whom in a window: nodes and edges with rates, errors and latency; databases, queues and peers that \
            send no spans among them.",
        path: "/api/v1/service-graph",
        parameters: &[],
    },
    Question {
        name: "variance",
        description: "Why the duration of an operation's traces varies: which services and operations below it carry which share of \
            the variance, with the attributes, log patterns and code that go with it.",
        path: "/api/v1/analysis/variance",
        parameters: &[],
    },
    Question {
        name: "compare",
        description: "What differs between two traces, or two sets of traces: latency, errors, attributes, patterns, metrics, ranked \
            by significance.",
        path: "/api/v1/analysis/compare",
        parameters: &[],
    },
    Question {
        name: "versions",
        description: "What differs between the versions of a service, with their shares of the traffic.",
        path: "/api/v1/analysis/versions",
        parameters: &[],
    },
    Question {
        name: "patterns",
        description: "What shapes the log lines of a service have, which are new or rising against an earlier window, and its \
            exceptions by type and stack, each with example traces.",
        path: "/api/v1/patterns",
        parameters: &[],
    },
    Question {
        name: "exemplars",
        description: "Which traces lie behind the values of a metric: received exemplars, and for metrics that have none the slowest, \
            a typical and a failed request of each step.",
        path: "/api/v1/exemplars",
        parameters: &[],
    },
    Question {
        name: "logql",
        description: "Runs LogQL over a range: log lines, or metrics of them.",
        path: "/loki/api/v1/query_range",
        parameters: &[
            ("query", "LogQL", true),
            ("start", "from when: RFC 3339, seconds or ns; an hour before `end` if not given", false),
            ("end", "until when; now if not given", false),
            ("limit", "entries of a list at most", false),
            ("step", "of a metric", false),
            ("direction", "backward or forward", false),
        ],
    },
    Question {
        name: "traceql",
        description: "Searches traces with TraceQL.",
        path: "/tempo/api/search",
        parameters: &[
            ("q", "TraceQL, as { resource.service.name = \"shop\" && status = error }", true),
            ("start", "from when, in seconds", false),
            ("end", "until when, in seconds", false),
            ("limit", "entries of a list at most", false),
        ],
    },
    Question {
        name: "promql",
        description: "Runs PromQL over a range.",
        path: "/prometheus/api/v1/query_range",
        parameters: &[
            ("query", "PromQL", true),
            ("start", "from when: seconds or RFC 3339", true),
            ("end", "until when", true),
            ("step", "seconds between two values", true),
        ],
    },
    Question {
        name: "promql_instant",
        description: "Runs PromQL at one time: a value for each series.",
        path: "/prometheus/api/v1/query",
        parameters: &[
            ("query", "PromQL", true),
            ("time", "when: seconds or RFC 3339; now if not given", false),
            ("limit", "series at most", false),
        ],
    },
];

impl Tool {
    /// As a client is told of it.
    pub(super) fn described(&self) -> Described {
        let properties: JsonObject = self
            .parameters
            .iter()
            .map(|p| (p.name.clone(), json!({ "type": "string", "description": p.description })))
            .collect();
        let required: Vec<&str> =
            self.parameters.iter().filter(|p| p.needed).map(|p| p.name.as_str()).collect();
        let schema: JsonObject = [
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), Value::Object(properties)),
            ("required".to_owned(), json!(required)),
            ("additionalProperties".to_owned(), json!(false)),
        ]
        .into_iter()
        .collect();
        let annotations = ToolAnnotations::from_raw(None, Some(true), Some(false), Some(true), Some(false));
        Described::new(self.name, self.description, schema).with_annotations(annotations)
    }

    /// Whether it has this argument.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }

    /// How it is asked for less, in words.
    pub(super) fn narrower(&self) -> String {
        let ways = [
            ("start", "a narrower window"),
            ("limit", "a lower `limit`"),
            ("fields", "`fields` for what is wanted"),
        ];
        let ways: Vec<&str> =
            ways.into_iter().filter(|(name, _)| self.takes(name)).map(|(_, way)| way).collect();
        format!("ask with {}", ways.join(", or with "))
    }

    /// The path that is asked, with these arguments.
    pub(super) fn path(&self, arguments: &JsonObject) -> Result<String, String> {
        let names = || self.parameters.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(stray) = arguments.keys().find(|name| self.parameters.iter().all(|p| p.name != **name)) {
            return Err(format!("{} has no argument {stray:?}: expected {}", self.name, names()));
        }
        let (mut path, mut pairs) = (self.path.to_owned(), Vec::new());
        for parameter in &self.parameters {
            let name = parameter.name.as_str();
            let text = match arguments.get(name) {
                None | Some(Value::Null) if parameter.needed => {
                    return Err(format!("{} needs {name}: {}", self.name, parameter.description));
                }
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Bool(truth)) => truth.to_string(),
                Some(_) => return Err(format!("{name} is a list or an object: expected a text")),
            };
            let place = format!("{{{name}}}");
            if path.contains(&place) {
                path = path.replace(&place, &encoded(&text));
            } else {
                pairs.push(format!("{name}={}", encoded(&text)));
            }
        }
        Ok(if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) })
    }
}
