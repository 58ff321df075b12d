//! Promise: a body may be anything at all; a receiver answers in its protocol's words and goes on.

use anyhow::{Result, ensure};
use tests::hostile::Trial;

#[tokio::test]
async fn spoilt_bodies_of_every_protocol_are_answered_in_its_words() -> Result<()> {
    let findings = Trial::default().run(1, 5000).await;
    ensure!(findings.wrong.is_empty(), "{:#?}", findings.wrong);
    // They are spoilt, and some are still good.
    for code in ["200", "202", "204", "400", "422", "grpc 0", "grpc 3", "udp"] {
        ensure!(findings.answers.contains_key(code), "no {code} among {:?}", findings.answers);
    }
    Ok(())
}
