//! Names that are near to one that is not known, for what to try next.

/// Names that are told at most.
const MAX_NEAR: usize = 5;
/// Characters of a name that are compared.
const MAX_LENGTH: usize = 64;

/// Letters of a part by which a name is recognised.
const MIN_PART: usize = 3;

/// The nearest names, best first: those that hold it or are held by it, and those that differ in few letters.
pub(super) fn to<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(MAX_LENGTH).collect();
    let text: String = wanted.iter().collect();
    // A third of the letters wrong is no slip any more.
    let most = wanted.len() / 3;
    let mut near: Vec<(usize, &str)> = known
        .filter(|other| !other.is_empty() && !text.is_empty())
        .filter_map(|other| {
            let lower = other.to_lowercase();
            let letters: Vec<char> = lower.chars().take(MAX_LENGTH).collect();
            let apart = distance(&wanted, &letters);
            let within = wanted.len().min(letters.len()) >= MIN_PART
                && (lower.contains(&text) || text.contains(&lower));
            (apart <= most || within).then_some((if within { apart.min(most) } else { apart }, other))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(MAX_NEAR).map(|(_, name)| name).collect()
}

fn at(row: &[usize], place: usize) -> usize {
    row.get(place).copied().unwrap_or(usize::MAX / 2)
}

/// Letters to change, add, leave out or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<usize>>(), vec![0; b.len() + 1]];
    for (i, one) in a.iter().enumerate() {
        let [before, last, row] = &mut rows;
        for j in 0..=b.len() {
            let cost = match j.checked_sub(1).and_then(|j| b.get(j)) {
                None => i + 1,
                Some(other) => {
                    let change = at(last, j - 1) + usize::from(one != other);
                    let swapped = j > 1 && i > 0 && a.get(i - 1) == Some(other) && b.get(j - 2) == Some(one);
                    let swap = if swapped { at(before, j - 2) + 1 } else { usize::MAX / 2 };
                    change.min(swap).min(at(last, j) + 1).min(at(row, j - 1) + 1)
                }
            };
            if let Some(slot) = row.get_mut(j) {
                *slot = cost;
            }
        }
        rows.rotate_left(1);
    }
    rows.get(1).and_then(|row| row.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts_of_names_are_near() {
        let known = ["payment", "shipping", "checkout", "cart", "payment-worker"];
        let near = |name: &str| to(name, known.into_iter());
        assert_eq!(near("paymnet"), ["payment"]);
        assert_eq!(near("pay"), ["payment", "payment-worker"]);
        assert_eq!(near("Cart"), ["cart"]);
        assert!(near("nosuch").is_empty() && near("").is_empty());
        assert!(to("nobody", ["B", "D", "no"].into_iter()).is_empty(), "a letter in it is not near");
        assert_eq!(to("b", ["B", "D"].into_iter()), ["B"]);
    }
}
