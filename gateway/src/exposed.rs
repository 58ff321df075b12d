//! What is said at the start of what everybody can reach.

use std::net::SocketAddr;

use crate::config::Config;

/// Warns, once, of listeners beyond loopback that take and tell everything, and of those that tokens cannot protect.
pub(crate) fn warn(config: &Config) {
    let receive = &config.receive;
    let (jaeger, apm) = (&receive.jaeger, &receive.elastic_apm);
    let apm_port = apm.http.filter(|_| !apm.has_keys());
    let listeners = [Some(config.server.listen), receive.otlp.grpc, receive.otlp.http].into_iter().chain([
        receive.zipkin.http,
        jaeger.http,
        jaeger.grpc,
        apm_port,
    ]);
    let datagrams = [jaeger.udp_compact, jaeger.udp_binary].into_iter();
    if config.access.is_none() {
        if let Some(open) = reachable(listeners.chain(datagrams)) {
            tracing::warn!(
                "whoever reaches {open} may send and read everything: set `access.tokens` (`trefoil token` makes one), or let a \
                 network policy or a proxy decide who does"
            );
        }
    } else if let Some(open) = reachable(datagrams) {
        tracing::warn!(
            "datagrams show no token: whoever reaches {open} may send spans; `null` turns a port off"
        );
    }
}

fn reachable(addresses: impl Iterator<Item = Option<SocketAddr>>) -> Option<String> {
    let open = addresses.flatten().filter(|address| !address.ip().is_loopback());
    let open: Vec<String> = open.map(|address| address.to_string()).collect();
    (!open.is_empty()).then(|| open.join(", "))
}
