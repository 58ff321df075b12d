//! Samples of a server's series as they are, for queries that are evaluated here: by remote read, which has staleness markers
//! and native histograms too, or from a server that does not speak it by a query for the range.

use std::borrow::Cow;
use std::sync::Arc;

use parsers::otlp::{Field, Reader, WalkError, Writer};
use parsers::record::{Labels, NativeHistogram, Sample};
use reqwest::header;
use store::read::{MatchOp, Matcher, ReadError, SampleLimits, SeriesSamples, Window};

use super::request::{self, Ask};
use super::{Prometheus, decode, seconds};

/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;
/// The year 9999: later times are refused.
const LAST: u64 = u64::MAX / 2;

/// The text of a pattern that was anchored here.
fn pattern(regex: &str) -> &str {
    let inner = regex.strip_prefix("^(?s:").and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(regex)
}

fn parts(matcher: &Matcher) -> (u64, &'static str, Cow<'_, str>) {
    let any_of = |values: &[String]| {
        let values: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
        Cow::Owned(values.join("|"))
    };
    match &matcher.op {
        MatchOp::Equal(value) => (0, "=", value.into()),
        MatchOp::NotEqual(value) => (1, "!=", value.into()),
        MatchOp::Regex(regex) => (2, "=~", pattern(regex.as_str()).into()),
        MatchOp::NotRegex(regex) => (3, "!~", pattern(regex.as_str()).into()),
        MatchOp::OneOf(values) => (2, "=~", any_of(values)),
        MatchOp::NoneOf(values) => (3, "!~", any_of(values)),
    }
}

/// First and last millisecond of a window.
fn millis(window: Window) -> (u64, u64) {
    let last = window.end.min(LAST).saturating_sub(1) / MILLI;
    (window.start.min(LAST).div_ceil(MILLI), last)
}

/// `prometheus.ReadRequest` for all samples of a window.
fn read_request(matchers: &[Matcher], window: Window) -> Vec<u8> {
    let (first, last) = millis(window);
    let mut out = Vec::new();
    Writer::new(&mut out).message(1, |out| {
        Writer::new(out).always_varint(1, first);
        Writer::new(out).always_varint(2, last);
        for matcher in matchers {
            let (kind, _, value) = parts(matcher);
            Writer::new(out).message(3, |out| {
                let mut w = Writer::new(out);
                w.varint(1, kind);
                w.bytes(2, matcher.name.as_bytes());
                w.bytes(3, value.as_bytes());
            });
        }
    });
    out
}

/// As PromQL writes it.
fn selector(matchers: &[Matcher]) -> String {
    let each = matchers.iter().map(|matcher| {
        let (_, symbol, value) = parts(matcher);
        format!("{:?}{symbol}{value:?}", matcher.name)
    });
    // Older servers read names without quotes only.
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let each = each.zip(matchers).map(|(text, matcher)| {
        if plain(&matcher.name) {
            text.replacen(&format!("{:?}", matcher.name), &matcher.name, 1)
        } else {
            text
        }
    });
    format!("{{{}}}", each.collect::<Vec<_>>().join(","))
}

/// What an answer may still hold.
struct Room {
    series: usize,
    samples: u64,
    limits: SampleLimits,
}

impl Room {
    fn take(&mut self, samples: u64) -> Result<(), ReadError> {
        self.samples = self.samples.saturating_add(samples);
        if self.samples > self.limits.samples {
            return Err(ReadError::TooMany { what: "samples", limit: self.limits.samples });
        }
        Ok(())
    }
}

enum Broken {
    Message(WalkError),
    Read(ReadError),
}

impl From<WalkError> for Broken {
    fn from(error: WalkError) -> Self {
        Self::Message(error)
    }
}

fn label(message: &[u8]) -> Result<(String, String), WalkError> {
    let (mut name, mut value) = (String::new(), String::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = String::from_utf8_lossy(bytes).into_owned(),
            (2, Field::Bytes(bytes)) => value = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    Ok((name, value))
}

fn sample(message: &[u8]) -> Result<Sample, WalkError> {
    let mut sample = Sample { time: 0, value: 0.0 };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        match (number, field) {
            (1, Field::Fixed64(bits)) => sample.value = f64::from_bits(bits),
            (2, Field::Varint(millis)) => sample.time = millis.saturating_mul(MILLI),
            _ => {}
        }
    }
    Ok(sample)
}

