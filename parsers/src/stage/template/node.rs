//! The shape of a template.

use super::expressions::{Compiled, RegexFunction};
use super::functions::Function;
use super::values::Value;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    /// With the column of its action.
    Print(Expr, usize),
    /// `$x := ...`, and with `declares` false `$x = ...`
    Assign {
        name: String,
        declares: bool,
        value: Expr,
    },
    /// Conditions with what they print, and what is printed if none holds.
    If(Vec<Branch>, Vec<Node>),
    /// As `If`, with the dot at the condition's value.
    With(Vec<Branch>, Vec<Node>),
    Range(Box<Range>),
    Break,
    Continue,
}

/// A condition and what follows from it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    /// `$x :=` before the condition.
    pub variable: Option<String>,
    pub condition: Expr,
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    /// Of the key and the value.
    pub variables: [Option<String>; 2],
    pub over: Expr,
    pub nodes: Vec<Node>,
    pub otherwise: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Literal(Value),
    /// `.`
    Dot,
    /// `.a.b`: at least one name.
    Field(Vec<String>),
    /// `$x.a`; the name is empty for `$`.
    Variable(String, Vec<String>),
    /// `(...).a`
    Access(Box<Expr>, Vec<String>),
    Line,
    Timestamp,
    Now,
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Call(Function, Place, Vec<Expr>),
    /// With its expression as a text.
    Regex(RegexFunction, Place, regex::Regex, Vec<Expr>),
    /// The first argument is the expression.
    Expression(RegexFunction, Place, Compiled, Vec<Expr>),
}

/// How a function is called, and where: for who wants to know what failed.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub name: String,
    pub column: usize,
}

/// Names of the fields that these use; `None` if that cannot be told.
pub(super) fn names(nodes: &[Node]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    nodes.iter().all(|node| node_names(node, true, &mut names)).then_some(names)
}

/// `at_root`: the dot is all fields.
fn node_names(node: &Node, at_root: bool, out: &mut Vec<String>) -> bool {
    let all = |nodes: &[Node], at_root: bool, out: &mut Vec<String>| {
        nodes.iter().all(|node| node_names(node, at_root, out))
    };
    match node {
        Node::Text(_) | Node::Break | Node::Continue => true,
        Node::Print(expr, _) | Node::Assign { value: expr, .. } => expr_names(expr, at_root, out),
        Node::If(branches, otherwise) | Node::With(branches, otherwise) => {
            let inside = at_root && matches!(node, Node::If(..));
            branches
                .iter()
                .all(|branch| expr_names(&branch.condition, at_root, out) && all(&branch.nodes, inside, out))
                && all(otherwise, at_root, out)
        }
        Node::Range(range) => {
            expr_names(&range.over, at_root, out)
                && all(&range.nodes, false, out)
                && all(&range.otherwise, at_root, out)
        }
    }
}

fn expr_names(expr: &Expr, at_root: bool, out: &mut Vec<String>) -> bool {
    match expr {
        Expr::Literal(_) | Expr::Line | Expr::Timestamp | Expr::Now => true,
        Expr::Dot => !at_root,
        Expr::Field(path) => {
            if at_root {
                out.extend(path.first().cloned());
            }
            true
        }
        Expr::Variable(name, path) if name.is_empty() => {
            out.extend(path.first().cloned());
            !path.is_empty()
        }
        Expr::Variable(..) => true,
        Expr::Access(inner, _) => expr_names(inner, at_root, out),
        Expr::And(exprs)
        | Expr::Or(exprs)
        | Expr::Call(_, _, exprs)
        | Expr::Regex(_, _, _, exprs)
        | Expr::Expression(_, _, _, exprs) => exprs.iter().all(|expr| expr_names(expr, at_root, out)),
    }
}
