//! Shares of the keys of a read model, and how each moves through the log.
//!
//! The keys of a read model fall into [`SLOTS`] slots; each has its own place in the log and an
//! owner, so that several processes share the work. What moves a slot is the first statement of the
//! transaction that takes effect of the events it moves over, and names the epoch the slot was taken
//! under: a batch takes effect once, whoever else believes to be the owner (law 7).

use std::collections::BTreeMap;

use eventstore::Position;
use sqlx::PgConnection;
use uuid::Uuid;

/// Into how many shares the keys of a read model fall.
pub const SLOTS: i16 = 8;

/// The slot of `key`.
#[must_use]
pub fn slot_of(key: &str) -> i16 {
    // FNV-1a: the same in every build and for ever, as what is stored rests on it.
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i16::try_from(finalized(hash) % u64::from(SLOTS.unsigned_abs())).unwrap_or_default()
}

/// Spreads what differs in some bits over all bits (the finalizer of `SplitMix64`).
const fn finalized(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What an event adds to the digest of its slot: its position, mixed so that some together are not
/// as good as others.
#[must_use]
pub(crate) fn mixed(position: Position) -> i64 {
    finalized(position.get().cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15)).cast_signed()
}

/// The slots of one generation that somebody holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) generation: i64,
    pub(crate) slots: BTreeMap<i16, Slot>,
    /// Whether any of their keys may be parked: so until a move of each of them said that none is.
    pub(crate) may_have_parked: bool,
}

/// A slot that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) epoch: i64,
    /// Where its row was seen, or was moved to. A row that is behind that was forgotten by a server that
    /// crashed before it had written it down, with everything that took effect in between.
    pub(crate) written: Position,
    /// Everything of its keys up to here has taken effect; the row may lag behind where that was
    /// nothing.
    pub(crate) position: Position,
}

impl Slot {
    /// A slot whose row is at `position`.
    pub(crate) const fn at(epoch: i64, position: Position) -> Self {
        Self { epoch, written: position, position }
    }
}

/// What a batch adds to the counts of a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) events: i64,
    pub(crate) digest: i64,
}

impl Taken {
    pub(crate) fn add(&mut self, position: Position) {
        self.events += 1;
        self.digest ^= mixed(position);
    }
}

/// Why slots did not move.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    /// One of them belongs to somebody else, or rests.
    #[error("not all slots of generation {0} are held any more")]
    Fenced(i64),
    #[error("move the slots of a read model")]
    Database(#[from] sqlx::Error),
}

impl Held {
    /// Where the slot that is furthest behind is.
    pub(crate) fn position(&self) -> Option<Position> {
        self.slots.values().map(|slot| slot.position).min()
    }

    /// Whether all there are are held.
    pub(crate) fn is_all(&self) -> bool {
        self.slots.len() == usize::try_from(SLOTS).unwrap_or_default()
    }

    /// Whether queries need not ask anybody else: for one key only while no key may be parked.
    pub(crate) fn tells(&self, is_for_a_key: bool) -> bool {
        self.is_all() && !(is_for_a_key && self.may_have_parked)
    }

    /// Whether the event at `position` of `slot` has yet to take effect.
    pub(crate) fn awaits(&self, slot: i16, position: Position) -> bool {
        self.slots.get(&slot).is_some_and(|held| held.position < position)
    }

    /// Moves all slots that are behind `to` there, in the caller's transaction, which it must be the
    /// first to write in; call [`Held::moved`] when that has committed. Answers whether any key of
    /// these slots is parked.
    pub(crate) async fn advance(
        &self,
        connection: &mut PgConnection,
        to: Position,
        taken: &BTreeMap<i16, Taken>,
    ) -> Result<bool, MoveError> {
        let behind: Vec<_> = self.slots.iter().filter(|(_, slot)| slot.position < to).collect();
        let slots: Vec<_> = behind.iter().map(|(slot, _)| **slot).collect();
        let epochs: Vec<_> = behind.iter().map(|(_, slot)| slot.epoch).collect();
        let written: Vec<_> = behind.iter().map(|(_, slot)| slot.written.get()).collect();
        let positions: Vec<_> = behind.iter().map(|(_, slot)| slot.position.get()).collect();
        let of = |slot: &i16| taken.get(slot).copied().unwrap_or_default();
        let events: Vec<_> = slots.iter().map(|slot| of(slot).events).collect();
        let digests: Vec<_> = slots.iter().map(|slot| of(slot).digest).collect();
        let moved = sqlx::query_scalar!(
            r#"
            UPDATE projections.slots AS s
            SET position = $2,
                events = s.events + mine.events,
                digest = s.digest # mine.digest,
                moved_at = clock_timestamp()
            FROM unnest($3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                 AS mine (slot, epoch, written, position, events, digest)
            WHERE s.generation = $1 AND s.slot = mine.slot AND s.epoch = mine.epoch
              AND s.position BETWEEN mine.written AND mine.position AND NOT s.paused
            RETURNING s.parked
            "#,
            self.generation,
            to.get(),
            &slots,
            &epochs,
            &written,
            &positions,
            &events,
            &digests,
        )
        .fetch_all(connection)
        .await?;
        if moved.len() == slots.len() {
            Ok(moved.into_iter().any(|parked| parked > 0))
        } else {
            Err(MoveError::Fenced(self.generation))
        }
    }

    /// Remembers that everything up to `to` has taken effect, by [`Held::advance`].
    pub(crate) fn moved(&mut self, to: Position) {
        for slot in self.slots.values_mut().filter(|slot| slot.position < to) {
            (slot.written, slot.position) = (to, to);
        }
    }

    /// Remembers that there is nothing up to `to` that could take effect; the rows do not know yet.
    pub(crate) fn passed(&mut self, to: Position) {
        for slot in self.slots.values_mut() {
            slot.position = slot.position.max(to);
        }
    }
}

/// Gives slots up in the caller's transaction, so that others need not wait for the end of a lease.
pub(crate) async fn release(
    connection: &mut PgConnection,
    owner: Uuid,
    generation: i64,
    slots: &[i16],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        WITH released AS (
            UPDATE projections.slots SET owner = NULL
            WHERE owner = $1 AND generation = $2 AND slot = ANY ($3)
        )
        SELECT pg_notify('projections_changed', '')
        "#,
        owner,
        generation,
        slots,
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_into_every_slot_evenly_and_always_into_the_same() {
        let mut counts = BTreeMap::<i16, u32>::new();
        for number in 0..8_000 {
            *counts
                .entry(slot_of(&format!("0193c0de-0000-7000-8000-{number:012}")))
                .or_default() += 1;
        }
        assert_eq!(counts.len(), 8);
        assert!(counts.values().all(|count| (800..1_200).contains(count)), "{counts:?}");
        // What is stored rests on these.
        assert_eq!(["", "a", "order", "0193c0de"].map(slot_of), [3, 0, 7, 6]);
    }

    #[test]
    fn what_is_skipped_or_doubled_shows_in_the_digest() {
        let taken = |positions: &[i64]| {
            let mut taken = Taken::default();
            for position in positions {
                taken.add(Position::new(*position));
            }
            (taken.events, taken.digest)
        };
        let whole = taken(&[1, 2, 3, 4, 5]);
        assert_eq!(taken(&[5, 3, 1, 2, 4]), whole, "batches may be cut anywhere");
        for other in [&[1, 2, 3, 4][..], &[1, 2, 3, 4, 5, 5], &[1, 2, 3, 4, 6], &[2, 2, 3, 3, 5]] {
            assert_ne!(taken(other), whole, "{other:?}");
        }
    }
}
