//! Which messages have taken effect: marked first in the transaction that takes effect of them.
//!
//! Another copy that is at the same message waits for that transaction, and then sees the mark.
//! What makes the order of a key hold, however many copies work at once: each copy reads the
//! stream without a gap, from a place before which everything has taken effect, and takes the
//! messages of a key one after the other. So whoever comes first to a message has seen those
//! before it take effect, by itself or by others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use uuid::Uuid;

use super::config::Marks;
use super::delivery::Delivery;
use super::handler::Nature;
use crate::inbox;

/// How long a partition that is used is sure to stay: it is kept for a day at least.
const SURE: Duration = Duration::from_hours(6);

/// A position of a log, and the place among the messages of that position.
type Place = (i64, i32);

/// The marks of one consumer.
#[derive(Debug)]
pub(super) struct Marker {
    consumer: String,
    marks: Marks,
    /// When this process made sure of the partition of a day.
    days: Mutex<HashMap<NaiveDate, Instant>>,
}

impl Marker {
    pub(super) fn new(consumer: String, marks: Marks) -> Self {
        Self { consumer, marks, days: Mutex::default() }
    }

    /// Makes sure that `deliveries` can be marked.
    pub(super) async fn prepare(
        &self,
        pool: &PgPool,
        deliveries: &[Delivery],
    ) -> Result<(), sqlx::Error> {
        let days: HashSet<NaiveDate> = {
            let known = lock(&self.days);
            let days = deliveries.iter().filter(|one| self.has_row(one)).map(|one| one.day);
            days.filter(|day| known.get(day).is_none_or(|at| at.elapsed() > SURE)).collect()
        };
        if days.is_empty() {
            return Ok(());
        }
        let days: Vec<NaiveDate> = days.into_iter().collect();
        inbox::prepare(pool, &days).await?;
        lock(&self.days).extend(days.into_iter().map(|day| (day, Instant::now())));
        Ok(())
    }

    /// Whether `error` says that a partition is gone, which [`Marker::prepare`] makes again.
    pub(super) fn lost_a_partition(&self, error: &sqlx::Error) -> bool {
        let is_it = Nature::of(error) == Nature::Other
            && error.as_database_error().is_some_and(|error| {
                error.code().as_deref() == Some("23514") && error.table() == Some("inbox")
            });
        if is_it {
            lock(&self.days).clear();
        }
        is_it
    }

    /// Marks `deliveries`, and says of each whether the mark is new.
    pub(super) async fn mark(
        &self,
        transaction: &mut PgConnection,
        deliveries: &[Delivery],
    ) -> Result<Vec<bool>, sqlx::Error> {
        let mut fresh = vec![false; deliveries.len()];
        let rows: Vec<_> = (0..).zip(deliveries).filter(|(_, one)| self.has_row(one)).collect();
        if !rows.is_empty() {
            self.insert(transaction, &rows, &mut fresh).await?;
        }
        if rows.len() < deliveries.len() {
            self.advance(transaction, deliveries, &mut fresh).await?;
        }
        Ok(fresh)
    }

    /// Whether each of `deliveries` was marked; nothing is changed.
    pub(super) async fn marked(
        &self,
        connection: &mut PgConnection,
        deliveries: &[Delivery],
    ) -> Result<Vec<bool>, sqlx::Error> {
        let rows = deliveries.iter().filter(|one| self.has_row(one));
        let (ids, days): (Vec<Uuid>, Vec<NaiveDate>) = rows.map(|one| (one.id, one.day)).unzip();
        let found = sqlx::query_scalar!(
            "SELECT message_id FROM relay.inbox WHERE consumer = $1 AND message_id = ANY ($2) AND day = ANY ($3)",
            self.consumer,
            &ids,
            &days,
        );
        let found: HashSet<Uuid> = found.fetch_all(&mut *connection).await?.into_iter().collect();
        let reached = self.reached(connection, deliveries).await?;
        let is_marked = |one: &Delivery| match self.place(one) {
            None => found.contains(&one.id),
            Some((slot, place)) => reached.get(&slot).is_some_and(|reached| place <= *reached),
        };
        Ok(deliveries.iter().map(is_marked).collect())
    }

    async fn insert(
        &self,
        transaction: &mut PgConnection,
        rows: &[(usize, &Delivery)],
        fresh: &mut [bool],
    ) -> Result<(), sqlx::Error> {
        let (ids, days): (Vec<Uuid>, Vec<NaiveDate>) =
            rows.iter().map(|(_, one)| (one.id, one.day)).unzip();
        let inserted = sqlx::query_scalar!(
            r#"
            INSERT INTO relay.inbox (consumer, message_id, day)
            SELECT $1, given.id, given.day
            FROM unnest($2::uuid[], $3::date[]) AS given (id, day)
            ON CONFLICT DO NOTHING
            RETURNING message_id
            "#,
            self.consumer,
            &ids,
            &days,
        );
        let inserted = inserted.fetch_all(transaction).await?;
        if inserted.len() == rows.len() {
            for (at, _) in rows {
                fresh[*at] = true;
            }
            return Ok(());
        }
        // The same message twice in one batch is new once.
        let mut inserted: HashSet<Uuid> = inserted.into_iter().collect();
        for (at, one) in rows {
            fresh[*at] = inserted.remove(&one.id);
        }
        Ok(())
    }

