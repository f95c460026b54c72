//! A process that keeps read models.

use std::sync::atomic::Ordering;

use eventstore::{EventStore, Wakeup};
use projections::engine::Reached;
use projections::{Engine, Worker};
use testkit::eventually;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{LIMIT, NEXT, source};

/// A process that keeps read models.
pub(crate) struct Keeper {
    pub(super) reached: Reached,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn start(store: &EventStore) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let worker = Worker { id: Uuid::from_u128(number.into()), name: "test".to_owned() };
        let (wakeup, changed) = (
            Wakeup::listen(store.pool().clone()),
            projections::engine::changes(store.pool().clone()),
        );
        let engine = Engine::new(source(store), projections::ALL, worker, wakeup, changed);
        let (reached, stop) = (engine.reached(), CancellationToken::new());
        let task = tokio::spawn(engine.run(stop.clone()));
        Self { reached, stop, task }
    }

    /// Waits until it holds all and has come to the end of the log.
    pub(crate) async fn catches_up(&self, store: &EventStore) {
        let head = store.head().await.unwrap();
        eventually(LIMIT, "the read models to catch up", || async {
            let behind = projections::ALL
                .iter()
                .map(|projection| (projection.name, self.reached.of(&projection.model())))
                .find(|(_, position)| position.is_none_or(|position| position < head));
            behind.map_or(Ok(()), Err)
        })
        .await;
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}
