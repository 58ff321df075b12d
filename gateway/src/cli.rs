//! The command line: one function a command, each a page at most.
#![allow(clippy::print_stdout, reason = "this module is what a person at a terminal talks to")]

mod ask;
mod question;
mod trace;

use std::io::{BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use parsers::derived::Deriver;
use parsers::stage::Pipeline;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::app::App;
use crate::config::{self, Config, LoadError};
use crate::{arenas, demo, doctor, parse_view, provision, reload};

/// Log, trace and metric correlation gateway.
#[derive(Debug, Parser)]
#[command(
    name = "trefoil",
    version,
    about = "What happened in this request? Logs, spans and metrics in one answer."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect, store and answer.
    Serve {
        /// Configuration file; without one the defaults hold.
        #[arg(long, env = "TREFOIL_CONFIG")]
        config: Option<PathBuf>,
        /// Data directory, instead of `store.dir`.
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// Tail container logs and ship them to a Trefoil, a Loki or an OTLP endpoint.
    Agent {
        /// Configuration file with a `ship` section.
        #[arg(long, env = "TREFOIL_CONFIG")]
        config: PathBuf,
        /// Ship standard input instead, and end with it.
        #[arg(long)]
        stdin: bool,
    },
    /// Serve, plus a small shop of services that log, trace and count for real.
    Demo {
        /// Configuration file, for example with `upstream.prometheus`.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Show what each stage does to each line of standard input, and each rule finds in it.
    Parse {
        /// Configuration file with stages and rules of your own.
        #[arg(long, env = "TREFOIL_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Check a configuration: every mistake at once, or the effective settings.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Turn another tool's configuration into one of ours, with notes on what has no counterpart.
    Convert {
        /// Whose configuration it is.
        from: Tool,
        /// The file.
        file: PathBuf,
    },
    /// Show one request: waterfall, log lines under their spans, metrics.
    Trace {
        /// The trace id, in any spelling.
        id: String,
        /// Spans that are shown at once; of a trace with more, how to go on is told.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..))]
        limit: u16,
        /// Which part: what the one before told.
        #[arg(long)]
        cursor: Option<String>,
        /// Log lines without an id are shown from this confidence on, 0 to 1.
        #[arg(long)]
        min_confidence: Option<f64>,
        #[command(flatten)]
        asked: ask::Asked,
    },
    #[command(flatten)]
    Question(Box<question::Command>),
    /// Make a token for `access.tokens`: the token itself, for whoever is to have it, and its hash, for the configuration.
    Token,
    /// Follow one real request through every link that Grafana would offer, and say which is dead and what would mend it.
    Doctor(Box<doctor::Arguments>),
    /// Generate what another program needs to read Trefoil.
    Provision {
        /// For whom.
        #[command(subcommand)]
        reader: Reader,
    },
}

/// Programs that read Trefoil.
#[derive(Debug, Subcommand)]
enum Reader {
    /// Data sources and dashboards, as files or through Grafana's API.
    Grafana(Box<provision::Arguments>),
}

/// Tools whose configurations can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tool {
    /// Grafana Promtail.
    Promtail,
}

/// What a person sees when a command fails.
#[derive(Debug)]
pub struct Failure {
    /// One or more lines.
    pub message: String,
    /// 1: it failed; 2: what was asked for is wrong; 3: nothing found.
    pub code: u8,
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self { message: error.to_string(), code: 2 }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure { message: error.to_string(), code: 1 }
}

/// Does what the command line says.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    if matches!(arguments.command, Command::Serve { .. } | Command::Agent { .. } | Command::Demo { .. }) {
        arenas::bound();
    }
    // The only TLS provider in the program, before anything that may speak TLS is made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match arguments.command {
        Command::Serve { config, data_dir } => serve(config.as_deref(), data_dir),
        Command::Agent { config, stdin: false } => agent(&config),
        Command::Agent { config, stdin: true } => ship_stdin(&config),
        Command::Demo { config } => demo(config.as_deref()),
        Command::Parse { config } => parse(config.as_deref()),
        Command::CheckConfig { file } => check_config(&file),
        Command::Convert { from: Tool::Promtail, file } => convert_promtail(&file),
        Command::Token => token(),
        Command::Doctor(arguments) => examine(&arguments),
        Command::Trace { id, limit, cursor, min_confidence, asked } => {
            let mut query = vec![("limit", limit.to_string()), ("mentions", "true".to_owned())];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            query.extend(min_confidence.map(|least| ("min_confidence", least.to_string())));
            trace::show(&id, &query, &asked)
        }
        Command::Question(question) => question.run(),
        Command::Provision { reader: Reader::Grafana(arguments) } => provision_grafana(&arguments),
    }
}

