//! Who may send: a secret token, or one of the API keys. Without any of them, everybody.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer;

const EXPECTED: &str = "authentication failed: missing or improperly formatted Authorization header: expected \
                        'Authorization: Bearer secret_token' or 'Authorization: ApiKey base64(API key ID:API key)'";
const UNKNOWN: &str = "authentication failed: the secret token or API key is not one of this gateway";

/// What senders have to show.
#[derive(Clone, Default)]
pub(super) struct Keys {
    /// `Authorization: Bearer`.
    pub secret_token: Option<String>,
    /// `Authorization: ApiKey`, as `id:key`.
    pub api_keys: Vec<String>,
}

/// Takes as long whatever the two have in common.
fn same(ours: &str, theirs: &[u8]) -> bool {
    let differ = ours.bytes().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b));
    ours.len() == theirs.len() && differ == 0
}

impl Keys {
    /// `Err` says what is wrong.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        if self.secret_token.is_none() && self.api_keys.is_empty() {
            return Ok(());
        }
        let shown =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let known = match shown.split_once(' ') {
            Some(("Bearer", token)) => {
                self.secret_token.as_ref().is_some_and(|ours| same(ours, token.trim().as_bytes()))
            }
            Some(("ApiKey", key)) => {
                let key = STANDARD.decode(key.trim()).map_err(|_| EXPECTED)?;
                self.api_keys.iter().fold(false, |known, ours| known | same(ours, &key))
            }
            _ => return Err(EXPECTED),
        };
        if known { Ok(()) } else { Err(UNKNOWN) }
    }

    /// 401, if the request does not show what it has to.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let text = self.check(headers).err()?;
        let mut response = answer::error(StatusCode::UNAUTHORIZED, headers, text);
        let schemes = HeaderValue::from_static("Bearer realm=\"trefoil\", ApiKey realm=\"trefoil\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
        Some(response)
    }
}
