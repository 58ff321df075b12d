//! Ways to spoil a body.

use crate::corpus::Dice;

/// Bytes that one change adds at most: enough that what is quadratic shows.
const MAX_ADDED: u64 = 64 * 1024;
/// Levels of nesting that are added at most.
const MAX_DEPTH: u64 = 20_000;

/// Numbers at the edges of what a length, an id or a time can be, as text in JSON stands them.
const WORDS: [&str; 16] = [
    "null",
    "-1",
    "0",
    "1e999",
    "-1e999",
    "18446744073709551616",
    "9223372036854775808",
    "1.5",
    "true",
    "\"\"",
    "\"NaN\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "{}",
    "[]",
    "[[],{}]",
];

/// Lengths that are not true: varints of 2^32 - 1, 2^63 and too many bytes, and big-endian integers.
const LENGTHS: [&[u8]; 8] = [
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff; 11],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff; 8],
    &[0; 8],
];

/// What a level of nesting begins with: lists and objects of JSON, messages of protobuf, structs, lists and maps of thrift in both
/// its protocols.
const LEVELS: [&[u8]; 10] = [
    b"[",
    b"{\"a\":",
    b"{\"a\":[",
    &[0x0a, 0x7f],
    &[0x2a, 0xff, 0xff, 0x03, 0x0a],
    &[0x0b],
    &[12, 0, 1],
    &[15, 0, 1, 12, 0, 0, 0, 1],
    &[13, 0, 1, 8, 12, 0, 0, 0, 1],
    &[0x1c],
];

/// Changes a body once; `other` is one of another protocol.
pub(super) fn spoil(body: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(body.len() as u64 + 1) as usize;
    let most = 1 << dice.below(8);
    let len = 1 + dice.below(most) as usize;
    let end = (at + len).min(body.len());
    match dice.below(13) {
        0 | 1 => {
            for _ in 0..=dice.below(8) {
                let bits = dice.bits();
                let at = dice.below(body.len().max(1) as u64) as usize;
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1 << (bits % 8);
                }
            }
        }
        2 => body.truncate(at),
        3 => drop(body.drain(at..end)),
        4 => {
            let from = dice.below(other.len() as u64 + 1) as usize;
            body.truncate(at);
            body.extend_from_slice(&other[from..]);
        }
        5 => {
            let from = dice.below(other.len() as u64 + 1) as usize;
            let to = (from + len).min(other.len());
            body.splice(at..at, other[from..to].iter().copied());
        }
        6 => {
            let length = dice.pick(&LENGTHS);
            let end = (at + if dice.chance(500) { length.len() } else { 1 }).min(body.len());
            body.splice(at..end, length.iter().copied());
        }
        7 => {
            let piece = body[at..end].to_vec();
            let times = 1 + dice.below(MAX_ADDED / len as u64) as usize;
            body.splice(at..at, piece.repeat(times));
        }
        8 => {
            let level = dice.pick(&LEVELS);
            body.splice(at..at, level.repeat(1 + dice.below(MAX_DEPTH) as usize));
        }
        9 => {
            let noise: Vec<u8> = (0..len).map(|_| dice.bits() as u8).collect();
            body.splice(at..at, noise);
        }
        10 => {
            // In place of a value of JSON, if there is one.
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']');
            let start =
                body[at..].iter().position(|byte| matches!(byte, b':' | b'[')).map_or(at, |n| at + n + 1);
            let end = body[start..].iter().position(is_end).map_or(start, |n| start + n);
            body.splice(start..end, dice.pick(&WORDS).bytes());
        }
        11 => {
            let value = *dice.pick(&[0u8, 1, 0x7f, 0x80, 0xff]);
            body[at..end].fill(value);
        }
        // `at` is within it.
        _ => body.rotate_left(at),
    }
}
