//! `annals access explain`: whether a user may do something, and what decides it.

mod resource;

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use application::access::Access;
use application::identity::UserShown;
use domain::identity::{Grant, Reach, RoleName, Standing};
use domain::ids::UserId;
use domain::values::Email;
use eventstore::EventStore;
use uuid::Uuid;

use self::resource::Resource;
use super::{answer, open_log, users};
use crate::cli;
use crate::config::Config;
use crate::identity;

pub(super) async fn run(config: &Config, command: cli::Access) -> anyhow::Result<()> {
    let cli::Access::Explain { user, permission, resource } = command;
    let permission: api::Permission = permission.parse()?;
    let resource: Option<Resource> = resource.map(|text| text.parse()).transpose()?;
    let store = open_log(config).await?;
    let access = identity::access(store.clone(), config).await?;
    let Some(UserShown { id, standing, is_verified, roles, .. }) =
        find(&store, config, &user).await?
    else {
        bail!("there is no such user");
    };
    answer(&format!("user {id}"))?;
    if standing != Standing::Active || !is_verified {
        let why =
            if is_verified { "the account is not active" } else { "the address is not verified" };
        return answer(&format!("no: cannot log in, for {why}"));
    }
    let reach = held(config, &access, permission, &roles)?;
    match resource {
        Some(resource) => resource.explain(&store, &access, id, permission, reach).await,
        None => conclude(permission, reach),
    }
}

async fn find(
    store: &EventStore,
    config: &Config,
    user: &str,
) -> anyhow::Result<Option<UserShown>> {
    let accounts = users::open(store.clone(), config).await?;
    if let Ok(id) = user.parse::<Uuid>() {
        return Ok(accounts.user(UserId::new(id)).await?);
    }
    let email: Email = user.parse().context("neither an id nor an address")?;
    Ok(accounts.user_with(&email).await?)
}

/// How far `permission` goes in no organization, by what and why not by the rest.
fn held(
    config: &Config,
    access: &Access,
    permission: api::Permission,
    roles: &BTreeSet<RoleName>,
) -> anyhow::Result<Option<Reach>> {
    let mut reach: Option<Reach> = None;
    if permission == api::Permission::OwnAccount {
        answer("yes, own: comes with being logged in")?;
        reach = Some(Reach::Own);
    }
    if config.http.anonymous.iter().any(|name| name == "*" || name == permission.as_str()) {
        answer("yes, all: `http.anonymous` gives it to everybody")?;
        reach = Some(Reach::All);
    }
    let member = RoleName::try_from("member".to_owned())?;
    let everybody = (!roles.contains(&member)).then_some(&member);
    for role in roles.iter().chain(everybody) {
        reach = reach.max(by_role(access, permission, role)?);
    }
    Ok(reach)
}

/// How far `role` grants `permission`.
fn by_role(
    access: &Access,
    permission: api::Permission,
    role: &RoleName,
) -> anyhow::Result<Option<Reach>> {
    let Some(grants) = access.grants(role) else {
        answer(&format!("role {role}: there is none of this name"))?;
        return Ok(None);
    };
    let is_of_it = |grant: &&Grant| {
        let name = grant.permission.as_str();
        name == "*" || name == permission.as_str()
    };
    let mut reach = None;
    for grant in grants.iter().filter(is_of_it) {
        answer(&format!("role {role}: grants `{}`, {}", grant.permission, far(grant.reach)))?;
        reach = reach.max(Some(grant.reach));
    }
    if reach.is_none() {
        answer(&format!("role {role}: does not grant it"))?;
    }
    Ok(reach)
}

fn conclude(permission: api::Permission, reach: Option<Reach>) -> anyhow::Result<()> {
    match reach {
        Some(reach) => answer(&format!("yes: `{permission}`, {}", far(reach))),
        None => answer(&format!("no: nothing grants `{permission}`")),
    }
}

const fn far(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "of what is the user's own",
        Reach::Organization => "of what is of the organization that is acted in",
        Reach::All => "of everything",
    }
}
