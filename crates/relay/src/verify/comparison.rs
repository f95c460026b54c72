//! One message after the other of the stream, against what the log says.
//!
//! What the stream passes over is remembered, at most [`REMEMBERED`] messages, because it may come
//! late and say so. When a later message of the same `ce-subject` comes first, or when the end is
//! reached, it is missing.

use std::collections::{HashMap, VecDeque};

use async_nats::HeaderMap;
use eventstore::{OutboxPlace, Position};
use uuid::Uuid;

use super::digest::{Digest, digest};
use super::reader::Stored;
use super::{Counts, Difference};
use crate::cloud_event::{Headers, Outgoing, header};
use crate::dead_letters::withheld;
use crate::walk::{Told, Walk, WalkError};

/// How many messages that were passed over are remembered; more are missing at once.
const REMEMBERED: usize = 10_000;

/// The stream against the log, so far.
pub(super) struct Comparison {
    told: Told,
    walk: Walk,
    /// Only behind this place …
    from: OutboxPlace,
    /// … and up to this one.
    to: OutboxPlace,
    /// In order up to here.
    reached: OutboxPlace,
    /// What is passed over now was removed from the front of the stream.
    is_front: bool,
    /// Up to here the front of the stream was removed.
    removed: OutboxPlace,
    /// What was passed over, by `ce-subject`, in order.
    passed: HashMap<String, VecDeque<Passed>>,
    passed_count: usize,
    found: VecDeque<Difference>,
    pub(super) counts: Counts,
}

/// A message that the stream passed over.
struct Passed {
    place: OutboxPlace,
    id: Uuid,
    subject: String,
    digest: Digest,
    /// Said to be missing already.
    is_missing: bool,
}

/// What a message of the stream says of itself.
struct Seen<'a> {
    sequence: u64,
    place: OutboxPlace,
    id: Uuid,
    key: &'a str,
    is_late: bool,
    digest: Digest,
}

