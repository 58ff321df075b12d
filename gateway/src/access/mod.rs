//! Who may do what: tokens with roles, each known by its hash alone, compared in the same time whatever it has in common with
//! one of ours. Which role a path takes is decided where routers are put together; what is refused is worded in `refusal`.
//!
//! A plain SHA-256 is enough for tokens that were made at random (`trefoil token`): nobody tries 2^256 of them. It is not for
//! passwords that a person thought of.

mod guard;
mod limits;
mod refusal;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::crypto;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{self, AccessToken, Proof, Role};
use crate::renewed::{Renewed, Seen};

pub(crate) use guard::{Guard, let_in};
use limits::Allowance;

/// Bytes of randomness in a token.
const RANDOM: usize = 32;
/// Before each token, so that whoever looks for leaked secrets finds it.
const PREFIX: &str = "trefoil_";
/// Letters of the shortest token that a file may hold: less was not made at random.
const SHORTEST: usize = 16;

/// A token that cannot be used. The token itself is not told.
#[derive(Debug, thiserror::Error)]
#[error("access.tokens: {name}: {}: {problem}", file.display())]
pub struct AccessError {
    name: String,
    file: PathBuf,
    problem: String,
}

/// Requests that were not let in.
#[derive(Debug, Default)]
pub struct Counters {
    /// Without a token, or with one that is not known.
    pub unauthenticated: AtomicU64,
    /// With a token that is not good for this.
    pub forbidden: AtomicU64,
    /// Over the rate of the token.
    pub rate: AtomicU64,
    /// With a body larger than the token may send.
    pub size: AtomicU64,
}

/// One token.
#[derive(Debug)]
struct Known {
    hash: [u8; 32],
    roles: Vec<Role>,
    /// The tenant as the header says it.
    tenant: Option<HeaderValue>,
    allowance: Allowance,
}

impl Known {
    fn may(&self, role: Role) -> bool {
        self.roles.iter().any(|&has| has == role || has == Role::Admin)
    }
}

/// All tokens, and the configuration that they are of.
#[derive(Debug)]
struct Table {
    settings: config::Access,
    tokens: Vec<Arc<Known>>,
    seen: Mutex<Seen>,
}

impl Table {
    fn load(settings: &config::Access) -> Result<Self, AccessError> {
        let seen = Seen::of(files(settings));
        let tokens = settings.tokens.iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self { settings: settings.clone(), tokens, seen: Mutex::new(seen) })
    }

    /// The token that a request shows, if it is one of ours. Every one is compared.
    fn find(&self, shown: &[u8]) -> Option<&Arc<Known>> {
        let hash: [u8; 32] = Sha256::digest(shown).into();
        self.tokens.iter().fold(None, |found, token| {
            let same = bool::from(token.hash.ct_eq(&hash));
            if same { Some(token) } else { found }
        })
    }
}

fn files(settings: &config::Access) -> impl Iterator<Item = &Path> {
    settings.tokens.iter().filter_map(|token| match &token.proof {
        Proof::File(file) => Some(file.as_path()),
        Proof::Sha256(_) => None,
    })
}

fn known(token: &AccessToken) -> Result<Arc<Known>, AccessError> {
    let hash = match &token.proof {
        Proof::Sha256(hash) => *hash,
        Proof::File(file) => {
            let bad = |problem: String| AccessError { name: token.name.clone(), file: file.clone(), problem };
            let text = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
            let text = text.trim_ascii();
            if text.len() < SHORTEST {
                return Err(bad(format!(
                    "expected a token of at least {SHORTEST} letters, such as `trefoil token` makes"
                )));
            }
            Sha256::digest(text).into()
        }
    };
    Ok(Arc::new(Known {
        hash,
        roles: token.roles.clone(),
        // The configuration has checked that it is a name.
        tenant: token.tenant.as_deref().and_then(|name| HeaderValue::from_str(name).ok()),
        allowance: Allowance::new(&token.limits),
    }))
}

/// Who may do what, as the newest configuration has it.
#[derive(Debug, Default)]
pub struct Access {
    /// `None` protects nothing.
    table: RwLock<Option<Arc<Table>>>,
    /// What was not let in.
    pub counters: Counters,
}

impl Access {
    /// As configured.
    pub fn load(settings: Option<&config::Access>) -> Result<Self, AccessError> {
        let access = Self::default();
        access.take(settings)?;
        Ok(access)
    }

    /// Goes over to another configuration; an error leaves the one before.
    pub fn take(&self, settings: Option<&config::Access>) -> Result<(), AccessError> {
        let table = settings.map(Table::load).transpose()?;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table.map(Arc::new);
        Ok(())
    }

    fn table(&self) -> Option<Arc<Table>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        counter(&self.counters).fetch_add(1, Ordering::Relaxed);
    }
}

impl Renewed for Access {
    fn name(&self) -> &'static str {
        "access.tokens"
    }

    fn renew(&self) -> Option<Result<(), String>> {
        let table = self.table()?;
        let mut seen = table.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.changed(files(&table.settings))
            .then(|| self.take(Some(&table.settings)).map_err(|error| error.to_string()))
    }
}

/// The token that a request shows: `Bearer`, or the password of `Basic`, since many clients have nothing else.
fn shown(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest.trim()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// A new token and its hash in hex; `None` if the system gives no randomness.
pub fn make() -> Option<(String, String)> {
    let mut random = [0; RANDOM];
    crypto::ring::default_provider().secure_random.fill(&mut random).ok()?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let hash = config::hex(&Sha256::digest(token.as_bytes()));
    Some((token, hash))
}
