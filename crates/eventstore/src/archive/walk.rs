//! Walks over the lines of an archive and finds what cannot be right.
//!
//! Only what a log could never say is a flaw: a gap, a time that goes back, an event of no command.
//! Versions are left to the database, for whoever remembers that of each stream needs memory for
//! all of them.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::line::{
    ClaimLine, CommandLine, EndLine, EventLine, FORMAT, Header, Line, OLDEST, VERSION,
};
use crate::{CommandId, EventId, Position};

/// A line that does not belong where it stands.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Flaw {
    /// Which line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// It cannot be read.
    #[error("this is no line of an archive ({0})")]
    Unreadable(serde_json::Error),
    /// The file does not begin like an archive.
    #[error("an archive begins with its header, {{\"archive\":…}}")]
    NoHeader,
    /// It is of a format that this version does not know.
    #[error(
        "format {format:?} version {version} is not known, only \"{FORMAT}\" versions {OLDEST} to {VERSION}"
    )]
    UnknownFormat {
        /// What the header calls it.
        format: String,
        /// Its version.
        version: u32,
    },
    /// Events are missing, repeated or out of order.
    #[error("event {found} stands where event {expected} belongs")]
    Gap {
        /// The position that belongs here.
        expected: Position,
        /// The position that is here.
        found: Position,
    },
    /// An event was recorded before an earlier one.
    #[error("event {0} was recorded before the one in front of it")]
    TimeGoesBack(Position),
    /// The id does not follow from log, position and time.
    #[error("event {0} does not have the id that it has in this log")]
    WrongId(Position),
    /// A stream or a tag has no name that a log takes.
    #[error("event {0} has a stream or tags that no log holds")]
    NoName(Position),
    /// A command's record does not follow its last event, or says other positions.
    #[error("the events and the record of command {0} do not fit together")]
    Command(CommandId),
    /// Claims are repeated or not in order.
    #[error("claims are sorted, and none comes twice")]
    Claims,
    /// A line of this kind cannot stand here.
    #[error("a line of this kind does not belong here")]
    Misplaced,
    /// The last line says that other lines came before it.
    #[error("what came before is not what was written: lines are missing or were changed")]
    Changed,
}

/// How far the lines have come.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    pub(super) header: Header,
    pub(super) tally: Tally,
    line: u64,
    /// Of the last event, or where the header begins.
    position: Position,
    recorded_at: Option<DateTime<Utc>>,
    /// The command whose events are being read, and its first position.
    open: Option<(CommandId, Position)>,
    claim: Option<(String, String)>,
    end: Option<EndLine>,
}

/// What was written or read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) commands: u64,
    pub(super) claims: u64,
    digest: Sha256,
}

impl Tally {
    /// Adds the bytes of a line, and of the line break behind it.
    pub(super) fn add(&mut self, line: &str) {
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
    }

    pub(super) fn end(&self, position: Position, complete: bool) -> EndLine {
        EndLine {
            position,
            complete,
            events: self.events,
            commands: self.commands,
            claims: self.claims,
            sha256: self.digest.clone().finalize().to_vec(),
        }
    }
}

impl Walk {
    /// Begins with the header, the first line.
    pub(super) fn begin(text: &str) -> Result<Self, Flaw> {
        let flaw = |reason| Flaw { line: 1, reason };
        let Ok(Line::Archive(header)) = serde_json::from_str(text) else {
            return Err(flaw(of_other_version(text).unwrap_or(Reason::NoHeader)));
        };
        if header.format != FORMAT || !(OLDEST..=VERSION).contains(&header.version) {
            let Header { format, version, .. } = header;
            return Err(flaw(Reason::UnknownFormat { format, version }));
        }
        let mut tally = Tally::default();
        tally.add(text);
        let position = header.after;
        Ok(Self {
            header,
            tally,
            line: 1,
            position,
            recorded_at: None,
            open: None,
            claim: None,
            end: None,
        })
    }

    /// Takes the next line, without its line break.
    pub(super) fn step(&mut self, text: &str) -> Result<Line, Flaw> {
        self.line += 1;
        self.check(text).map_err(|reason| Flaw { line: self.line, reason })
    }

