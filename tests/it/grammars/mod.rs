//! Promise: what the editors of Grafana and Prometheus take for a query, Trefoil takes, and what they refuse it refuses, but for
//! the exceptions listed here with their reasons. The grammars are the editors' own, run in Node.

mod generator;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::corpus::Dice;
use tests::harness::Http;
use tests::program::Program;

use generator::Grammar;

/// Queries a language that are right, and as many that are damaged.
const QUERIES: usize = 600;
/// Differences shown of all.
const SHOWN: usize = 12;

/// A difference that is meant: what Trefoil says about such a query, and why.
struct Exception {
    /// What Trefoil's answer contains; empty if Trefoil takes what the editor refuses.
    says: &'static str,
    /// Which queries, by a part of their text; empty is all.
    of: &'static str,
    /// Why it is right.
    _reason: &'static str,
}

/// What the editor's grammar says of each query.
fn editor(language: &str, queries: &[String]) -> Result<Vec<bool>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/grammars");
    let mut node = Command::new("node")
        .arg(folder.join("accepts.js"))
        .arg(language)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = node.stdin.take().context("no way in")?;
    let lines: Vec<String> = queries.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let writing = std::thread::spawn(move || lines.iter().try_for_each(|line| writeln!(input, "{line}")));
    let output = node.wait_with_output()?;
    writing.join().map_err(|_| anyhow::anyhow!("writing ended early"))??;
    ensure!(output.status.success(), "node ended with {}", output.status);
    let answers: Vec<bool> = String::from_utf8(output.stdout)?.lines().map(|line| line == "true").collect();
    ensure!(answers.len() == queries.len(), "{} answers to {} queries", answers.len(), queries.len());
    Ok(answers)
}

/// Asks the editor and the gateway about the same queries.
async fn agree(language: &str, grammar: &str, path: &str, exceptions: &[Exception]) -> Result<()> {
    let grammar = Grammar::read(grammar)?;
    let mut dice = Dice::new(0x7ef0_11ab);
    let mut queries = Vec::new();
    for _ in 0..QUERIES {
        let words = grammar.query(&mut dice);
        queries.push(words.join(" "));
        queries.push(grammar.damaged(words, &mut dice).join(" "));
    }
    let accepted = editor(language, &queries)?;
    let right = accepted.iter().step_by(2).filter(|accepted| **accepted).count();
    ensure!(right * 10 >= QUERIES * 9, "the editor takes only {right} of {QUERIES} queries of the grammar");
    let folder = tempfile::tempdir()?;
    let trefoil = Program::start(&folder.path().join("data"), &folder.path().join("none/*.log")).await?;
    let (http, url) = (Http::new()?, format!("http://{}{path}", trefoil.main));
    let mut differences = Vec::new();
    for (query, accepted) in queries.iter().zip(accepted) {
        let url = reqwest::Url::parse_with_params(&url, [("query", query), ("q", query)])?;
        let answer = http.get(url.as_str()).await?;
        ensure!(
            matches!(answer.status, 200 | 400 | 422),
            "status {} to {query}: {}",
            answer.status,
            answer.text()
        );
        let (taken, said) = (answer.status != 400, answer.text());
        let excepted = exceptions.iter().any(|exception| {
            let of = query.contains(exception.of);
            of && if exception.says.is_empty() { taken } else { !taken && said.contains(exception.says) }
        });
        if taken != accepted && !excepted {
            let verb = if taken { "taken, refused by the editor" } else { "refused, taken by the editor" };
            let said: String = if taken { String::new() } else { said.chars().take(200).collect() };
            differences.push(format!("{query}\n    {verb} {said}"));
        }
    }
    let shown = differences.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    ensure!(differences.is_empty(), "{} of {} queries differ:\n{shown}", differences.len(), queries.len());
    trefoil.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn logql_is_what_lokis_editor_takes() -> Result<()> {
    let exceptions = [
        ("`ip(...)` goes with", "ip(", "Loki looks at the operator after reading"),
        ("bool modifier can only", "bool", "the same"),
        ("at least one regexp or equality matcher", "", "the same of selectors"),
        ("invalid parameter", "k(", "the same of topk and bottomk"),
        ("must not occur in ON and GROUP", "group_", "the same of matching"),
        ("", "logfmt logfmt", "Trefoil lets names of labels be words of the language"),
        ("", "logfmt group_left", "the same"),
        ("", "bool =", "the same"),
        ("", ", offset", "the same"),
        ("", "and == 20MB", "the same"),
        ("", "AND !~", "the same"),
        ("", "KEEP =", "the same"),
        ("", "{ Group_Left =~", "the same"),
        ("", ") duration_ms =", "Loki joins label filters by blanks, too"),
        ("", "json json", "the same"),
        ("", "Regexp =~", "the same"),
        ("", "LABEL_FORMAT !~", "the same"),
        ("multiple label name", "", "Loki, after reading"),
        ("", ", }", "dashboards that fill in matchers leave a comma behind the last one of a selector"),
    ];
    let exceptions = exceptions.map(|(says, of, reason)| Exception { says, of, _reason: reason });
    agree("logql", include_str!("logql.grammar"), "/loki/api/v1/format_query", &exceptions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn traceql_is_what_tempos_editor_takes() -> Result<()> {
    let exceptions = [
        ("same type", "", "the editor knows no types; Tempo looks at them after reading, in these words"),
        ("illegal operation", "", "the same"),
        ("must resolve to a boolean", "", "the same"),
        ("at least 1", "", "Tempo refuses the 0 greatest as well, after reading"),
        (
            "expecting an attribute such as",
            "(",
            "the editor takes any expression in lists of fields, Tempo fields alone",
        ),
        ("expecting `,` or `)`", "(", "the same"),
        (
            "unexpected `&>`",
            ") | ",
            "the editor joins stages as if they were span sets; Tempo's own grammar does not",
        ),
        ("unexpected `>`", ") | ", "the same"),
        ("unexpected `avg(", "<", "the same"),
        ("", "with (", "Tempo lets any hint be that it does not know"),
    ];
    let exceptions = exceptions.map(|(says, of, reason)| Exception { says, of, _reason: reason });
    agree("traceql", include_str!("traceql.grammar"), "/tempo/api/search", &exceptions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn promql_is_what_prometheus_editor_takes() -> Result<()> {
    let exceptions = [
        ("at least one non-empty matcher", "", "the editor does not look into matchers"),
        ("must contain only scalar and instant vector types", "", "the editor looks at types later"),
        ("ranges only allowed for vector selectors", "[", "the same"),
        ("argument(s) in call to", "(", "the same of arguments"),
        ("unexpected \\\"(\\\"", "start(", "Prometheus has `start` behind `@` alone, the editor anywhere"),
        ("unexpected \\\"(\\\"", "end(", "the same of `end`"),
        ("expected type", "", "the editor looks at types later"),
        ("wrong number of arguments", "(", "the same"),
        ("", "offset", "Prometheus takes a metric of this name"),
    ];
    let exceptions = exceptions.map(|(says, of, reason)| Exception { says, of, _reason: reason });
    agree("promql", include_str!("promql.grammar"), "/prometheus/api/v1/query", &exceptions).await
}
