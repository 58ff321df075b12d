//! `redact`: puts a mark in the place of secrets and personal data. Each kind is looked for only in lines that have a
//! character or a word which it cannot be without.

use std::ops::Range;

use regex::{Captures, Regex};

use super::config::RedactConfig;
use super::entry::{Entry, MAX_VALUE, cut};
use super::error::compile;

#[derive(Debug, Clone)]
struct Rule {
    kind: &'static str,
    /// One of these must be in the line; none means that digits must.
    words: &'static [&'static str],
    regex: Regex,
}

#[derive(Debug, Clone)]
pub(super) struct Redact(Vec<Rule>);

/// Digits of a card number at least and at most, ISO/IEC 7812.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

const EMAIL: &str = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b";
/// Groups of digits. Which of them are a card is for [`cards`] to say: other numbers may stand beside it.
const CARD: &str = r"\b[0-9](?:[ -]?[0-9]){12,}\b";
const BEARER: &str = r"(?i:\bbearer\s+)([A-Za-z0-9._~+/-]{8,}=*)";
const WEB_TOKEN: &str = r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*";
const CLOUD_KEY: &str = r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}|\bgh[pousr]_[0-9A-Za-z]{36,}|\bxox[abprs]-[0-9A-Za-z-]{10,}|\bglpat-[0-9A-Za-z_-]{20,}|\bsk_live_[0-9A-Za-z]{16,}";
const PRIVATE_KEY: &str = r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)";
/// The key may be the end of a longer one: `DB_PASSWORD`, `aws_secret_access_key`.
const NAMED: &str = r#"(?i:(?:password|passwd|pwd|secret(?:[_-]?key(?:[_-]?base)?)?|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token))["']?\s*[=:]\s*(?:"((?:[^"\\]|\\.)+)"|'([^']+)'|([^\s"',;&}]+))"#;

impl Redact {
    pub fn new(config: RedactConfig) -> Result<Self, String> {
        let RedactConfig { email, card, bearer, keys } = config;
        let all: [(bool, &'static str, &'static [&'static str], &str); 7] = [
            (keys, "private-key", &["PRIVATE KEY-----"], PRIVATE_KEY),
            (bearer, "token", &["eyJ"], WEB_TOKEN),
            (bearer, "token", &["earer", "EARER"], BEARER),
            (keys, "key", &["AKIA", "ASIA", "AIza", "gh", "xox", "glpat-", "sk_live_"], CLOUD_KEY),
            (keys, "secret", &["=", ":"], NAMED),
            (email, "email", &["@"], EMAIL),
            (card, "card", &[], CARD),
        ];
        let rules: Vec<Rule> = all
            .into_iter()
            .filter(|(on, ..)| *on)
            .map(|(_, kind, words, regex)| Ok(Rule { kind, words, regex: compile(regex)? }))
            .collect::<Result<_, String>>()?;
        if rules.is_empty() {
            return Err("expected at least one kind: `email`, `card`, `bearer` or `keys`".into());
        }
        Ok(Self(rules))
    }

    pub fn apply(&self, entry: &mut Entry) {
        for rule in &self.0 {
            if let Some(redacted) = rule.redacted(&entry.line) {
                entry.line = redacted;
                entry.truncated += cut(&mut entry.line, MAX_VALUE) as u64;
            }
        }
        let changed: Vec<(String, String)> = entry
            .metadata
            .iter()
            .filter_map(|(name, value)| {
                let mut value = value.to_owned();
                let before = value.len();
                let mut any = false;
                for rule in &self.0 {
                    if let Some(redacted) = rule.redacted(&value) {
                        value = redacted;
                        any = true;
                    }
                }
                (any || value.len() != before).then(|| (name.to_owned(), value))
            })
            .collect();
        for (name, value) in changed {
            entry.metadata.set(&name, value);
        }
    }
}

impl Rule {
    /// `None` if there is nothing to redact.
    fn redacted(&self, text: &str) -> Option<String> {
        let possible = if self.words.is_empty() {
            text.bytes().filter(u8::is_ascii_digit).nth(*CARD_DIGITS.start() - 1).is_some()
        } else {
            self.words.iter().any(|word| text.contains(word))
        };
        if !possible {
            return None;
        }
        let mark = format!("<redacted:{}>", self.kind);
        let mut changed = false;
        let out = self.regex.replace_all(text, |captures: &Captures<'_>| {
            let whole = captures.get(0).map_or("", |all| all.as_str());
            let start = captures.get(0).map_or(0, |all| all.start());
            // With a group, only the group is secret.
            let group = captures.iter().skip(1).flatten().next();
            let secrets = match group {
                _ if self.kind == "card" => cards(whole),
                Some(group) if group.as_str().starts_with("<redacted:") => Vec::new(),
                _ => {
                    let all = || 0..whole.len();
                    let secret = group.map_or_else(all, |group| group.start() - start..group.end() - start);
                    std::iter::once(secret).collect()
                }
            };
            let (mut out, mut done) = (String::new(), 0);
            for secret in secrets {
                changed = true;
                out.push_str(whole.get(done..secret.start).unwrap_or_default());
                out.push_str(&mark);
                done = secret.end;
            }
            out + whole.get(done..).unwrap_or_default()
        });
        let out = out.into_owned();
        changed.then_some(out)
    }
}

/// Where cards stand among groups of digits: one group, or several of at least three digits but for the last.
fn cards(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for group in text.split([' ', '-']) {
        groups.push(start..start + group.len());
        start += group.len() + 1;
    }
    let mut found = Vec::new();
    let mut rest = groups.as_slice();
    while let Some((first, _)) = rest.split_first() {
        let (mut digits, mut card) = (0, None);
        for (at, group) in rest.iter().enumerate() {
            digits += group.len();
            if digits > *CARD_DIGITS.end() {
                break;
            }
            if is_card(text.get(first.start..group.end).unwrap_or_default()) {
                card = Some(at);
            }
            if group.len() < 3 {
                break;
            }
        }
        if let Some(last) = card.and_then(|at| rest.get(at)) {
            found.push(first.start..last.end);
        }
        rest = rest.get(card.unwrap_or(0) + 1..).unwrap_or_default();
    }
    found
}

/// Whether it begins as card numbers do, the check digit is right (Luhn), and it is not one digit over and over.
fn is_card(text: &str) -> bool {
    if !text.starts_with(|first| matches!(first, '2'..='6')) {
        return false;
    }
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match digit * 2 {
            double if at % 2 == 1 => double / 10 + double % 10,
            _ => *digit,
        })
        .sum();
    CARD_DIGITS.contains(&digits.len())
        && sum.is_multiple_of(10)
        && digits.iter().any(|d| Some(d) != digits.first())
}
