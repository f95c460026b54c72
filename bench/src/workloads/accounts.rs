//! Accounts: what it takes to know who asks, what a storm of logins leaves to others, and how soon a
//! revocation is known elsewhere.

use std::sync::Arc;
use std::time::Duration;

use adapters::{HashCost, SystemClock};
use application::access::Access;
use application::identity::{Identity, LogIn, NewAccount, NotAuthenticated, Tokens};
use application::{CommandBus, Origin};
use chrono::TimeDelta;
use domain::identity::EndReason;
use eventstore::{EventStore, KeyEncryptionKeys, Wakeup};
use projections::engine::Reached;
use projections::freshness::Freshness;
use prometheus::Registry;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::http::{Pair, middle, product, start};
use super::{Plan, feed, follow};
use crate::load::count;
use crate::report::{Report, Target};
use crate::{accounts, event, server, wrk};

const EMAIL: &str = "bench@example.org";
const PASSWORD: &str = "seven herons by the quay";

/// Sessions that are ended, 100 a second.
const REVOKED: usize = 500;

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Accounts: 64 connections of wrk on the same cores");
    let database = plan.server.database().await;
    let store = server::store(database.url()).await?;
    let keys = KeyEncryptionKeys::generate("bench")?;
    let (identity, _) = accounts::open(&store, &keys, HashCost::default()).await?;
    let bus = CommandBus::new(store.clone(), Arc::new(follow::Now), Arc::new(follow::Ids));
    let address = format!("/v1/products/{}", product(&bus, &store).await?);
    open_account(&identity).await?;
    let token = log_in(&identity).await?.access;
    let served = start("serve-accounts", &database, &[&keys]).await?;
    let login = post(&json!({"email": EMAIL, "password": PASSWORD}).to_string());

    let mut asked = Pair::default();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        asked.bare.push(served.ask(&address, None, plan.time).await?);
        asked.ours.push(served.ask(&address, Some(&bearer(&token)), plan.time).await?);
        alone.push(served.ask(&address, None, plan.time).await?);
        // A little longer than what is asked beside it.
        let logins = wrk::storm(served.address, "/v1/sessions", &login, plan.time * 2);
        let query = async {
            tokio::time::sleep(plan.time / 4).await;
            served.ask(&address, None, plan.time).await
        };
        let (query, _) = tokio::try_join!(query, logins)?;
        beside.push(query);
    }
    let of = |asked| middle(asked, |asked| asked.rate).rate;
    let (anonymous, authenticated) = (of(asked.bare), of(asked.ours));
    report.note(format!(
        "product by id: {anonymous:.0}/s of nobody, {authenticated:.0}/s with an access token"
    ));
    let ratio = authenticated / anonymous;
    report.figure("authenticated / not authenticated", ratio, "", Target::AtLeast(0.85));
    let (alone, beside) = (of(alone), of(beside));
    report.note(format!("product by id: {alone:.0}/s alone, {beside:.0}/s in a storm of logins"));
    let ratio = beside / alone;
    report.figure("queries in a storm of logins / alone", ratio, "", Target::AtLeast(0.5));
    drop(served);

    let delays = revoke(&identity, database.url()).await?;
    let at = |part: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let place = (count(delays.len() - 1) * part) as usize;
        delays.get(place).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1_000.0)
    };
    report.note(format!(
        "revocations, 100/s, until another process refuses: p50 {:.0} ms, p99 {:.0} ms",
        at(0.5),
        at(0.99)
    ));
    report.figure("the slowest of them", at(1.0), "ms", Target::AtMost(1_000.0));
    Ok(())
}

/// What a child process does: serves as any process of the role would.
#[expect(clippy::print_stdout, reason = "where it serves is its answer")]
pub(crate) async fn serve(url: &str, keys: &str) -> anyhow::Result<()> {
    let store = server::store(url).await?;
    let (identity, access) = accounts::open(&store, keys, HashCost::default()).await?;
    follow_access(access.clone());
    let feed = feed::feed(&store, &Registry::new())?;
    let stop = CancellationToken::new();
    tokio::spawn(feed.clone().run(Wakeup::listen(store.pool().clone()), stop));
    let freshness = Freshness::new(store.pool().clone(), Reached::default());
    let (address, serving) = follow::serve_as(&store, freshness, feed, (identity, access)).await?;
    println!("{address}");
    Ok(serving.await?)
}

fn follow_access(access: Access) {
    let lifetime = TimeDelta::hours(1);
    tokio::spawn(access.follow(Arc::new(SystemClock), lifetime, CancellationToken::new()));
}

async fn open_account(identity: &Identity) -> anyhow::Result<()> {
    let account = NewAccount {
        email: EMAIL.parse()?,
        name: "Bench".to_owned().try_into()?,
        password: PASSWORD.into(),
        roles: Vec::new(),
    };
    identity.create_account(&origin(), account).await?;
    Ok(())
}

async fn log_in(identity: &Identity) -> anyhow::Result<Tokens> {
    let asked = LogIn {
        email: EMAIL.parse()?,
        password: PASSWORD.into(),
        code: None,
        address: None,
        agent: None,
    };
    Ok(identity.log_in(&origin(), asked).await?)
}

/// Ends sessions here, and asks there until they are refused; answers with how long that took, the
/// shortest first.
async fn revoke(identity: &Identity, url: &str) -> anyhow::Result<Vec<Duration>> {
    let elsewhere: EventStore = server::store(url).await?;
    let access = Access::load(elsewhere, &SystemClock, TimeDelta::hours(1)).await?;
    follow_access(access.clone());
    let mut sessions = Vec::with_capacity(REVOKED);
    for _ in 0..REVOKED {
        sessions.push(log_in(identity).await?);
    }
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    for tokens in sessions {
        ticks.tick().await;
        let (identity, access) = (identity.clone(), access.clone());
        tasks.spawn(async move {
            let session = (tokens.user, tokens.session);
            identity.end_session(&origin(), session, EndReason::LoggedOut).await?;
            let ended = Instant::now();
            loop {
                let token = tokens.access.expose_secret();
                match identity.authenticate(token, &access).await {
                    Err(NotAuthenticated::Stale) => return anyhow::Ok(ended.elapsed()),
                    Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Err(error) => return Err(error.into()),
                }
            }
        });
    }
    let mut delays = Vec::with_capacity(REVOKED);
    while let Some(delay) = tasks.join_next().await {
        delays.push(delay??);
    }
    delays.sort_unstable();
    Ok(delays)
}

fn bearer(token: &SecretString) -> String {
    format!(r#"wrk.headers["Authorization"] = "Bearer {}""#, token.expose_secret())
}

fn post(body: &str) -> String {
    format!(
        r#"
        wrk.method = "POST"
        wrk.body = '{body}'
        wrk.headers["Content-Type"] = "application/json"
        "#
    )
}

fn origin() -> Origin {
    Origin {
        actor: "bench".to_owned(),
        tenant: None,
        correlation_id: event::id(),
        trace: None,
        idempotency_key: None,
    }
}
