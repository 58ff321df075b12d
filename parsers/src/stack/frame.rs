//! One frame of each language, without what differs from run to run.

use super::{Language, unnumbered};

/// Longest frame that is kept, in bytes.
const MAX_FRAME: usize = 300;

pub(super) fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_FRAME));
    text
}

/// Which language writes what stands behind `at `.
pub(super) fn language(call: &str) -> Language {
    if call.contains(":line ") {
        return Language::DotNet;
    }
    let place = call.rsplit_once('(').and_then(|(_, place)| place.strip_suffix(')'));
    match place {
        Some(place) => {
            let known = ["Native Method", "Unknown Source", "<generated>"];
            if known.contains(&place) {
                Language::Java
            } else if let Some(language) = of_file(unplaced(place)) {
                language
            } else if has_position(place) || place == "<anonymous>" || place == "native" {
                Language::Node
            } else {
                Language::DotNet
            }
        }
        None if has_position(call) || call.starts_with("async ") => Language::Node,
        None => Language::DotNet,
    }
}

/// Whose source a file is, by its ending.
fn of_file(file: &str) -> Option<Language> {
    Some(match file.rsplit_once('.')?.1 {
        "java" | "kt" | "kts" | "scala" | "groovy" | "clj" => Language::Java,
        "py" | "pyx" | "pyc" => Language::Python,
        "go" => Language::Go,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => Language::Node,
        "cs" | "vb" | "fs" | "cshtml" | "razor" => Language::DotNet,
        "rb" | "erb" | "rake" | "ru" => Language::Ruby,
        "php" | "phtml" => Language::Php,
        "rs" => Language::Rust,
        _ => return None,
    })
}

/// A place without the numbers of its line and column.
fn unplaced(place: &str) -> &str {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let stripped = |place| match str::rsplit_once(place, ':') {
        Some((rest, last)) if number(last) => rest,
        _ => place,
    };
    stripped(stripped(place))
}

/// `Cart.total (shop/cart.py:42)`, as agents write what has no such form of its own.
pub(super) fn placed(call: &str) -> String {
    match call.trim_end().strip_suffix(')').and_then(|call| call.rsplit_once('(')) {
        Some((function, place)) => {
            bounded(format!("{} ({})", function.trim_end(), library_path(unplaced(place))))
        }
        None => bounded(call.to_owned()),
    }
}

/// `...:10:5`
fn has_position(place: &str) -> bool {
    let mut parts = place.rsplit(':');
    let number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    number(parts.next()) && number(parts.next())
}

/// `File "/app/shop/views.py", line 12, in checkout`
pub(super) fn python(line: &str) -> Option<String> {
    let (path, rest) = line.strip_prefix("File \"")?.split_once('"')?;
    let function = rest.split_once(", in ").map_or("<module>", |(_, function)| function.trim());
    Some(bounded(format!("{function} ({})", library_path(path))))
}

/// From where a package begins, wherever it is installed.
pub(super) fn library_path(path: &str) -> &str {
    let path = path.strip_prefix("file://").unwrap_or(path);
    for folder in ["site-packages/", "dist-packages/", "node_modules/", "/gems/", "/vendor/"] {
        if let Some((_, inside)) = path.rsplit_once(folder) {
            return inside;
        }
    }
    // `/usr/lib/python3.12/json/decoder.py`
    match path.split_once("/lib/python") {
        Some((_, inside)) => inside.split_once('/').map_or(path, |(_, inside)| inside),
        None => path,
    }
}

/// `main.(*Server).handle(0xc000010000, {0x0, 0x0})`; places and the runtime's own frames are none.
pub(super) fn go(line: &str) -> Option<String> {
    if line.starts_with(['\t', ' ']) {
        return None;
    }
    let function = line.rsplit_once('(')?.0.trim_end();
    let own = ["runtime.", "runtime/debug."];
    if function == "panic" || own.iter().any(|start| function.starts_with(start)) || function.is_empty() {
        return None;
    }
    let parts = function.split('.').filter(|part| !part.bytes().all(|b| b.is_ascii_digit()));
    let parts = parts.map(|part| match part.strip_prefix("func").or_else(|| part.strip_prefix("gowrap")) {
        Some(number) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => "func",
        _ => part,
    });
    Some(bounded(parts.collect::<Vec<_>>().join(".")))
}

/// `java.base/java.util.ArrayList.forEach(ArrayList.java:1511)`
pub(super) fn java(call: &str) -> String {
    let call = call.split('(').next().unwrap_or_default().trim_end();
    // `Bar$$Lambda$14/0x0000000800c03000.run`
    let whole = match call.split_once("$$Lambda") {
        Some((class, rest)) => {
            let method = rest.rsplit_once('.').map_or("", |(_, method)| method);
            format!("{}$$Lambda.{method}", class.rsplit('/').next().unwrap_or_default())
        }
        None => call.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let mut out = String::with_capacity(whole.len());
    for (number, segment) in whole.split('.').enumerate() {
        if number > 0 {
            out.push('.');
        }
        let mut made = false;
        for (number, part) in segment.split('$').enumerate() {
            // Numbers of lambdas and nameless classes, and what tells apart classes that were made at run time.
            let changes = number > 0 && (is_hex(part) || (made && !part.is_empty()));
            if changes {
                continue;
            }
            made |= part.contains("CGLIB") || part.contains("ByteBuddy");
            if number > 0 && !(part.is_empty() && made) {
                out.push('$');
            }
            let accessor = part.starts_with("Proxy") || part.starts_with("Generated");
            out.push_str(&if accessor { unnumbered(part) } else { part.into() });
        }
    }
    bounded(out)
}

/// Digits, or hex of some length.
fn is_hex(part: &str) -> bool {
    let digit = part.bytes().any(|b| b.is_ascii_digit());
    digit
        && (part.bytes().all(|b| b.is_ascii_digit())
            || (part.len() >= 6 && part.bytes().all(|b| b.is_ascii_hexdigit())))
}

/// `async Cart.total (file:///app/src/cart.js:10:5)`
pub(super) fn node(call: &str) -> String {
    let call = call.strip_prefix("async ").unwrap_or(call);
    let (function, place) = match call.rsplit_once(" (") {
        Some((function, place)) => (function, place.trim_end_matches(')')),
        None => ("<anonymous>", call),
    };
    let file = unplaced(place);
    bounded(format!("{function} ({})", library_path(file)))
}

/// `Shop.Orders.Handler.<Place>d__5.MoveNext() in /src/Handler.cs:line 42`
pub(super) fn dotnet(call: &str) -> String {
    let function = call.split_once(" in ").map_or(call, |(function, _)| function);
    let function = function.split('(').next().unwrap_or_default().trim_end();
    let mut out = String::with_capacity(function.len());
    // What the compiler puts behind `<Place>` numbers the methods that it makes; so do back-ticks the parameters of types.
    let (mut skipping, mut brackets) = (false, 0u32);
    for c in function.chars() {
        match c {
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            _ if brackets > 0 => {}
            '.' | '<' => {
                skipping = false;
                out.push(c);
            }
            '>' => {
                skipping = true;
                out.push(c);
            }
            '`' => skipping = true,
            c if !skipping => out.push(c),
            _ => {}
        }
    }
    bounded(out)
}
