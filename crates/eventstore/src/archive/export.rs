//! Writing the log out, line by line.
//!
//! Events are read in pages, without a transaction that would be open for as long as the log is
//! long. Only the end of an archive is read in one snapshot: the last events, the commands without
//! events and the claims, which are those of one moment. A command's record follows its last event,
//! and a command without events the event it found at the end of the log; once a later event is
//! there, no such command can come any more, because appends queue (law 2).

use std::collections::VecDeque;

use sqlx::{PgConnection, Postgres, Transaction};

use super::Earlier;
use super::line::{CommandLine, EventLine, Header, Line, VERSION};
use super::source;
use super::walk::Tally;
use crate::answer::{self, within};
use crate::{EventStore, Filter, LogId, Position};

/// Events of one page.
const PAGE: u16 = 1_000;

/// With no more than this to come, the rest is read in one snapshot.
const NEAR: i64 = 10_000;

/// What of the log is exported.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Events that pass it.
    pub filter: Filter,
    /// Behind this position.
    pub after: Position,
    /// And up to this one; beyond the end of the log it is the end.
    pub to: Position,
}

impl Scope {
    /// The whole log: an archive.
    #[must_use]
    pub fn everything() -> Self {
        Self { filter: Filter::everything(), after: Position::START, to: Position::MAX }
    }
}

/// Some complete lines.
#[derive(Debug)]
pub struct Chunk {
    /// The lines, each with its line break.
    pub text: String,
    /// Up to here the log was looked at.
    pub reached: Position,
    /// Up to where it will be looked at, as far as that is known.
    pub end: Position,
}

/// Why an export cannot go on where an earlier one ended. Nothing of it is to be changed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It is of another log.
    #[error("the earlier export is of log {found}, this is log {expected}")]
    OtherLog {
        /// Of which log this one is.
        expected: LogId,
        /// Of which log the earlier one is.
        found: LogId,
    },
    /// It is of an earlier version of the format, which cannot say what this one does.
    #[error(
        "the earlier export is of version {found} of the format, this one of version {VERSION}; begin a new file"
    )]
    OtherVersion {
        /// The version of the earlier one.
        found: u32,
    },
    /// It has another filter or begins elsewhere.
    #[error("the earlier export {found}, this one {expected}")]
    OtherScope {
        /// What this one begins with.
        expected: String,
        /// What the earlier one begins with.
        found: String,
    },
    /// It goes further than this one shall.
    #[error("the earlier export goes up to position {reached}, this one shall end at {to}")]
    Beyond {
        /// How far the earlier one goes.
        reached: Position,
        /// Where this one shall end.
        to: Position,
    },
    /// Its last event is not in the log: the log was restored to before it.
    #[error("the earlier export holds another event at position {0} than this log")]
    OtherEvent(Position),
    /// The database cannot be reached.
    #[error("read the log")]
    Database(#[from] sqlx::Error),
}

