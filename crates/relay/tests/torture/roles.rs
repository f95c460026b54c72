//! What the processes do that are killed: publish, or consume.

use std::fmt::Debug;

use eventstore::{RecordedEvent, Wakeup};
use relay::{Consumer, Publisher, PublisherConfig, RenderError, Rendered};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::effects::{self, Effects};

/// The role of a process that publishes.
pub(crate) const RELAY: &str = "relay";

/// The role of a process with a copy of each consumer.
pub(crate) const CONSUMERS: &str = "consumers";

/// What a process is told when it starts.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) database: String,
    pub(crate) broker: String,
    pub(crate) namespace: String,
    pub(crate) replicas: usize,
    pub(crate) seed: u64,
}

impl Settings {
    /// The arguments of a process with `role`.
    pub(crate) fn arguments(&self, role: &str) -> [String; 6] {
        let Self { database, broker, namespace, replicas, seed } = self.clone();
        [role.to_owned(), database, broker, namespace, replicas.to_string(), seed.to_string()]
    }

    /// From what follows the role.
    pub(crate) fn read(arguments: &[String]) -> Option<Self> {
        let [database, broker, namespace, replicas, seed] = arguments else { return None };
        Some(Self {
            database: database.clone(),
            broker: broker.clone(),
            namespace: namespace.clone(),
            replicas: replicas.parse().ok()?,
            seed: seed.parse().ok()?,
        })
    }
}

/// Does what `role` says until it is killed; each change of its state is a line.
pub(crate) async fn run(role: &str, settings: &Settings) {
    let store = crate::open(&settings.database).await;
    let broker = settings.broker.parse().unwrap();
    let namespace = settings.namespace.parse().unwrap();
    if role == RELAY {
        let config = PublisherConfig {
            replicas: settings.replicas.try_into().unwrap(),
            ..PublisherConfig::new(broker, namespace)
        };
        let wakeup = Wakeup::listen(store.pool().clone());
        let publisher = Publisher::new(store, wakeup, config, render);
        let _telling = tokio::spawn(tell(publisher.state(), |state| {
            let leads = state.epoch.map(|epoch| format!("leads {epoch}"));
            format!("{} {:?}", leads.unwrap_or_default(), state.status)
        }));
        publisher.run(CancellationToken::new()).await;
    } else {
        let running = effects::configs(&namespace).map(|config| {
            let name = config.name.clone();
            let handler = Effects::new(config.name.clone(), settings.seed);
            let consumer = Consumer::new(store.pool().clone(), broker.clone(), config, handler);
            tokio::spawn(tell(consumer.state(), move |state| format!("{name} {:?}", state.status)));
            tokio::spawn(consumer.run(CancellationToken::new()))
        });
        for consumer in running {
            consumer.await.unwrap();
        }
    }
}

/// What the public learns: of events with the type [`PUBLIC`] everything, of others nothing.
#[expect(clippy::unnecessary_wraps, reason = "it is a Render")]
fn render(event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
    let is_public = &*event.event_type.name == PUBLIC;
    Ok(is_public.then(|| Rendered { subject: SUBJECT.to_owned(), body: event.payload.clone() }))
}

/// The type of events that the public is told of.
pub(crate) const PUBLIC: &str = "drill.happened";

/// On which subject it is told.
pub(crate) const SUBJECT: &str = "drill.happened.v1";

#[expect(clippy::print_stderr, reason = "it is the log of the process")]
async fn tell<S: Debug>(mut state: watch::Receiver<S>, line: impl Fn(&S) -> String) {
    let mut last = String::new();
    loop {
        let now = line(&state.borrow_and_update());
        if now != last {
            eprintln!("{now}");
            last = now;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}