/// Log lines of Trefoil itself go to standard error; `RUST_LOG` filters them.
fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)
}

/// Ends at SIGINT or SIGTERM; they are caught from the call on, not only once this is awaited.
fn stop_signal() -> impl Future<Output = ()> {
    let caught = |kind: SignalKind, name| {
        signal(kind).inspect_err(|error| tracing::warn!(%error, "{name} cannot be caught")).ok()
    };
    let mut interrupt = caught(SignalKind::interrupt(), "SIGINT");
    let mut terminate = caught(SignalKind::terminate(), "SIGTERM");
    async move {
        tokio::select! {
            () = reload::arrival(&mut interrupt) => {}
            () = reload::arrival(&mut terminate) => {}
        }
    }
}

fn serve(path: Option<&Path>, data_dir: Option<PathBuf>) -> Result<(), Failure> {
    let adjust = move |config: &mut Config| {
        if let Some(dir) = &data_dir {
            config.store.dir.clone_from(dir);
        }
    };
    let source = path.map(|path| reload::Source::new(path, adjust.clone()));
    let mut config = config::load_file(path)?;
    adjust(&mut config);
    start_logging("info");
    runtime()?.block_on(async {
        let (stopped, hangups) = (stop_signal(), reload::hangups());
        let running = App::start(config).await.map_err(failed)?;
        for (protocol, address) in &running.receivers {
            tracing::info!("receiving {protocol} on {address}");
        }
        let port =
            |own: Option<SocketAddr>| own.map_or("on the main port only".to_owned(), |own| own.to_string());
        tracing::info!(
            "listening on {}, OTLP gRPC {}, OTLP HTTP {}",
            running.main,
            port(running.otlp_grpc),
            port(running.otlp_http)
        );
        running.keep_reloading(source, hangups);
        stopped.await;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

fn agent(path: &Path) -> Result<(), Failure> {
    let source = reload::Source::new(path, |_| {});
    let config = config::load_file(Some(path))?;
    start_logging("info");
    runtime()?.block_on(async {
        // Whoever stops it while it starts has its positions written, too.
        let (stopped, hangups) = (stop_signal(), reload::hangups());
        let running = crate::agent::Agent::start(config).await.map_err(failed)?;
        tracing::info!("tailing; health on {}", running.main);
        running.keep_reloading(source, hangups);
        stopped.await;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

fn ship_stdin(path: &Path) -> Result<(), Failure> {
    let config = config::load_file(Some(path))?;
    start_logging("info");
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            stop_signal().await;
            stop.cancel();
        });
        crate::agent::ship_stdin(&config, shutdown).await.map_err(failed)
    })
}

/// The shop's first requests take well under a second; a machine that is busy building gets more.
const FIRST_TRACE: Duration = Duration::from_secs(30);

fn demo(path: Option<&Path>) -> Result<(), Failure> {
    let mut config = config::load_file(path)?;
    start_logging("warn");
    if let Some(path) = path {
        let path = path.display();
        tracing::warn!(
            "the demo has files, a store and ports of its own: `collect.files`, `store.dir`, `access` and `server.tls` of {path} are left out"
        );
    }
    // Removed with everything in it when the demo ends.
    let folder = tempfile::Builder::new().prefix("trefoil-demo-").tempdir().map_err(failed)?;
    let pods_dir = folder.path().join("pods");
    std::fs::create_dir_all(&pods_dir).map_err(failed)?;
    config.store.dir = folder.path().join("data");
    config.collect.files = vec![config::Files::new(format!("{}/*/*/*.log", pods_dir.display()))];
    // The shop has no token and no certificates.
    (config.access, config.server.tls) = (None, None);
    if path.is_none() {
        // The shop speaks OTLP, and whoever looks at the demo may well have a Zipkin or a Jaeger running.
        config.receive = config.receive.on_fewest_ports();
    }
    let own_target = folder.path().join("trefoil.yml");
    demo::scrape_itself(&mut config.scrape.options, &own_target);
    runtime()?.block_on(async {
        let running = App::start(config).await.map_err(failed)?;
        demo::name_itself(&own_target, running.main).map_err(failed)?;
        let metrics = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let otlp_grpc = running.otlp_grpc.unwrap_or(running.main);
        let otlp_http = running.otlp_http.unwrap_or(running.main);
        let at = demo::Addresses {
            main: running.main,
            otlp_grpc,
            otlp_http,
            metrics: metrics.local_addr().map_err(failed)?,
        };
        let options = demo::ShopOptions {
            pods_dir,
            otlp_grpc,
            otlp_http,
            metrics,
            seed: u64::from(std::process::id()),
        };
        let shop = demo::Shop::start(options, CancellationToken::new()).await.map_err(failed)?;
        let mut latest = shop.latest();
        let first = tokio::time::timeout(FIRST_TRACE, latest.wait_for(Option::is_some));
        let ended = tokio::select! {
            trace = first => match trace.map(|found| found.map(|trace| *trace)) {
                Ok(Ok(Some(trace))) => {
                    let program = std::env::args().next().unwrap_or_else(|| "trefoil".into());
                    println!("{}", demo::banner(&program, at, trace));
                    stop_signal().await;
                    Ok(())
                }
                _ => Err(failed(format!("the shop made no request that arrived within {FIRST_TRACE:?}"))),
            },
            () = stop_signal() => Ok(()),
        };
        shop.stop().await;
        running.stop().await;
        ended
    })
}

fn parse(path: Option<&Path>) -> Result<(), Failure> {
    let config = config::load_file(path)?;
    let deriver = Deriver::new(&config.rules).map_err(|errors| Failure {
        message: errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        code: 2,
    })?;
    // Lines on standard input have no path: the first files with stages are taken for theirs.
    let staged = config.collect.files.iter().find(|files| !files.stages.is_empty());
    let pipeline = staged.and_then(|files| Pipeline::new(&files.stages).ok()).unwrap_or_default();
    let mut view = parse_view::ParseView::new(&deriver, pipeline);
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        output.write_all(view.line(text).as_bytes()).map_err(failed)?;
    }
    output.write_all(view.finish().as_bytes()).map_err(failed)?;
    output.write_all(view.summary().as_bytes()).map_err(failed)
}

fn check_config(file: &Path) -> Result<(), Failure> {
    let config: Config = config::load_file(Some(file))?;
    print!("{}", config::render(&config));
    Ok(())
}

/// The new configuration goes to standard output, with the notes as comments above it.
fn convert_promtail(file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| failed(format!("{name}: {error}")))?;
    let converted = config::from_promtail(&text, &name).map_err(failed)?;
    for note in &converted.notes {
        println!("# {}", note.replace('\n', " "));
    }
    println!("{}", converted.yaml.trim_end());
    Ok(())
}

