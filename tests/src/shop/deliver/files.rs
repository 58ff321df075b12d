//! Container log files as a kubelet lays them out, in the runtime's own format.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

use super::{Carriage, Delivery};
use crate::shop::NAMESPACE;
use crate::shop::lines::stamp;

/// Writes the files of all pods whose lines are read from files.
pub(super) fn write(delivery: &Delivery<'_>, pods: &Path) -> anyhow::Result<()> {
    for number in delivery.carried(Carriage::File) {
        let pod = &delivery.traffic.pods[number];
        let folder = pods.join(format!("{NAMESPACE}_{}_{}", pod.name, pod.uid)).join(pod.service.name());
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let mut text = String::new();
        for line in delivery.traffic.lines.iter().filter(|line| line.pod == number) {
            let time = stamp(delivery.shown(number, line.time));
            let stream = if line.stderr { "stderr" } else { "stdout" };
            writeln!(text, "{time} {stream} F {}", line.text)?;
        }
        std::fs::write(folder.join("0.log"), text)?;
    }
    Ok(())
}
