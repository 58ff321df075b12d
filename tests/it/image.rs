//! Promise: each step of the Dockerfile can run, as far as can be told without an engine: what it copies and builds is there, and
//! what the image starts and opens is what the program has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::program::binary;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| file.to_owned())
}

/// The instructions, continued lines joined: the word, and what follows it.
fn instructions() -> Result<Vec<(String, String)>> {
    let text = read("Dockerfile")?.replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').context(line.to_owned())?;
            Ok((word.to_owned(), rest.trim().to_owned()))
        })
        .collect()
}

fn all<'a>(instructions: &'a [(String, String)], word: &'a str) -> impl Iterator<Item = &'a str> {
    instructions.iter().filter(move |(known, _)| known == word).map(|(_, rest)| rest.as_str())
}

#[test]
fn the_image_is_built_with_the_toolchain_of_the_repository_and_runs_as_nobody_in_particular() -> Result<()> {
    let instructions = instructions()?;
    let toolchain = read("rust-toolchain.toml")?;
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).context("a channel")?;
    let channel = channel.trim_matches('"');
    let stages: Vec<&str> = all(&instructions, "FROM").collect();
    let debian = [("bookworm", "debian12")];
    let [build, last] = stages[..] else { anyhow::bail!("{stages:?}") };
    ensure!(build.starts_with(&format!("rust:{channel}-")), "{build} is not of {channel}");
    ensure!(
        debian.iter().any(|(name, number)| build.contains(name) && last.contains(number)),
        "{build} and {last} have different C libraries"
    );
    ensure!(last.ends_with(":nonroot"), "{last}");
    ensure!(all(&instructions, "ENV").any(|set| set == format!("RUSTUP_TOOLCHAIN={channel}")));
    ensure!(all(&instructions, "USER").next().is_none(), "the base image has its user");
    Ok(())
}

#[test]
fn what_the_image_builds_and_copies_is_there() -> Result<()> {
    let instructions = instructions()?;
    let run: Vec<&str> = all(&instructions, "RUN").collect();
    let [run] = run[..] else { anyhow::bail!("{run:?}") };
    let build = run.split("&&").next().and_then(|first| first.split("cargo ").nth(1)).context("a build")?;
    let words: Vec<&str> = build.split_whitespace().collect();
    ensure!(words == ["build", "--release", "--locked", "-p", "gateway"], "{words:?}");
    let manifest = read("gateway/Cargo.toml")?;
    ensure!(manifest.contains("name = \"gateway\"") && manifest.contains("[[bin]]\nname = \"trefoil\""));
    ensure!(run.contains("cp target/release/trefoil /trefoil") && run.contains("mkdir -p /data"), "{run}");
    let copied: Vec<&str> = all(&instructions, "COPY").collect();
    ensure!(copied[0] == ". ." && copied.len() == 3, "{copied:?}");
    ensure!(copied[1].starts_with("--from=build /trefoil ") && copied[2].contains(" /data "), "{copied:?}");
    // Nothing that the build reads stays outside.
    let ignored = read(".dockerignore")?;
    let workspace = read("Cargo.toml")?;
    let members = workspace.split("members = [").nth(1).and_then(|list| list.split(']').next());
    for member in members.context("members")?.split('"').skip(1).step_by(2) {
        ensure!(root().join(member).join("Cargo.toml").is_file(), "{member}");
        let kept = !ignored.lines().any(|line| line.trim_matches('/') == member);
        ensure!(kept, "{member} is ignored, and no workspace loads without its members");
    }
    for file in ["Cargo.lock", "Cargo.toml", "rust-toolchain.toml"] {
        ensure!(root().join(file).is_file() && !ignored.contains(file), "{file}");
    }
    Ok(())
}

#[test]
fn the_image_starts_a_command_that_there_is_and_opens_the_ports_of_the_chart() -> Result<()> {
    let instructions = instructions()?;
    let entry = all(&instructions, "ENTRYPOINT").next().context("an entry point")?;
    let target = all(&instructions, "COPY").find(|copied| copied.contains("/trefoil "));
    let target = target.and_then(|copied| copied.split(' ').next_back()).context("the program")?;
    ensure!(entry == format!("[\"{target}\"]"), "{entry} and {target}");
    let command = all(&instructions, "CMD").next().context("a command")?;
    let command = command.trim_matches(['[', ']', '"']);
    let known = Command::new(binary()?).args([command, "--help"]).output()?;
    ensure!(known.status.success(), "{command}: {}", String::from_utf8_lossy(&known.stderr));
    let data = gateway::config::load("", "none", []).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    let data = data.store.dir.display().to_string();
    ensure!(all(&instructions, "COPY").any(|copied| copied.ends_with(&data)), "{data} is not made");

    let exposed = all(&instructions, "EXPOSE").flat_map(str::split_whitespace);
    let exposed: BTreeSet<String> = exposed
        .map(|port| if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") })
        .collect();
    let service = crate::manifests::parsed(&read("k8s/trefoil.yaml")?);
    let service = crate::manifests::find_in(&service, "Service", "trefoil");
    let ports = crate::manifests::list(&service["spec"], "ports").iter();
    let ports: BTreeSet<String> = ports
        .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP").to_lowercase()))
        .collect();
    ensure!(exposed == ports, "{exposed:?} and {ports:?}");
    Ok(())
}
