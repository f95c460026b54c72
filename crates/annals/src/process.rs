//! The composition root: a process with its roles.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapters::{SystemClock, TimeOrderedIds};
use anyhow::Context as _;
use api::feed::{Feed, FeedMetrics};
use api::serve::{Drain, Server, Tls};
use api::{ApiState, Cursors, HttpMetrics, Queries};
use application::CommandBus;
use application::access::Access;
use application::identity::Identity;
use application::jobs::{Job, Runner, Ticks};
use application::ports::IdSource as _;
use axum::Router;
use eventstore::personal::key_encryption_keys_in_use;
use eventstore::{EventStore, Wakeup};
use projections::Engine;
use projections::engine::Reached;
use projections::freshness::Freshness;
use prometheus::Registry;
use relay::verify::watch::Watch;
use relay::{Consumer, Publisher};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Role};
use crate::consumers::{self, PolicyHandler};
use crate::contract::{self, Contract};
use crate::mail::{self, MailHandler};
use crate::ops::Parts;
use crate::telemetry::Telemetry;
use crate::{file_descriptors, identity, jobs};

/// How much longer than requests in flight everything else may take to end.
const FINISH: Duration = Duration::from_secs(5);

/// A process that is ready to work.
pub struct Process {
    config: Config,
    listener: TcpListener,
    tls: Option<Tls>,
    store: EventStore,
    /// The log and the read models, for queries of the API.
    queried: EventStore,
    bus: CommandBus,
    /// Of processes that serve the API or send mail.
    identity: Option<Identity>,
    /// Of processes that serve the API.
    access: Option<Access>,
    cursors: Cursors,
    telemetry: Option<Telemetry>,
}

impl Process {
    /// Reaches the database and checks its schema. Nothing works yet.
    ///
    /// # Errors
    /// One sentence: the certificate or the mail server cannot be used, the database cannot be reached, or its schema is
    /// not the one of this version.
    pub async fn prepare(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        let tls = config.http.tls()?;
        config.mail.mailer()?;
        config.mail.client_url()?;
        let pool = crate::database::connect(&config.database).await?;
        crate::database::check_schema(&pool).await?;
        projections::prepare(&pool, projections::ALL)
            .await
            .context("cannot make the read models")?;
        let store = EventStore::open(pool).await.context("cannot open the log")?;
        application::evolution().check_log(&store).await.context("cannot work on this log")?;
        refuse_missing_keys(&config, &store).await?;
        let (bus, keyring) = identity::bus(&store, &config).await?;
        let queried = if config.roles.contains(&Role::Api) {
            let deadline = config.http.deadline();
            let pool = crate::database::for_queries(&config.database, deadline)?;
            crate::database::check_queries(&pool).await.context("cannot ask queries")?;
            EventStore::open(pool).await.context("cannot open the log for queries")?
        } else {
            store.clone()
        };
        let (serves_api, mails) =
            (config.roles.contains(&Role::Api), config.roles.contains(&Role::Worker));
        let mut identity = None;
        if serves_api || mails && config.mail.is_sent() {
            let keyring = keyring.context(
                "accounts take key-encryption keys, and none are set: set ANNALS_KEYS__ENCRYPTION",
            )?;
            identity = Some(identity::open(bus.clone(), keyring, &config).await?);
        }
        let mut access = None;
        if serves_api {
            access = Some(identity::access(store.clone(), &config).await?);
        }
        let cursors =
            Cursors::load(store.pool()).await.context("cannot read the key of cursors")?;
        let telemetry = Telemetry::start(&config.telemetry, TimeOrderedIds.next())
            .context("cannot record traces")?;
        Ok(Self {
            config,
            listener,
            tls,
            store,
            queried,
            bus,
            identity,
            access,
            cursors,
            telemetry,
        })
    }

    /// Where commands go.
    pub const fn bus(&self) -> &CommandBus {
        &self.bus
    }

