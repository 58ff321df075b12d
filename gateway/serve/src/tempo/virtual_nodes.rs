//! "View traces" of a node of Grafana's service map that sends no spans itself. Grafana asks for the spans that name it in one of five
//! attributes; ours are named by more of them (`parsers::otlp::peer`), newer spellings among these.

/// The attributes of Grafana's query, in its order.
const ASKED: [&str; 5] = ["db.name", "db.system", "peer.service", "messaging.system", "net.peer.name"];
/// Others by which such a node may be named.
const OTHERS: [&str; 8] = [
    "service.peer.name",
    "server.address",
    "network.peer.address",
    "net.peer.ip",
    "db.namespace",
    "db.system.name",
    "messaging.destination.name",
    "messaging.destination",
];

/// That query with the other attributes; any other query as it is.
pub(super) fn widened(query: &str) -> String {
    let Some(literal) = asked(query) else { return query.to_owned() };
    let mut conditions: Vec<String> =
        ASKED.iter().chain(&OTHERS).map(|name| format!("span.{name}={literal}")).collect();
    let name = literal.get(1..literal.len() - 1).unwrap_or_default();
    // Others stand in no host, and would have to be escaped.
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
        let host = name.replace('.', "[.]");
        let url = format!("[^:/?#]+://([^/?#]*@)?{host}([:/?#].*)?");
        conditions.extend(["url.full", "http.url"].map(|key| format!("span.{key}=~\"{url}\"")));
    }
    // With its port, as an address that has no name; with its system, as a database that has but a number.
    if let Some((address, port)) = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        for (key, port_key) in
            [("network.peer.address", "network.peer.port"), ("net.peer.ip", "net.peer.port")]
        {
            let of_port = format!("(span.{port_key}={port} || span.{port_key}=\"{port}\")");
            conditions.push(format!("(span.{key}=\"{address}\" && {of_port})"));
        }
    }
    if let Some((system, number)) = name.split_once('/') {
        for (key, number_key) in [("db.system.name", "db.namespace"), ("db.system", "db.name")] {
            conditions.push(format!("(span.{key}=\"{system}\" && span.{number_key}=\"{number}\")"));
        }
    }
    format!("{{{}}}", conditions.join(" || "))
}

/// The string that Grafana's query compares with, as it is written there.
fn asked(query: &str) -> Option<&str> {
    let mut conditions = query.trim().strip_prefix('{')?.strip_suffix('}')?.split(" || ");
    let mut literal = None;
    for name in ASKED {
        let (key, compared) = conditions.next()?.trim().split_once('=')?;
        if key.strip_prefix("span.") != Some(name) || literal.is_some_and(|literal| literal != compared) {
            return None;
        }
        literal = Some(compared);
    }
    let literal =
        literal.filter(|literal| literal.len() > 2 && literal.starts_with('"') && literal.ends_with('"'))?;
    conditions.next().is_none().then_some(literal)
}

#[cfg(test)]
mod tests {
    use query::traceql;

    use super::*;

    fn of_grafana(name: &str) -> String {
        let conditions = ASKED.map(|key| format!("span.{key}=\"{name}\""));
        format!("{{{}}}", conditions.join(" || "))
    }

    #[test]
    fn grafanas_query_asks_for_every_attribute_that_names_a_node() {
        for (name, condition) in [
            ("bank.example", "span.server.address=\"bank.example\""),
            ("orders", "span.messaging.destination.name=\"orders\""),
            ("bank.example", "span.url.full=~\"[^:/?#]+://([^/?#]*@)?bank[.]example([:/?#].*)?\""),
            ("10.0.0.1:443", "(span.network.peer.address=\"10.0.0.1\" && (span.network.peer.port=443 || "),
            ("redis/0", "(span.db.system.name=\"redis\" && span.db.namespace=\"0\")"),
            ("a \\\" b", "span.db.namespace=\"a \\\" b\""),
        ] {
            let widened = widened(&of_grafana(name));
            assert!(widened.contains(condition), "{widened}");
            assert!(traceql::parse(&widened).is_ok(), "{widened}");
        }
    }

    #[test]
    fn other_queries_are_left_as_they_are() {
        for query in [
            "{}",
            "{span.db.name=\"x\"}",
            "{span.db.name=\"x\" || span.db.system=\"x\" || span.peer.service=\"y\" || span.messaging.system=\"x\" || span.net.peer.name=\"x\"}",
            &format!("{} | count() > 2", of_grafana("x")),
            &of_grafana(""),
        ] {
            assert_eq!(widened(query), query);
        }
    }
}
