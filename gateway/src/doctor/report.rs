//! What was found, for people and programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::sources::DataSource;

/// What became of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It leads where it should.
    Alive,
    /// It does not.
    Dead,
    /// It could not be followed, which is no fault of it.
    Skipped,
}

/// One link, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The data source that has the link.
    pub datasource: String,
    /// Which link.
    pub link: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// The setting that would mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A data source for people.
pub(super) fn title(source: &DataSource) -> String {
    format!("{} ({})", source.name, source.uid)
}

impl Finding {
    fn new(
        source: &DataSource,
        link: &str,
        outcome: Outcome,
        detail: String,
        remedy: Option<String>,
    ) -> Self {
        Self { datasource: title(source), link: link.to_owned(), outcome, detail, remedy }
    }

    pub(super) fn alive(source: &DataSource, link: &str, detail: impl Into<String>) -> Self {
        Self::new(source, link, Outcome::Alive, detail.into(), None)
    }

    pub(super) fn dead(
        source: &DataSource,
        link: &str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(source, link, Outcome::Dead, detail.into(), Some(remedy.into()))
    }

    pub(super) fn skipped(source: &DataSource, link: &str, detail: impl Into<String>) -> Self {
        Self::new(source, link, Outcome::Skipped, detail.into(), None)
    }

    /// Nothing to start from.
    pub(super) fn nothing(detail: String, remedy: &str) -> Self {
        Self {
            datasource: "all".to_owned(),
            link: "a request to follow".to_owned(),
            outcome: Outcome::Dead,
            detail,
            remedy: Some(remedy.to_owned()),
        }
    }
}

/// The findings as text: a line a link, dead ones with their remedy, and a count at the end.
pub fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut of = "";
    for finding in findings {
        if finding.datasource != of {
            of = &finding.datasource;
            let _ = writeln!(text, "{of}");
        }
        let mark = match finding.outcome {
            Outcome::Alive => "ok  ",
            Outcome::Dead => "DEAD",
            Outcome::Skipped => "  - ",
        };
        let _ = writeln!(text, "  {mark} {}: {}", finding.link, finding.detail);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "       to mend it: {remedy}");
        }
    }
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let (alive, dead) = (count(Outcome::Alive), count(Outcome::Dead));
    let _ = writeln!(text, "{alive} links lead where they should, {dead} are dead");
    text
}