impl Comparison {
    /// Of what is behind `from` and up to `to`.
    pub(super) fn new(told: Told, from: OutboxPlace, to: OutboxPlace) -> Self {
        Self {
            walk: Walk::new(told.clone(), from),
            told,
            from,
            to,
            reached: from,
            is_front: false,
            removed: from,
            passed: HashMap::new(),
            passed_count: 0,
            found: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// What stood before the first message of the stream was removed, and is not missing.
    pub(super) const fn front_is_removed(&mut self) {
        self.is_front = true;
    }

    /// Everything of the log up to here was compared.
    pub(super) async fn compared(&mut self) -> Result<Position, WalkError> {
        // Messages of one position are appended together.
        let position = self.reached.position();
        let has_more =
            self.walk.peek().await?.is_some_and(|next| next.place.position() == position);
        Ok(if has_more { self.reached.completed() } else { position })
    }

    /// The differences that were found since this was asked last.
    pub(super) fn differences(&mut self) -> impl Iterator<Item = Difference> + '_ {
        self.found.drain(..)
    }

    /// The next message of the stream; after an error the same one may be given again.
    pub(super) async fn take(&mut self, stored: &Stored) -> Result<(), WalkError> {
        let sequence = stored.sequence;
        let empty = HeaderMap::new();
        let message = &stored.message;
        let headers = message.headers.as_ref().unwrap_or(&empty);
        let seen = match self.read(sequence, headers, &message.subject, &message.payload) {
            Ok(seen) => seen,
            Err(reason) => {
                let subject = message.subject.to_string();
                self.found.push_back(Difference::Foreign { sequence, subject, reason });
                return Ok(());
            }
        };
        if seen.place > self.to {
            return Ok(());
        }
        if seen.place <= self.from {
            self.is_front &= seen.is_late;
            return Ok(());
        }
        if seen.place > self.reached {
            self.in_order(&seen, &message.subject).await
        } else {
            self.behind(&seen);
            Ok(())
        }
    }

    /// Nothing more of the stream comes: what is left is missing.
    pub(super) async fn finish(&mut self) -> Result<(), WalkError> {
        while self.walk.peek().await?.is_some_and(|next| next.place <= self.to) {
            if let Some(passed) = self.walk.next().await? {
                self.pass(&passed);
            }
        }
        self.give_up().await
    }

    /// What was passed over so far is missing, unless the publisher holds it back.
    pub(super) async fn give_up(&mut self) -> Result<(), WalkError> {
        if self.passed.values().flatten().all(|passed| passed.is_missing) {
            return Ok(());
        }
        let held = withheld(self.told.store.pool(), &self.told.namespace).await?;
        let is_missing = |passed: &&mut Passed| !passed.is_missing && !held.contains(&passed.id);
        let waiting = self.passed.values_mut().flatten().filter(is_missing);
        let mut missing: Vec<_> = waiting
            .map(|passed| {
                passed.is_missing = true;
                (passed.place, passed.missing())
            })
            .collect();
        missing.sort_by_key(|(place, _)| *place);
        self.found.extend(missing.into_iter().map(|(_, difference)| difference));
        Ok(())
    }

    fn read<'a>(
        &self,
        sequence: u64,
        headers: &'a HeaderMap,
        subject: &str,
        body: &[u8],
    ) -> Result<Seen<'a>, String> {
        let read = Headers::of(headers);
        let told = |error: crate::MalformedMessage| error.to_string();
        let source = read.log().map_err(told)?;
        if source != self.told.store.log_id() {
            return Err(format!("it is from log {source}"));
        }
        let key = headers.get(header::SUBJECT).ok_or("header ce-subject is missing")?.as_str();
        Ok(Seen {
            sequence,
            place: read.place().map_err(told)?,
            id: read.id().map_err(told)?,
            key,
            is_late: headers.get(header::LATE).is_some(),
            digest: digest(subject, headers, body),
        })
    }

    /// A message further on: whatever comes before it was passed over.
    async fn in_order(&mut self, seen: &Seen<'_>, subject: &str) -> Result<(), WalkError> {
        while self.walk.peek().await?.is_some_and(|next| next.place < seen.place) {
            if let Some(passed) = self.walk.next().await? {
                self.pass(&passed);
            }
        }
        if self.walk.peek().await?.is_none_or(|next| next.place != seen.place) {
            let floor = self.told.store.outbox_floor().await?;
            (self.reached, self.is_front) = (seen.place, false);
            if seen.place.ordinal() > 0 && seen.place.position() <= floor {
                self.counts.unproven += 1;
            } else {
                let reason = format!("the log tells nothing at position {}", seen.place.position());
                let (sequence, subject) = (seen.sequence, subject.to_owned());
                self.found.push_back(Difference::Foreign { sequence, subject, reason });
            }
            return Ok(());
        }
        let Some(told) = self.walk.next().await? else { return Ok(()) };
        (self.reached, self.is_front) = (seen.place, false);
        let expected = digest(&told.subject, &told.headers, &told.body);
        self.overtake(seen.key);
        self.judge(seen, told.id, &expected);
        Ok(())
    }

    /// A message further back: late, out of order, or there already.
    fn behind(&mut self, seen: &Seen<'_>) {
        let Seen { sequence, place, id, .. } = *seen;
        let waiting = self.passed.get_mut(seen.key);
        let at = waiting.and_then(|waiting| {
            let at = waiting.iter().position(|passed| passed.place == place)?;
            Some((at, waiting.remove(at)?))
        });
        match at {
            Some((at, passed)) => {
                self.passed_count -= 1;
                if seen.is_late && at == 0 && !passed.is_missing {
                    self.judge(seen, passed.id, &passed.digest);
                } else {
                    self.found.push_back(Difference::OutOfOrder { sequence, place, id });
                }
            }
            None if seen.is_late && place <= self.removed => self.counts.unproven += 1,
            None => self.found.push_back(Difference::Twice { sequence, place, id }),
        }
    }

    fn judge(&mut self, seen: &Seen<'_>, id: Uuid, expected: &Digest) {
        if seen.id != id || seen.digest != *expected {
            let Seen { sequence, place, .. } = *seen;
            self.found.push_back(Difference::OtherContent { sequence, place, id });
        } else if seen.is_late {
            self.counts.late += 1;
        } else {
            self.counts.right += 1;
        }
    }

    /// Remembers that the stream went on without `message`.
    fn pass(&mut self, message: &Outgoing) {
        if self.is_front {
            self.counts.removed += 1;
            self.removed = message.place;
            return;
        }
        let mut passed = Passed {
            place: message.place,
            id: message.id,
            subject: message.subject.clone(),
            digest: digest(&message.subject, &message.headers, &message.body),
            is_missing: false,
        };
        if self.passed_count >= REMEMBERED {
            passed.is_missing = true;
            self.found.push_back(passed.missing());
            return;
        }
        let key = message.headers.get(header::SUBJECT).map_or("", |key| key.as_str());
        self.passed.entry(key.to_owned()).or_default().push_back(passed);
        self.passed_count += 1;
    }

    /// Nothing of `key` may come late any more once a later one was there.
    fn overtake(&mut self, key: &str) {
        if self.passed_count == 0 {
            return;
        }
        for passed in self.passed.get_mut(key).into_iter().flatten() {
            if !passed.is_missing {
                passed.is_missing = true;
                self.found.push_back(passed.missing());
            }
        }
    }
}

impl Passed {
    fn missing(&self) -> Difference {
        Difference::Missing { place: self.place, id: self.id, subject: self.subject.clone() }
    }
}