    fn check(&mut self, text: &str) -> Result<Line, Reason> {
        let line: Line = serde_json::from_str(text).map_err(Reason::Unreadable)?;
        if self.end.is_some() {
            return Err(Reason::Misplaced);
        }
        match &line {
            Line::Archive(_) => return Err(Reason::Misplaced),
            Line::Event(event) => self.event(event)?,
            Line::Command(command) => self.command(command)?,
            Line::Claim(claim) => self.claim(claim)?,
            Line::End(end) => self.end(end)?,
        }
        self.tally.add(text);
        Ok(line)
    }

    fn event(&mut self, event: &EventLine) -> Result<(), Reason> {
        let EventLine { position, recorded_at, command_id, .. } = *event;
        if self.claim.is_some() {
            return Err(Reason::Misplaced);
        }
        let expected = Position::new(self.position.get().saturating_add(1));
        let fits =
            if self.header.is_archive() { position == expected } else { position >= expected };
        if !fits {
            return Err(Reason::Gap { expected, found: position });
        }
        if self.recorded_at.is_some_and(|earlier| recorded_at < earlier) {
            return Err(Reason::TimeGoesBack(position));
        }
        if EventId::of(self.header.log, position, recorded_at) != event.id {
            return Err(Reason::WrongId(position));
        }
        if !event.has_names() {
            return Err(Reason::NoName(position));
        }
        let is_of_open = self.recorded_at == Some(recorded_at)
            && self.open.is_some_and(|(open, _)| open == command_id);
        if self.header.is_archive() && !is_of_open {
            // If one is open still, its record was forgotten before this was written.
            self.open = Some((command_id, position));
        }
        self.position = position;
        self.recorded_at = Some(recorded_at);
        self.tally.events += 1;
        Ok(())
    }

    fn command(&mut self, command: &CommandLine) -> Result<(), Reason> {
        if !self.header.is_archive() || self.claim.is_some() {
            return Err(Reason::Misplaced);
        }
        let after = Position::new(self.position.get() + 1);
        let first = match self.open.take() {
            Some((id, first)) if id == command.id => first,
            // One without events, behind one whose record was forgotten.
            Some(_) | None => after,
        };
        let of_its_time = !command.has_events() || self.recorded_at == Some(command.recorded_at);
        if (command.first_position, command.last_position) != (first, self.position) || !of_its_time
        {
            return Err(Reason::Command(command.id));
        }
        self.tally.commands += 1;
        Ok(())
    }

    fn claim(&mut self, claim: &ClaimLine) -> Result<(), Reason> {
        if !self.header.is_archive() {
            return Err(Reason::Misplaced);
        }
        self.open = None;
        let key = (claim.namespace.clone(), claim.value.clone());
        if self.claim.as_ref().is_some_and(|before| *before >= key) {
            return Err(Reason::Claims);
        }
        self.claim = Some(key);
        self.tally.claims += 1;
        Ok(())
    }

    fn end(&mut self, end: &EndLine) -> Result<(), Reason> {
        let is_elsewhere =
            if end.complete { end.position != self.position } else { end.position < self.position };
        let is_partial = end.complete && !self.header.is_archive();
        if is_elsewhere || is_partial || *end != self.tally.end(end.position, end.complete) {
            return Err(Reason::Changed);
        }
        self.end = Some(end.clone());
        Ok(())
    }

    /// The last line, if it was reached.
    pub(super) const fn ended(&self) -> Option<&EndLine> {
        self.end.as_ref()
    }

    /// Of the last event, or where the header begins.
    pub(super) const fn position(&self) -> Position {
        self.position
    }
}

/// A header of this format may have other members in other versions.
fn of_other_version(text: &str) -> Option<Reason> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let header = value.get("archive")?;
    let format = header.get("format")?.as_str()?.to_owned();
    let version = u32::try_from(header.get("version")?.as_u64()?).ok()?;
    (format != FORMAT || !(OLDEST..=VERSION).contains(&version))
        .then_some(Reason::UnknownFormat { format, version })
}
