//! What is to be published next, made ready: from the outbox or, where that was retired, from the
//! log. So publishing, publishing again and replaying are one path.
//!
//! What cannot be made is held, with what follows of its key, before anything behind it is given
//! out: whoever finds a message in the stream may believe that everything before it is there or
//! held.

use eventstore::{
    EventStore, Filter, Outbound, OutboundMessage, OutboundPage, OutboxPlace, PageLimit, Position,
    RecordedEvent, StreamId,
};

use super::letters::{Aside, Letter};
use super::trouble::Trouble;
use super::withheld::Withheld;
use crate::broker::chain;
use crate::cloud_event::{Outgoing, OutgoingError, outgoing};
use crate::consumer::Retries;
use crate::{Namespace, Render};

/// Most that is read at once.
pub(super) const PAGE: PageLimit = PageLimit { events: 512, bytes: 2 * 1024 * 1024 };

/// Where messages come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) store: &'a EventStore,
    pub(super) namespace: &'a Namespace,
    pub(super) render: &'a dyn Render,
    pub(super) retries: Retries,
    pub(super) withheld: &'a Withheld,
}

/// Some messages, in order.
pub(super) struct Batch {
    pub(super) messages: Vec<Outgoing>,
    /// No other message is up to here that is not held; where it began if there is nothing more yet.
    pub(super) reached: OutboxPlace,
    /// Why nothing behind `reached` is given out.
    pub(super) stopped: Option<Trouble>,
}

impl Source<'_> {
    /// What follows `after`.
    pub(super) async fn next(self, after: OutboxPlace) -> Result<Batch, Trouble> {
        let page = self.store.read_outbound(after, PAGE).await?;
        let (batch, aside) = self.make(after, &page);
        if !aside.is_empty() {
            self.withheld.hold(&aside).await?;
        }
        Ok(batch)
    }

    fn make(self, after: OutboxPlace, page: &OutboundPage) -> (Batch, Vec<Aside>) {
        let mut messages = Vec::with_capacity(page.items.len());
        let mut aside = Vec::new();
        let room = self.withheld.room();
        let mut reached = after;
        for item in &page.items {
            let place = item.place();
            // What came before it at other positions was all there is.
            if place.position() > reached.position() {
                reached = OutboxPlace::after(reached.position());
            }
            if !self.withheld.is_discarded(place) {
                let is_behind = self.withheld.is_behind(key(item), place, &aside);
                let failed = match self.outgoing(item) {
                    Ok(Some(message)) if !is_behind => {
                        messages.push(message);
                        reached = place;
                        continue;
                    }
                    Ok(None) => {
                        reached = place;
                        continue;
                    }
                    Ok(Some(_)) => None,
                    Err(_) if is_behind => None,
                    Err(error) => Some(chain(&error)),
                };
                if aside.len() == room {
                    let stopped = Some(self.withheld.full());
                    return (Batch { messages, reached, stopped }, aside);
                }
                aside.push(self.aside(item, failed));
            }
            reached = place;
        }
        (Batch { messages, reached: page.reached, stopped: None }, aside)
    }

    /// Holds what stands at `place`, because of `error`: it could be made, but not sent.
    pub(super) async fn hold(self, place: OutboxPlace, error: String) -> Result<(), Trouble> {
        let before = match place.ordinal() {
            0 => OutboxPlace::after(Position::new(place.position().get() - 1)),
            ordinal => OutboxPlace::within(place.position(), ordinal - 1),
        };
        let page = self.store.read_outbound(before, PAGE).await?;
        let Some(item) = page.items.iter().find(|item| item.place() == place) else {
            return Ok(());
        };
        if self.withheld.room() == 0 {
            return Err(self.withheld.full());
        }
        self.withheld.hold(&[self.aside(item, Some(error))]).await
    }

    /// The message that `letter` stands for; `None` if the public is not told of it.
    pub(super) async fn again(
        self,
        letter: &Letter,
    ) -> Result<Result<Option<Outgoing>, String>, Trouble> {
        let position = letter.place.position();
        let before = Position::new(position.get() - 1);
        let page = self.store.read_page(&Filter::everything(), before, position, 1).await?;
        let Some(event) = page.events.into_iter().next() else {
            return Ok(Err(format!("the log does not hold position {position}")));
        };
        Ok(item(letter, event).and_then(|item| self.outgoing(&item).map_err(|error| chain(&error))))
    }

    fn outgoing(self, item: &Outbound) -> Result<Option<Outgoing>, OutgoingError> {
        outgoing(self.namespace, self.store.log_id(), item, self.render)
    }

    fn aside(self, item: &Outbound, failed: Option<String>) -> Aside {
        let (id, subject, body) = match item {
            Outbound::Event { subject, event } => {
                (event.id.get(), subject.clone().unwrap_or_default(), String::new())
            }
            Outbound::Message(message) => {
                (message.id, message.subject.clone(), message.body.clone())
            }
        };
        let failed = failed.map(|error| (error, self.retries.wait_after(1).as_secs_f64()));
        Aside { id, place: item.place(), key: key(item).to_owned(), subject, body, failed }
    }
}

/// Within what the order of `item` matters: the stream that it is about.
fn key(item: &Outbound) -> &str {
    match item {
        Outbound::Event { event, .. } => event.stream.as_str(),
        Outbound::Message(message) => message.stream.as_str(),
    }
}

/// What was held as `letter`, at the position of `event`.
fn item(letter: &Letter, event: RecordedEvent) -> Result<Outbound, String> {
    let Letter { message_id, place, key, subject, body, .. } = letter;
    if place.ordinal() == 0 {
        let subject = (!subject.is_empty()).then(|| subject.clone());
        return Ok(Outbound::Event { subject, event });
    }
    let stream = StreamId::new(key.as_str()).map_err(|error| chain(&error))?;
    let body = String::from_utf8(body.clone()).map_err(|error| chain(&error))?;
    Ok(Outbound::Message(OutboundMessage {
        place: *place,
        id: *message_id,
        stream,
        subject: subject.clone(),
        body,
        recorded_at: event.recorded_at,
        command_id: event.command_id,
        metadata: event.metadata,
    }))
}
