//! Bound listeners that serve HTTP/1.1 and HTTP/2 on one port, with TLS or without (then HTTP/2 by prior knowledge), and drain
//! when told to stop.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::from_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::stalled::Stalling;
use crate::tls::Certificates;
use crate::unread::read_to_the_end;

/// Open connections a listener; more wait in the kernel's queue. A node's agents and a Grafana are far below.
const MAX_CONNECTIONS: usize = 1024;
/// A client that sends no complete request head in this time is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes nothing of its answer for this time is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests under way at shutdown have this long to end; Kubernetes gives 30 s in all.
const DRAIN: Duration = Duration::from_secs(10);
/// After a failed accept (descriptors used up) the listener rests, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {purpose}: {error}; set `{key}` to another address{}", if *.can_be_off { ", or to `null`" } else { "" })]
pub struct BindError {
    address: SocketAddr,
    purpose: &'static str,
    key: &'static str,
    can_be_off: bool,
    error: std::io::Error,
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    /// Where, with the port that the system chose for 0.
    pub address: SocketAddr,
    socket: TcpListener,
    certificates: Option<Arc<Certificates>>,
}

/// Bytes of datagrams that may wait to be read: some hundred of the largest, where the system's default holds three.
const DATAGRAMS_WAITING: usize = 8 << 20;

/// A bound socket for datagrams.
#[derive(Debug)]
pub struct Datagrams {
    /// Where, with the port that the system chose for 0.
    pub address: SocketAddr,
    /// The socket.
    pub socket: UdpSocket,
}

impl Datagrams {
    /// Binds, if there is an address; `purpose` and `key` are for the error text.
    pub async fn bind_unless_off(
        address: Option<SocketAddr>,
        purpose: &'static str,
        key: &'static str,
    ) -> Result<Option<Self>, BindError> {
        let Some(address) = address else { return Ok(None) };
        let fail = |error| BindError { address, purpose, key, can_be_off: true, error };
        let socket = UdpSocket::bind(address).await.map_err(fail)?;
        // As much of it as `net.core.rmem_max` allows; with less, bursts are lost sooner, which is counted.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, DATAGRAMS_WAITING);
        let address = socket.local_addr().map_err(fail)?;
        Ok(Some(Self { address, socket }))
    }
}

impl Listener {
    /// Binds; `purpose` and `key` are for the error text.
    pub async fn bind(
        address: SocketAddr,
        purpose: &'static str,
        key: &'static str,
    ) -> Result<Self, BindError> {
        let fail = |error| BindError { address, purpose, key, can_be_off: false, error };
        let socket = TcpListener::bind(address).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        Ok(Self { address, socket, certificates: None })
    }

    /// Speaks TLS with these certificates; without any, it does not.
    pub fn with_tls(self, certificates: Option<Arc<Certificates>>) -> Self {
        Self { certificates, ..self }
    }

    /// As [`Listener::bind`], if there is an address.
    pub async fn bind_unless_off(
        address: Option<SocketAddr>,
        purpose: &'static str,
        key: &'static str,
    ) -> Result<Option<Self>, BindError> {
        let Some(address) = address else { return Ok(None) };
        let bound = Self::bind(address, purpose, key).await;
        bound.map(Some).map_err(|error| BindError { can_be_off: true, ..error })
    }

    /// Serves until shutdown, then drains.
    pub async fn serve(self, router: Router, shutdown: CancellationToken) {
        let router = router.layer(from_fn(read_to_the_end));
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_TIMEOUT));
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = shutdown.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let stream = Stalling::new(stream, WRITE_TIMEOUT);
            let (builder, router) = (builder.clone(), router.clone());
            let talk = Talk { peer, builder, router, watcher: graceful.watcher() };
            let acceptor = self.certificates.as_ref().map(|certificates| certificates.acceptor());
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let ended = match acceptor {
                    None => talk.over(stream).await,
                    Some(acceptor) => {
                        let agreed = tokio::select! {
                            agreed = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)) => agreed,
                            () = shutdown.cancelled() => return,
                        };
                        match agreed {
                            Ok(Ok(stream)) => talk.over(stream).await,
                            Ok(Err(error)) => Err(error.into()),
                            Err(_) => Err("no TLS handshake in time".into()),
                        }
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop(place);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still under way after {DRAIN:?}; they were cut off");
        }
    }
}

/// What is said on one connection.
struct Talk {
    peer: SocketAddr,
    builder: Builder<TokioExecutor>,
    router: Router,
    watcher: Watcher,
}

impl Talk {
    async fn over<S>(self, stream: S) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heard = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&heard);
        let peer = ConnectInfo(self.peer);
        let service = self.router.map_request(move |mut request: Request<_>| {
            mark.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            request
        });
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        let mut watched = Box::pin(self.watcher.watch(connection));
        // The builder's own timeouts begin when it knows the protocol: a client that sends nothing, or the first
        // letters of a request, would hold its place for ever.
        match tokio::time::timeout(HEAD_TIMEOUT, &mut watched).await {
            Ok(ended) => ended,
            Err(_) if !heard.load(Ordering::Relaxed) => Err("no request head in time".into()),
            Err(_) => watched.await,
        }
    }
}
