//! A program that runs beside the test and ends with it.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use anyhow::{Context, bail, ensure};

/// Lines of a program's output that go into an error.
const LAST_LINES: usize = 30;

/// A running program whose output goes to a file; killed when dropped, with whatever it has started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts the command with its standard output and error appended to `output`.
    pub fn start(name: &str, command: &mut Command, output: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(output)?;
        let child = command
            // A process group of its own, so that its children can be ended with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name} cannot be started: {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, output: output.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the program's last words if it has ended.
    pub fn ensure_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended with {status}:\n{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// `SIGKILL`, and waits for the end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Any signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-s", name]).arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "{} could not be sent SIG{name}", self.name);
        Ok(())
    }

    /// `SIGTERM`, and waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(asked.success(), "{} could not be told to stop", self.name);
        Ok(self.child.wait()?)
    }

    /// The end of what it wrote.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, self.last_words());
        }
        // It may have ended by itself; then there is nothing to tell.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// A port of the loopback address that nobody listens on, and that this test program has not given out before.
pub fn free_port() -> anyhow::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if given.insert(port) {
            return Ok(port);
        }
    }
}
