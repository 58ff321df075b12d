//! Where applications can send their spans: what a person is told who misses some.

use std::net::SocketAddr;

/// Addresses at which spans are received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doors {
    /// The main port, at which every protocol over HTTP and gRPC is received; `None` is that nothing is known of any address.
    pub main: Option<SocketAddr>,
    /// OTLP's own port over gRPC, unless it is switched off.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP's own port over HTTP, unless it is switched off.
    pub otlp_http: Option<SocketAddr>,
    /// Ports of other protocols, by their names.
    pub others: Vec<(&'static str, SocketAddr)>,
}

impl Doors {
    /// Where OTLP is received, as part of a sentence.
    pub fn otlp(&self) -> String {
        let Some(main) = self.main else { return "OTLP".to_owned() };
        match (self.otlp_grpc, self.otlp_http) {
            (Some(grpc), Some(http)) => format!("OTLP over gRPC on {grpc}, over HTTP on {http}"),
            (Some(grpc), None) => {
                format!(
                    "OTLP over gRPC on {grpc}, over HTTP on {main} alone, since `receive.otlp.http` is null"
                )
            }
            (None, Some(http)) => {
                format!(
                    "OTLP over HTTP on {http}, over gRPC on {main} alone, since `receive.otlp.grpc` is null"
                )
            }
            (None, None) => format!("OTLP on {main} alone, since `receive.otlp` is null"),
        }
    }

    /// Where anything is received, as part of a sentence.
    pub fn all(&self) -> String {
        let Some(main) = self.main else { return "OTLP, Zipkin, Jaeger, Elastic APM".to_owned() };
        let others = self.others.iter().map(|(name, address)| format!("; {name} on {address}"));
        format!(
            "{}{}; Zipkin, Jaeger and Elastic APM on {main}, too",
            self.otlp(),
            others.collect::<String>()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Doors;

    #[test]
    fn what_is_off_is_said_with_what_to_use_instead() {
        let at = |port: u16| Some(([10, 0, 0, 1], port).into());
        let doors = Doors { main: at(8080), otlp_grpc: at(7317), otlp_http: at(7318), others: Vec::new() };
        assert_eq!(doors.otlp(), "OTLP over gRPC on 10.0.0.1:7317, over HTTP on 10.0.0.1:7318");
        let without = Doors { otlp_grpc: None, ..doors.clone() };
        assert!(
            without.otlp().contains("over gRPC on 10.0.0.1:8080 alone, since `receive.otlp.grpc` is null")
        );
        let without = Doors { otlp_http: None, ..doors.clone() };
        assert!(
            without.otlp().contains("over HTTP on 10.0.0.1:8080 alone, since `receive.otlp.http` is null")
        );
        let others = vec![("Zipkin", ([10, 0, 0, 1], 9411).into())];
        let none = Doors { otlp_grpc: None, otlp_http: None, others, ..doors };
        let all = "OTLP on 10.0.0.1:8080 alone, since `receive.otlp` is null; Zipkin on 10.0.0.1:9411; \
                   Zipkin, Jaeger and Elastic APM on 10.0.0.1:8080, too";
        assert_eq!(none.all(), all);
        assert_eq!(Doors::default().otlp(), "OTLP");
    }
}
