//! What the store should be, and what it should answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eventstore::{
    Append, AppendError, Claim, CommandId, ExpectedVersion, Fingerprint, NewEvent, Position, Query,
    Receipt, StreamId, StreamVersion,
};
use sqlx::error::DatabaseError;

/// What no event can hold.
pub(super) const NOT_JSON: &str = "{";

/// Holders by namespace and value.
pub(super) type Claims = BTreeMap<(String, String), StreamId>;

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done(Receipt),
    OtherBody,
    Conflict(StreamId, StreamVersion),
    ConditionFailed(Position, StreamId),
    ClaimTaken(String, StreamId),
    /// By the database, with this SQLSTATE.
    Refused(String),
    RepeatedStream(StreamId),
    RepeatedClaim(String),
    Unexpected(StreamId),
    /// What the model never says.
    Other(String),
}

/// Its transaction has seen an error of the database before.
pub(super) const VOID: &str = "25P02";

impl Answer {
    pub(super) fn refused(code: &str) -> Self {
        Self::Refused(code.to_owned())
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Done(Receipt { repeated: false, .. }) => "a first time",
            Self::Done(_) => "a repetition",
            Self::OtherBody => "another body",
            Self::Conflict(..) => "a conflict",
            Self::ConditionFailed(..) => "a condition failed",
            Self::ClaimTaken(..) => "a claim taken",
            Self::Refused(_) => "refused by the database",
            Self::RepeatedStream(_)
            | Self::RepeatedClaim(_)
            | Self::Unexpected(_)
            | Self::Other(_) => "never to be appended",
        }
    }
}

impl From<Result<Receipt, AppendError>> for Answer {
    fn from(outcome: Result<Receipt, AppendError>) -> Self {
        match outcome {
            Ok(receipt) => Self::Done(receipt),
            Err(AppendError::OtherBody { .. }) => Self::OtherBody,
            Err(AppendError::Conflict { stream, actual }) => Self::Conflict(stream, actual),
            Err(AppendError::ConditionFailed { position, stream }) => {
                Self::ConditionFailed(position, stream)
            }
            Err(AppendError::ClaimTaken { namespace, holder }) => {
                Self::ClaimTaken(namespace, holder)
            }
            Err(AppendError::RepeatedStream { stream }) => Self::RepeatedStream(stream),
            Err(AppendError::RepeatedClaim { namespace }) => Self::RepeatedClaim(namespace),
            Err(AppendError::WithoutExpectation { stream }) => Self::Unexpected(stream),
            Err(AppendError::Refused { source }) => {
                match source.as_database_error().and_then(DatabaseError::code) {
                    Some(code) => Self::refused(&code),
                    None => Self::Other(format!("{source:?}")),
                }
            }
            Err(error) => Self::Other(format!("{error:?}")),
        }
    }
}

/// An event of the log.
#[derive(Clone)]
pub(super) struct Logged {
    pub(super) append: Arc<Append>,
    pub(super) index: usize,
    pub(super) version: StreamVersion,
}

impl Logged {
    pub(super) fn event(&self) -> &NewEvent {
        &self.append.events[self.index]
    }
}

/// A command that took effect.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) fingerprint: Fingerprint,
    pub(super) receipt: Receipt,
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) log: Vec<Logged>,
    versions: BTreeMap<StreamId, StreamVersion>,
    pub(super) claims: Claims,
    pub(super) commands: BTreeMap<CommandId, Kept>,
}

impl State {
    pub(super) fn head(&self) -> Position {
        Position::new(i64::try_from(self.log.len()).unwrap())
    }

    pub(super) fn version(&self, stream: &StreamId) -> StreamVersion {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    /// The events after `after` that match `query`, with their positions.
    pub(super) fn matching<'a>(
        &'a self,
        query: &Query,
        after: Position,
    ) -> impl Iterator<Item = (Position, &'a NewEvent)> {
        let positions = (1..).map(Position::new);
        let events = positions.zip(self.log.iter().map(Logged::event));
        events.filter(move |(position, event)| {
            *position > after && query.matches(&event.event_type.name, &event.tags)
        })
    }