    /// Accounts and sessions, if it serves the API or sends mail.
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Does the work of its roles until `stop`, then drains: requests in flight are answered,
    /// batches in hand finished, leases given up.
    ///
    /// Read models are kept until the last request is answered, for a query may wait for its own;
    /// everything else stops at once.
    ///
    /// # Errors
    /// A part ended that should not have.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let roles = self.config.roles.clone();
        let serves_api = roles.contains(&Role::Api);
        let jobs = jobs::all(&self.store, &self.config.jobs)?;
        let mut parts = Parts::new(self.store.clone(), serves_api, jobs.clone())?;
        if serves_api {
            for projection in projections::ALL {
                parts.read_model(projection);
            }
        }
        let mut tasks = JoinSet::new();
        let wakeup = Wakeup::listen(self.store.pool().clone());
        let mut reached = Reached::default();
        let http_ended = CancellationToken::new();
        if roles.contains(&Role::Projector) {
            reached = self.start_projector(&mut tasks, &mut parts, &wakeup, &http_ended);
        }
        if roles.contains(&Role::Relay) {
            self.start_relay(&mut tasks, &mut parts, wakeup.clone(), &stop)?;
        }
        if roles.contains(&Role::Worker) {
            self.start_worker(&mut tasks, &mut parts, &stop)?;
            self.start_jobs(&mut tasks, &mut parts, jobs, &stop).await?;
        }
        let pool = self.store.pool().clone();
        let drain = Drain::default();
        let registry = Registry::new();
        let mut feed = None;
        if serves_api {
            feed = Some(self.start_feed(&mut tasks, &registry, wakeup, &drain)?);
            self.start_accounts(&mut tasks, &http_ended);
        }
        let server = Server {
            router: self.router(parts, reached, registry, feed, drain.clone())?,
            listener: self.listener,
            limits: file_descriptors::bound(self.config.http.connections()),
            tls: self.tls,
            proxies: self.config.http.proxies()?,
            drain,
        };
        let times = self.config.http.drain_times(serves_api);
        let stopping = stop.clone();
        spawn(&mut tasks, async move {
            server.run(times, stopping).await;
            http_ended.cancel();
        });
        let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
        tracing::info!(http.address = %self.config.http.address, roles = roles.join(","), "ready");

        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(times.delay + times.limit + FINISH).await;
        };
        tokio::select! {
            outcome = finished(tasks, &stop) => {
                drop((self.identity, self.access, self.bus, self.store, self.queried));
                if let Some(telemetry) = self.telemetry {
                    telemetry.stop().await;
                }
                // What does not answer any more is not waited for.
                let _ = tokio::time::timeout(FINISH, pool.close()).await;
                outcome
            }
            () = overdue => Err(anyhow::anyhow!(
                "parts of the process did not finish in time and were cut off"
            )),
        }
    }

    fn start_projector(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        parts: &mut Parts,
        wakeup: &Wakeup,
        stop: &CancellationToken,
    ) -> Reached {
        let worker = crate::projector::worker();
        let source = crate::projector::source(self.store.clone());
        let changed = projections::engine::changes(self.store.pool().clone());
        let engine = Engine::new(source, projections::ALL, worker, wakeup.clone(), changed);
        for (name, status) in engine.statuses() {
            parts.projection(name, status);
        }
        let reached = engine.reached();
        spawn(tasks, engine.run(stop.clone()));
        reached
    }

    fn start_relay(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        parts: &mut Parts,
        wakeup: Wakeup,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let config = self.config.nats.publisher()?;
        let publisher = Publisher::new(self.store.clone(), wakeup, config, Contract);
        let told = contract::told(self.store.clone(), self.config.nats.namespace()?);
        let declared = consumers::declared(&self.config)?;
        let watch = Watch::new(declared, told, publisher.state());
        parts.relay(publisher.state(), watch.proof());
        spawn(tasks, publisher.run(stop.clone()));
        spawn(tasks, watch.run(stop.clone()));
        Ok(())
    }

    fn start_worker(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        parts: &mut Parts,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        for (policy, config) in consumers::policies(&self.config.nats.namespace()?) {
            let handler = PolicyHandler { policy, bus: self.bus.clone() };
            let pool = self.store.pool().clone();
            let consumer = Consumer::new(pool, self.config.nats.broker()?, config, handler);
            parts.consumer(policy.name, consumer.state());
            spawn(tasks, consumer.run(stop.clone()));
        }
        self.start_mail(tasks, parts, stop)
    }

    fn start_mail(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        parts: &mut Parts,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let (mailer, client) = (self.config.mail.mailer()?, self.config.mail.client_url()?);
        let (Some(mailer), Some(client), Some(identity)) = (mailer, client, &self.identity) else {
            tracing::info!("no mail is sent: `mail.transport` is `none`");
            return Ok(());
        };
        let handler = MailHandler { identity: identity.clone(), mailer, client };
        let config = mail::consumer(&self.config.nats.namespace()?);
        let pool = self.store.pool().clone();
        let consumer = Consumer::new(pool, self.config.nats.broker()?, config, handler);
        parts.consumer("mail", consumer.state());
        spawn(tasks, consumer.run(stop.clone()));
        Ok(())
    }

    async fn start_jobs(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        parts: &mut Parts,
        jobs: Vec<Job>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let ticks = Ticks::start().await.context("cannot start ticking")?;
        let (pool, owner) = (self.store.pool().clone(), crate::projector::worker().name);
        let runner = Runner::new(pool, owner, Arc::new(SystemClock), jobs, ticks.subscribe());
        let metrics = parts.jobs(runner.status());
        let running = runner.observed(move |ended| metrics.ended(ended)).run(stop.clone());
        spawn(tasks, async move {
            running.await;
            ticks.stop().await;
        });
        Ok(())
    }

    fn start_accounts(&self, tasks: &mut JoinSet<anyhow::Result<()>>, stop: &CancellationToken) {
        let (Some(identity), Some(access)) = (&self.identity, &self.access) else { return };
        let settings = &self.config.identity;
        let (clock, lifetime) = (Arc::new(SystemClock), settings.lifetimes().access_token);
        spawn(tasks, access.clone().follow(clock, lifetime, stop.clone()));
        spawn(tasks, identity.clone().keep_uses(stop.clone()));
        let keys = identity.keys().clone();
        spawn(tasks, identity::keep_keys(keys, settings.rotation(), stop.clone()));
    }

    fn start_feed(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        registry: &Registry,
        wakeup: Wakeup,
        drain: &Drain,
    ) -> anyhow::Result<Feed> {
        let render = contract::fed(self.store.log_id(), self.config.nats.namespace()?);
        let metrics = FeedMetrics::register(registry)?;
        let settings = self.config.feed.settings();
        let feed = Feed::new(self.queried.clone(), render, settings, metrics);
        spawn(tasks, feed.clone().run(wakeup, drain.closing().clone()));
        Ok(feed)
    }

    /// What is served: with the feed the API, without it what every process serves.
    fn router(
        &self,
        parts: Parts,
        reached: Reached,
        registry: Registry,
        feed: Option<Feed>,
        drain: Drain,
    ) -> anyhow::Result<Router> {
        let metrics = HttpMetrics::register(&registry)?;
        if let Some(telemetry) = &self.telemetry {
            telemetry.register(&registry)?;
        }
        let ops = parts.into_ops(registry, self.config.nats.namespace()?, drain)?;
        let ops = api::ops::router(ops);
        let (Some(feed), Some(identity), Some(access)) = (feed, &self.identity, &self.access)
        else {
            return Ok(ops);
        };
        let state = ApiState {
            bus: self.bus.clone(),
            identity: identity.clone(),
            access: access.clone(),
            queries: Queries {
                source: crate::projector::source(self.queried.clone()),
                freshness: Freshness::new(self.queried.pool().clone(), reached),
                wait: self.config.http.wait(),
            },
            cursors: self.cursors.clone(),
            feed,
            ids: Arc::new(TimeOrderedIds),
        };
        Ok(ops.merge(api::router(state, &metrics, self.config.http.limits()?)))
    }
}

