//! Answers to the questions under `/api/v1`, other than the look-up of one trace, as text for a terminal.
//!
//! Works on the JSON body alone: what is missing from it is left out. What is worst stands first, and nothing is cut without
//! saying so.

mod compare;
mod correlate;
mod exemplars;
mod parts;
mod patterns;
mod red;
#[cfg(test)]
mod tests;
mod variance;

use serde_json::Value;

use crate::terminal::{Page, RenderOptions};

/// Which question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Correlate,
    Services,
    Operations,
    ServiceGraph,
    Variance,
    Compare,
    Versions,
    Patterns,
    Exemplars,
}

impl Question {
    /// Keys of the answer's lists that hold what was found.
    fn lists(self) -> &'static [&'static str] {
        match self {
            Self::Correlate => &["traces", "logs", "exemplars", "metrics"],
            Self::Services => &["services"],
            Self::Operations => &["operations"],
            Self::ServiceGraph => &["edges", "nodes"],
            Self::Variance => &["contributors"],
            Self::Compare => &[],
            Self::Versions => &["versions"],
            Self::Patterns => &["patterns", "exceptions"],
            Self::Exemplars => &["exemplars"],
        }
    }

    /// Whether an answer holds anything. That two sets do not differ is an answer; that one of them is empty is none.
    pub(crate) fn found(self, answer: &Value) -> bool {
        if self == Self::Compare {
            let traces = |side: &str| answer.pointer(&format!("/{side}/traces")).and_then(Value::as_u64);
            return [traces("a"), traces("b")].iter().all(|traces| traces.is_none_or(|count| count > 0));
        }
        self.lists().iter().any(|list| !crate::terminal::list(answer, list).is_empty())
    }
}

/// The body as text, with a newline after each line, and at most so many entries of each list. Total: keys that are missing or
/// of another kind are left out. Control characters in what services wrote are shown escaped.
pub(crate) fn render(question: Question, answer: &Value, most: usize, options: &RenderOptions) -> String {
    let mut page = Page::of(options);
    match question {
        Question::Correlate => correlate::draw(answer, most, &mut page),
        Question::Services => red::services(answer, most, &mut page),
        Question::Operations => red::operations(answer, most, &mut page),
        Question::ServiceGraph => red::graph(answer, most, &mut page),
        Question::Variance => variance::draw(answer, most, &mut page),
        Question::Compare => compare::draw(answer, most, &mut page),
        Question::Versions => compare::versions(answer, most, &mut page),
        Question::Patterns => patterns::draw(answer, most, &mut page),
        Question::Exemplars => exemplars::draw(answer, most, &mut page),
    }
    parts::absent(answer, &mut page);
    parts::warnings(answer, &mut page);
    page.into_text()
}
