//! One table of everything that was measured.

use std::fmt;

use crate::load::Measured;

/// What is asked of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug)]
enum Line {
    Title(&'static str),
    Rate { what: String, measured: Measured },
    Note(String),
    Figure { what: String, value: f64, unit: &'static str, target: Target },
}

/// Everything that was measured, in order.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Line>);

impl Report {
    #[expect(clippy::print_stderr, reason = "says what takes so long")]
    pub(crate) fn title(&mut self, title: &'static str) {
        eprintln!("{title} …");
        self.0.push(Line::Title(title));
    }

    pub(crate) fn rate(&mut self, what: impl Into<String>, measured: Measured) {
        self.0.push(Line::Rate { what: what.into(), measured });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.0.push(Line::Note(note.into()));
    }

    /// A figure of which something is asked.
    pub(crate) fn figure(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Target,
    ) {
        self.0.push(Line::Figure { what: what.into(), value, unit, target });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            match line {
                Line::Title(title) => writeln!(f, "\n{title}")?,
                Line::Rate { what, measured: Measured { rate_per_s, p50_ms, p99_ms } } => writeln!(
                    f,
                    "  {what:<58} {rate_per_s:>10.0} /s   p50 {p50_ms:>7.2} ms   p99 {p99_ms:>7.2} ms"
                )?,
                Line::Note(note) => writeln!(f, "  {note}")?,
                Line::Figure { what, value, unit, target } => {
                    let (is_met, asked) = match target {
                        Target::AtLeast(least) => (value >= least, format!("at least {least}")),
                        Target::AtMost(most) => (value <= most, format!("at most {most}")),
                    };
                    let verdict = if is_met { "" } else { "   MISSED" };
                    writeln!(f, "= {what:<58} {value:>10.2} {unit:<4} ({asked}){verdict}")?;
                }
            }
        }
        Ok(())
    }
}
