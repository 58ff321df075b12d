//! Promise: what does not come from files arrives as they do: each record once, with its ids, labels and stages.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Http, Process, free_port, until};
use tests::node::Faulty;
use tests::program::{Program, binary};

const SOON: Duration = Duration::from_mins(1);
const TRACE: &str = "50a4ce00000000000000000000000001";

/// One stored record.
#[derive(Debug, Clone, PartialEq)]
struct Stored {
    line: String,
    /// Stream labels and structured metadata.
    labels: Value,
}

/// What the gateway has of a stream selector, oldest first.
async fn stored(http: &Http, gateway: &Program, selector: &str) -> Result<Vec<Stored>> {
    let url = format!(
        "http://{}/loki/api/v1/query_range?query={selector}&limit=5000&direction=forward&start=0&end=4000000000",
        gateway.main
    );
    let answer = http.get(&url).await?.ok_json()?;
    let mut found = Vec::new();
    for stream in answer["data"]["result"].as_array().context("no result")? {
        for value in stream["values"].as_array().context("no values")? {
            let time: u64 = value[0].as_str().context("no time")?.parse()?;
            let line = value[1].as_str().context("no line")?.to_owned();
            found.push((time, Stored { line, labels: stream["stream"].clone() }));
        }
    }
    found.sort_by_key(|(time, _)| *time);
    Ok(found.into_iter().map(|(_, stored)| stored).collect())
}

