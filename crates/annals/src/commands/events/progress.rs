//! How far a long command has come, for whoever watches.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error if that is a terminal, else nothing.
///
/// `template` is what indicatif understands.
pub(super) fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?))
}
