//! What Elastic APM's agents have to show, where files hold it: read once, at the start.

use std::path::{Path, PathBuf};

use receive::elastic_apm::ElasticApmOptions;

use crate::config::{ElasticApm, api_key};

/// A file with secrets that cannot be used. The secrets themselves are not told.
#[derive(Debug, thiserror::Error)]
#[error("receive.elastic_apm.{key}: {}: {problem}", file.display())]
pub struct KeysError {
    key: &'static str,
    file: PathBuf,
    problem: String,
}

/// How the receiver behaves, with what the files hold.
pub(crate) fn options(settings: &ElasticApm) -> Result<ElasticApmOptions, KeysError> {
    let mut secret_token = settings.secret_token.clone();
    if let Some(file) = &settings.secret_token_file {
        secret_token = lines("secret_token_file", file)?.into_iter().next();
    }
    let mut api_keys = settings.api_keys.clone();
    if let Some(file) = &settings.api_keys_file {
        const KEY: &str = "api_keys_file";
        for (index, line) in lines(KEY, file)?.iter().enumerate() {
            let wrong = |expected| {
                let problem = format!("expected {expected} in line {}", index + 1);
                KeysError { key: KEY, file: file.clone(), problem }
            };
            api_keys.push(api_key(line).map_err(wrong)?);
        }
    }
    Ok(ElasticApmOptions {
        max_body: settings.max_body_bytes as usize,
        secret_token,
        api_keys,
        agents: settings.agents.clone(),
    })
}

/// The lines of a file that are not blank. None would let everybody in.
fn lines(key: &'static str, file: &Path) -> Result<Vec<String>, KeysError> {
    let wrong = |problem| KeysError { key, file: file.to_owned(), problem };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.is_empty() { Err(wrong("it is empty".to_owned())) } else { Ok(lines) }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    use super::*;

    #[test]
    fn files_hold_what_agents_show_and_one_without_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let [token, keys, empty] = ["token", "keys", "empty"].map(|name| folder.path().join(name));
        for (file, text) in [(&token, "s3cret\n"), (&keys, "\nid:k3y\n  other:one \n"), (&empty, " \n")] {
            std::fs::write(file, text).unwrap();
        }
        let read = |token: &Path, keys: &Path| {
            let (token, keys) = (token.display(), keys.display());
            let text = format!(
                "receive: {{elastic_apm: {{secret_token_file: '{token}', api_keys: ['a:b'], api_keys_file: '{keys}'}}}}"
            );
            options(&load(&text, "t.yaml", []).unwrap().receive.elastic_apm)
        };
        let found = read(&token, &keys).unwrap();
        assert_eq!(found.secret_token.as_deref(), Some("s3cret"));
        assert_eq!(found.api_keys, ["a:b", "id:k3y", "other:one"]);
        for (bad, keys, said) in [
            (&empty, &keys, "secret_token_file: "),
            (&token, &empty, "it is empty"),
            (&token, &token, "expected an API key as `id:key` in line 1"),
            (&token, &folder.path().join("none"), "api_keys_file: "),
        ] {
            let error = read(bad, keys).err().unwrap().to_string();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
    }
}
