//! `annals users`: accounts that operators make on this machine.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _};

use adapters::{SystemRandomness, TimeOrderedIds};
use anyhow::{Context as _, bail};
use application::Origin;
use application::identity::{Identity, IdentityError, NewAccount};
use application::opaque_token::{OpaqueToken, TokenKind};
use application::ports::IdSource as _;
use domain::identity::{Grant, PermissionName, Reach, RoleName};
use domain::values::{Email, PersonName};
use eventstore::EventStore;
use secrecy::{ExposeSecret as _, SecretString};

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;
use crate::identity;

pub(super) async fn run(config: &Config, command: cli::Users) -> anyhow::Result<()> {
    match command {
        cli::Users::CreateOperator { email, name, password_stdin } => {
            create_operator(config, &email, name, password_stdin).await
        }
    }
}

async fn create_operator(
    config: &Config,
    email: &str,
    name: String,
    password_stdin: bool,
) -> anyhow::Result<()> {
    let email: Email = email.parse()?;
    let name = PersonName::try_from(name)?;
    let (password, made) = if password_stdin { (read_password()?, false) } else { (make()?, true) };
    let store = open_log(config).await?;
    let identity = open(store, config).await?;
    let roles = vec![operator()?, member()?];
    let account = NewAccount { email, name, password: password.clone(), roles };
    let created = identity.create_account(&origin(None), account).await;
    let user = created.map_err(|error| match error {
        IdentityError::WeakPassword(faults) => {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the password cannot be taken: {}", faults.join("; "))
        }
        IdentityError::AddressTaken => anyhow::anyhow!("somebody has this address already"),
        error => anyhow::Error::from(error).context("the account was not made"),
    })?;
    answer(&format!("user {user} may do everything"))?;
    if made {
        answer(&format!("password: {}   (told this once)", password.expose_secret()))?;
    }
    Ok(())
}

/// Accounts and sessions, for one command.
pub(super) async fn open(store: EventStore, config: &Config) -> anyhow::Result<Identity> {
    let (bus, keyring) = identity::bus(&store, config).await?;
    let keyring = keyring.context("no key-encryption keys are set: set ANNALS_KEYS__ENCRYPTION")?;
    identity::open(bus, keyring, config).await
}

/// Who may do everything.
pub(super) fn operator() -> anyhow::Result<(RoleName, BTreeSet<Grant>)> {
    role("operator", &[("*", Reach::All)])
}

/// What everybody may who is logged in, until operators say otherwise.
pub(super) fn member() -> anyhow::Result<(RoleName, BTreeSet<Grant>)> {
    role(
        "member",
        &[
            ("products.read", Reach::All),
            ("orders.read", Reach::Own),
            ("orders.place", Reach::Own),
            ("organizations.create", Reach::Own),
        ],
    )
}

fn role(name: &str, grants: &[(&str, Reach)]) -> anyhow::Result<(RoleName, BTreeSet<Grant>)> {
    let grants = grants.iter().map(|&(permission, reach)| {
        Ok(Grant { permission: PermissionName::try_from(permission.to_owned())?, reach })
    });
    Ok((name.to_owned().try_into()?, grants.collect::<anyhow::Result<_>>()?))
}

pub(super) fn origin(key: Option<&str>) -> Origin {
    Origin {
        actor: "operator".to_owned(),
        correlation_id: TimeOrderedIds.next(),
        trace: None,
        tenant: None,
        idempotency_key: key.map(ToOwned::to_owned),
    }
}

fn read_password() -> anyhow::Result<SecretString> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("read the password")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password came by standard input");
    }
    Ok(password.into())
}

/// A password that nobody has to think of.
fn make() -> anyhow::Result<SecretString> {
    let token = OpaqueToken::new(TokenKind::PasswordReset, &SystemRandomness)?;
    let text = token.text().expose_secret();
    Ok(text.trim_start_matches(TokenKind::PasswordReset.prefix()).into())
}
