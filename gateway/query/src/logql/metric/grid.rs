//! Steps and windows: which windows a record lies in, and how they slide over what was folded.
//!
//! Time is cut at each step and at the beginning of each window, so that a window is always a run of whole cells. A record
//! is folded into its cell; a window is the fold of its cells. So a series holds as many values as it has cells with
//! records, and the order of records does not matter.

use std::sync::Arc;

use super::Lane;
use super::fold::Fold;

/// The instants at which a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// Nanoseconds.
    pub(super) first: u64,
    /// Nanoseconds; 0 if there is but one.
    pub(super) step: u64,
    pub(super) count: u32,
}

impl Steps {
    pub(super) fn time(self, at: u32) -> u64 {
        self.first.saturating_add(self.step.saturating_mul(u64::from(at)))
    }

    /// A series without labels that has this value always.
    pub(super) fn constant(self, value: f64) -> Lane {
        Lane { labels: Arc::default(), points: (0..self.count).map(|at| (at, value)).collect() }
    }
}

/// Windows `(step - offset - range, step - offset]`, one for each step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// End of the first window.
    end: i128,
    step: i128,
    count: u32,
    range: i128,
    /// Whole steps in a window.
    whole: i128,
    /// What is left of it.
    part: i128,
}

impl Grid {
    pub(super) fn new(steps: Steps, range: u64, offset: i64) -> Self {
        // One window alone is a step long.
        let step = if steps.count == 1 || steps.step == 0 { range } else { steps.step };
        let (step, range) = (i128::from(step.max(1)), i128::from(range.max(1)));
        let end = i128::from(steps.first) - i128::from(offset);
        Self { end, step, count: steps.count, range, whole: range / step, part: range % step }
    }

    /// First instant of any window, and the first behind all of them.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let last = self.end + self.step * i128::from(self.count.saturating_sub(1));
        let clamp = |time: i128| u64::try_from(time.max(0)).unwrap_or(u64::MAX);
        (clamp(self.end - self.range + 1), clamp(last + 1))
    }

    /// First and last instant of a window, the first being outside.
    pub(super) fn window(&self, at: u32) -> (i128, i128) {
        let end = self.end + self.step * i128::from(at);
        (end - self.range, end)
    }

    /// The first window that does not end before an instant.
    pub(super) fn first_until(&self, time: u64) -> u32 {
        let after = i128::from(time) - self.end;
        let steps = after.div_euclid(self.step) + i128::from(after.rem_euclid(self.step) != 0);
        u32::try_from(steps.max(0)).unwrap_or(u32::MAX)
    }

    /// The cell of an instant; `None` if it lies in no window.
    pub(super) fn cell(&self, time: u64) -> Option<u64> {
        let after = i128::from(time) - self.end;
        // Steps up to the first at or after it.
        let steps = after.div_euclid(self.step) + i128::from(after.rem_euclid(self.step) != 0);
        let index = steps + self.whole;
        if index < 0 || steps >= i128::from(self.count) {
            return None;
        }
        let late = self.part > 0 && after - (steps - 1) * self.step > self.step - self.part;
        if !late && (self.whole == 0 || index == 0) {
            return None;
        }
        u64::try_from(2 * index + i128::from(late)).ok()
    }

    /// First and last cell of a window.
    fn cells(&self, at: u32) -> (u64, u64) {
        let first = 2 * u64::from(at) + 1;
        (first, first + 2 * self.whole as u64)
    }

    /// The first window that a cell is in.
    fn first_window(&self, cell: u64) -> u64 {
        cell.saturating_sub(1 + 2 * self.whole as u64).div_ceil(2)
    }

    /// Gives each window that has cells to `emit`, folded.
    pub(super) fn slide<F: Fold>(&self, cells: &[(u64, F)], mut emit: impl FnMut(u32, &F)) {
        let mut window = Sliding::new();
        let mut next = 0;
        let mut at = 0u32;
        while at < self.count {
            let (first, last) = self.cells(at);
            while let Some((_, fold)) = cells.get(next).filter(|(cell, _)| *cell <= last) {
                window.push(fold);
                next += 1;
            }
            while cells.get(next - window.len()).is_some_and(|(cell, _)| *cell < first) && window.len() > 0 {
                window.pop(cells, next);
            }
            if let Some(fold) = window.fold() {
                emit(at, &fold);
                at += 1;
            } else {
                let Some((cell, _)) = cells.get(next) else { return };
                at = u32::try_from(self.first_window(*cell)).unwrap_or(u32::MAX).max(at + 1);
            }
        }
    }
}

/// A window over a list of folds that moves forward. Taking in and letting go cost one fold each in the long run: what came
/// first is kept as folds up to the middle, what came later as one.
struct Sliding<F> {
    /// Folds from each place up to the middle, the first place last.
    front: Vec<F>,
    /// From the middle on.
    back: Option<F>,
    behind: usize,
}

impl<F: Fold> Sliding<F> {
    fn new() -> Self {
        Self { front: Vec::new(), back: None, behind: 0 }
    }

    fn len(&self) -> usize {
        self.front.len() + self.behind
    }

    fn push(&mut self, fold: &F) {
        match &mut self.back {
            Some(back) => back.join(fold),
            None => self.back = Some(fold.clone()),
        }
        self.behind += 1;
    }

    /// Lets the first go; `next` is the place behind the window's last.
    fn pop(&mut self, cells: &[(u64, F)], next: usize) {
        if self.front.is_empty() {
            for (_, fold) in cells.get(next - self.behind..next).unwrap_or_default().iter().rev() {
                let mut joined = fold.clone();
                if let Some(later) = self.front.last() {
                    joined.join(later);
                }
                self.front.push(joined);
            }
            self.behind = 0;
            self.back = None;
        }
        self.front.pop();
    }

    fn fold(&self) -> Option<F> {
        match (self.front.last(), &self.back) {
            (Some(front), Some(back)) => {
                let mut all = front.clone();
                all.join(back);
                Some(all)
            }
            (one, other) => one.or(other.as_ref()).cloned(),
        }
    }
}
