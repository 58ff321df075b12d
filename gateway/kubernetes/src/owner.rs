//! Which workload a pod belongs to, from what the pod alone says: its controller, and how controllers name what they make.

/// The workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `CronJob`, `Job`, or any other kind of controller.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it made the pod by, if that has a life of its own: the job of a `CronJob`.
    pub job: Option<String>,
}

/// Digits of the minutes since the epoch, by which jobs of a `CronJob` are named, and of the seconds by which they were.
const CRON_DIGITS: std::ops::RangeInclusive<usize> = 8..=10;

impl Owner {
    /// Of the controller of a pod whose labels are these.
    pub fn of<'l>(kind: &str, name: &str, label: impl Fn(&str) -> Option<&'l str>) -> Self {
        let owner = |kind: &str, name: &str| Self { kind: kind.to_owned(), name: name.to_owned(), job: None };
        match kind {
            "ReplicaSet" => {
                let made_by = |maker: &str, hash: &str| {
                    let cut = name.strip_suffix(label(hash).filter(|hash| !hash.is_empty())?)?;
                    Some(owner(maker, cut.strip_suffix('-').filter(|name| !name.is_empty())?))
                };
                made_by("Deployment", "pod-template-hash")
                    .or_else(|| made_by("Rollout", "rollouts-pod-template-hash"))
                    .unwrap_or_else(|| owner(kind, name))
            }
            "Job" => match name.rsplit_once('-') {
                Some((cron, time))
                    if !cron.is_empty()
                        && CRON_DIGITS.contains(&time.len())
                        && time.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    Self { job: Some(name.to_owned()), ..owner("CronJob", cron) }
                }
                _ => owner(kind, name),
            },
            _ => owner(kind, name),
        }
    }
}
