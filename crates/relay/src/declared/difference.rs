//! One setting that is not as it is declared.

use std::fmt;
use std::time::Duration;

/// A setting that is not as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name, as the broker calls it.
    pub setting: &'static str,
    /// What it is.
    pub there: String,
    /// What it should be.
    pub declared: String,
    /// Why the broker cannot change it in place and what to do instead, if it cannot.
    pub obstacle: Option<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, there, declared, .. } = self;
        write!(f, "{setting}: {there} -> {declared}")
    }
}

/// Differences between two sides, collected setting by setting.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) differences: Vec<Difference>,
}

impl Comparison {
    /// Compares one setting.
    pub(super) fn of<T: PartialEq>(
        &mut self,
        setting: &'static str,
        sides: (&T, &T),
        show: impl Fn(&T) -> String,
    ) {
        self.or_impossible(setting, sides, show, None);
    }

    /// Compares one setting that cannot be changed in place, for the reason `obstacle`.
    pub(super) fn or_impossible<T: PartialEq>(
        &mut self,
        setting: &'static str,
        (there, declared): (&T, &T),
        show: impl Fn(&T) -> String,
        obstacle: Option<&'static str>,
    ) {
        if there != declared {
            let (there, declared) = (show(there), show(declared));
            self.differences.push(Difference { setting, there, declared, obstacle });
        }
    }
}

/// A name of the protocol, for people.
pub(super) fn name(value: &impl fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

pub(super) fn limit(value: i64) -> String {
    if value <= 0 { "unlimited".to_owned() } else { value.to_string() }
}

pub(super) fn age(value: &Duration) -> String {
    if value.is_zero() { "unlimited".to_owned() } else { format!("{value:?}") }
}

pub(super) fn list(values: &[String]) -> String {
    if values.is_empty() { "all".to_owned() } else { values.join(", ") }
}
