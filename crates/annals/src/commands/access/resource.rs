//! Whether somebody may do something with one thing: an order, or an organization.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use application::access::Access;
use domain::identity::Reach;
use domain::ids::{OrderId, OrganizationId, UserId};
use eventstore::{EventStore, Moment};
use projections::orders::{ORDERS, Order};
use projections::time_travel;
use uuid::Uuid;

use super::{by_role, conclude};
use crate::commands::answer;
use crate::projector;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// An order, whoever it is of.
    Order(OrderId),
    /// An organization, and what is done in it.
    Organization(OrganizationId),
}

impl FromStr for Resource {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (kind, id) = text.split_once(':').unwrap_or((text, ""));
        let id = || id.parse::<Uuid>().with_context(|| format!("`{text}` is no id"));
        match kind {
            "order" => Ok(Self::Order(OrderId::new(id()?))),
            "organization" => Ok(Self::Organization(OrganizationId::new(id()?))),
            _ => bail!("`{text}` is neither `order:ID` nor `organization:ID`"),
        }
    }
}

impl Resource {
    /// Says whether `user` may, who has `permission` in no organization as far as `everywhere`.
    pub(super) async fn explain(
        self,
        store: &EventStore,
        access: &Access,
        user: UserId,
        permission: api::Permission,
        everywhere: Option<Reach>,
    ) -> anyhow::Result<()> {
        let id = match self {
            Self::Organization(id) => {
                let there = within(access, user, permission, id).await?;
                return conclude(permission, everywhere.max(there));
            }
            Self::Order(id) => id,
        };
        let source = projector::source(store.clone());
        let now = Moment::Position(store.head().await?);
        let order = time_travel::document::<Order>(&source, &ORDERS, id, now).await?;
        let Some(Order { customer, tenant, .. }) = order else { bail!("there is no order {id}") };
        let owner = customer.map_or_else(|| "nobody".to_owned(), |customer| customer.to_string());
        let of = tenant.map_or_else(|| "no organization".to_owned(), |tenant| tenant.to_string());
        answer(&format!("order {id}: placed by {owner}, for {of}"))?;
        if everywhere == Some(Reach::All) {
            return answer(&format!("yes: `{permission}` goes as far as everything"));
        }
        let reach = match tenant {
            Some(tenant) => within(access, user, permission, tenant).await?,
            // In no organization there is nothing between one's own and everything.
            None => everywhere.map(|reach| reach.min(Reach::Own)),
        };
        match reach {
            None => answer("no: nothing grants it there"),
            Some(Reach::Own) if customer != Some(user) => {
                answer("no: the order is not the user's own")
            }
            Some(Reach::Own) => answer("yes: the order is the user's own"),
            Some(Reach::Organization | Reach::All) => {
                answer("yes: acting in that organization, by `Annals-Organization`")
            }
        }
    }
}

/// How far `permission` goes for `user` as a member of the organization `id`.
async fn within(
    access: &Access,
    user: UserId,
    permission: api::Permission,
    id: OrganizationId,
) -> anyhow::Result<Option<Reach>> {
    let Some(role) = access.role_in(id, user).await? else {
        answer(&format!("organization {id}: the user does not belong to it"))?;
        return Ok(None);
    };
    answer(&format!("organization {id}: the user belongs to it as {role}"))?;
    let reach = by_role(access, permission, &role)?;
    Ok(reach.map(|reach| reach.min(Reach::Organization)))
}
