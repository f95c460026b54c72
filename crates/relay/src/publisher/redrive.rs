//! Sends what is held, out of its place, once everything that comes before it is in the stream.
//!
//! A moment of its own: nothing else is on its way. What can be made is first written down with the
//! sequences that it will have, then sent, then written down as sent. Wherever that is cut off, the
//! next session looks whether the stream holds it there; the broker stores it nowhere else, because
//! each message names the sequence that the stream must be at.

use std::collections::HashSet;

use super::letters::{Letter, Prepared};
use super::pipeline::Pipeline;
use super::session::{PublishFailure, Session};
use super::trouble::Trouble;
use crate::cloud_event::Outgoing;

/// Most letters that are sent before publishing goes on.
const RUN: i64 = 128;

/// When an attempt of which nothing was heard is made again.
const PAUSE_S: f64 = 5.0;

impl Pipeline<'_> {
    /// Tries what is due, while nothing else is on its way; answers with whether there may be more.
    pub(super) async fn redrive(&mut self) -> Result<bool, Trouble> {
        let (withheld, reached) = (self.source.withheld, self.ready.confirmed());
        let letters = withheld.letters().begin(reached, RUN, PAUSE_S).await?;
        let (attempt, messages) = self.prepare(&letters).await?;
        let sending = withheld.letters().prepared(&attempt, self.session.last_sequence()).await?;
        let sending: HashSet<i64> = sending.into_iter().collect();
        let mut sent = Vec::with_capacity(sending.len());
        let lost = self.session.lost();
        for (id, message) in messages {
            if sending.contains(&id) {
                sent.push(id);
                let message = message.late(reached);
                let arrived = tokio::select! {
                    biased;
                    () = lost.cancelled() => return Err(Session::connection_lost()),
                    arrived = self.send_late(message) => arrived,
                };
                self.or_refused(&letters, arrived).await?;
            }
        }
        let arrived = tokio::select! {
            biased;
            () = lost.cancelled() => return Err(Session::connection_lost()),
            arrived = self.all_arrived() => arrived,
        };
        self.or_refused(&letters, arrived).await?;
        if !sent.is_empty() {
            withheld.letters().sent(&sent).await?;
            let count = u64::try_from(sent.len()).unwrap_or(u64::MAX);
            self.reporter.published(count, reached.completed());
            tracing::info!(messages = count, "published what was held");
        }
        withheld.reload().await?;
        Ok(!letters.is_empty())
    }

    /// Makes what can be made of `letters`, in order.
    async fn prepare(
        &mut self,
        letters: &[Letter],
    ) -> Result<(Prepared, Vec<(i64, Outgoing)>), Trouble> {
        let (mut attempt, mut messages) = (Prepared::default(), Vec::new());
        let mut failed = HashSet::new();
        for letter in letters {
            if failed.contains(letter.key.as_str()) {
                attempt.returned.push(letter.id);
                continue;
            }
            let made = if letter.attempts > self.allowed() {
                Err("the process ended at each attempt since the last answer".to_owned())
            } else {
                self.source.again(letter).await?
            };
            match made {
                Ok(Some(message)) => {
                    attempt.sent.push(letter.id);
                    messages.push((letter.id, message));
                }
                Ok(None) => attempt.silent.push(letter.id),
                Err(error) => {
                    let again_after_s = self.again_after(letter, &error);
                    attempt.failed.push((letter.id, error, again_after_s));
                    failed.insert(letter.key.as_str());
                }
            }
        }
        Ok((attempt, messages))
    }

    async fn send_late(&mut self, message: Outgoing) -> Result<(), Trouble> {
        while !self.session.has_room() {
            self.arrived().await?;
        }
        self.session.send(message, *self.known).await
    }

    /// Waits until everything is confirmed.
    async fn all_arrived(&mut self) -> Result<(), Trouble> {
        while !self.session.is_idle() {
            self.arrived().await?;
        }
        Ok(())
    }

    async fn arrived(&mut self) -> Result<(), Trouble> {
        match self.session.confirmed().await {
            Ok(_) => Ok(()),
            Err(PublishFailure::Trouble(trouble)) => Err(trouble),
            Err(PublishFailure::Known { place, sequence }) => Err(self.known(place, sequence)),
        }
    }

    /// If one of `letters` is too large, that is its failure.
    async fn or_refused(
        &mut self,
        letters: &[Letter],
        arrived: Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let Err(Trouble::TooLarge { place, error }) = arrived else { return arrived };
        if let Some(letter) = letters.iter().find(|letter| letter.place == place) {
            let again_after_s = self.again_after(letter, &error);
            self.source.withheld.letters().refused(letter.id, &error, again_after_s).await?;
        }
        Err(Trouble::Doubt(error))
    }

    /// After how many seconds `letter` is tried again, if it is, now that it failed.
    fn again_after(&self, letter: &Letter, error: &str) -> Option<f64> {
        if letter.attempts < self.allowed() {
            let attempts = u32::try_from(letter.attempts).unwrap_or(u32::MAX);
            return Some(self.source.retries.wait_after(attempts).as_secs_f64());
        }
        tracing::error!(
            letter.id, letter.key, attempts = letter.attempts, error = %error,
            "an event cannot be published: `annals dead-letters` shows it and those behind it"
        );
        None
    }

    fn allowed(&self) -> i32 {
        i32::try_from(self.source.retries.attempts).unwrap_or(i32::MAX)
    }
}
