//! A query on several lines, as people lay it out: one line where it fits.

use super::ast::*;
use super::display::Selector;

/// Columns of a line at most, before it is broken.
const WIDTH: usize = 100;

/// The query laid out.
pub(in crate::logql) fn pretty(node: &Node) -> String {
    let mut out = String::new();
    lay(node, 0, &mut out);
    out
}

fn indent(level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn lay(node: &Node, level: usize, out: &mut String) {
    let whole = node.to_string();
    indent(level, out);
    if whole.chars().count() <= WIDTH {
        out.push_str(&whole);
        return;
    }
    match node {
        Node::Log(query) => lines(query, None, level, out),
        Node::Range(range) => {
            out.push_str(&format!("{}(\n", range.op.spelling()));
            if let Some(parameter) = range.parameter {
                indent(level + 1, out);
                out.push_str(&format!("{parameter},\n"));
            }
            indent(level + 1, out);
            lines(&range.lines, range.unwrap.as_ref(), level + 1, out);
            out.push_str(&format!(" {}\n", range.window()));
            close(level, out);
            if let Some(grouping) = &range.grouping {
                out.push_str(&format!(" {grouping}"));
            }
        }
        Node::Vector(vector) => {
            out.push_str(&format!("{}(\n", vector.head()));
            if let Some(parameter) = vector.parameter {
                indent(level + 1, out);
                out.push_str(&format!("{parameter},\n"));
            }
            lay(&vector.inner, level + 1, out);
            out.push('\n');
            close(level, out);
        }
        Node::Binary(binary) => {
            out.push_str("(\n");
            lay(&binary.left, level + 1, out);
            out.push('\n');
            indent(level, out);
            out.push_str(&format!("{}\n", binary.operator()));
            lay(&binary.right, level + 1, out);
            out.push('\n');
            close(level, out);
        }
        Node::LabelReplace(replace) => {
            out.push_str("label_replace(\n");
            lay(&replace.inner, level + 1, out);
            for argument in replace.arguments() {
                out.push_str(",\n");
                indent(level + 1, out);
                out.push_str(&argument);
            }
            out.push('\n');
            close(level, out);
        }
        Node::Number(_) | Node::VectorOf(_) => out.push_str(&whole),
    }
}

fn close(level: usize, out: &mut String) {
    indent(level, out);
    out.push(')');
}

/// The selector, and each stage on a line of its own.
fn lines(query: &LogQuery, unwrap: Option<&Unwrap>, level: usize, out: &mut String) {
    out.push_str(&Selector(&query.matchers).to_string());
    let stages = query.stages.iter().map(ToString::to_string).chain(unwrap.map(ToString::to_string));
    for stage in stages {
        out.push('\n');
        indent(level + 1, out);
        out.push_str(&stage);
    }
}
