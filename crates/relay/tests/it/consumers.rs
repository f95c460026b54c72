//! A consumer whose effect is a row, so that it can be counted.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use eventstore::Position;
use relay::{
    Consumer, ConsumerConfig, ConsumerState, Handler, HandlerError, IncomingMessage, Retries,
};
use sqlx::PgConnection;
use testkit::eventually;

use crate::world::{LIMIT, Running, SUBJECT, World};

/// What goes wrong before a message at a position takes effect, once each.
pub(crate) type Plan = HashMap<i64, Vec<HandlerError>>;

/// Writes a row for each message.
pub(crate) struct Effects {
    plan: Mutex<Plan>,
}

impl Handler for Effects {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        for message in messages {
            let position = message.position.get();
            sqlx::query("INSERT INTO effects (position, key) VALUES ($1, $2)")
                .bind(position)
                .bind(&message.subject)
                .execute(&mut *transaction)
                .await?;
            let failure = self.plan.lock().unwrap().get_mut(&position).and_then(Vec::pop);
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Retries that no test has to wait for.
pub(crate) const QUICK: Retries =
    Retries { attempts: 5, first: Duration::from_millis(5), cap: Duration::from_millis(50) };

impl World {
    /// The world with a table of effects.
    pub(crate) async fn with_effects() -> Self {
        let world = Self::new().await;
        world.make_effects().await;
        world
    }

    pub(crate) async fn make_effects(&self) {
        // No unique key: a second effect must be seen, not refused.
        sqlx::query(
            "CREATE TABLE effects (number bigserial, position bigint NOT NULL, key text NOT NULL)",
        )
        .execute(&self.pool())
        .await
        .unwrap();
    }

    pub(crate) fn consumer(&self, plan: Plan) -> Running<ConsumerState> {
        self.patient_consumer(plan, Duration::from_secs(2))
    }

    /// A consumer whose silence the broker bears for `ack_wait`.
    pub(crate) fn patient_consumer(
        &self,
        plan: Plan,
        ack_wait: Duration,
    ) -> Running<ConsumerState> {
        self.consumer_with(plan, |config| config.ack_wait = ack_wait)
    }

    /// A consumer with other settings.
    pub(crate) fn consumer_with(
        &self,
        plan: Plan,
        change: impl FnOnce(&mut ConsumerConfig),
    ) -> Running<ConsumerState> {
        let mut config = ConsumerConfig::new("effects", self.namespace.clone(), [SUBJECT]);
        (config.ack_wait, config.retries) = (Duration::from_secs(2), QUICK);
        change(&mut config);
        let handler = Effects { plan: Mutex::new(plan) };
        let consumer = Consumer::new(self.pool(), self.url.parse().unwrap(), config, handler);
        let state = consumer.state();
        Running::start(state, |stop| consumer.run(stop))
    }

    /// Positions of the effects, in the order in which they were made.
    pub(crate) async fn effects(&self) -> Vec<i64> {
        sqlx::query_scalar("SELECT position FROM effects ORDER BY number")
            .fetch_all(&self.pool())
            .await
            .unwrap()
    }

    /// Waits until every message took effect, and checks that each did once, in order.
    pub(crate) async fn takes_effect(&self) {
        let outbox = self.store.read_outbox(Position::START, 10_000).await.unwrap();
        let expected: Vec<i64> =
            outbox.iter().map(|message| message.event.position.get()).collect();
        eventually(LIMIT, "all effects", || async {
            let effects = self.effects().await;
            if effects.len() >= expected.len() { Ok(()) } else { Err(effects.len()) }
        })
        .await;
        assert_eq!(self.effects().await, expected);
    }

    /// Waits until every message took effect, and checks that each did once, in the order of its
    /// key.
    pub(crate) async fn takes_effect_by_key(&self) {
        let outbox = self.store.read_outbox(Position::START, 10_000).await.unwrap();
        let mut expected: Vec<(String, i64)> = outbox
            .iter()
            .map(|message| (message.event.stream.to_string(), message.event.position.get()))
            .collect();
        // Stable, so the order within a key stays.
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let effects = eventually(LIMIT, "all effects", || async {
            let mut effects = self.effects_by_key().await;
            effects.sort_by(|one, other| one.0.cmp(&other.0));
            if effects.len() >= expected.len() { Ok(effects) } else { Err(effects.len()) }
        })
        .await;
        assert_eq!(effects, expected);
    }

    /// Keys and positions of the effects, in the order in which they were made.
    pub(crate) async fn effects_by_key(&self) -> Vec<(String, i64)> {
        sqlx::query_as("SELECT key, position FROM effects ORDER BY number")
            .fetch_all(&self.pool())
            .await
            .unwrap()
    }

    /// Ends the lease of a consumer that cannot release it any more, so that no test has to wait
    /// for that.
    pub(crate) async fn expire_ownership(&self) {
        sqlx::query("UPDATE relay.consumers SET expires_at = clock_timestamp()")
            .execute(&self.pool())
            .await
            .unwrap();
    }

    /// Waits until the broker knows that everything is done with.
    pub(crate) async fn acknowledged(&self) {
        let stream = self.stream().await;
        eventually(LIMIT, "all acknowledgements", || async {
            let info = stream.consumer_info("effects").await.unwrap();
            if info.num_pending == 0 && info.num_ack_pending == 0 { Ok(()) } else { Err(info) }
        })
        .await;
    }
}
