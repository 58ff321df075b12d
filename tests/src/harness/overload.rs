//! Real overload: uploads that stop before their ends hold all the bytes that the gateway has for requests in flight, and
//! whoever comes then is refused as its protocol refuses.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::{Http, Said, run, until};
use crate::program::Program;

/// What the gateway takes in one body, and how many of those it holds at once.
const UPLOAD: usize = 64 << 20;
const UPLOADS: usize = 2;
/// For the uploads, and for a client to come and be refused: senders wait for seconds between tries.
const SOON: Duration = Duration::from_mins(1);
/// Refusals in a row that say that nothing is left: the first one may come while the last bytes of an upload are not yet read.
const REFUSALS: usize = 3;

/// A gateway without room; it has room again when this is dropped.
#[derive(Debug)]
pub struct Overload {
    _uploads: Vec<TcpStream>,
}

impl Overload {
    /// Begins it, and waits until requests are refused.
    pub async fn of(trefoil: &Program) -> anyhow::Result<Self> {
        let mut uploads = Vec::new();
        let piece = vec![0; 1 << 20];
        for _ in 0..UPLOADS {
            let mut upload = TcpStream::connect(trefoil.main).await?;
            let head = "POST /v1/traces HTTP/1.1\r\nhost: trefoil\r\ncontent-type: application/x-protobuf\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            upload.write_all(format!("{head}{UPLOAD:x}\r\n").as_bytes()).await?;
            for _ in 0..UPLOAD / piece.len() {
                upload.write_all(&piece).await?;
            }
            uploads.push(upload);
        }
        let (http, url) = (Http::new()?, format!("http://{}/v1/logs", trefoil.main));
        let media = [("content-type", "application/json")];
        until("a gateway without room", SOON, || async {
            for _ in 0..REFUSALS {
                let answer = http.post(&url, &media, b"{}".to_vec()).await?;
                ensure!(answer.status == 503, "status {}", answer.status);
            }
            Ok(())
        })
        .await?;
        Ok(Self { _uploads: uploads })
    }
}

/// Runs a client against a gateway without room until it has refused the client so many times, then lets the client go on to its
/// end. What it said.
pub async fn through_overload(
    trefoil: &Program,
    protocol: &str,
    times: u32,
    mut client: Command,
) -> anyhow::Result<Said> {
    let overload = Overload::of(trefoil).await?;
    let before = refusals(trefoil, protocol).await?;
    let running: JoinHandle<anyhow::Result<Said>> = tokio::spawn(async move { run(&mut client).await });
    let refused = until("refusals of the client", SOON, || async {
        let refused = refusals(trefoil, protocol).await? - before;
        ensure!(refused >= f64::from(times), "refused {refused} times, ended: {}", running.is_finished());
        Ok(())
    })
    .await;
    drop(overload);
    let said = running.await?;
    refused.with_context(|| format!("{said:?}"))?;
    said
}

/// Requests of a protocol that found no room so far.
pub async fn refusals(trefoil: &Program, protocol: &str) -> anyhow::Result<f64> {
    let labels = format!(r#"{{protocol="{protocol}",reason="bytes_in_flight"}}"#);
    trefoil.count(&format!("trefoil_refused_requests_total{labels}")).await
}
