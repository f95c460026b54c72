//! evento on its PostgreSQL executor: events in one table, ordered by the time of the server's
//! clock at which they were inserted.
//!
//! Settings: its own migrations and its own encoding, bitcode, in which the event of all peers takes
//! a third of the bytes that JSON does. Projections are loaded without snapshots. Clones of one executor, as
//! documented, so that a write wakes the subscription at once.
//!
//! `append` is `create` with an id of ours: one statement, where the unique index refuses a stream
//! that is not new. `command` loads a projection and commits through its `write`.
//!
//! `replay` runs an ephemeral subscription once, which keeps its cursor in memory; `tail` starts a
//! durable one. Both read chunks of [`CHUNK`] instead of the usual 300: a chunk is found by reading
//! the index from its beginning, so small ones make a replay quadratic (300 is ten times slower for
//! 100,000 events, 65,535 no faster).
//!
//! The stability margin is the usual second. It delays every event by as much; a smaller one would
//! not, but its documentation wants it above the longest that any insert takes, or events get lost.

#![expect(clippy::unused_async, reason = "the macros want async functions")]

mod projection;

use anyhow::{Context as _, Result, bail, ensure};
use evento::metadata::Event;
use evento::migrator::{Migrate as _, Plan};
use evento::subscription::{Context, SubscriptionBuilder};
use evento::{Executor, Projection, ProjectionAggregate as _, WriteError};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Attempt, Log, NewStream, Peer};
use crate::args::Settings;
use crate::customer::Customer;
use crate::order::{Metadata, OrderPlaced};
use crate::pool;
use crate::scratch::Scratch;
use crate::sightings::Sightings;

/// Events in one read of a subscription.
const CHUNK: u16 = 10_000;

#[derive(Clone)]
pub(crate) struct Evento(evento::Postgres);

/// Connects, and makes the schema.
async fn open(scratch: &Scratch, settings: Settings) -> Result<sqlx::PgPool> {
    let pool = pool::sqlx09(scratch, settings).await?;
    let mut connection = pool.acquire().await?;
    evento::sql_migrator::new::<sqlx::Postgres>()?
        .run(&mut *connection, &Plan::apply_all())
        .await
        .context("cannot make the schema")?;
    drop(connection);
    Ok(pool)
}

impl Peer for Evento {
    async fn open(scratch: &Scratch, settings: Settings) -> Result<Self> {
        Ok(Self(open(scratch, settings).await?.into()))
    }

    async fn append(&self, stream: Uuid, number: u64) -> Result<Attempt> {
        let mut write = evento::append(stream.to_string());
        write.event(&Placed { order: OrderPlaced::new(number) });
        commit(&mut write, number, &self.0).await
    }

    async fn command(&self, id: Uuid, number: u64) -> Result<Attempt> {
        let view = Projection::<_, View>::new::<Account>()
            .handler(on_placed())
            .load(id.to_string())
            .execute(&self.0)
            .await?
            .context("no event of the customer was loaded")?;
        let order = view.customer.place(OrderPlaced::new(number))?;
        commit(view.write()?.event(&Placed { order }), number, &self.0).await
    }

    /// Through `append`, all events of a stream in one commit.
    async fn preload(&self, streams: &[NewStream]) -> Result<()> {
        for stream in streams {
            let mut write = evento::append(stream.id.to_string());
            for order in stream.numbers.clone().map(OrderPlaced::new) {
                write.event(&Placed { order });
            }
            let attempt = commit(&mut write, stream.numbers.start, &self.0).await?;
            ensure!(attempt == Attempt::Done, "a stream of the preload is there already");
        }
        Ok(())
    }
}

impl Log for Evento {
    type Projector = projection::Projector;

    async fn replay(&self) -> Result<u64> {
        let sightings = Sightings::default();
        subscription(&sightings).ephemeral().run_once(&self.0).await?;
        Ok(u64::try_from(sightings.count())?)
    }

    async fn follow(&self, sightings: Sightings, stop: oneshot::Receiver<()>) -> Result<()> {
        let subscription = subscription(&sightings).start(&self.0).await?;
        tokio::select! {
            _ = stop => Ok(subscription.shutdown().await?),
            reason = subscription.stopped() => bail!("the subscription stopped: {reason}"),
        }
    }
}

fn subscription(sightings: &Sightings) -> SubscriptionBuilder<evento::Postgres> {
    SubscriptionBuilder::new("peers").handler(on_any()).data(sightings.clone()).chunk_size(CHUNK)
}

async fn commit(
    write: &mut evento::WriteBuilder,
    number: u64,
    executor: &evento::Postgres,
) -> Result<Attempt> {
    for (name, value) in Metadata::new(number).0 {
        write.metadata(name, &value);
    }
    match write.commit(executor).await {
        Ok(_) => Ok(Attempt::Done),
        Err(WriteError::InvalidOriginalVersion) => Ok(Attempt::Conflict),
        Err(error) => Err(error.into()),
    }
}

#[evento::aggregate(name = "peers/Account")]
pub(crate) enum Account {
    Placed { order: OrderPlaced },
}

#[evento::projection(id = id)]
#[evento::snapshot(none)]
pub(crate) struct View {
    id: String,
    customer: Customer,
}

#[evento::handler]
async fn on_placed(event: Event<Placed>, view: &mut View) -> Result<()> {
    view.id.clone_from(&event.aggregate_id);
    view.customer.apply(&event.data.order);
    Ok(())
}

#[evento::subscription]
async fn on_any<E: Executor>(context: &Context<'_, E>, event: Event<Placed>) -> Result<()> {
    context.extract::<Sightings>().saw(event.data.order.number);
    Ok(())
}
