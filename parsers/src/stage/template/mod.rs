//! Go's text templates: fields, variables, texts, numbers, pipes, `if`, `with`, `range`, comments, trimming, and the
//! functions that Promtail and LogQL document, with the commonest of sprig's. What is not supported (templates in
//! templates, methods) is an error that names its column.

mod expressions;
mod floats;
mod functions;
mod node;
mod parser;
mod printf;
mod render;
mod texts;
mod times;
mod values;

use std::borrow::Cow;

use super::config::TemplateConfig;
use super::entry::{Entry, Fields};

use node::Node;
pub use values::Failed;

/// A template that has been read. Compares by its text.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What a template's fields stand for.
pub trait Scope {
    /// The value of a field.
    fn field(&self, name: &str) -> Option<Cow<'_, str>>;
    /// `__line__`, where there is such a thing.
    fn line(&self) -> Option<Cow<'_, str>>;
    /// `__timestamp__` in nanoseconds, where there is such a thing.
    fn time(&self) -> Option<u64>;
    /// Nanoseconds for `now`: nothing here reads a clock.
    fn now(&self) -> u64;
    /// All fields, for templates that use them as a whole.
    fn fields(&self) -> Vec<(String, String)>;
    /// Whether a field that is not there is an empty text, as in LogQL, and not `<no value>`.
    fn absent_is_empty(&self) -> bool;
}

impl Template {
    /// Reads a template; the error is for people and names the column.
    pub fn new(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), nodes: parser::parse(text)? })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the fields that it uses; `None` if that cannot be told.
    pub fn field_names(&self) -> Option<Vec<String>> {
        node::names(&self.nodes)
    }

    /// The text, or nothing where Go's own would stop with an error, such as a function of texts over a missing value.
    pub fn render(&self, scope: &dyn Scope) -> Result<String, Failed> {
        render::render(&self.nodes, scope)
    }
}

/// The scope of a stage.
pub(super) struct Extracted<'a> {
    /// `.Value`
    pub value: Option<&'a str>,
    /// `.Entry`
    pub entry: Option<&'a str>,
    /// When the line was written, where that is known.
    pub time: Option<u64>,
    /// All others.
    pub others: &'a Fields,
}

impl Scope for Extracted<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = match name {
            "Value" => self.value,
            "Entry" => self.entry,
            _ => None,
        };
        found.or_else(|| self.others.get(name)).map(Cow::Borrowed)
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        self.entry.map(Cow::Borrowed)
    }

    fn time(&self) -> Option<u64> {
        self.time
    }

    fn now(&self) -> u64 {
        self.time.unwrap_or(0)
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.others.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn absent_is_empty(&self) -> bool {
        false
    }
}

/// `template`: sets an extracted value to what a template says.
#[derive(Debug, Clone)]
pub(super) struct TemplateStage {
    source: String,
    template: Template,
}

impl TemplateStage {
    pub fn new(config: &TemplateConfig) -> Result<Self, String> {
        if config.source.is_empty() {
            return Err("expected a `source`: the extracted name that is set".into());
        }
        Ok(Self { source: config.source.clone(), template: Template::new(&config.template)? })
    }

    pub fn apply(&self, entry: &mut Entry) {
        let Entry { line, extracted, time, .. } = entry;
        let value = extracted.get(&self.source);
        let scope = Extracted { value, entry: Some(line), time: Some(*time), others: extracted };
        match self.template.render(&scope) {
            Ok(text) if text.is_empty() => {
                extracted.remove(&self.source);
            }
            Ok(text) => extracted.set(&self.source, text),
            Err(_) => {}
        }
    }
}
