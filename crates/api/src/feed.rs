//! `GET /v1/events`: what the public is told, as it happens, as server-sent events or over a
//! WebSocket.
//!
//! Every process reads the log once for all its connections ([`hub`]) and writes each message once,
//! into a segment that all of them share ([`segment`]). The last ones are kept in a ring that is
//! bounded ([`ring`]). A connection is a position, a filter and nothing more ([`follower`]): it takes
//! from the ring what is behind its position, at its own pace, and what the ring has let go of it
//! reads from the log. So nothing is lost or told twice whatever the pace, and because a position is
//! that of the log, it is good in every process (law 2).
//!
//! Not here: which event the public is told of, and in which words. That is handed in ([`Render`]).
//! Nor what becomes of a socket that takes nothing any more: who serves it ends it.

mod filter;
mod follower;
mod hub;
mod metrics;
mod request;
mod ring;
mod segment;
mod settings;
mod snapshot;
mod sse;
mod web_socket;

use std::error::Error;
use std::sync::Arc;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::identity::Reach;
use eventstore::{EventStore, RecordedEvent, Wakeup};
use tokio_util::sync::CancellationToken;

use crate::layers::Origins;
use crate::parameters::Parameters;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::queries::Queries;
use crate::routes::Routes;

pub use metrics::FeedMetrics;
pub use settings::Settings;

use hub::Hub;
use request::Asked;

/// What the public is told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says and in which shape, for example `ordering.order-placed.v1`.
    pub message_type: String,
    /// All of it, as one JSON text.
    pub json: String,
}

/// Tells what the public learns of an event, if it learns of it; pure. An event that it cannot read
/// holds up whoever may be waiting for it, and nobody else.
pub type Render = Arc<
    dyn Fn(&RecordedEvent) -> Result<Option<Message>, Box<dyn Error + Send + Sync>> + Send + Sync,
>;

/// The feed of a process; clones share it.
#[derive(Clone)]
pub struct Feed {
    hub: Arc<Hub>,
}

impl Feed {
    /// The feed of the log of `store`; it tells nothing before [`Feed::run`].
    #[must_use]
    pub fn new(
        store: EventStore,
        render: Render,
        settings: Settings,
        metrics: FeedMetrics,
    ) -> Self {
        Self { hub: Arc::new(Hub::new(store, render, settings, metrics)) }
    }

    /// Reads the log for whoever is connected, until `stop`; then ends the connections, telling
    /// each where to resume, and waits a while for them to be gone.
    pub async fn run(self, wakeup: Wakeup, stop: CancellationToken) {
        self.hub.run(wakeup, stop).await;
    }
}

pub(crate) fn routes() -> Routes {
    Routes::default().get("/v1/events", request::operation(), events)
}

async fn events(
    State(feed): State<Feed>,
    State(queries): State<Queries>,
    Extension(origins): Extension<Origins>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = web_socket::is_asked_for(&headers).then_some(upgrade);
    let upgrade =
        upgrade.map(|upgrade| web_socket::admit(&headers, &origins, upgrade)).transpose()?;
    let asked = Asked::read(&headers, &parameters.only(request::KNOWN)?)?;
    if let Some(snapshot) = asked.snapshot {
        principal.check(snapshot.permission(), Reach::All)?;
    }
    let transport = if upgrade.is_some() { "websocket" } else { "sse" };
    let seat = feed.hub.seat(transport)?;
    let (position, snapshot) = asked.begin(&queries).await?;
    let follower = feed.hub.follow(seat, position, asked.filter);
    Ok(match upgrade {
        Some(upgrade) => web_socket::answer(upgrade, follower, snapshot),
        None => sse::answer(follower, snapshot).into_response(),
    })
}
