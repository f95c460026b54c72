//! `annals access explain`: whether a user may do something, and what decides it.

use anyhow::{Context as _, bail};
use application::identity::UserShown;
use domain::identity::{Reach, RoleName, Standing};
use domain::ids::UserId;
use domain::values::Email;
use uuid::Uuid;

use super::{answer, open_log, users};
use crate::cli;
use crate::config::Config;
use crate::identity;

pub(super) async fn run(config: &Config, command: cli::Access) -> anyhow::Result<()> {
    let cli::Access::Explain { user, permission } = command;
    let permission: api::Permission = permission.parse()?;
    let store = open_log(config).await?;
    let access = identity::access(store.clone(), config).await?;
    let accounts = users::open(store, config).await?;
    let found = if let Ok(id) = user.parse::<Uuid>() {
        accounts.user(UserId::new(id)).await?
    } else {
        let email: Email = user.parse().context("neither an id nor an address")?;
        accounts.user_with(&email).await?
    };
    let Some(UserShown { id, standing, is_verified, roles, .. }) = found else {
        bail!("there is no such user");
    };
    answer(&format!("user {id}"))?;
    if standing != Standing::Active || !is_verified {
        let why =
            if is_verified { "the account is not active" } else { "the address is not verified" };
        return answer(&format!("no: cannot log in, for {why}"));
    }
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
        let Some(grants) = access.grants(role) else {
            answer(&format!("role {role}: there is none of this name"))?;
            continue;
        };
        let granted = grants.iter().filter(|grant| {
            let name = grant.permission.as_str();
            name == "*" || name == permission.as_str()
        });
        let mut granted = granted.peekable();
        if granted.peek().is_none() {
            answer(&format!("role {role}: does not grant it"))?;
        }
        for grant in granted {
            let far = reach_name(grant.reach);
            answer(&format!("role {role}: grants `{}`, {far}", grant.permission))?;
            reach = reach.max(Some(grant.reach));
        }
    }
    match reach {
        Some(reach) => answer(&format!("yes: `{permission}`, {}", reach_name(reach))),
        None => answer(&format!("no: nothing grants `{permission}`")),
    }
}

const fn reach_name(reach: Reach) -> &'static str {
    match reach {
        Reach::Own => "of what is the user's own",
        Reach::Organization => "of what is of the user's organization",
        Reach::All => "of everything",
    }
}
