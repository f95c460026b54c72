//! Read models that hold one document for each key: what is known of an order, of a product.
//!
//! A [`Document`] says what an event makes of it, as a pure function, and how some of them are loaded
//! and stored, set by set. [`apply`] makes a batch handler of that: it loads the documents that a
//! batch is about, lets the events take effect in memory, and stores what has changed, however many
//! events there were. Because the function is pure, an earlier state is the same function of fewer
//! events: [`crate::time_travel`].

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;

use domain::Event;
use eventstore::StreamId;
use sqlx::PgConnection;

use crate::{Entry, HandlerError};

/// What a read model holds of one key.
pub trait Document: Sized + Clone + PartialEq + Send + Sync {
    /// By what it is found.
    type Id: Copy + Ord + Display + Send + Sync;

    /// The id that people write as `key`, if it is one.
    fn parse(key: &str) -> Option<Self::Id>;

    /// The document that `event` is about; `None` if it is about none.
    fn id(event: &Event) -> Option<Self::Id>;

    /// Whether there was none before `event`: then none is looked for.
    fn begins(event: &Event) -> bool;

    /// What `entry` makes of the document, or of there being none.
    ///
    /// # Errors
    /// Why the event does not fit what is there.
    fn evolve(before: Option<Self>, entry: &Entry<'_>) -> Result<Option<Self>, &'static str>;

    /// Those of `ids` that there are.
    fn load(
        connection: &mut PgConnection,
        ids: &[Self::Id],
    ) -> impl Future<Output = Result<Vec<(Self::Id, Self)>, sqlx::Error>> + Send;

    /// Writes what has changed.
    ///
    /// An error that is the fault of the events fails the batch; they are then tried key by key.
    fn store(
        connection: &mut PgConnection,
        changes: &[Change<Self>],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The streams whose events make the document `id`.
    fn streams(id: Self::Id) -> Vec<StreamId>;
}

/// A document that events have changed; they differ.
#[derive(Debug, Clone)]
pub struct Change<D: Document> {
    /// Which.
    pub id: D::Id,
    /// As it was, if there was one.
    pub before: Option<D>,
    /// As it is, if there is one.
    pub after: Option<D>,
}

/// Takes effect of a batch on documents: the [`apply`](crate::Projection::apply) of a read model.
///
/// # Errors
/// See [`HandlerError`].
pub async fn apply<D: Document>(
    connection: &mut PgConnection,
    entries: &[Entry<'_>],
) -> Result<(), HandlerError> {
    let mut known: BTreeMap<D::Id, Option<D>> = BTreeMap::new();
    let mut wanted: Vec<D::Id> = Vec::new();
    for Entry { event, .. } in entries {
        let Some(id) = D::id(event) else { continue };
        known.entry(id).or_insert_with(|| {
            if !D::begins(event) {
                wanted.push(id);
            }
            None
        });
    }
    if !wanted.is_empty() {
        for (id, document) in D::load(&mut *connection, &wanted).await? {
            known.insert(id, Some(document));
        }
    }
    let mut now = known.clone();
    for entry in entries {
        let Some(document) = D::id(&entry.event).and_then(|id| now.get_mut(&id)) else { continue };
        *document = evolve(document.take(), entry)?;
    }
    let changes: Vec<_> = known
        .into_iter()
        .zip(now.into_values())
        .filter(|((_, before), after)| before != after)
        .map(|((id, before), after)| Change { id, before, after })
        .collect();
    if !changes.is_empty() {
        D::store(connection, &changes).await?;
    }
    Ok(())
}

/// What `entry` makes of a document.
pub(crate) fn evolve<D: Document>(
    before: Option<D>,
    entry: &Entry<'_>,
) -> Result<Option<D>, HandlerError> {
    D::evolve(before, entry).map_err(|reason| HandlerError::Unexpected {
        position: entry.recorded.position,
        reason: reason.to_owned(),
    })
}