fn examine(arguments: &doctor::Arguments) -> Result<(), Failure> {
    let wrong = |message: String| Failure { message, code: 2 };
    let runtime = runtime()?;
    let client = arguments.caller.of(&arguments.url).map_err(wrong)?;
    let findings = runtime.block_on(async {
        let (sources, doorway) = match (&arguments.grafana, &arguments.datasources) {
            (Some(grafana), _) => {
                let access = provision::Access::from_environment(|name| std::env::var(name).ok());
                let doorway = doctor::Doorway::through(client, grafana, access);
                (doctor::of_grafana(grafana, &doorway).await.map_err(failed)?, doorway)
            }
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| wrong(format!("{}: {error}", file.display())))?;
                let sources = doctor::of_provisioning(&text)
                    .map_err(|error| wrong(format!("{}: {error}", file.display())))?;
                (sources, doctor::Doorway::direct(client))
            }
            (None, None) => {
                let sources = doctor::of_gateway(&arguments.url).map_err(failed)?;
                (sources, doctor::Doorway::direct(client))
            }
        };
        Ok::<_, Failure>(doctor::examine(&sources, &doorway, arguments.id.as_deref()).await)
    })?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings).map_err(failed)?);
    } else {
        print!("{}", doctor::render(&findings));
    }
    let dead = findings.iter().filter(|finding| finding.outcome == doctor::Outcome::Dead).count();
    if dead == 0 { Ok(()) } else { Err(failed(format!("{dead} links are dead"))) }
}

fn provision_grafana(arguments: &provision::Arguments) -> Result<(), Failure> {
    let target = arguments.target();
    if let Some(url) = &arguments.url {
        let access = provision::Access::from_environment(|name| std::env::var(name).ok());
        let grafana = provision::Grafana::new(url, access);
        let told = |what| println!("{what}");
        return runtime()?.block_on(grafana.provision(&target, told)).map_err(failed);
    }
    let Some(folder) = &arguments.out else { return Ok(()) };
    let wrong = |error| Failure { message: format!("{error}"), code: 2 };
    let files = provision::generated(&target).map_err(wrong)?;
    let at_file = |(path, error): (PathBuf, std::io::Error)| failed(format!("{}: {error}", path.display()));
    if !arguments.check {
        provision::write(folder, &files).map_err(at_file)?;
        for name in files.keys() {
            println!("{}", folder.join(name).display());
        }
        return Ok(());
    }
    let differences = provision::differences(folder, &files).map_err(at_file)?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(failed(differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

fn token() -> Result<(), Failure> {
    let (token, hash) = access::make().ok_or_else(|| failed("the system gives no randomness"))?;
    println!("token:  {token}\nsha256: {hash}");
    Ok(())
}

pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
