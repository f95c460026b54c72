//! What is made and waits to be sent, and what is sent and waits to be confirmed.

use std::collections::VecDeque;

use eventstore::OutboxPlace;

use super::source::Batch;
use super::trouble::Trouble;
use crate::cloud_event::Outgoing;

/// With as many messages waiting no more are read.
const MESSAGES: usize = 1_024;

/// With as many bytes waiting no more are read.
const BYTES: usize = 4 * 1024 * 1024;

/// Messages between the database and the broker, in order.
pub(super) struct Ready {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    /// Of the messages that are waiting or on their way, in order: up to where everything is in the
    /// stream once this one is. The last one is `read`, or there is none.
    ends: VecDeque<OutboxPlace>,
    /// Up to here everything was read.
    read: OutboxPlace,
    /// Up to here everything is in the stream.
    confirmed: OutboxPlace,
    /// Whether there was nothing more behind `read`.
    is_at_end: bool,
    /// What cannot be sent stops publishing, once everything before it is confirmed.
    stopped: Option<Trouble>,
}

impl Ready {
    /// Begins behind `place`.
    pub(super) const fn new(place: OutboxPlace) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            ends: VecDeque::new(),
            read: place,
            confirmed: place,
            is_at_end: false,
            stopped: None,
        }
    }

    /// Behind which place to read, if more should be read.
    pub(super) fn wants(&self) -> Option<OutboxPlace> {
        let is_full = self.waiting.len() >= MESSAGES || self.bytes >= BYTES;
        (!is_full && !self.is_at_end && self.stopped.is_none()).then_some(self.read)
    }

    /// Takes what was read behind [`Ready::wants`].
    pub(super) fn take(&mut self, batch: Batch) {
        let Batch { messages, reached, stopped } = batch;
        self.is_at_end = reached == self.read && stopped.is_none();
        for message in messages {
            if let Some(before) = self.ends.back_mut()
                && before.position() < message.place.position()
            {
                *before = OutboxPlace::after(before.position());
            }
            self.ends.push_back(message.place);
            self.bytes += message.body.len();
            self.waiting.push_back(message);
        }
        self.read = reached;
        match self.ends.back_mut() {
            Some(last) => *last = reached,
            None => self.confirmed = reached,
        }
        self.stopped = stopped;
    }

    /// There may be more than there was.
    pub(super) const fn look_again(&mut self) {
        self.is_at_end = false;
    }

    /// Whether everything was read, as far as is known.
    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether there is something to send.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next one to send.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.body.len();
        Some(next)
    }

    /// The one that was taken last cannot be sent, for the reason `trouble`.
    pub(super) fn stop(&mut self, trouble: Trouble) {
        let unsent = self.waiting.len() + 1;
        self.ends.truncate(self.ends.len().saturating_sub(unsent));
        self.waiting.clear();
        self.bytes = 0;
        self.stopped = Some(trouble);
    }

    /// What stops publishing, if anything does.
    pub(super) const fn stopped(&mut self) -> Option<Trouble> {
        self.stopped.take()
    }

    /// The next `messages` are in the stream.
    pub(super) fn confirm(&mut self, messages: usize) {
        if let Some(end) = self.ends.drain(..messages.min(self.ends.len())).next_back() {
            self.confirmed = end;
        }
    }

    /// Up to here everything is in the stream.
    pub(super) const fn confirmed(&self) -> OutboxPlace {
        self.confirmed
    }
}
