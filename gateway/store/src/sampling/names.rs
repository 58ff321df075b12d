//! Names of rules, those of earlier configurations among them, by small numbers.

use std::sync::{Arc, PoisonError, RwLock};

/// The list; a name's number stays while the program runs.
#[derive(Debug, Default)]
pub struct Names(RwLock<Vec<Arc<str>>>);

impl Names {
    /// The number of a name. Nobody has as many names as there are numbers; past them all share the last.
    pub fn number(&self, name: &str) -> u16 {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            if names.len() < usize::from(u16::MAX) {
                names.push(Arc::from(name));
            }
            names.len() - 1
        });
        at as u16
    }

    /// The name of a number.
    pub fn name(&self, number: u16) -> Arc<str> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(number)).cloned().unwrap_or_default()
    }
}
