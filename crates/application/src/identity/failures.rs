//! Logins that failed: who tries too often waits, ever longer.
//!
//! Counted by account and by network address, each under a digest. A wait is not told: the answer is
//! the same as to a wrong password, and costs as much.

use std::net::IpAddr;

use domain::values::Email;
use eventstore::Digests;
use eventstore::answer::within;
use sqlx::PgPool;

/// How many failures in a row an account has before one more is waited for.
const OF_ACCOUNT: i32 = 5;

/// The same of a network address, behind which there may be many people.
const OF_ADDRESS: i32 = 50;

/// What failures are counted by.
pub(super) struct Targets {
    account: [u8; 32],
    address: Option<[u8; 32]>,
}

impl Targets {
    pub(super) fn of(digests: &Digests, email: &Email, address: Option<IpAddr>) -> Self {
        let account =
            digests.of("identity.failures", &[b"account", email.unique_form().as_bytes()]);
        let address = address.map(|address| {
            digests.of("identity.failures", &[b"address", address.to_string().as_bytes()])
        });
        Self { account, address }
    }

    fn all(&self) -> Vec<Vec<u8>> {
        let account = self.account.to_vec();
        [account].into_iter().chain(self.address.map(|address| address.to_vec())).collect()
    }

    /// Whether one of them has to wait.
    pub(super) async fn wait(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let waits = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM identity.failures
                WHERE target = ANY ($1) AND locked_until > clock_timestamp()
            ) AS "waits!"
            "#,
            &self.all(),
        );
        within(waits.fetch_one(pool)).await
    }

    /// One more failed: from the limit on each doubles the wait, up to a quarter of an hour. A day
    /// without any begins anew.
    pub(super) async fn count(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let limits: Vec<_> = [OF_ACCOUNT, OF_ADDRESS].into_iter().take(self.all().len()).collect();
        let counted = sqlx::query!(
            "
            INSERT INTO identity.failures AS known (target, count, last_at, locked_until)
            SELECT given.target, 1, clock_timestamp(), '-infinity'
            FROM unnest($1::bytea[], $2::integer[]) AS given (target, most)
            ORDER BY given.target
            ON CONFLICT (target) DO UPDATE
            SET count = CASE
                    WHEN known.last_at < clock_timestamp() - interval '1 day' THEN 1
                    ELSE known.count + 1
                END,
                last_at = excluded.last_at
            ",
            &self.all(),
            &limits,
        );
        within(counted.execute(pool)).await?;
        let locked = sqlx::query!(
            "
            UPDATE identity.failures AS known
            SET locked_until = known.last_at
                + make_interval(secs => least(900, power(2, least(known.count - given.most, 10))))
            FROM unnest($1::bytea[], $2::integer[]) AS given (target, most)
            WHERE known.target = given.target AND known.count >= given.most
            ",
            &self.all(),
            &limits,
        );
        within(locked.execute(pool)).await.map(drop)
    }

    /// The account is let in: it begins anew, its address does not.
    pub(super) async fn forgive(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let forgiven =
            sqlx::query!("DELETE FROM identity.failures WHERE target = $1", &self.account[..]);
        within(forgiven.execute(pool)).await.map(drop)
    }
}