/// The lines of an export, made as they are asked for.
#[derive(Debug)]
pub struct Export {
    store: EventStore,
    header: Header,
    filter: Filter,
    to: Position,
    /// Everything up to here is written.
    reached: Position,
    /// Commands without events are written up to those that found the log here.
    idle: i64,
    tally: Tally,
    is_complete: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The header is to be written.
    Begin,
    /// Events up to this position.
    Events(Position),
    /// What is left, in one snapshot of the log at this position.
    Rest(Transaction<'static, Postgres>, Position),
    /// Claims after this one, in the same snapshot.
    Claims(Transaction<'static, Postgres>, Option<(String, String)>),
    /// The last line, and whether it is the whole log.
    End {
        complete: bool,
    },
    Done,
}

impl Export {
    /// An export of `scope` from its beginning.
    #[must_use]
    pub fn new(store: EventStore, scope: Scope) -> Self {
        let header = Header::new(store.log_id(), scope.after, &scope.filter);
        let Scope { filter, after, to } = scope;
        let (tally, stage) = (Tally::default(), Stage::Begin);
        let (reached, idle, is_complete) = (after, -1, false);
        Self { store, header, filter, to, reached, idle, tally, is_complete, stage }
    }

    /// An export of `scope` that goes on behind what stands of an earlier one.
    ///
    /// # Errors
    /// [`ResumeError`]: it is of another log or scope.
    pub async fn resume(
        store: EventStore,
        scope: Scope,
        earlier: Earlier,
    ) -> Result<Self, ResumeError> {
        let mut export = Self::new(store, scope);
        let found = &earlier.walk.header;
        if found.log != export.header.log {
            let (expected, found) = (export.header.log, found.log);
            return Err(ResumeError::OtherLog { expected, found });
        }
        if found.version != VERSION {
            return Err(ResumeError::OtherVersion { found: found.version });
        }
        if *found != export.header {
            let (expected, found) = (described(&export.header), described(found));
            return Err(ResumeError::OtherScope { expected, found });
        }
        if earlier.walk.position() > export.to {
            let (reached, to) = (earlier.walk.position(), export.to);
            return Err(ResumeError::Beyond { reached, to });
        }
        if let Some(last) = earlier.last {
            let mut connection = export.store.pool().acquire().await?;
            let found = within(same_event(&export.store, &mut connection, &last)).await?;
            if !found {
                return Err(ResumeError::OtherEvent(last.position));
            }
            // Those in front of the last event are there, for it was written behind them.
            export.idle = last.position.get() - 1;
        }
        export.tally = earlier.tally;
        export.reached = earlier.after;
        export.stage = Stage::Events(export.reached);
        Ok(export)
    }

    /// The next lines; `None` when the last one was given.
    ///
    /// # Errors
    /// The database cannot be reached: what came before is good, but this export is over. Another
    /// can go on there.
    pub async fn next(&mut self) -> Result<Option<Chunk>, sqlx::Error> {
        let mut text = String::new();
        // A step may have nothing to write.
        while text.is_empty() {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            self.stage = match stage {
                Stage::Done => return Ok(None),
                Stage::Begin => {
                    let header = Line::Archive(self.header.clone());
                    self.write(&mut text, &header)?;
                    Stage::Events(self.reached)
                }
                Stage::Events(end) => within(self.events(&mut text, end)).await?,
                Stage::Rest(snapshot, head) => within(self.rest(&mut text, snapshot, head)).await?,
                Stage::Claims(snapshot, after) => {
                    within(self.claims(&mut text, snapshot, after)).await?
                }
                Stage::End { complete } => {
                    self.is_complete = complete;
                    let end = Line::End(self.tally.end(self.reached, complete));
                    self.write(&mut text, &end)?;
                    Stage::Done
                }
            };
        }
        let end = match &self.stage {
            Stage::Events(end) | Stage::Rest(_, end) => (*end).max(self.reached),
            _ => self.reached,
        };
        Ok(Some(Chunk { text, reached: self.reached, end }))
    }

    /// Whether what was given is all of the log, so that another can be made of it.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// A page of events; at the end of the log, as far as it is known, the next stage.
    async fn events(&mut self, text: &mut String, end: Position) -> Result<Stage, sqlx::Error> {
        let mut connection = self.store.pool().acquire().await?;
        if self.reached < end {
            self.page(&mut connection, text, end).await?;
            return Ok(Stage::Events(end));
        }
        let head = EventStore::head_in(&mut connection).await?.min(self.to);
        drop(connection);
        if head.get() > self.reached.get() + NEAR {
            return Ok(Stage::Events(head));
        }
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let mut snapshot = answer::begin(self.store.pool(), begin).await?;
        source::be_patient(&mut snapshot).await?;
        let head = EventStore::head_in(&mut snapshot).await?;
        Ok(Stage::Rest(snapshot, head))
    }

    /// A page of the last events; behind them, if this is the whole log, what belongs to its end.
    async fn rest(
        &mut self,
        text: &mut String,
        mut snapshot: Transaction<'static, Postgres>,
        head: Position,
    ) -> Result<Stage, sqlx::Error> {
        let end = head.min(self.to);
        if self.reached < end {
            self.page(&mut snapshot, text, end).await?;
            return Ok(Stage::Rest(snapshot, head));
        }
        if !self.header.is_archive() || self.reached < head {
            return Ok(Stage::End { complete: false });
        }
        for command in source::idle_commands(&mut snapshot, self.idle, head.get()).await? {
            self.write(text, &Line::Command(command))?;
        }
        Ok(Stage::Claims(snapshot, None))
    }

    async fn claims(
        &mut self,
        text: &mut String,
        mut snapshot: Transaction<'static, Postgres>,
        after: Option<(String, String)>,
    ) -> Result<Stage, sqlx::Error> {
        let claims = source::claims(&mut snapshot, after.as_ref()).await?;
        let Some(last) = claims.last().cloned() else {
            return Ok(Stage::End { complete: true });
        };
        for claim in claims {
            self.write(text, &Line::Claim(claim))?;
        }
        Ok(Stage::Claims(snapshot, Some((last.namespace, last.value))))
    }

    /// Writes one page up to `end`: events and, in an archive, the records of their commands.
    async fn page(
        &mut self,
        connection: &mut PgConnection,
        text: &mut String,
        end: Position,
    ) -> Result<(), sqlx::Error> {
        let page =
            self.store.read_page_in(connection, &self.filter, self.reached, end, PAGE).await?;
        let (mut commands, mut idle) = Default::default();
        if self.header.is_archive() && page.reached > self.reached {
            commands = source::commands(connection, &page.events).await?;
            let before = page.reached.get() - 1;
            idle = VecDeque::from(source::idle_commands(connection, self.idle, before).await?);
            self.idle = before;
        }
        for event in page.events {
            let position = event.position;
            let is_before = |idle: &mut CommandLine| idle.last_position < position;
            while let Some(command) = idle.pop_front_if(is_before) {
                self.write(text, &Line::Command(command))?;
            }
            self.write(text, &Line::Event(Box::new(EventLine::of(event))))?;
            if let Some(command) = commands.remove(&position.get()) {
                self.write(text, &Line::Command(command))?;
            }
        }
        self.reached = page.reached;
        Ok(())
    }

    fn write(&mut self, text: &mut String, line: &Line) -> Result<(), sqlx::Error> {
        let written =
            serde_json::to_string(line).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        self.tally.add(&written);
        match line {
            Line::Event(_) => self.tally.events += 1,
            Line::Command(_) => self.tally.commands += 1,
            Line::Claim(_) => self.tally.claims += 1,
            Line::Archive(_) | Line::End(_) => {}
        }
        text.push_str(&written);
        text.push('\n');
        Ok(())
    }
}

/// Whether the log holds the event of `line`, as it is there.
async fn same_event(
    store: &EventStore,
    connection: &mut PgConnection,
    line: &EventLine,
) -> Result<bool, sqlx::Error> {
    let before = Position::new(line.position.get() - 1);
    let everything = Filter::everything();
    let page = store.read_page_in(connection, &everything, before, line.position, 1).await?;
    let found = page.events.into_iter().next().map(EventLine::of);
    Ok(found.as_ref() == Some(line))
}

fn described(header: &Header) -> String {
    let filter = serde_json::to_string(&header.filter).unwrap_or_default();
    format!("begins after position {} with the filter {filter}", header.after)
}
