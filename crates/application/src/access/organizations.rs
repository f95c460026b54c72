//! Who belongs to which organization.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;

use domain::identity::{Grant, RoleName};
use domain::ids::{OrganizationId, UserId};
use domain::organizations::{Organization, organization};
use domain::{Aggregate as _, Event, Stream};
use eventstore::{StreamId, StreamSlice, StreamVersion};
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::{Access, AccessError};
use crate::organizations::owner;
use crate::{codec, decode};

/// How many organizations are remembered: with a hundred members each that is about 60 MB.
const MOST: usize = 10_000;

/// The organizations that were asked for.
#[derive(Debug, Default)]
pub(super) struct Organizations {
    known: HashMap<Stream, Remembered>,
    /// Counts what was learned.
    learned: u64,
}

#[derive(Debug)]
struct Remembered {
    version: StreamVersion,
    organization: Organization,
}

impl Organizations {
    /// Takes in `event`, which happened to an organization that may be remembered.
    pub(super) fn learn(&mut self, (id, version): (&StreamId, StreamVersion), event: &Event) {
        self.learned += 1;
        let Ok(stream) = id.as_str().parse::<Stream>() else { return };
        if let Some(known) = self.known.get_mut(&stream)
            && version > known.version
        {
            known.organization = std::mem::take(&mut known.organization).evolve(event);
            known.version = version;
        }
    }

    fn remember(&mut self, stream: Stream, read: Remembered, learned: u64) {
        // Something was learned meanwhile, perhaps of this one: it is read again the next time.
        if learned != self.learned {
            return;
        }
        if self.known.len() >= MOST {
            // Those in use are read again in a moment, the others are not missed.
            self.known.clear();
        }
        self.known.insert(stream, read);
    }
}

impl Access {
    /// What the role grants that `user` has in the organization `id`; nothing if the user does not
    /// belong to it, or if there is none.
    ///
    /// # Errors
    /// As [`Access::role_in`].
    pub async fn grants_in(
        &self,
        id: OrganizationId,
        user: UserId,
    ) -> Result<Option<Arc<BTreeSet<Grant>>>, AccessError> {
        let Some(role) = self.role_in(id, user).await? else { return Ok(None) };
        if let Some(grants) = self.grants(&role) {
            return Ok(Some(grants));
        }
        // It may have been made a moment ago, with the organization.
        self.ask(Instant::now()).await?;
        Ok(Some(self.grants(&role).unwrap_or_default()))
    }

    /// As what `user` belongs to the organization `id`; nothing if not at all, or if there is none.
    ///
    /// It is as fresh as what [`Access::holds`] has just relied on.
    ///
    /// # Errors
    /// The organization was not asked for before, and the log cannot be read.
    pub async fn role_in(
        &self,
        id: OrganizationId,
        user: UserId,
    ) -> Result<Option<RoleName>, AccessError> {
        let stream = organization(id);
        let known = self.read_known(|known| {
            let remembered = known.organizations.known.get(&stream);
            let role = remembered.map(|remembered| role_of(&remembered.organization, user));
            role.ok_or(known.organizations.learned)
        });
        let learned = match known {
            Ok(Some(role)) => return Ok(Some(role)),
            Ok(None) => {
                // Whoever has just become a member is not told otherwise.
                self.ask(Instant::now()).await?;
                return Ok(self.read_known(|known| {
                    let remembered = known.organizations.known.get(&stream)?;
                    role_of(&remembered.organization, user)
                }));
            }
            Err(learned) => learned,
        };
        let read = self.read_organization(stream).await?;
        let role = role_of(&read.organization, user);
        if read.organization.charter().is_some() {
            self.write(|known| known.organizations.remember(stream, read, learned));
        }
        Ok(role)
    }

    async fn read_organization(&self, stream: Stream) -> Result<Remembered, AccessError> {
        let id = codec::stream_id(stream);
        let mut read =
            Remembered { version: StreamVersion::START, organization: Organization::default() };
        let mut events = pin!(self.store.read_stream(&id, StreamSlice::ALL));
        while let Some(recorded) = events.try_next().await? {
            for event in decode(&recorded)? {
                read.organization = read.organization.evolve(&event);
            }
            read.version = recorded.version;
        }
        Ok(read)
    }
}

fn role_of(organization: &Organization, user: UserId) -> Option<RoleName> {
    let charter = organization.charter().filter(|charter| !charter.is_closed)?;
    if charter.owner == user {
        return Some(owner());
    }
    charter.members.get(&user).cloned()
}
