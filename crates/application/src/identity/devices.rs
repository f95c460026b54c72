//! From where users come in, so that they are told when it is from elsewhere.
//!
//! A device is what the program says that it is, without its version, on a network: of an IPv4 address
//! the first 24 bits, of an IPv6 address 48. So neither an update nor another address of the same network
//! is another device. Written with each session that is the first from there; who was let in at the same
//! moment for the first time ever from two places is told of neither.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::identity::{Client, Session, session};
use domain::ids::{SessionId, UserId};
use eventstore::Digests;
use eventstore::answer::within;

use super::{Identity, IdentityError};
use crate::ports::Recipient;

/// A session from where its user never came in before.
#[derive(Debug)]
pub struct NewDevice {
    /// Whose it is.
    pub to: Recipient,
    /// What the program says that it is.
    pub agent: Option<String>,
    /// From which network address.
    pub address: Option<IpAddr>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Identity {
    /// What is told of the session `session_id` of `user`: nothing if it is not from elsewhere than all
    /// before, or is the first ever.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn new_device(
        &self,
        user: UserId,
        session_id: SessionId,
    ) -> Result<Option<NewDevice>, IdentityError> {
        let is_new = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM identity.devices AS this
                JOIN identity.devices AS earlier USING (user_id)
                WHERE this.user_id = $1
                  AND this.first_session = $2
                  AND (earlier.first_at, earlier.first_session)
                    < (this.first_at, this.first_session)
            ) AS "is_new!"
            "#,
            user.get(),
            session_id.get(),
        );
        if !within(is_new.fetch_one(self.bus.store().pool())).await? {
            return Ok(None);
        }
        let aggregates = self.bus.load(&[session(session_id)]).await?;
        let known: Option<&Session> = aggregates.get(session(session_id));
        let Some(stay) = known.and_then(Session::stay) else { return Ok(None) };
        let Some(client) = stay.client.value() else { return Ok(None) };
        let Some(to) = self.recipient(user).await? else { return Ok(None) };
        Ok(Some(NewDevice {
            to,
            agent: client.agent.clone(),
            address: client.address.parse().ok(),
            at: stay.started_at,
        }))
    }
}

/// What is kept of the device that is `client` of `user`.
pub(super) fn digest(digests: &Digests, user: UserId, client: &Client) -> [u8; 32] {
    let program = client.agent.as_deref().map(without_version).unwrap_or_default();
    let network = client.address.parse().map(network).unwrap_or_default();
    digests.of(
        "identity.device",
        &[user.get().as_bytes(), program.as_bytes(), network.to_string().as_bytes()],
    )
}

/// What a program says that it is, without numbers: they change with each update.
fn without_version(agent: &str) -> String {
    let is_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '_');
    agent.chars().filter(|letter| !is_number(*letter)).collect()
}

/// The bits of an address that say in which network it is.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits() >> 8),
        IpAddr::V6(address) => address.to_bits() >> 80 << 80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_no_other_device() {
        let before = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let after = "Mozilla/5.0 (X11; Linux x86_64; rv:141.2.1) Gecko/20100101 Firefox/141.2.1";
        assert_eq!(without_version(before), without_version(after));
        let other = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Gecko/20100101 Firefox/140.0";
        assert_ne!(without_version(before), without_version(other));
    }

    #[test]
    fn addresses_of_one_network_are_one_place() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::1"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
