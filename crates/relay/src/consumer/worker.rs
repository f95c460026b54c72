//! Takes effect of messages: mark, effect and what has to wait, in one transaction.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use eventstore::answer::{self, within};
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Notify;

use super::delivery::Delivery;
use super::handler::Nature;
use super::marks::Marker;
use super::span::Processing;
use super::status::Reporter;
use super::{ConsumerConfig, Handler, HandlerError};
use crate::IncomingMessage;
use crate::broker::chain;
use crate::dead_letters::{self, Cause, Held, HoldError, Letter};

/// How much longer a handler is waited for than its statements may take.
const GRACE: Duration = Duration::from_millis(500);

/// What all lanes of a consumer work with.
pub(super) struct Worker<H> {
    pub(super) pool: PgPool,
    pub(super) config: ConsumerConfig,
    pub(super) handler: H,
    pub(super) marker: Marker,
    pub(super) reporter: Reporter,
    /// There is something to try again.
    pub(super) held: Notify,
}

/// Why messages did not take effect.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not because of them.
    Unavailable(String),
    Conflict,
    Failed(String),
    Refused(String),
}

impl Failure {
    /// What to tell of it where nothing private may be told.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Conflict => "conflict",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        }
    }

    /// What to show of it.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Unavailable(text) | Self::Failed(text) | Self::Refused(text) => text,
            Self::Conflict => HandlerError::Conflict.to_string(),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let text = format!("database: {}", chain(&error));
        match Nature::of(&error) {
            Nature::Unavailable => Self::Unavailable(text),
            Nature::Conflict => Self::Conflict,
            Nature::Other => Self::Failed(text),
        }
    }
}

impl From<HoldError> for Failure {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Full { .. } => Self::Unavailable(error.to_string()),
            HoldError::Database(error) => error.into(),
        }
    }
}

impl<H: Handler> Worker<H> {
    /// Takes effect of `deliveries`, all of which can be read, but for those that did before and
    /// those whose key waits.
    pub(super) async fn take_effect(&self, deliveries: &[Delivery]) -> Result<(), Failure> {
        self.prepare(deliveries).await?;
        let mut transaction = self.begin().await?;
        let (fresh, held) = within(async {
            let fresh = self.marker.mark(&mut transaction, deliveries).await?;
            let keys: Vec<&str> =
                fresh_of(deliveries, &fresh).map(|one| one.key.as_str()).collect();
            let held = dead_letters::held_keys(&mut transaction, &self.config.name, &keys).await?;
            Ok::<_, sqlx::Error>((fresh, held))
        })
        .await
        .inspect_err(|error| {
            self.marker.lost_a_partition(error);
        })?;
        let (behind, now): (Vec<&Delivery>, Vec<&Delivery>) =
            fresh_of(deliveries, &fresh).partition(|one| held.contains(&one.key));
        if !behind.is_empty() {
            let behind: Vec<_> = behind.iter().map(|one| (*one, Cause::Behind)).collect();
            within(dead_letters::hold(&mut transaction, self.limit(), &behind)).await?;
        }
        let messages: Vec<&IncomingMessage> =
            now.iter().filter_map(|one| one.message.as_ref().ok()).collect();
        let count = messages.len();
        let processing = Processing::begin(&self.config, messages);
        let took = async {
            if count > 0 {
                self.handle(&mut transaction, &processing.messages()).await?;
            }
            Ok(within(transaction.commit()).await?)
        }
        .await;
        processing.end(&took);
        took?;
        self.reporter.done(deliveries, count, fresh.iter().filter(|&&new| !new).count());
        Ok(())
    }

    /// Holds `delivery`, unless it took effect or is held already.
    pub(super) async fn hold(&self, delivery: &Delivery, cause: Cause) -> Result<(), Failure> {
        let one = std::slice::from_ref(delivery);
        self.prepare(one).await?;
        let mut transaction = within(answer::begin(&self.pool, "BEGIN")).await?;
        let is_new = within(self.marker.mark(&mut transaction, one))
            .await
            .inspect_err(|error| {
                self.marker.lost_a_partition(error);
            })?
            .contains(&true);
        if !is_new {
            return Ok(());
        }
        let keys = [delivery.key.as_str()];
        let held = dead_letters::held_keys(&mut transaction, &self.config.name, &keys);
        let cause = if within(held).await?.is_empty() { cause } else { Cause::Behind };
        self.reporter.held(delivery, &cause);
        within(dead_letters::hold(&mut transaction, self.limit(), &[(delivery, cause)])).await?;
        within(transaction.commit()).await?;
        self.held.notify_one();
        Ok(())
    }

    /// Lets `letters` take effect; those that are not held any more have.
    pub(super) async fn redrive(&self, letters: &[Letter]) -> Result<(), Failure> {
        let read = |letter: &Letter| {
            IncomingMessage::parse(&self.config.namespace, &letter.message)
                .map_err(|error| Failure::Refused(chain(&error)))
        };
        let messages: Vec<IncomingMessage> = letters.iter().map(read).collect::<Result<_, _>>()?;
        let mut transaction = self.begin().await?;
        if !within(dead_letters::lock(&mut transaction, letters)).await? {
            return Ok(());
        }
        let processing = Processing::begin(&self.config, messages.iter().collect());
        let took = async {
            self.handle(&mut transaction, &processing.messages()).await?;
            within(dead_letters::settled(&mut transaction, letters)).await?;
            Ok(within(transaction.commit()).await?)
        }
        .await;
        processing.end(&took);
        took?;
        self.reporter.redriven(letters.len());
        Ok(())
    }

    /// A transaction for the handler. Statements of its that take too long are cancelled by the
    /// server: nobody else could end them, and they hold marks.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, Failure> {
        let limit_ms = self.config.handler_limit.as_millis();
        let begin = format!("BEGIN; SET LOCAL statement_timeout = {limit_ms}");
        Ok(within(answer::begin(&self.pool, AssertSqlSafe(begin))).await?)
    }

    async fn prepare(&self, deliveries: &[Delivery]) -> Result<(), Failure> {
        Ok(within(self.marker.prepare(&self.pool, deliveries)).await?)
    }

    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), Failure> {
        let limit = self.config.handler_limit;
        let handled = AssertUnwindSafe(self.handler.handle(transaction, messages)).catch_unwind();
        let handled = match tokio::time::timeout(limit + GRACE, handled).await {
            Err(_) => {
                return Err(Failure::Failed(format!(
                    "the handler took longer than {} s",
                    limit.as_secs_f64()
                )));
            }
            Ok(Err(panic)) => {
                return Err(Failure::Failed(format!("the handler panicked: {}", said(&*panic))));
            }
            Ok(Ok(handled)) => handled,
        };
        handled.map_err(|error| match error {
            HandlerError::Conflict => Failure::Conflict,
            HandlerError::Unavailable(_) => Failure::Unavailable(chain(&error)),
            HandlerError::Failed(_) => Failure::Failed(chain(&error)),
            HandlerError::Refused(_) => Failure::Refused(chain(&error)),
        })
    }

    fn limit(&self) -> Held<'_> {
        Held { consumer: &self.config.name, limit: self.config.held_limit }
    }
}

fn fresh_of<'a>(
    deliveries: &'a [Delivery],
    fresh: &'a [bool],
) -> impl Iterator<Item = &'a Delivery> {
    deliveries.iter().zip(fresh).filter_map(|(one, is_fresh)| is_fresh.then_some(one))
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
