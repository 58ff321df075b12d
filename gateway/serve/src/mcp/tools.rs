//! The tools: each a path with its parameters.

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use serde_json::{Value, json};

use crate::native::encoded;

/// A question that can be asked.
pub(super) struct Tool {
    pub(super) name: &'static str,
    description: &'static str,
    /// A part in braces is filled by the argument of that name.
    path: &'static str,
    parameters: &'static [Parameter],
}

/// An argument of a tool.
struct Parameter {
    name: &'static str,
    description: &'static str,
    needed: bool,
}

const fn needed(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, needed: true }
}

const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, needed: false }
}

const START: Parameter = optional(
    "start",
    "from when: RFC 3339, or seconds, ms, us or ns as the size tells; an hour before `end` if not given",
);
const END: Parameter = optional("end", "until when; now if not given");
const LIMIT: Parameter = optional("limit", "entries of a list at most");
const FIELDS: Parameter = optional("fields", "keys of the answer that are wanted, by commas");
const TENANT: Parameter = optional("tenant", "only records of this tenant");
const SERVICE: Parameter = optional("service", "service.name");

/// All tools.
pub(super) const ALL: &[Tool] = &[
    Tool {
        name: "trace",
        description: "Everything about one request by its trace id, in any spelling: spans as a tree with self time and critical path, \
            log lines under their spans, exemplars, metrics, and what is absent and why.",
        path: "/api/v1/traces/{id}",
        parameters: &[
            needed("id", "the trace id"),
            optional("cursor", "which part of a large trace: the `next` of the part before"),
            LIMIT,
            FIELDS,
        ],
    },
    Tool {
        name: "correlate",
        description: "From anything to the other signals, ranked, each with its rule and confidence. Exactly one start: trace_id; \
            span_id; labels (a LogQL selector) with time: a log line; service with start and end; metric (a PromQL selector) with \
            time; workload (namespace/name) with start and end.",
        path: "/api/v1/correlate",
        parameters: &[
            optional("trace_id", "a trace"),
            optional("span_id", "a span"),
            optional("labels", "a LogQL selector, with `time`"),
            optional("service", "a service"),
            optional("metric", "a PromQL selector, with `time`"),
            optional("workload", "namespace/pod or namespace/deployment"),
            optional("time", "when, for `labels` and `metric`"),
            START,
            END,
            TENANT,
            LIMIT,
            FIELDS,
        ],
    },
    Tool {
        name: "services",
        description: "Services with their rates, errors and latency in a window.",
        path: "/api/v1/services",
        parameters: &[START, END, LIMIT, FIELDS],
    },
    Tool {
        name: "operations",
        description: "Operations of a service with their rates, errors and latency in a window.",
        path: "/api/v1/operations",
        parameters: &[needed("service", "service.name"), START, END, LIMIT, FIELDS],
    },
    Tool {
        name: "service_graph",
        description: "Who calls whom in a window: nodes and edges with rates, errors and latency; databases, queues and peers that \
            send no spans among them.",
        path: "/api/v1/service-graph",
        parameters: &[START, END, FIELDS],
    },
    Tool {
        name: "variance",
        description: "Why the duration of an operation's traces varies: which services and operations below it carry which share of \
            the variance, with the attributes, log patterns and code that go with it.",
        path: "/api/v1/analysis/variance",
        parameters: &[
            needed("service", "service.name"),
            optional("operation", "the root operation"),
            START,
            END,
            FIELDS,
        ],
    },
    Tool {
        name: "compare",
        description: "What differs between two traces, or two sets of traces: latency, errors, attributes, patterns, metrics, ranked \
            by significance.",
        path: "/api/v1/analysis/compare",
        parameters: &[
            needed("a", "TraceQL or a trace id"),
            optional("b", "TraceQL or a trace id; all other traces of the window if not given"),
            START,
            END,
            FIELDS,
        ],
    },
    Tool {
        name: "versions",
        description: "What differs between the versions of a service, with their shares of the traffic.",
        path: "/api/v1/analysis/versions",
        parameters: &[
            needed("service", "service.name"),
            optional("by", "the attribute that tells versions apart; service.version if not given"),
            START,
            END,
            FIELDS,
        ],
    },
    Tool {
        name: "patterns",
        description: "What shapes the log lines of a service have, which are new or rising against an earlier window, and its \
            exceptions by type and stack, each with example traces.",
        path: "/api/v1/patterns",
        parameters: &[
            SERVICE,
            optional("labels", "a LogQL selector that streams must meet as well"),
            START,
            END,
            optional("against", "START/END or a duration before `start`"),
            TENANT,
            LIMIT,
            FIELDS,
        ],
    },
    Tool {
        name: "exemplars",
        description: "Which traces lie behind the values of a metric: received exemplars, and for metrics that have none the slowest, \
            a typical and a failed request of each step.",
        path: "/api/v1/exemplars",
        parameters: &[
            needed("query", "PromQL"),
            START,
            END,
            optional("step", "width of a step, as 30s"),
            LIMIT,
            FIELDS,
        ],
    },
    Tool {
        name: "logql",
        description: "Runs LogQL over a range: log lines, or metrics of them.",
        path: "/loki/api/v1/query_range",
        parameters: &[
            needed("query", "LogQL"),
            START,
            END,
            LIMIT,
            optional("step", "of a metric"),
            optional("direction", "backward or forward"),
        ],
    },
    Tool {
        name: "traceql",
        description: "Searches traces with TraceQL.",
        path: "/tempo/api/search",
        parameters: &[
            needed("q", "TraceQL, as { resource.service.name = \"shop\" && status = error }"),
            optional("start", "from when, in seconds"),
            optional("end", "until when, in seconds"),
            LIMIT,
        ],
    },
    Tool {
        name: "promql",
        description: "Runs PromQL over a range.",
        path: "/prometheus/api/v1/query_range",
        parameters: &[
            needed("query", "PromQL"),
            needed("start", "from when: seconds or RFC 3339"),
            needed("end", "until when"),
            needed("step", "seconds between two values"),
        ],
    },
];

impl Tool {
    /// As a client is told of it.
    pub(super) fn described(&self) -> Described {
        let properties: JsonObject = self
            .parameters
            .iter()
            .map(|p| (p.name.to_owned(), json!({ "type": "string", "description": p.description })))
            .collect();
        let required: Vec<&str> = self.parameters.iter().filter(|p| p.needed).map(|p| p.name).collect();
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

    /// The path that is asked, with these arguments.
    pub(super) fn path(&self, arguments: &JsonObject) -> Result<String, String> {
        let names = || self.parameters.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        if let Some(stray) = arguments.keys().find(|name| self.parameters.iter().all(|p| p.name != **name)) {
            return Err(format!("{} has no argument {stray:?}: expected {}", self.name, names()));
        }
        let (mut path, mut pairs) = (self.path.to_owned(), Vec::new());
        for parameter in self.parameters {
            let name = parameter.name;
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
