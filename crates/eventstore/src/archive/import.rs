//! Taking an archive into an empty log.
//!
//! It is one transaction, so that nobody ever sees half a log and a broken one leaves nothing
//! behind; another way to go on would need a mark of what is half done, and every reader would have
//! to know it. The price: it begins again from the start if it breaks, and the rows it had written
//! are dead until the next vacuum. Memory stays bounded: lines are written as they come, some
//! thousand at a time.

use sqlx::{PgPool, Postgres, Transaction};

use super::batch::Batch;
use super::line::Line;
use super::walk::Walk;
use super::{Flaw, source};
use crate::answer::{self, within};
use crate::{LogId, Position, StreamVersion};

/// An import under way. Dropping it takes everything back.
#[derive(Debug)]
pub struct Import {
    transaction: Transaction<'static, Postgres>,
    walk: Walk,
    batch: Batch,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The id of the log, which this one has now.
    pub log_id: LogId,
    /// The position of its last event.
    pub position: Position,
    /// How many records of commands came with it.
    pub commands: u64,
    /// How many claims.
    pub claims: u64,
}

/// Why an archive was not taken in. Nothing was written, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The log holds something.
    #[error("the log is not empty; an archive is taken into a new database only")]
    NotEmpty,
    /// Somebody follows this log, and knows it by its old id.
    #[error("{name} follows this log; stop every other process, and use a new database")]
    Followed {
        /// Its cursor.
        name: String,
    },
    /// It is an extract: not everything of a log.
    #[error(
        "this is an extract, some events of a log; only the export of all of it can be taken in"
    )]
    Extract,
    /// It was made with an end, so the claims are missing.
    #[error(
        "the archive ends at position {position}, before the end of its log, so it has no claims"
    )]
    Partial {
        /// Where it ends.
        position: Position,
    },
    /// The last line is missing: the export was cut off.
    #[error(
        "the archive is cut off behind position {position}; let the export go on, and try again"
    )]
    CutOff {
        /// Its last event.
        position: Position,
    },
    /// A line does not belong where it stands.
    #[error("the archive is damaged")]
    Flawed(#[source] Flaw),
    /// An event does not follow the last one of its stream.
    #[error("event {position} is not version {expected} of its stream, which would follow")]
    Version {
        /// The event.
        position: Position,
        /// The version that would follow.
        expected: StreamVersion,
    },
    /// The database refused it or could not be reached.
    #[error("write the log")]
    Database(#[from] sqlx::Error),
    /// The answer to the commit was lost: everything was written or nothing. The position of the
    /// log's end says which.
    #[error("everything was sent, but no answer came; look whether the log holds events")]
    Unconfirmed(#[source] sqlx::Error),
}

impl Import {
    /// Begins with the first line of an archive, without its line break.
    ///
    /// Holds the order lock of the log until it ends: whoever wants to append waits.
    ///
    /// # Errors
    /// [`ImportError`]: the log is not empty, or the line is not the header of an archive.
    pub async fn begin(pool: &PgPool, header: &str) -> Result<Self, ImportError> {
        let walk = Walk::begin(header).map_err(ImportError::Flawed)?;
        if !walk.header.is_archive() {
            return Err(ImportError::Extract);
        }
        let transaction = within(async {
            let mut transaction = answer::begin(pool, "BEGIN").await?;
            source::be_patient(&mut transaction).await?;
            let refused =
                sqlx::query_scalar!("SELECT eventstore.begin_import($1)", walk.header.log.get());
            match refused.fetch_one(&mut *transaction).await? {
                None => Ok(transaction),
                Some(refused) => Err(match refused.strip_prefix("followed:") {
                    Some(name) => ImportError::Followed { name: name.to_owned() },
                    None => ImportError::NotEmpty,
                }),
            }
        });
        Ok(Self { transaction: transaction.await?, walk, batch: Batch::default() })
    }

    /// Takes the next line, without its line break.
    ///
    /// # Errors
    /// [`ImportError`]; the import has failed.
    pub async fn push(&mut self, line: &str) -> Result<(), ImportError> {
        match self.walk.step(line).map_err(ImportError::Flawed)? {
            Line::Event(event) => self.batch.add_event(*event),
            Line::Command(command) => self.batch.add_command(command),
            Line::Claim(claim) => self.batch.add_claim(claim),
            Line::Archive(_) | Line::End(_) => {}
        }
        if self.batch.is_full() { self.write().await } else { Ok(()) }
    }

    /// The position of the last event taken.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.walk.position()
    }

    /// Makes it visible, all at once, when the last line was taken.
    ///
    /// Open the log anew afterwards: it has another id.
    ///
    /// # Errors
    /// [`ImportError`]: the archive is not complete, or the database refused.
    pub async fn commit(mut self) -> Result<Imported, ImportError> {
        let position = self.walk.position();
        match self.walk.ended() {
            None => return Err(ImportError::CutOff { position }),
            Some(end) if !end.complete => return Err(ImportError::Partial { position }),
            Some(_) => {}
        }
        self.write().await?;
        let ended = sqlx::query!("SELECT eventstore.end_import()");
        within(ended.execute(&mut *self.transaction)).await?;
        within(self.transaction.commit()).await.map_err(ImportError::Unconfirmed)?;
        let Walk { header, tally, .. } = self.walk;
        let (commands, claims) = (tally.commands, tally.claims);
        Ok(Imported { log_id: header.log, position, commands, claims })
    }

    async fn write(&mut self) -> Result<(), ImportError> {
        let batch = std::mem::take(&mut self.batch);
        match within(batch.write(&mut self.transaction)).await? {
            None => Ok(()),
            Some(wrong) => {
                Err(ImportError::Version { position: wrong.position, expected: wrong.expected })
            }
        }
    }
}
