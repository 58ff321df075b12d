use super::*;

fn drawn(width: usize, rows: &[[&str; 3]]) -> String {
    let mut table = Table::new(&["service", ">calls", "what"]);
    for row in rows {
        table.row(row.iter().map(Cell::plain).collect());
    }
    let mut page = Page::new(width, false);
    table.draw(&mut page);
    page.into_text()
}

#[test]
fn columns_line_up_with_numbers_to_the_right() {
    let text = drawn(80, &[["cart", "7", "a"], ["checkout", "1200", "b"]]);
    assert_eq!(text, "  service   calls  what\n  cart          7  a\n  checkout   1200  b\n");
}

#[test]
fn what_does_not_fit_is_cut_in_the_widest_text_never_in_a_number() {
    let long = "x".repeat(200);
    let text = drawn(40, &[["cart", "123456789", &long], ["checkout-of-the-shop", "1", "short"]]);
    assert!(text.lines().all(|line| columns(line) <= 40), "{text}");
    assert!(text.contains("123456789") && text.contains('…'), "{text}");
}

#[test]
fn what_services_wrote_cannot_steer_the_terminal() {
    assert!(drawn(80, &[["a\x1b[2J", "1", "b\nc"]]).contains("a\\x1b[2J"));
}