fn time(message: &[u8]) -> Result<u64, WalkError> {
    let mut reader = Reader::new(message);
    let mut time = 0;
    while let Some((number, field)) = reader.read()? {
        if let (15, Field::Varint(millis)) = (number, field) {
            time = millis.saturating_mul(MILLI);
        }
    }
    Ok(time)
}

fn series(message: &[u8], room: &mut Room) -> Result<SeriesSamples, Broken> {
    let (mut labels, mut read) = (Vec::new(), SeriesSamples::default());
    room.series += 1;
    if room.series > room.limits.series {
        let limit = room.limits.series as u64;
        return Err(Broken::Read(ReadError::TooMany { what: "series", limit }));
    }
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.read()? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => labels.push(label(bytes)?),
            2 => {
                room.take(1).map_err(Broken::Read)?;
                read.samples.push(sample(bytes)?);
            }
            4 => {
                let Some(histogram) = NativeHistogram::decode(bytes)? else { continue };
                room.take((histogram.positive.len() + histogram.negative.len()) as u64)
                    .map_err(Broken::Read)?;
                read.histograms.push((time(bytes)?, Arc::new(histogram)));
            }
            _ => {}
        }
    }
    read.labels = Arc::new(Labels::new(labels));
    Ok(read)
}

/// Reads `prometheus.ReadResponse`.
fn read_response(body: &[u8], limits: SampleLimits) -> Result<Vec<SeriesSamples>, Broken> {
    let (mut found, mut room) = (Vec::new(), Room { series: 0, samples: 0, limits });
    let mut reader = Reader::new(body);
    while let Some((number, field)) = reader.read()? {
        let (1, Field::Bytes(result)) = (number, field) else { continue };
        let mut inner = Reader::new(result);
        while let Some((number, field)) = inner.read()? {
            if let (1, Field::Bytes(message)) = (number, field) {
                found.push(series(message, &mut room)?);
            }
        }
    }
    Ok(found)
}

impl Prometheus {
    /// For what is of these tenants, where the configuration names none.
    #[must_use]
    pub fn for_tenants(&self, tenants: Option<&str>) -> Self {
        let chosen = tenants.filter(|_| self.inner.options.tenant.is_none());
        Self { inner: Arc::clone(&self.inner), tenants: chosen.map(Into::into) }
    }

    /// The samples of a window by series, sorted by labels. From a server without remote read they come without staleness
    /// markers and native histograms.
    pub async fn samples(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let mut found = match self.remote_read(matchers, window, limits).await? {
            Some(found) => found,
            None => self.by_query(matchers, window, limits).await?,
        };
        for series in &mut found {
            series.samples.retain(|sample| window.contains(sample.time));
            series.histograms.retain(|(time, _)| window.contains(*time));
        }
        found.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// `None` from a server that does not speak it.
    async fn remote_read(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Option<Vec<SeriesSamples>>, ReadError> {
        let inner = &self.inner;
        let bad = |got: String| ReadError::BadAnswer {
            server: inner.name.clone(),
            got,
            expected: "an answer to remote read".to_owned(),
        };
        let body = snap::raw::Encoder::new().compress_vec(&read_request(matchers, window));
        let body = body.map_err(|error| bad(error.to_string()))?;
        let mut asked = inner
            .client
            .post(format!("{}/api/v1/read", inner.base))
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Read-Version", "0.1.0")
            .timeout(inner.options.forward_timeout)
            .body(body);
        if let Some(tenants) = &self.tenants {
            asked = asked.header(request::TENANT_HEADER, &**tenants);
        }
        asked = request::known(&inner.name, inner.options.credentials.as_ref(), asked)?;
        let failed = |error: &reqwest::Error| {
            if error.is_timeout() {
                ReadError::Timeout { server: inner.name.clone(), after: inner.options.forward_timeout }
            } else {
                request::unreachable(&inner.name, error)
            }
        };
        let mut answer = asked.send().await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let mut packed = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if packed.len() + chunk.len() > inner.options.forward_limit {
                return Err(bad(format!("more than {} bytes", inner.options.forward_limit)));
            }
            packed.extend_from_slice(&chunk);
        }
        if matches!(status.as_u16(), 404 | 405 | 415 | 501) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(decode::refusal(status.as_u16(), &packed).into_error(&inner.name));
        }
        // A chunk of samples packs tightly: the bound of what comes out is that of the samples, some tens of bytes each.
        let most = limits.samples.saturating_mul(32).saturating_add(inner.options.forward_limit as u64);
        let length = snap::raw::decompress_len(&packed).map_err(|error| bad(error.to_string()))?;
        if length as u64 > most {
            return Err(ReadError::TooMany { what: "samples", limit: limits.samples });
        }
        let body =
            snap::raw::Decoder::new().decompress_vec(&packed).map_err(|error| bad(error.to_string()))?;
        match read_response(&body, limits) {
            Ok(found) => Ok(Some(found)),
            Err(Broken::Read(error)) => Err(error),
            Err(Broken::Message(error)) => Err(bad(error.to_string())),
        }
    }

