//! The node itself: in which zone it is. That does not change while it lives, so it is asked once.

use std::time::Duration;

use serde::Deserialize;

use crate::api::{Api, Failure};
use crate::follow::Backoff;
use crate::pod::Metadata;

/// The labels by which clouds tell the zone; the second is that of old clusters.
const ZONE: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
/// Who may not ask is told so again this often.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// Times that a failure is taken for a passing one.
const TRIES: u32 = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeObject {
    metadata: Metadata,
}

/// The zone of a node, asked until there is an answer; `None` if it is in none.
pub(crate) async fn zone(api: &Api, node: &str) -> Option<String> {
    let (mut backoff, mut tries) = (Backoff::new(), 0);
    loop {
        match api.get::<NodeObject>(&format!("/api/v1/nodes/{node}")).await {
            Ok(object) => {
                return ZONE.iter().find_map(|label| object.metadata.labels.get(*label)).cloned();
            }
            Err(failure) => {
                tries += 1;
                if tries == 1 || matches!(failure, Failure::Missing(_)) {
                    tracing::warn!(node, "the node's zone is not known yet: {failure}");
                }
            }
        }
        if tries < TRIES {
            backoff.pause().await;
        } else {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
