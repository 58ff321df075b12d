//! LogQL's text: words to a tree, and a tree back to text on one line or laid out on several.

mod ast;
mod check;
mod display;
mod expression;
mod literals;
mod pretty;
mod quantity;
mod reader;
mod stages;
mod token;

pub(super) use ast::*;
pub(super) use expression::parse;
pub(super) use pretty::pretty;
pub(super) use quantity::bytes;
pub use quantity::duration;
