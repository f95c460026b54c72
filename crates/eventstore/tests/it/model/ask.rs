//! Asking the store, in each way there is, and who was answered before whom.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use eventstore::{Append, EventStore, Receipt};
use futures_util::future::join_all;
use sqlx::PgPool;
use tokio::sync::watch;

use super::state::{Answer, State, VOID, unfit};

/// In which way something is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Append,
    /// By `append_in`, with rows of the caller's own, in a transaction that commits or not.
    Transaction {
        commits: bool,
    },
}

/// What one caller asks.
pub(super) struct Asked {
    pub(super) store: usize,
    /// How many of those before it in the round must have been answered.
    pub(super) wait: usize,
    pub(super) way: Way,
    /// One, or as many as the transaction has.
    pub(super) appends: Vec<Arc<Append>>,
}

/// What it was answered.
pub(super) struct Answered {
    pub(super) way: Way,
    pub(super) appends: Vec<Arc<Append>>,
    pub(super) answers: Vec<Answer>,
    /// When, on a clock that ticks whenever somebody asks or is answered.
    pub(super) asked_at: usize,
    pub(super) told_at: usize,
}

/// A table of the callers' own, for what is to commit with their appends.
pub(super) async fn prepare(pool: &PgPool) {
    sqlx::query("CREATE TABLE own (command uuid NOT NULL)").execute(pool).await.unwrap();
}

/// All callers of a round. Who waits for others was always asked after them, so nobody waits for
/// ever: the first one that was not answered does not wait any more.
pub(super) async fn all_at_once(stores: &[EventStore], round: Vec<Asked>) -> Vec<Answered> {
    let clock = Cell::new(0);
    let tick = || clock.replace(clock.get() + 1);
    let answered = watch::Sender::new(0);
    let calls = round.into_iter().enumerate().map(async |(place, asked)| {
        let wait = asked.wait.min(place);
        answered.subscribe().wait_for(|answered| *answered >= wait).await.unwrap();
        let asked_at = tick();
        let answers = asked.ask(&stores[asked.store]).await;
        let told_at = tick();
        answered.send_modify(|answered| *answered += 1);
        Answered { way: asked.way, appends: asked.appends, answers, asked_at, told_at }
    });
    join_all(calls).await
}

impl Asked {
    async fn ask(&self, store: &EventStore) -> Vec<Answer> {
        let Way::Transaction { commits } = self.way else {
            return vec![store.append((*self.appends[0]).clone()).await.into()];
        };
        let mut transaction = store.pool().begin().await.unwrap();
        for append in &self.appends {
            sqlx::query("INSERT INTO own VALUES ($1)")
                .bind(append.command_id.get())
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        let mut answers = Vec::new();
        for append in &self.appends {
            answers.push(store.append_in(&mut transaction, append).await.into());
        }
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        answers
    }
}

impl Answered {
    pub(super) const fn is_transaction(&self) -> bool {
        matches!(self.way, Way::Transaction { .. })
    }

    /// Whether what it did was to stay: a transaction is void after an error of the database.
    pub(super) fn is_kept(&self) -> bool {
        self.way != Way::Transaction { commits: false }
            && !self.answers.iter().any(|answer| matches!(answer, Answer::Refused(_)))
    }

    /// Whether the log is another one after it.
    pub(super) fn has_effect(&self) -> bool {
        let is_new = |answer| matches!(answer, &Answer::Done(Receipt { repeated: false, .. }));
        self.is_kept() && self.answers.iter().any(is_new)
    }

    /// Whether nothing but its record can be seen of it.
    pub(super) fn is_silent(&self) -> bool {
        self.appends.iter().all(|append| {
            append.events.is_empty() && append.claims.is_empty() && append.releases.is_empty()
        })
    }

    /// Whether an answer says that a command of `other` had not taken effect.
    pub(super) fn does_not_know(&self, other: &Self) -> bool {
        let is_in = |id| other.appends.iter().any(|append| append.command_id == id);
        let answers = self.appends.iter().zip(&self.answers);
        answers.filter(|(append, _)| is_in(append.command_id)).any(|(_, answer)| {
            !matches!(answer, Answer::Done(Receipt { repeated: true, .. }) | Answer::OtherBody)
        })
    }

    /// Whether it was answered before `state`, in which the log or a stream is beyond where it was.
    pub(super) fn is_past(&self, state: &State) -> bool {
        match &self.answers[0] {
            Answer::Done(receipt) if !receipt.repeated => {
                state.position_after(&self.appends[0]) > receipt.position
            }
            Answer::Conflict(stream, actual) => state.version(stream) > *actual,
            _ => false,
        }
    }

    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.way {
            Way::Append => None,
            Way::Transaction { commits: false } => Some("a transaction given up"),
            Way::Transaction { commits: true } if self.has_effect() => Some("a transaction kept"),
            Way::Transaction { commits: true } => (!self.is_kept()).then_some("a transaction void"),
        }
    }

    /// The state after it; `None` if in `state` it could not have been answered so.
    pub(super) fn next_state<'a>(&self, state: &'a State) -> Option<Cow<'a, State>> {
        let mut inside = Cow::Borrowed(state);
        let mut is_void = false;
        for (append, answer) in self.appends.iter().zip(&self.answers) {
            // Cheaper than all of the answers, and enough for nearly all that was asked at once.
            if !is_void && !inside.may_be(append, answer) {
                return None;
            }
            let is_right = if is_void && unfit(append).is_none() {
                *answer == Answer::refused(VOID)
            } else {
                inside.answers(append).contains(answer)
            };
            if !is_right {
                return None;
            }
            match answer {
                Answer::Done(receipt) if !receipt.repeated => {
                    inside.to_mut().take(append);
                }
                Answer::Refused(_) => is_void = true,
                _ => {}
            }
        }
        Some(if self.is_kept() { inside } else { Cow::Borrowed(state) })
    }
}
