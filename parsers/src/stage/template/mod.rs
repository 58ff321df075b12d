//! The part of Go's text templates that stages use: fields, texts, numbers, pipes, `if`/`else`, comments, trimming, and the
//! functions of Promtail with the commonest of sprig's. What is not supported is an error that names its column.

mod functions;
mod parser;
mod values;

use super::config::TemplateConfig;
use super::entry::{Entry, Fields, MAX_VALUE};

use functions::{Function, RegexFunction};
use values::{Failed, Value};

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Print(Expr),
    /// Conditions with what they print, and what is printed if none holds.
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
}

#[derive(Debug, Clone)]
enum Expr {
    Literal(Value),
    Field(String),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Call(Function, Vec<Expr>),
    Regex(RegexFunction, regex::Regex, Vec<Expr>),
}

/// A template that has been read.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Node>);

/// What a template's fields stand for.
pub(super) struct Scope<'a> {
    /// `.Value`
    pub value: Option<&'a str>,
    /// `.Entry`
    pub entry: Option<&'a str>,
    /// All others.
    pub extracted: &'a Fields,
}

impl Template {
    pub fn new(text: &str) -> Result<Self, String> {
        parser::parse(text).map(Self)
    }

    /// The text, or nothing where Go's own would stop with an error, such as a function of texts over a missing value.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, Failed> {
        let mut out = String::new();
        render(&self.0, scope, &mut out)?;
        Ok(out)
    }
}

fn render(nodes: &[Node], scope: &Scope<'_>, out: &mut String) -> Result<(), Failed> {
    for node in nodes {
        if out.len() > MAX_VALUE {
            return Ok(());
        }
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(expr) => out.push_str(&value(expr, scope)?.print()),
            Node::If(branches, otherwise) => {
                let mut taken = otherwise;
                for (condition, nodes) in branches {
                    if value(condition, scope)?.is_true() {
                        taken = nodes;
                        break;
                    }
                }
                render(taken, scope, out)?;
            }
        }
    }
    Ok(())
}

fn value(expr: &Expr, scope: &Scope<'_>) -> Result<Value, Failed> {
    let all = |exprs: &[Expr]| exprs.iter().map(|expr| value(expr, scope)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::Literal(literal) => literal.clone(),
        Expr::Field(name) => {
            let found = match name.as_str() {
                "Value" => scope.value,
                "Entry" => scope.entry,
                _ => None,
            };
            let found = found.or_else(|| scope.extracted.get(name));
            found.map_or(Value::Missing, |text| Value::Text(text.to_owned()))
        }
        Expr::And(exprs) | Expr::Or(exprs) => {
            let ends_at = matches!(expr, Expr::Or(_));
            let mut last = Value::Missing;
            for expr in exprs {
                last = value(expr, scope)?;
                if last.is_true() == ends_at {
                    break;
                }
            }
            last
        }
        Expr::Call(function, exprs) => function.call(&all(exprs)?)?.bounded(),
        Expr::Regex(function, regex, exprs) => function.call(regex, &all(exprs)?)?.bounded(),
    })
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
        let Entry { line, extracted, .. } = entry;
        let scope = Scope { value: extracted.get(&self.source), entry: Some(line), extracted };
        match self.template.render(&scope) {
            Ok(text) if text.is_empty() => {
                extracted.remove(&self.source);
            }
            Ok(text) => extracted.set(&self.source, text),
            Err(Failed) => {}
        }
    }
}
