//! A dashboard and what stands above its panels, and their spelling in Grafana's classic dashboard format.

use crate::datasources::Source;
use crate::node::Node;
use crate::panel::Panel;

/// The last version of the classic format; newer dashboards have another format altogether.
pub(crate) const SCHEMA_VERSION: i64 = 42;
/// Grafana's grid is this many columns wide.
pub(crate) const COLUMNS: i64 = 24;
/// On each of our dashboards, so that each can list the others.
pub(crate) const TAG: &str = "trefoil";

/// A dashboard before it is written down.
pub(crate) struct Dashboard {
    /// Stable: links and bookmarks hold it.
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// Start of the shown time range, as Grafana writes it, `now-1h`.
    pub(crate) from: &'static str,
    pub(crate) variables: Vec<Variable>,
    pub(crate) panels: Vec<Panel>,
}

/// What a person can choose above the panels.
pub(crate) enum Variable {
    /// Free text.
    Text { name: &'static str, label: &'static str, description: &'static str },
    /// Some or all values of a label.
    Values {
        name: &'static str,
        label: &'static str,
        values: Values,
        /// Whether several can be chosen at once; otherwise it is one.
        several: bool,
    },
}

/// Where the values of a variable come from.
pub(crate) enum Values {
    /// Those of a label in Prometheus, of the series that a selector picks (all when empty).
    Prometheus { of: &'static str, selector: &'static str },
    /// Those of a stream label in Loki.
    Loki { of: &'static str },
}

impl Dashboard {
    /// The dashboard in the classic format. Panels fill rows from left to right in the order given.
    pub(crate) fn node(&self) -> Node {
        let (mut x, mut y, mut row_height) = (0, 0, 0);
        let panels = self.panels.iter().zip(1..).map(|(panel, id)| {
            if x + panel.width > COLUMNS {
                (x, y, row_height) = (0, y + row_height, 0);
            }
            let node = panel.node(id, x, y);
            x += panel.width;
            row_height = row_height.max(panel.height);
            node
        });
        let panels = Node::list(panels);
        Node::map([
            ("uid", self.uid.into()),
            ("title", self.title.into()),
            ("description", self.description.into()),
            ("tags", Node::list([TAG])),
            ("schemaVersion", SCHEMA_VERSION.into()),
            ("editable", true.into()),
            ("graphTooltip", 1.into()),
            ("time", Node::map([("from", self.from.into()), ("to", "now".into())])),
            ("timezone", "browser".into()),
            ("annotations", Node::map([("list", Node::List(Vec::new()))])),
            ("links", Node::list([to_the_others()])),
            ("templating", Node::map([("list", Node::list(self.variables.iter().map(Variable::node)))])),
            ("panels", panels),
        ])
    }
}

/// A menu of all our dashboards, which keeps the time range.
fn to_the_others() -> Node {
    Node::map([
        ("type", "dashboards".into()),
        ("title", "Trefoil".into()),
        ("tags", Node::list([TAG])),
        ("asDropdown", true.into()),
        ("keepTime", true.into()),
        ("includeVars", true.into()),
        ("targetBlank", false.into()),
        ("icon", "external link".into()),
        ("tooltip", "".into()),
        ("url", "".into()),
    ])
}

impl Variable {
    /// Some or all values of a label in Prometheus, of the series that a selector picks (all when empty).
    pub(crate) fn of_prometheus(
        name: &'static str,
        label: &'static str,
        selector: &'static str,
        of: &'static str,
    ) -> Self {
        Self::Values { name, label, values: Values::Prometheus { of, selector }, several: true }
    }

    /// Some or all values of a stream label.
    pub(crate) fn of_loki(name: &'static str, label: &'static str, of: &'static str) -> Self {
        Self::Values { name, label, values: Values::Loki { of }, several: true }
    }

    fn node(&self) -> Node {
        match self {
            Self::Text { name, label, description } => Node::map([
                ("type", "textbox".into()),
                ("name", (*name).into()),
                ("label", (*label).into()),
                ("description", (*description).into()),
                ("hide", 0.into()),
                ("query", "".into()),
                ("current", Node::map([("text", "".into()), ("value", "".into())])),
                (
                    "options",
                    Node::list([Node::map([
                        ("selected", true.into()),
                        ("text", "".into()),
                        ("value", "".into()),
                    ])]),
                ),
            ]),
            Self::Values { name, label, values, several } => {
                let mut entries = vec![
                    ("type", "query".into()),
                    ("name", (*name).into()),
                    ("label", (*label).into()),
                    ("hide", 0.into()),
                ];
                entries.extend(values.entries());
                entries.extend([
                    // On opening, and again when the time range changes.
                    ("refresh", 2.into()),
                    ("sort", 1.into()),
                    ("multi", (*several).into()),
                    ("includeAll", (*several).into()),
                ]);
                if *several {
                    entries.extend([
                        ("allValue", ".+".into()),
                        (
                            "current",
                            Node::map([("text", Node::list(["All"])), ("value", Node::list(["$__all"]))]),
                        ),
                    ]);
                }
                entries.push(("options", Node::List(Vec::new())));
                Node::of(entries)
            }
        }
    }
}

impl Values {
    fn entries(&self) -> Vec<(&'static str, Node)> {
        match self {
            Self::Prometheus { of, selector } => {
                let query = match *selector {
                    "" => format!("label_values({of})"),
                    selector => format!("label_values({selector}, {of})"),
                };
                let asked = Node::map([
                    ("qryType", 1.into()),
                    ("query", query.into()),
                    ("refId", "PrometheusVariableQueryEditor-VariableQuery".into()),
                ]);
                vec![("datasource", Source::Prometheus.reference()), ("query", asked)]
            }
            Self::Loki { of } => {
                let asked = Node::map([
                    ("label", (*of).into()),
                    ("refId", "LokiVariableQueryEditor-VariableQuery".into()),
                    ("stream", "".into()),
                    ("type", 1.into()),
                ]);
                vec![("datasource", Source::Loki.reference()), ("query", asked)]
            }
        }
    }
}
