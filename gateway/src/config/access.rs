//! `access`: who may do what.

use std::fmt::Write;
use std::path::PathBuf;

use super::node::Place;
use super::reader::{Mistakes, Section, scalar};
use super::render::quoted;
use super::values;

/// Who may do what. Without it, everybody may do everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `access.tokens`
    pub tokens: Vec<AccessToken>,
    /// `access.public_metrics`: `/metrics` for everybody, since it tells nothing of requests
    pub public_metrics: bool,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sending: every receiver.
    Ingest,
    /// Asking: every surface.
    Read,
    /// Everything.
    Admin,
}

impl Role {
    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// `name`: for people
    pub name: String,
    /// `roles`, or `role` where it is one
    pub roles: Vec<Role>,
    /// `sha256` or `token_file`
    pub proof: Proof,
    /// `tenant`: it sends and reads as this one only
    pub tenant: Option<String>,
    /// `limits`
    pub limits: Limits,
}

/// How a token is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By its hash: from a token that was made at random nobody can be found out.
    Sha256([u8; 32]),
    /// By a file that holds it.
    File(PathBuf),
}

/// What one token may ask for; nothing given is any amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `limits.requests_per_second`
    pub requests_per_second: Option<u64>,
    /// `limits.bytes_per_second`: of request bodies, as they come
    pub bytes_per_second: Option<u64>,
    /// `limits.max_body_bytes`: of one request, as it comes
    pub max_body_bytes: Option<u64>,
}

/// Bytes of a tenant's name, and what it may hold besides letters and digits: as Loki and its kin have it.
const TENANT: (usize, &str) = (150, "!-_.*'()");

pub(super) fn read(top: &mut Section, mistakes: &mut Mistakes) -> Option<Access> {
    let place = top.given("access");
    let mut section = top.section("access", mistakes);
    let place = place?;
    let mut tokens: Vec<AccessToken> = Vec::new();
    let listed = section.list("tokens", mistakes).unwrap_or_default();
    if listed.is_empty() {
        mistakes.push(
            &place,
            "access.tokens",
            "expected at least one token; without `access` nothing is protected",
        );
    }
    for (path, node) in listed {
        let place = node.place.clone();
        let Some(found) = token(Section::new(Some(node), &path, mistakes), &place, &path, mistakes) else {
            continue;
        };
        if tokens.iter().any(|token| token.name == found.name) {
            mistakes.push(&place, &path, format!("another token is named `{}`", found.name));
        }
        tokens.push(found);
    }
    let public_metrics = section.value("public_metrics", values::boolean, mistakes).unwrap_or_default();
    section.end(mistakes);
    Some(Access { tokens, public_metrics })
}

fn token(mut section: Section, place: &Place, path: &str, mistakes: &mut Mistakes) -> Option<AccessToken> {
    super::known::one_of(&section, &["role", "roles"], mistakes);
    super::known::one_of(&section, &["sha256", "token_file"], mistakes);
    let wrong = [["role", "roles"], ["sha256", "token_file"]];
    for keys in wrong.iter().filter(|keys| keys.iter().all(|key| section.peek(key).is_none())) {
        mistakes.push(place, path, format!("expected a `{}` or a `{}`", keys[0], keys[1]));
    }
    if section.peek("name").is_none() {
        mistakes.push(place, path, "expected a `name`");
    }
    let name = section.value("name", values::text, mistakes);
    let mut roles: Vec<Role> = section.value("role", role, mistakes).into_iter().collect();
    for (path, node) in section.list("roles", mistakes).unwrap_or_default() {
        roles.extend(scalar(&node, &path, role, mistakes));
    }
    let hash = section.value("sha256", sha256, mistakes).map(Proof::Sha256);
    let file = section.value("token_file", values::text, mistakes).map(|path| Proof::File(path.into()));
    let tenant = section.value("tenant", tenant, mistakes);
    let mut limits = section.section("limits", mistakes);
    let per_second = |text: &str| text.parse().ok().filter(|&n| n > 0).ok_or("a number above 0".to_owned());
    let size =
        |text: &str| values::bytes(text).ok().filter(|&n| n > 0).ok_or("a size such as `1MiB`".to_owned());
    let read = Limits {
        requests_per_second: limits.value("requests_per_second", per_second, mistakes),
        bytes_per_second: limits.value("bytes_per_second", size, mistakes),
        max_body_bytes: limits.value("max_body_bytes", size, mistakes),
    };
    limits.end(mistakes);
    section.end(mistakes);
    Some(AccessToken { name: name?, roles, proof: hash.or(file)?, tenant, limits: read })
}

fn role(text: &str) -> Result<Role, String> {
    let known = [Role::Ingest, Role::Read, Role::Admin].into_iter().find(|role| role.as_str() == text);
    known.ok_or_else(|| "`ingest`, `read` or `admin`".to_owned())
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Option<Vec<u8>> = digits
        .map(|digits| digits.chunks(2).filter_map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect());
    let hash = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    hash.ok_or_else(|| "the SHA-256 of a token in 64 hex digits, as `trefoil token` prints it".to_owned())
}

/// As it is read back.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn tenant(text: &str) -> Result<String, String> {
    let (most, marks) = TENANT;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || marks.as_bytes().contains(&byte);
    let good = (1..=most).contains(&text.len()) && text.bytes().all(fits) && text != "." && text != "..";
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("one name of up to {most} letters, digits and {marks}"))
    }
}

impl Access {
    pub(super) fn render(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "access:\n  public_metrics: {}\n  tokens:", self.public_metrics)?;
        for token in &self.tokens {
            let roles: Vec<&str> = token.roles.iter().map(|role| role.as_str()).collect();
            write!(out, "    - {{name: {}, roles: [{}]", quoted(&token.name), roles.join(", "))?;
            match &token.proof {
                Proof::Sha256(hash) => {
                    write!(out, ", sha256: '{}'", hex(hash))?;
                }
                Proof::File(file) => write!(out, ", token_file: {}", quoted(&file.display().to_string()))?,
            }
            if let Some(tenant) = &token.tenant {
                write!(out, ", tenant: {}", quoted(tenant))?;
            }
            let limits = [
                ("requests_per_second", token.limits.requests_per_second),
                ("bytes_per_second", token.limits.bytes_per_second),
                ("max_body_bytes", token.limits.max_body_bytes),
            ];
            let limits: Vec<String> =
                limits.into_iter().filter_map(|(key, n)| Some(format!("{key}: {}", n?))).collect();
            writeln!(out, ", limits: {{{}}}}}", limits.join(", "))?;
        }
        Ok(())
    }
}