/// Refuses to start without a key-encryption key that is in use: better now than at the first
/// event that needs it.
async fn refuse_missing_keys(config: &Config, store: &EventStore) -> anyhow::Result<()> {
    let given = config.keys.key_encryption_keys()?;
    let used = key_encryption_keys_in_use(store).await.context("cannot look for keys")?;
    match used.iter().find(|id| !given.as_ref().is_some_and(|given| given.contains(id))) {
        Some(id) => anyhow::bail!(
            "personal data needs the key-encryption key {id}, which `keys.encryption` does not hold"
        ),
        None => Ok(()),
    }
}

/// Waits for all parts; one that ends before it was told to ends the others.
async fn finished(
    mut tasks: JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        if !stop.is_cancelled() {
            outcome = Err(anyhow::anyhow!("a part of the process ended by itself"));
            stop.cancel();
        }
        outcome = outcome.and(ended.context("a part of the process panicked")?);
    }
    outcome
}

fn spawn(tasks: &mut JoinSet<anyhow::Result<()>>, part: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async {
        part.await;
        Ok(())
    });
}

/// Takes `address`.
///
/// # Errors
/// One sentence: it is in use, or cannot be listened on.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is in use by another process: stop it, or choose another address with \
             `--set http.address=127.0.0.1:PORT`"
        ),
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    })
}
