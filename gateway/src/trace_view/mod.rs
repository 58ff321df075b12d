//! The answer of the unified look-up as text for a terminal.
//!
//! Works on the JSON body alone, so that any gateway's answer can be shown; what is missing from it is left out. Asking
//! for the answer and finding out how wide the terminal is happen elsewhere.

mod body;
mod sections;
#[cfg(test)]
mod tests;
mod waterfall;

use serde_json::Value;

use body::Body;

use crate::terminal::{Page, RenderOptions};

/// The body of `GET /api/v1/traces/{id}` as text, with a newline after each line. Total: keys that are missing or of another
/// kind are left out. Control characters in what services wrote are shown escaped.
pub fn render(answer: &Value, options: &RenderOptions) -> String {
    let body = Body::new(answer);
    let mut page = Page::of(options);
    sections::header(&body, &mut page);
    waterfall::draw(&body, &mut page);
    sections::loose_logs(&body, &mut page);
    sections::mentions(&body, &mut page);
    sections::exemplars(&body, &mut page);
    sections::metrics(&body, &mut page);
    sections::links(&body, &mut page);
    sections::absent(&body, &mut page);
    sections::warnings(&body, &mut page);
    sections::next(&body, &mut page);
    page.into_text()
}