/// Writes an agent's configuration that ships to this address.
fn agent_config(folder: &Path, to: std::net::SocketAddr, collect: &str) -> Result<PathBuf> {
    let file = folder.join("agent.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:0'}}\ncollect: {{files: [], positions_dir: '{}', {collect}}}\n\
         ship: {{trefoil: {{url: 'http://{to}'}}}}\n",
        folder.join("positions").display(),
    );
    std::fs::write(&file, text)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_shipped_to_its_end_once_though_the_network_fails() -> Result<()> {
    const LINES: usize = 4000;
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let network = Faulty::start(gateway.main, 11).await?;
    let config = agent_config(
        folder.path(),
        network.address,
        "stdin: {labels: {job: import}, pipeline_stages: [{drop: {expression: '^#'}}, {logfmt: {mapping: {n: }}}]}",
    )?;
    let mut child = Command::new(binary()?)
        .args(["agent", "--stdin", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    let healing = network.clone();
    let written = tokio::task::spawn_blocking(move || -> Result<_> {
        writeln!(input, "# not wanted")?;
        for n in 1..=LINES {
            // No newline after the last.
            write!(input, "{}trace_id={TRACE} n={n}", if n == 1 { "" } else { "\n" })?;
            if n == LINES / 2 {
                input.flush()?;
                // So that more than one batch goes through the failures.
                while healing.faults() == 0 {
                    std::thread::yield_now();
                }
            }
        }
        healing.heal();
        drop(input);
        Ok(child.wait()?)
    });
    let status = tokio::time::timeout(SOON, written).await.context("it did not end")???;
    ensure!(status.success(), "it ended with {status}");
    // It has ended, so everything is there.
    let found = stored(&http, &gateway, "{job=\"import\"}").await?;
    let mut numbers: Vec<usize> =
        found.iter().filter_map(|s| s.line.rsplit("n=").next()?.parse().ok()).collect();
    numbers.sort_unstable();
    ensure!(numbers == (1..=LINES).collect::<Vec<_>>(), "each line once: {} came", found.len());
    ensure!(found[0].labels["trace_id"] == TRACE, "{}", found[0].labels);
    ensure!(found[0].labels["service_name"] == "import", "{}", found[0].labels);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_stop_delivers_what_it_read_of_an_input_that_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let config = agent_config(folder.path(), gateway.main, "node: n1")?;
    let mut child = Command::new(binary()?)
        .args(["agent", "--stdin", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(b"one\ntwo, of which the end is still to come")?;
    until("the first line", SOON, || async {
        ensure!(!stored(&http, &gateway, "{job=\"stdin\"}").await?.is_empty(), "nothing");
        Ok(())
    })
    .await?;
    ensure!(Command::new("kill").arg(child.id().to_string()).status()?.success());
    ensure!(child.wait()?.success());
    drop(input);
    let found = stored(&http, &gateway, "{job=\"stdin\",node=\"n1\"}").await?;
    let lines: Vec<&str> = found.iter().map(|s| s.line.as_str()).collect();
    ensure!(lines == ["one", "two, of which the end is still to come"], "{lines:?}");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_piped_into_the_agent_is_unwrapped_and_its_traces_are_joined() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let config = agent_config(
        folder.path(),
        gateway.main,
        "stdin: {pipeline_stages: [{multiline: {firstline: stack_traces}}]}",
    )?;
    let mut child = Command::new(binary()?)
        .args(["agent", "--stdin", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let text = "2026-01-02T03:04:05.1Z stderr F java.lang.IllegalStateException: no\n\
                2026-01-02T03:04:05.2Z stderr F \tat a.B.c(B.java:1)\n\
                2026-01-02T03:04:06.1Z stdout P half \n2026-01-02T03:04:06.1Z stdout F and half\n";
    child.stdin.take().context("no standard input")?.write_all(text.as_bytes())?;
    ensure!(child.wait()?.success());
    let found = until("the records", SOON, || async {
        let found = stored(&http, &gateway, "{job=\"stdin\"}").await?;
        ensure!(found.len() >= 2, "{found:?}");
        Ok(found)
    })
    .await?;
    let lines: Vec<&str> = found.iter().map(|s| s.line.as_str()).collect();
    ensure!(
        lines == ["java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)", "half and half"],
        "{lines:?}"
    );
    gateway.stop().await
}

/// A journal that grows, and a `journalctl` of a few lines that follows it from a cursor.
struct Journal {
    folder: PathBuf,
    written: usize,
}

impl Journal {
    fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let journal = Self { folder: folder.to_owned(), written: 0 };
        std::fs::write(journal.file(), "")?;
        let script = format!(
            "#!/bin/sh\ncd '{}'\nstart=1\nfor word in \"$@\"; do case \"$word\" in\n\
             --cursor=*) start=$(grep -an \"^__CURSOR=${{word#--cursor=}}$\" journal | cut -d: -f1);;\n\
             esac; done\necho $$ >> pids\nexec tail -n +$start -f journal\n",
            folder.display()
        );
        std::fs::write(journal.program(), script)?;
        std::fs::set_permissions(journal.program(), std::fs::Permissions::from_mode(0o755))?;
        Ok(journal)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("journal")
    }

    fn program(&self) -> PathBuf {
        self.folder.join("journalctl")
    }

    fn configuration(&self, more: &str) -> String {
        format!("journal: {{journalctl: '{}'{more}}}", self.program().display())
    }

    fn write(&mut self, entries: usize) -> Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..entries {
            self.written += 1;
            let n = self.written;
            let micros = 1_700_000_000_000_000 + n as u64;
            write!(
                bytes,
                "__CURSOR=s=5a1e;i={n:x};b=b007;m=1;t=1;x=1\n__REALTIME_TIMESTAMP={micros}\nPRIORITY={}\n\
                 _TRANSPORT=journal\n_HOSTNAME=host-1\n_PID={n}\nSYSLOG_IDENTIFIER=cartd\n_SYSTEMD_UNIT=cart@1.service\n",
                if n.is_multiple_of(2) { 3 } else { 6 }
            )?;
            let message = format!("trace_id={TRACE} n={n}\n and more");
            writeln!(bytes, "MESSAGE")?;
            bytes.extend((message.len() as u64).to_le_bytes());
            write!(bytes, "{message}\n\n")?;
        }
        std::fs::File::options().append(true).open(self.file())?.write_all(&bytes)?;
        Ok(())
    }

    /// The processes that have followed it, in their order.
    fn followers(&self) -> Result<Vec<u32>> {
        let pids = std::fs::read_to_string(self.folder.join("pids"))?;
        pids.lines().map(|line| Ok(line.parse()?)).collect()
    }

    /// Waits until the gateway has every entry written so far, and ensures that it has each once.
    async fn all_there(&self, http: &Http, gateway: &Program) -> Result<Vec<Stored>> {
        let found = until("the entries of the journal", SOON, || async {
            let found = stored(http, gateway, "{job=\"systemd-journal\"}").await?;
            ensure!(found.len() >= self.written, "{} of {}", found.len(), self.written);
            Ok(found)
        })
        .await?;
        let number = |s: &Stored| s.line.split("n=").nth(1)?.split('\n').next()?.parse().ok();
        let mut numbers: Vec<usize> = found.iter().filter_map(number).collect();
        numbers.sort_unstable();
        ensure!(numbers == (1..=self.written).collect::<Vec<_>>(), "each entry once: {} came", found.len());
        Ok(found)
    }
}

fn start_agent(folder: &Path, config: &Path) -> Result<Process> {
    let mut command = Command::new(binary()?);
    command.arg("agent").arg("--config").arg(config);
    Process::start("trefoil agent", &mut command, &folder.join("agent.out"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_shipped_once_though_the_agent_and_journalctl_are_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let mut journal = Journal::new(&folder.path().join("journal"))?;
    let rules = ", relabel_configs: [{source_labels: [__journal__systemd_unit], target_label: systemd_unit}, \
                 {source_labels: [__journal_priority_keyword], regex: error, target_label: bad, replacement: 'yes'}]";
    let config = agent_config(folder.path(), gateway.main, &journal.configuration(rules))?;
    journal.write(300)?;
    let mut agent = start_agent(folder.path(), &config)?;
    let found = journal.all_there(&http, &gateway).await?;
    let labels = |n: usize| -> Result<Value> {
        let of = format!("n={n}\n");
        Ok(found.iter().find(|s| s.line.contains(&of)).context("no such record")?.labels.clone())
    };
    for (name, value) in [
        ("unit", "cart@1.service"),
        ("systemd_unit", "cart@1.service"),
        ("service_name", "cart"),
        ("bad", "yes"),
        ("detected_level", "error"),
        ("trace_id", TRACE),
        ("pid", "2"),
        ("hostname", "host-1"),
    ] {
        ensure!(labels(2)?[name] == value, "{name}: {}", labels(2)?);
    }
    ensure!(labels(1)?["detected_level"] == "info" && labels(1)?["bad"].is_null(), "{}", labels(1)?);

    agent.kill()?;
    journal.write(200)?;
    let mut agent = start_agent(folder.path(), &config)?;
    journal.all_there(&http, &gateway).await?;

    let follower = *journal.followers()?.last().context("nobody follows")?;
    ensure!(Command::new("kill").args(["-KILL", &follower.to_string()]).status()?.success());
    journal.write(100)?;
    journal.all_there(&http, &gateway).await?;
    agent.ensure_running()?;

    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    let last = *journal.followers()?.last().context("nobody follows")?;
    ensure!(last != follower && !Path::new(&format!("/proc/{last}")).exists(), "{last} is still there");
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_of_a_promtail_is_taken_over() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let gateway = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let mut journal = Journal::new(&folder.path().join("journal"))?;
    journal.write(30)?;
    let positions = folder.path().join("positions.yaml");
    std::fs::write(&positions, "positions:\n  cursor-journal: s=5a1e;i=14;b=b007;m=1;t=1;x=1\n")?;
    let collect = format!("import_positions: '{}', {}", positions.display(), journal.configuration(""));
    let config = agent_config(folder.path(), gateway.main, &collect)?;
    let mut agent = start_agent(folder.path(), &config)?;
    let found = until("the entries", SOON, || async {
        let found = stored(&http, &gateway, "{job=\"systemd-journal\"}").await?;
        ensure!(found.last().is_some_and(|s| s.line.contains("n=30\n")), "{}", found.len());
        Ok(found)
    })
    .await?;
    ensure!(found.len() == 10 && found[0].line.contains("n=21\n"), "{} from {}", found.len(), found[0].line);
    ensure!(agent.stop()?.success(), "{}", agent.last_words());
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_over_what_a_promtail_has_read_and_keeps_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let log = folder.path().join("app.log");
    std::fs::write(&log, "read n=1\nread n=2\nnew n=3\n")?;
    let positions = folder.path().join("positions.yaml");
    std::fs::write(&positions, format!("positions:\n  '{}': \"18\"\n", log.display()))?;
    let data = folder.path().join("data");
    let store = format!("store: {{dir: '{}'}}\n", data.display());
    let first = format!("files: [], import_positions: '{}'", positions.display());
    let second = format!("files: [{{path: '{}'}}]", log.display());
    // The file is not read before the second run, which is not told of the Promtail any more.
    let gateway = Program::start_collecting(&data, &first, &store).await?;
    gateway.stop().await?;
    let gateway = Program::start_collecting(&data, &second, &store).await?;
    let found = until("the line", SOON, || async {
        let found = stored(&http, &gateway, "{service_name=\"app\"}").await?;
        ensure!(!found.is_empty());
        Ok(found)
    })
    .await?;
    ensure!(found.len() == 1 && found[0].line == "new n=3", "{} from {}", found.len(), found[0].line);
    gateway.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_goes_on_in_the_journal_where_its_store_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let mut journal = Journal::new(&folder.path().join("journal"))?;
    let data = folder.path().join("data");
    let collect = format!("files: [], {}", journal.configuration(", matches: ['_SYSTEMD_UNIT=x.service']"));
    let store = format!("store: {{dir: '{}'}}\n", data.display());
    for entries in [150, 150, 0] {
        journal.write(entries)?;
        let gateway = Program::start_collecting(&data, &collect, &store).await?;
        journal.all_there(&http, &gateway).await?;
        gateway.kill().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_of_every_form_arrives_with_what_it_says_of_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = Http::new()?;
    let (tcp, udp) = (free_port()?, free_port()?);
    let collect = format!(
        "files: [], syslog: [{{listen: 'tcp://127.0.0.1:{tcp}', use_incoming_timestamp: true, labels: {{site: a}}, \
         relabel_configs: [{{source_labels: [__syslog_message_facility], target_label: facility}}, \
         {{source_labels: [__syslog_message_sd_origin_1_ip], target_label: ip}}]}}, \
         {{listen: 'udp://127.0.0.1:{udp}', pipeline_stages: [{{drop: {{expression: noise}}}}]}}]"
    );
    let data = folder.path().join("data");
    let gateway =
        Program::start_collecting(&data, &collect, &format!("store: {{dir: '{}'}}\n", data.display()))
            .await?;
    let counted = format!(
        "<165>1 2026-01-02T03:04:05Z web-1 shop 77 ID1 [opentelemetry trace_id=\"{TRACE}\" span_id=\"00f067aa0ba902b7\"]\
         [origin@1 ip=\"10.0.0.1\"] two\nlines"
    );
    let mut connection = TcpStream::connect(("127.0.0.1", tcp))?;
    writeln!(connection, "{} {counted}<11>Jan  2 03:04:06 web-2 cron[9]: by line", counted.len())?;
    // Not complete when the connection ends.
    write!(connection, "<14>1 2026-01-02T03:04:07Z web-3 shop - - - the last")?;
    drop(connection);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"<14>noise", ("127.0.0.1", udp))?;
    socket.send_to(format!("<12>app: trace_id={TRACE} by datagram\n").as_bytes(), ("127.0.0.1", udp))?;

    let found = until("the messages", SOON, || async {
        let found = stored(&http, &gateway, "{job=\"syslog\"}").await?;
        ensure!(found.len() >= 4, "{found:?}");
        Ok(found)
    })
    .await?;
    let datagram = format!("trace_id={TRACE} by datagram");
    let lines = ["two\nlines", "by line", "the last", &datagram];
    let of = |record: usize| found.iter().find(|s| s.line == lines[record]).context(record);
    ensure!(found.len() == lines.len(), "{found:?}");
    for (record, name, value) in [
        (0, "service_name", "shop"),
        (0, "host", "web-1"),
        (0, "site", "a"),
        (0, "facility", "local4"),
        (0, "ip", "10.0.0.1"),
        (0, "trace_id", TRACE),
        (0, "span_id", "00f067aa0ba902b7"),
        (0, "detected_level", "info"),
        (0, "proc_id", "77"),
        (0, "msg_id", "ID1"),
        (1, "host", "web-2"),
        (1, "service_name", "cron"),
        (1, "detected_level", "error"),
        (2, "host", "web-3"),
        (3, "service_name", "app"),
        (3, "detected_level", "warn"),
        (3, "trace_id", TRACE),
    ] {
        ensure!(of(record)?.labels[name] == value, "{name} of {record}: {}", of(record)?.labels);
    }
    gateway.stop().await
}
