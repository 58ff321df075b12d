//! Which series have a label of a value, and which meet a list of matchers: sorted lists of numbers, wherever they lie.

mod alternatives;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::codec::Damaged;
use crate::read::{MatchOp, Matcher};

/// Numbers of series, sorted, each once.
pub type Numbers<'a> = Cow<'a, [u32]>;

/// What is asked of an index. Numbers begin at 0.
pub trait Postings {
    /// How many series there are.
    fn count(&self) -> u32;

    /// Series with this label of this value.
    fn with(&self, name: &str, value: &str) -> Result<Numbers<'_>, Damaged>;

    /// All values of a label that are wanted, with their series.
    fn each(
        &self,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&[u32]),
    ) -> Result<(), Damaged>;
}

/// Lists become one.
fn union(mut lists: Vec<Vec<u32>>) -> Vec<u32> {
    if lists.len() == 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut all = lists.concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is in both.
fn intersection(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    // A short list is looked up, lists of like length are gone through together.
    if few.len() * 16 < many.len() {
        return few.iter().copied().filter(|n| many.binary_search(n).is_ok()).collect();
    }
    let mut rest = many.iter().copied().peekable();
    let is_there = |n: &u32| {
        while rest.next_if(|other| other < n).is_some() {}
        rest.peek() == Some(n)
    };
    let mut is_there = is_there;
    few.iter().copied().filter(|n| is_there(n)).collect()
}

/// What is in the first alone.
fn difference(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut rest = b.iter().copied().peekable();
    let mut stays = |n: &u32| {
        while rest.next_if(|other| other < n).is_some() {}
        rest.peek() != Some(n)
    };
    a.iter().copied().filter(|n| stays(n)).collect()
}

/// Series of the values of a matcher's label that meet it, or of those that do not: of `among`, if that is told.
fn of_values(
    index: &dyn Postings,
    matcher: &Matcher,
    meeting: bool,
    among: Option<&[u32]>,
) -> Result<Vec<u32>, Damaged> {
    let mut lists = Vec::new();
    let mut add = |numbers: &[u32]| match among {
        Some(among) => lists.push(intersection(among, numbers)),
        None => lists.push(numbers.to_vec()),
    };
    let named = match &matcher.op {
        MatchOp::OneOf(values) if meeting => Some(Cow::Borrowed(values)),
        MatchOp::NoneOf(values) if !meeting => Some(Cow::Borrowed(values)),
        MatchOp::Regex(regex) if meeting => alternatives::alternatives(regex).map(Cow::Owned),
        _ => None,
    };
    if let Some(values) = named {
        for value in values.iter() {
            add(&index.with(&matcher.name, value)?);
        }
    } else {
        let wanted = |value: &str| matcher.op.meets(value) == meeting;
        index.each(&matcher.name, &wanted, &mut add)?;
    }
    Ok(union(lists))
}

/// Series that meet all matchers.
pub fn resolve(index: &dyn Postings, matchers: &[Matcher]) -> Result<Vec<u32>, Damaged> {
    let mut found: Option<Vec<u32>> = None;
    // A label that is not there is empty: a matcher that an empty value meets only takes series away.
    let (taking, giving): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| m.op.meets(""));
    for matcher in giving {
        let both = match (&matcher.op, found) {
            (MatchOp::Equal(value), None) => index.with(&matcher.name, value)?.into_owned(),
            (MatchOp::Equal(value), Some(found)) => intersection(&found, &index.with(&matcher.name, value)?),
            (_, found) => of_values(index, matcher, true, found.as_deref())?,
        };
        if both.is_empty() {
            return Ok(both);
        }
        found = Some(both);
    }
    let mut found = found.unwrap_or_else(|| (0..index.count()).collect());
    for matcher in taking {
        let gone = match &matcher.op {
            MatchOp::NotEqual(value) if !value.is_empty() => index.with(&matcher.name, value)?,
            _ => Cow::Owned(of_values(index, matcher, false, Some(&found))?),
        };
        if !gone.is_empty() {
            found = difference(&found, &gone);
        }
    }
    Ok(found)
}

/// Series that meet all matchers of any selector; all of them if there is no selector.
pub fn resolve_any(index: &dyn Postings, selectors: &[Vec<Matcher>]) -> Result<Vec<u32>, Damaged> {
    if selectors.is_empty() {
        return Ok((0..index.count()).collect());
    }
    let lists = selectors.iter().map(|matchers| resolve(index, matchers));
    Ok(union(lists.collect::<Result<_, _>>()?))
}