    async fn advance(
        &self,
        transaction: &mut PgConnection,
        deliveries: &[Delivery],
        fresh: &mut [bool],
    ) -> Result<(), sqlx::Error> {
        let mut reached = self.lock_reached(transaction, deliveries).await?;
        for (at, one) in deliveries.iter().enumerate() {
            let Some((slot, place)) = self.place(one) else { continue };
            let reached = reached.entry(slot).or_default();
            if place > *reached {
                (fresh[at], *reached) = (true, place);
            }
        }
        let mut sources = Vec::with_capacity(reached.len());
        let mut slots = Vec::with_capacity(reached.len());
        let (mut positions, mut ordinals) = (Vec::new(), Vec::new());
        for ((source, slot), (position, ordinal)) in reached {
            sources.push(source);
            slots.push(slot);
            positions.push(position);
            ordinals.push(ordinal);
        }
        sqlx::query!(
            r#"
            UPDATE relay.progress AS mine
            SET position = given.position, ordinal = given.ordinal
            FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::integer[])
                 AS given (source, slot, position, ordinal)
            WHERE mine.consumer = $1 AND mine.source = given.source AND mine.slot = given.slot
            "#,
            self.consumer,
            &sources,
            &slots,
            &positions,
            &ordinals,
        )
        .execute(transaction)
        .await?;
        Ok(())
    }

    /// How far the slots of `deliveries` have come.
    async fn reached(
        &self,
        connection: &mut PgConnection,
        deliveries: &[Delivery],
    ) -> Result<BTreeMap<(Uuid, i16), Place>, sqlx::Error> {
        let (sources, slots) = self.slots(deliveries);
        let rows = sqlx::query!(
            r#"
            SELECT mine.source, mine.slot, mine.position, mine.ordinal
            FROM relay.progress AS mine
            WHERE mine.consumer = $1
              AND (mine.source, mine.slot) IN (SELECT * FROM unnest($2::uuid[], $3::smallint[]))
            "#,
            self.consumer,
            &sources,
            &slots,
        );
        let rows = rows.fetch_all(connection).await?.into_iter();
        Ok(rows.map(|row| ((row.source, row.slot), (row.position, row.ordinal))).collect())
    }

    /// [`Marker::reached`], and nobody else moves them until the transaction ends. They are locked
    /// in one order, so that nobody waits in a circle.
    async fn lock_reached(
        &self,
        transaction: &mut PgConnection,
        deliveries: &[Delivery],
    ) -> Result<BTreeMap<(Uuid, i16), Place>, sqlx::Error> {
        let (sources, slots) = self.slots(deliveries);
        sqlx::query!(
            r#"
            INSERT INTO relay.progress (consumer, source, slot, position, ordinal)
            SELECT $1, given.source, given.slot, 0, 0
            FROM unnest($2::uuid[], $3::smallint[]) AS given (source, slot)
            ON CONFLICT DO NOTHING
            "#,
            self.consumer,
            &sources,
            &slots,
        )
        .execute(&mut *transaction)
        .await?;
        let rows = sqlx::query!(
            r#"
            SELECT mine.source, mine.slot, mine.position, mine.ordinal
            FROM relay.progress AS mine
            WHERE mine.consumer = $1
              AND (mine.source, mine.slot) IN (SELECT * FROM unnest($2::uuid[], $3::smallint[]))
            ORDER BY mine.source, mine.slot
            FOR UPDATE
            "#,
            self.consumer,
            &sources,
            &slots,
        );
        let rows = rows.fetch_all(transaction).await?.into_iter();
        Ok(rows.map(|row| ((row.source, row.slot), (row.position, row.ordinal))).collect())
    }

    fn slots(&self, deliveries: &[Delivery]) -> (Vec<Uuid>, Vec<i16>) {
        let slots: BTreeSet<(Uuid, i16)> =
            deliveries.iter().filter_map(|one| Some(self.place(one)?.0)).collect();
        slots.into_iter().unzip()
    }

    /// Whether `delivery` is marked by a row of its own.
    fn has_row(&self, delivery: &Delivery) -> bool {
        self.place(delivery).is_none()
    }

    /// Where `delivery` is in the order of its slot, if that is what marks it.
    fn place(&self, delivery: &Delivery) -> Option<((Uuid, i16), Place)> {
        let message = delivery.message.as_ref().ok()?;
        match self.marks {
            Marks::Inbox => None,
            // One that the publisher held and sent later is out of order.
            Marks::Progress if message.is_late => None,
            Marks::Progress => {
                let slot = i16::try_from(delivery.slot()).unwrap_or(i16::MAX);
                let place = (message.position.get(), message.ordinal.map_or(0, i32::from));
                Some(((message.source.get(), slot), place))
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
