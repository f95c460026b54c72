//! `/v1/me/sessions`: where one is logged in.

use application::identity::{Identity, SessionShown};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::identity::{EndReason, SESSION, USER};
use domain::ids::SessionId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

const OWN: Permission = Permission::OwnAccount;

/// The sessions of the user who asks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sessions")]
pub(super) struct Body {
    items: Vec<Item>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct Item {
    id: SessionId,
    /// Whether it is the one that asks.
    is_current: bool,
    /// From which network address it was started.
    address: Option<String>,
    /// What the client said that it is.
    agent: Option<String>,
    started_at: DateTime<Utc>,
    /// When it last got tokens.
    used_at: DateTime<Utc>,
    /// When it is over if it is not used.
    expires_at: DateTime<Utc>,
}

pub(super) fn list_operation() -> Operation {
    let example = json!({"items": [{
        "id": "01943c5e-9a31-7e20-9b66-1d4c0e2f5a33",
        "is_current": true,
        "address": "192.0.2.7",
        "agent": "curl/8.5.0",
        "started_at": "2026-11-21T10:15:30.123456Z",
        "used_at": "2026-11-21T10:35:12.654321Z",
        "expires_at": "2026-12-05T10:35:12.654321Z",
    }]});
    Operation::query("listMySessions", "Where I am logged in", OWN)
        .shows::<Body>("The sessions that go on, the last used first.", example)
}

pub(super) async fn list(
    State(identity): State<Identity>,
    signed_in: SignedIn,
) -> Result<Json<Body>, Problem> {
    let sessions = identity.sessions(signed_in.user).await?;
    let items = sessions.into_iter().map(|session| {
        let SessionShown { id, address, agent, started_at, used_at, expires_at } = session;
        let address = address.map(|address| address.to_string());
        let is_current = id == signed_in.session;
        Item { id, is_current, address, agent, started_at, used_at, expires_at }
    });
    Ok(Json(Body { items: items.collect() }))
}

pub(super) fn end_operation() -> Operation {
    Operation::command("endMySession", "Log out elsewhere", OWN, Key::Optional)
        .takes(Parameter::id("The session."))
        .changes("It is over.")
        .refused_as(&[Code::NotFound, Code::InvalidParameter])
}

pub(super) async fn end(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    Path(session): Path<SessionId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let ids = (signed_in.user, session);
    let receipt = identity.end_session(&origin, ids, EndReason::EndedByUser).await?;
    Ok(Changed { category: SESSION, receipt })
}

pub(super) fn log_out_operation() -> Operation {
    Operation::command("logOut", "Log out", OWN, Key::Optional)
        .changes("The session that asks is over.")
        .refused_as(&[Code::NotFound])
}

pub(super) async fn log_out(
    State(identity): State<Identity>,
    SignedIn { user, session }: SignedIn,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.end_session(&origin, (user, session), EndReason::LoggedOut).await?;
    Ok(Changed { category: SESSION, receipt })
}

pub(super) fn end_others_operation() -> Operation {
    Operation::command("endMyOtherSessions", "Log out everywhere else", OWN, Key::Optional)
        .changes("All sessions but the one that asks are over; it has to refresh its token.")
        .refused_as(&[Code::NotFound])
}

pub(super) async fn end_others(
    State(identity): State<Identity>,
    SignedIn { user, session }: SignedIn,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.end_sessions(&origin, user, Some(session)).await?;
    Ok(Changed { category: USER, receipt })
}
