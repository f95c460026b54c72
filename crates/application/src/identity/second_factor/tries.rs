//! Codes that were tried: a code has six digits, so it is counted before it is looked at.
//!
//! Counted by themselves besides [`Targets`](crate::identity::failures::Targets): another password by
//! mail lets try passwords again, and must not let try codes.

use domain::ids::UserId;
use eventstore::Digests;
use eventstore::answer::within;
use sqlx::PgPool;

/// How many tries in a row there are before one more is waited for.
const MOST: i32 = 5;

/// By what tries of a user are counted.
pub(in crate::identity) struct Tries([u8; 32]);

impl Tries {
    pub(in crate::identity) fn of(digests: &Digests, user: UserId) -> Self {
        Self(digests.of("identity.failures", &[b"code", user.get().as_bytes()]))
    }

    /// Whether there may be one more try, which is counted in the same moment: however many come at
    /// once, no more are looked at than there may be. From the limit on each doubles the wait, up to a
    /// quarter of an hour. A day without any begins anew.
    pub(in crate::identity) async fn attempt(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let counted = sqlx::query!(
            "
            INSERT INTO identity.failures AS known (target, count, last_at, locked_until)
            VALUES ($1, 1, clock_timestamp(), '-infinity')
            ON CONFLICT (target) DO UPDATE
            SET count = CASE
                    WHEN known.last_at < clock_timestamp() - interval '1 day' THEN 1
                    ELSE known.count + 1
                END,
                last_at = excluded.last_at,
                locked_until = CASE
                    WHEN known.last_at < clock_timestamp() - interval '1 day'
                        OR known.count + 1 < $2 THEN '-infinity'
                    ELSE clock_timestamp()
                        + make_interval(secs => least(900, power(2, least(known.count + 1 - $2, 10))))
                END
            WHERE known.locked_until <= clock_timestamp()
            ",
            &self.0[..],
            MOST,
        );
        Ok(within(counted.execute(pool)).await?.rows_affected() == 1)
    }

    /// The next one is as the first.
    pub(in crate::identity) async fn forgive(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let forgiven = sqlx::query!("DELETE FROM identity.failures WHERE target = $1", &self.0[..]);
        within(forgiven.execute(pool)).await.map(drop)
    }
}
