//! Queries at random from a grammar, and queries that are nearly right.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use tests::corpus::Dice;

/// How deep rules may nest before the shortest way out is taken.
const DEPTH: u32 = 9;
/// Longer ones are nothing that a person reads in a failure.
const MAX_TOKENS: usize = 60;

enum Symbol {
    Rule(String),
    Text(String),
}

/// The rules of a language: for each name the alternatives, and how deep each is at least.
pub struct Grammar {
    rules: HashMap<String, Vec<(Vec<Symbol>, u32)>>,
    words: Vec<String>,
}

impl Grammar {
    /// Reads `name = 'text' name | ...`, a rule a line; `#` begins a remark.
    pub fn read(text: &str) -> Result<Self> {
        let mut rules = HashMap::new();
        let mut words = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, alternatives) = line.split_once(" = ").with_context(|| format!("no rule: {line}"))?;
            let mut read = Vec::new();
            for alternative in split(alternatives)? {
                words.extend(alternative.iter().filter_map(|symbol| match symbol {
                    Symbol::Text(text) => Some(text.clone()),
                    Symbol::Rule(_) => None,
                }));
                read.push((alternative, 0));
            }
            ensure!(rules.insert(name.to_owned(), read).is_none(), "`{name}` is there twice");
        }
        words.sort_unstable();
        words.dedup();
        let mut grammar = Self { rules, words };
        grammar.measure()?;
        Ok(grammar)
    }

    /// How deep each alternative is at least, until nothing changes.
    fn measure(&mut self) -> Result<()> {
        let mut depths: HashMap<String, u32> = HashMap::new();
        loop {
            let known = depths.clone();
            for (name, alternatives) in &mut self.rules {
                for (symbols, depth) in alternatives.iter_mut() {
                    let of = |symbol: &Symbol| match symbol {
                        Symbol::Text(_) => Some(0),
                        Symbol::Rule(rule) => known.get(rule).copied(),
                    };
                    let deepest: Option<Vec<u32>> = symbols.iter().map(of).collect();
                    *depth = deepest.map_or(u32::MAX, |depths| depths.into_iter().max().unwrap_or(0) + 1);
                }
                let least = alternatives.iter().map(|(_, depth)| *depth).min().unwrap_or(u32::MAX);
                if least < u32::MAX {
                    depths.insert(name.clone(), least);
                }
            }
            if depths == known {
                break;
            }
        }
        match self.rules.keys().find(|name| !depths.contains_key(*name)) {
            Some(name) => bail!("`{name}` never ends, or names a rule that is not there"),
            None => Ok(()),
        }
    }

    /// The words of one query.
    pub fn query(&self, dice: &mut Dice) -> Vec<String> {
        loop {
            let mut words = Vec::new();
            self.expand("query", 0, dice, &mut words);
            if words.len() <= MAX_TOKENS {
                return words;
            }
        }
    }

    fn expand(&self, rule: &str, depth: u32, dice: &mut Dice, words: &mut Vec<String>) {
        let alternatives = &self.rules[rule];
        let least = alternatives.iter().map(|(_, depth)| *depth).min().unwrap_or(0);
        let allowed: Vec<_> =
            alternatives.iter().filter(|(_, deep)| *deep == least || depth + deep <= DEPTH).collect();
        for symbol in &dice.pick(&allowed).0 {
            match symbol {
                Symbol::Text(text) => words.push(text.clone()),
                Symbol::Rule(rule) => self.expand(rule, depth + 1, dice, words),
            }
        }
    }

    /// The same query with one word lost, doubled, moved or replaced.
    pub fn damaged(&self, mut words: Vec<String>, dice: &mut Dice) -> Vec<String> {
        let at = dice.below(words.len() as u64) as usize;
        match dice.below(4) {
            0 => {
                words.remove(at);
            }
            1 => words.insert(at, words[at].clone()),
            2 => {
                let other = dice.below(words.len() as u64) as usize;
                words.swap(at, other);
            }
            _ => words[at].clone_from(dice.pick(&self.words)),
        }
        words
    }
}

/// Alternatives of a rule: bars between them, blanks between symbols, quotes round text that may hold both.
fn split(text: &str) -> Result<Vec<Vec<Symbol>>> {
    let mut alternatives = vec![Vec::new()];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let current = alternatives.last_mut().context("there is always one")?;
        if first == '|' {
            alternatives.push(Vec::new());
            rest = rest[1..].trim_start();
        } else if first == '\'' || first == '"' {
            let (inside, after) = rest[1..].split_once(first).with_context(|| format!("no end: {rest}"))?;
            current.push(Symbol::Text(inside.to_owned()));
            rest = after.trim_start();
        } else {
            let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
            current.push(Symbol::Rule(name.to_owned()));
            rest = after.trim_start();
        }
    }
    Ok(alternatives)
}
