//! What nobody is told.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::harness::{Http, Process, free_port, until};
use tests::program::binary;

use super::authority::{Authority, server};
use super::{READ, bearer};

/// In every secret.
const MARK: &str = "hush4711";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_however_much_is_logged_nor_in_what_check_config_prints() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let http = Http::new()?;
    let authority = Authority::new("root")?;
    let files = authority.put(folder.path(), "gateway")?;
    let key = std::fs::read_to_string(&files[1])?;
    let secret = key.lines().nth(1).unwrap_or_default().to_owned();
    std::fs::write(at("token"), format!("{MARK}-token-of-a-file"))?;
    let (port, gone) = (free_port()?, free_port()?);
    let config = format!(
        "server: {{listen: '127.0.0.1:{port}'}}\nstore: {{dir: '{0}/data'}}\ncollect: {{files: []}}\n\
         receive: {{otlp: {{grpc: '127.0.0.1:0', http: '127.0.0.1:0'}}, zipkin: null, jaeger: null, \
         elastic_apm: {{http: null, secret_token: {MARK}, api_keys: ['id:{MARK}']}}}}\n\
         access: {{tokens: [{{name: f, role: read, token_file: '{0}/token'}}]}}\n\
         upstream: {{prometheus: {{url: 'http://u:{MARK}@127.0.0.1:{gone}', headers: {{X-Key: {MARK}}}}}}}\n\
         scrape: {{interval: 100ms, timeout: 100ms, jobs: [{{job: a, targets: ['127.0.0.1:{gone}'], bearer_token: {MARK}}}, \
         {{job: b, targets: ['127.0.0.1:{gone}'], basic_auth: {{username: u, password: {MARK}}}}}]}}\n",
        folder.path().display()
    );
    std::fs::write(at("trefoil.yaml"), &config)?;
    let printed = Command::new(binary()?).arg("check-config").arg(at("trefoil.yaml")).output()?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let printed = String::from_utf8(printed.stdout)?;
    ensure!(printed.contains("(not shown)") && !printed.contains(MARK), "{printed}");

    let mut command = Command::new(binary()?);
    command.arg("serve").arg("--config").arg(at("trefoil.yaml")).env("RUST_LOG", "trace");
    let output = at("trefoil.out");
    let mut trefoil = Process::start("trefoil", &mut command, &output)?;
    let main = format!("http://127.0.0.1:{port}");
    let shown = bearer(&format!("{MARK}-token-of-a-file"));
    until("an answer", std::time::Duration::from_mins(1), || async {
        let up = http.get_with(&format!("{main}/api/v1/services"), &[("authorization", &shown)]).await?;
        ensure!(up.status == 200, "{}", up.text());
        Ok(())
    })
    .await?;
    for shown in [bearer(&format!("{MARK}-of-nobody")), format!("Basic {MARK}"), bearer(READ), shown] {
        for path in
            ["/prometheus/api/v1/query?query=up", "/v1/traces", "/config/v1/agents", "/api/v1/scrape/targets"]
        {
            let answer = http.get_with(&format!("{main}{path}"), &[("authorization", &shown)]).await?;
            ensure!(!answer.text().contains(MARK), "{path}: {}", answer.text());
        }
    }
    // A configuration that is wrong where its secrets are, and files that are.
    std::fs::write(at("token"), MARK)?;
    std::fs::write(at("trefoil.yaml"), config.replace(&format!("['id:{MARK}']"), &format!("[{MARK}]")))?;
    until("the refusals", std::time::Duration::from_mins(1), || async {
        let said = std::fs::read_to_string(&output)?;
        ensure!(
            said.contains("configuration is refused") && said.contains("files of access.tokens are refused")
        );
        Ok(())
    })
    .await?;
    ensure!(trefoil.stop()?.success(), "{}", trefoil.last_words());
    let said = std::fs::read_to_string(&output)?;
    let told = said.lines().find(|line| line.contains(MARK));
    ensure!(said.lines().count() > 10 && told.is_none(), "{told:?}");

    // A key that does not belong to its certificate.
    let (other, _) = authority.sign("other")?;
    std::fs::write(&files[0], other)?;
    std::fs::write(
        at("tls.yaml"),
        format!(
            "server: {{listen: '127.0.0.1:0', {}}}\nstore: {{dir: '{}/other'}}\n",
            server(&files, None),
            folder.path().display()
        ),
    )?;
    let failed = Command::new(binary()?)
        .arg("serve")
        .arg("--config")
        .arg(at("tls.yaml"))
        .env("RUST_LOG", "trace")
        .output()?;
    let said = String::from_utf8_lossy(&failed.stdout) + String::from_utf8_lossy(&failed.stderr);
    ensure!(
        !failed.status.success() && said.contains("server.tls.key_file") && !said.contains(&secret),
        "{said}"
    );
    Ok(())
}