    /// What `append` may be answered here. Of several conflicts, or claims that are taken, it is
    /// left open which one is told.
    pub(super) fn answers(&self, append: &Append) -> Vec<Answer> {
        if let Some(unfit) = unfit(append) {
            return vec![unfit];
        }
        if let Some(kept) = self.commands.get(&append.command_id) {
            let is_same = kept.fingerprint == append.fingerprint;
            let again = || Answer::Done(Receipt { repeated: true, ..kept.receipt.clone() });
            return vec![if is_same { again() } else { Answer::OtherBody }];
        }
        let conflicts = append.expectations.iter().filter_map(|(stream, expected)| {
            let actual = self.version(stream);
            let is_met = match expected {
                ExpectedVersion::Exact(version) => *version == actual,
                ExpectedVersion::Exists => actual > StreamVersion::START,
                ExpectedVersion::Any => true,
            };
            (!is_met).then(|| Answer::Conflict(stream.clone(), actual))
        });
        let conflicts: Vec<_> = conflicts.collect();
        if !conflicts.is_empty() {
            return conflicts;
        }
        let failing = append
            .conditions
            .iter()
            .filter_map(|condition| self.matching(&condition.query, condition.after).next());
        if let Some((position, event)) = failing.min_by_key(|(position, _)| *position) {
            return vec![Answer::ConditionFailed(position, event.stream.clone())];
        }
        let left = self.without_releases(append);
        let taken = append.claims.iter().filter_map(|claim| {
            let holder = left.get(&key(claim)).filter(|holder| **holder != claim.stream)?;
            Some(Answer::ClaimTaken(claim.namespace.clone(), holder.clone()))
        });
        let taken: Vec<_> = taken.collect();
        if !taken.is_empty() {
            return taken;
        }
        if append.events.iter().any(|event| event.payload == NOT_JSON) {
            return vec![Answer::refused("22P02")];
        }
        vec![Answer::Done(self.receipt(append))]
    }

    /// Whether the position in `answer` is one that it could have here.
    pub(super) fn may_be(&self, append: &Append, answer: &Answer) -> bool {
        match answer {
            Answer::Done(receipt) if !receipt.repeated => {
                receipt.position == self.position_after(append)
            }
            Answer::ConditionFailed(position, _) => *position <= self.head(),
            _ => true,
        }
    }

    fn receipt(&self, append: &Append) -> Receipt {
        let mut streams = BTreeMap::new();
        for event in &append.events {
            let version =
                streams.entry(&event.stream).or_insert_with(|| self.version(&event.stream));
            *version = StreamVersion::new(version.get() + 1);
        }
        Receipt {
            command_id: append.command_id,
            position: self.position_after(append),
            streams: streams.into_iter().map(|(of, version)| (of.clone(), version)).collect(),
            repeated: false,
        }
    }

    pub(super) fn position_after(&self, append: &Append) -> Position {
        Position::new(self.head().get() + i64::try_from(append.events.len()).unwrap())
    }

    /// What `append` does if nothing speaks against it.
    pub(super) fn take(&mut self, append: &Arc<Append>) {
        let kept = Kept { fingerprint: append.fingerprint, receipt: self.receipt(append) };
        self.commands.insert(append.command_id, kept);
        for (index, event) in append.events.iter().enumerate() {
            let version = StreamVersion::new(self.version(&event.stream).get() + 1);
            self.versions.insert(event.stream.clone(), version);
            self.log.push(Logged { append: Arc::clone(append), index, version });
        }
        self.claims = self.without_releases(append);
        for claim in &append.claims {
            self.claims.insert(key(claim), claim.stream.clone());
        }
    }

    fn without_releases(&self, append: &Append) -> Claims {
        let mut left = self.claims.clone();
        for release in &append.releases {
            if left.get(&key(release)) == Some(&release.stream) {
                left.remove(&key(release));
            }
        }
        left
    }
}

fn key(claim: &Claim) -> (String, String) {
    (claim.namespace.clone(), claim.value.clone())
}

/// Why it could never be appended, which is seen before the database is asked.
pub(super) fn unfit(append: &Append) -> Option<Answer> {
    let mut named = BTreeSet::new();
    for (stream, _) in &append.expectations {
        if !named.insert(stream) {
            return Some(Answer::RepeatedStream(stream.clone()));
        }
    }
    let unexpected =
        |stream: &StreamId| (!named.contains(stream)).then(|| Answer::Unexpected(stream.clone()));
    if let Some(unfit) = append.events.iter().find_map(|event| unexpected(&event.stream)) {
        return Some(unfit);
    }
    let mut claimed = BTreeSet::new();
    if let Some(twice) = append.claims.iter().find(|claim| !claimed.insert(key(claim))) {
        return Some(Answer::RepeatedClaim(twice.namespace.clone()));
    }
    append.claims.iter().chain(&append.releases).find_map(|claim| unexpected(&claim.stream))
}
