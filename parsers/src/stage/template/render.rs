//! Filling a template in.

use super::Scope;
use super::node::{Expr, Node, Place, Range};
use super::values::{Failed, Value};
use crate::stage::entry::MAX_VALUE;

/// Nodes and expressions that one line's filling in may take: `range` in `range` over long lists would go on for minutes.
const MAX_WORK: usize = 100_000;

pub(super) fn render(nodes: &[Node], scope: &dyn Scope) -> Result<String, Failed> {
    let mut run = Run { scope, variables: Vec::new(), out: String::new(), work: 0 };
    run.nodes(nodes, None)?;
    run.bounded()?;
    Ok(run.out)
}

/// What goes on behind a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    On,
    Break,
    Continue,
}

struct Run<'s> {
    scope: &'s dyn Scope,
    /// Inner ones last.
    variables: Vec<(String, Value)>,
    out: String,
    work: usize,
}

/// The dot: all fields, or a value.
type Dot<'v> = Option<&'v Value>;

impl Run<'_> {
    fn worked(&mut self) -> Result<(), Failed> {
        self.work += 1;
        if self.work > MAX_WORK { Err(Failed::because("it takes too many steps")) } else { Ok(()) }
    }

    fn bounded(&self) -> Result<(), Failed> {
        if self.out.len() > MAX_VALUE { Err(Failed::too_long()) } else { Ok(()) }
    }

    /// Variables of these nodes end with them.
    fn nodes(&mut self, nodes: &[Node], dot: Dot<'_>) -> Result<Next, Failed> {
        let before = self.variables.len();
        let mut next = Next::On;
        for node in nodes {
            self.worked()?;
            self.bounded()?;
            next = self.node(node, dot)?;
            if next != Next::On {
                break;
            }
        }
        self.variables.truncate(before);
        Ok(next)
    }

    fn node(&mut self, node: &Node, dot: Dot<'_>) -> Result<Next, Failed> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(expr, column) => {
                let value = self.value(expr, dot).map_err(|failed| failed.at("the action", *column))?;
                self.out.push_str(&value.print());
            }
            Node::Assign { name, declares, value } => {
                let value = self.value(value, dot)?;
                self.assign(name, *declares, value)?;
            }
            Node::If(branches, otherwise) | Node::With(branches, otherwise) => {
                let before = self.variables.len();
                for branch in branches {
                    let value = self.value(&branch.condition, dot)?;
                    if let Some(name) = &branch.variable {
                        self.variables.push((name.clone(), value.clone()));
                    }
                    if value.is_true() {
                        let inside = if matches!(node, Node::With(..)) { Some(&value) } else { dot };
                        let next = self.nodes(&branch.nodes, inside);
                        self.variables.truncate(before);
                        return next;
                    }
                }
                let next = self.nodes(otherwise, dot);
                self.variables.truncate(before);
                return next;
            }
            Node::Range(range) => self.range(range, dot)?,
            Node::Break => return Ok(Next::Break),
            Node::Continue => return Ok(Next::Continue),
        }
        Ok(Next::On)
    }

    fn assign(&mut self, name: &str, declares: bool, value: Value) -> Result<(), Failed> {
        if declares {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        known.map(|(_, old)| *old = value).ok_or_else(|| undefined(name))
    }

    fn range(&mut self, range: &Range, dot: Dot<'_>) -> Result<(), Failed> {
        let items: Vec<(Value, Value)> = match self.value(&range.over, dot)? {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item)).collect()
            }
            Value::Map(map) => map.into_iter().map(|(key, value)| (Value::Text(key), value)).collect(),
            Value::Int(count) => {
                let count = usize::try_from(count).unwrap_or(0);
                if count > MAX_WORK {
                    return Err(Failed::because(format!("`range` over {count} is too much")));
                }
                (0..count).map(|at| (Value::Int(at as i64), Value::Int(at as i64))).collect()
            }
            Value::Missing => Vec::new(),
            other => return Err(Failed::because(format!("`range` cannot iterate over {}", other.shown()))),
        };
        if items.is_empty() {
            self.nodes(&range.otherwise, dot)?;
        }
        for (key, item) in items {
            let before = self.variables.len();
            for (name, value) in range.variables.iter().zip([&key, &item]) {
                if let Some(name) = name {
                    self.variables.push((name.clone(), value.clone()));
                }
            }
            let next = self.nodes(&range.nodes, Some(&item))?;
            self.variables.truncate(before);
            if next == Next::Break {
                break;
            }
        }
        Ok(())
    }

    fn value(&mut self, expr: &Expr, dot: Dot<'_>) -> Result<Value, Failed> {
        self.worked()?;
        match expr {
            Expr::Literal(literal) => Ok(literal.clone()),
            Expr::Dot => Ok(dot.cloned().unwrap_or_else(|| self.root())),
            Expr::Field(path) => match dot {
                Some(value) => inside(value.clone(), path),
                None => self.field(path),
            },
            Expr::Variable(name, path) if name.is_empty() => {
                if path.is_empty() {
                    Ok(self.root())
                } else {
                    self.field(path)
                }
            }
            Expr::Variable(name, path) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                inside(known.map(|(_, value)| value.clone()).ok_or_else(|| undefined(name))?, path)
            }
            Expr::Access(inner, path) => inside(self.value(inner, dot)?, path),
            Expr::Line => {
                self.scope.line().map(Value::text).ok_or_else(|| Failed::because("there is no line"))
            }
            Expr::Timestamp => self.scope.time().and_then(Value::time).ok_or_else(no_time),
            Expr::Now => Value::time(self.scope.now()).ok_or_else(no_time),
            Expr::And(exprs) | Expr::Or(exprs) => {
                let ends_at = matches!(expr, Expr::Or(_));
                let mut last = Value::Missing;
                for expr in exprs {
                    last = self.value(expr, dot)?;
                    if last.is_true() == ends_at {
                        break;
                    }
                }
                Ok(last)
            }
            Expr::Call(function, place, exprs) => {
                let arguments = self.all(exprs, dot)?;
                at(place, function.call(&arguments))
            }
            Expr::Regex(function, place, regex, exprs) => {
                let arguments = self.all(exprs, dot)?;
                at(place, function.call(regex, &arguments))
            }
            Expr::Expression(function, place, compiled, exprs) => {
                let arguments = self.all(exprs, dot)?;
                let called = arguments.split_first().map(|(expression, arguments)| {
                    compiled.get(expression).and_then(|regex| function.call(&regex, arguments))
                });
                at(place, called.unwrap_or_else(|| Err(Failed::because("an argument is missing"))))
            }
        }
    }

    fn all(&mut self, exprs: &[Expr], dot: Dot<'_>) -> Result<Vec<Value>, Failed> {
        exprs.iter().map(|expr| self.value(expr, dot)).collect()
    }

    fn root(&self) -> Value {
        Value::Map(self.scope.fields().into_iter().map(|(name, value)| (name, Value::Text(value))).collect())
    }

    fn field(&self, path: &[String]) -> Result<Value, Failed> {
        let (name, rest) = path.split_first().ok_or_else(|| Failed::because("a field without a name"))?;
        let absent = || if self.scope.absent_is_empty() { Value::text("") } else { Value::Missing };
        inside(self.scope.field(name).map_or_else(absent, Value::text), rest)
    }
}

/// What a function gave, and where it failed.
fn at(place: &Place, given: Result<Value, Failed>) -> Result<Value, Failed> {
    let given = given.and_then(Value::bounded);
    given.map_err(|failed| failed.at(&format!("the function {:?}", place.name), place.column))
}

fn undefined(name: &str) -> Failed {
    Failed::because(format!("undefined variable \"${name}\""))
}

fn no_time() -> Failed {
    Failed::because("there is no time")
}

/// What lies at a path in a value; a key that is not there is nothing, and what is no map has no keys.
fn inside(value: Value, path: &[String]) -> Result<Value, Failed> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Map(mut map) => Ok(map.remove(name).unwrap_or(Value::Missing)),
        other => Err(Failed::because(format!("can't evaluate field {name} in {}", other.shown()))),
    })
}