    async fn by_query(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SampleLimits,
    ) -> Result<Vec<SeriesSamples>, ReadError> {
        let (first, last) = millis(window);
        // Of the newer versions a range is open on its left.
        let query = format!("{}[{}ms]", selector(matchers), last.saturating_sub(first) + 1);
        let at = seconds(last.saturating_mul(MILLI));
        let ask = Ask::new("query", &[("query", &query), ("time", &at)]);
        let found = self.ask(ask, window, decode::matrix).await?;
        let samples: usize = found.iter().map(|series| series.samples.len()).sum();
        if samples as u64 > limits.samples || found.len() > limits.series {
            return Err(ReadError::TooMany { what: "samples", limit: limits.samples });
        }
        let raw = |series: parsers::record::Series| SeriesSamples {
            labels: series.labels,
            samples: series.samples,
            histograms: Vec::new(),
        };
        Ok(found.into_iter().map(raw).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matchers() -> Vec<Matcher> {
        let regex = |text: &str| regex::Regex::new(&format!("^(?s:{text})$")).unwrap();
        vec![
            Matcher::equal("__name__", "up"),
            Matcher { name: "job".into(), op: MatchOp::Regex(regex("a|\"b\"")) },
            Matcher { name: "http.code".into(), op: MatchOp::NotEqual("2".into()) },
        ]
    }

    #[test]
    fn a_selector_is_written_as_it_is_read() {
        assert_eq!(selector(&matchers()), r#"{__name__="up",job=~"a|\"b\"","http.code"!="2"}"#);
    }

    #[test]
    fn an_answer_is_read_within_its_limits_and_any_bytes_are_an_answer_or_broken() {
        let mut body = Vec::new();
        Writer::new(&mut body).message(1, |out| {
            Writer::new(out).message(1, |out| {
                Writer::new(out).message(1, |out| {
                    Writer::new(out).bytes(1, b"__name__");
                    Writer::new(out).bytes(2, b"up");
                });
                for n in 1..4u64 {
                    Writer::new(out).message(2, |out| {
                        Writer::new(out).always_double(1, n as f64);
                        Writer::new(out).varint(2, n * 1000);
                    });
                }
            });
        });
        let limits = SampleLimits { series: 10, samples: 3 };
        let Ok(found) = read_response(&body, limits) else { panic!("not read") };
        assert_eq!(found[0].samples[2], Sample { time: 3000 * MILLI, value: 3.0 });
        assert_eq!(found[0].labels.get("__name__"), Some("up"));
        let few = read_response(&body, SampleLimits { samples: 2, ..limits });
        assert!(matches!(few, Err(Broken::Read(ReadError::TooMany { what: "samples", .. }))));
        for at in 0..body.len() {
            let _ = read_response(&body[..at], limits);
        }
        assert!(!read_request(&matchers(), Window::ALL).is_empty());
    }
}
