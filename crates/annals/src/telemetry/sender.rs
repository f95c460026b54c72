//! Sends spans to the collector, some at a time.
//!
//! While the collector is away one batch is tried again and again with growing pauses, and what ends
//! meanwhile waits in the queue until that is full. The log says once that there is trouble, and once
//! that it is over; how many spans it cost is counted.
//!
//! At the end of the process each batch is tried once, and nothing more after the first that fails.

use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::collector::{Client, Failure};
use super::metrics::{Dropped, SpanMetrics};

/// Most spans that are sent at once.
const MOST: usize = 512;

/// How long others are waited for that could be sent with the first.
const GATHER: Duration = Duration::from_millis(500);

/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Takes spans out of the queue and sends them.
pub(super) struct Sender {
    client: Client,
    spans: Receiver<SpanData>,
    metrics: SpanMetrics,
    is_in_trouble: bool,
    /// How many spans are out of the queue and not sent.
    in_hand: usize,
}

/// The end of the process has come, and no more can be sent.
struct Over;

impl Sender {
    pub(super) fn new(client: Client, spans: Receiver<SpanData>, metrics: SpanMetrics) -> Self {
        Self { client, spans, metrics, is_in_trouble: false, in_hand: 0 }
    }

    /// Sends until `stop`, then what is left, at most for `flush`.
    pub(super) async fn run(mut self, stop: CancellationToken, flush: Duration) {
        let sending = async {
            while let Some(batch) = self.next(&stop).await {
                self.in_hand = batch.len();
                if self.deliver(batch, &stop).await.is_err() {
                    return;
                }
                self.in_hand = 0;
            }
        };
        let overdue = async {
            stop.cancelled().await;
            sleep_until(Instant::now() + flush).await;
        };
        tokio::select! {
            () = sending => {}
            () = overdue => {
                tracing::warn!("the collector of traces did not take the last spans in time");
            }
        }
        self.spans.close();
        self.metrics.drop(Dropped::Unsent, self.in_hand + self.spans.len());
    }

    /// The next spans; `None` if it is to stop and there are none.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Vec<SpanData>> {
        let mut batch = Vec::with_capacity(MOST);
        let first = self.spans.recv_many(&mut batch, MOST);
        if stop.run_until_cancelled(first).await.is_some() {
            let gather = async {
                while batch.len() < MOST {
                    let room = MOST - batch.len();
                    self.spans.recv_many(&mut batch, room).await;
                }
            };
            let _ = timeout(GATHER, stop.run_until_cancelled(gather)).await;
        } else {
            while batch.len() < MOST
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Sends `batch` until it is taken or refused.
    async fn deliver(
        &mut self,
        batch: Vec<SpanData>,
        stop: &CancellationToken,
    ) -> Result<(), Over> {
        let spans = batch.len();
        let body = self.client.body(batch);
        let (mut pause, longest) = PAUSES;
        loop {
            match self.client.send(body.clone()).await {
                Ok(refused) => {
                    let refused = usize::try_from(refused).unwrap_or(spans).min(spans);
                    self.metrics.sent.inc_by((spans - refused) as u64);
                    self.metrics.drop(Dropped::Refused, refused);
                    self.recovered();
                    return Ok(());
                }
                Err(Failure::Refused(error)) => {
                    self.metrics.drop(Dropped::Refused, spans);
                    self.trouble(&error);
                    return Ok(());
                }
                Err(Failure::NotNow(error)) => self.trouble(&error),
            }
            if stop.is_cancelled() {
                return Err(Over);
            }
            // Told to stop while it waits, it tries once more.
            stop.run_until_cancelled(sleep(pause)).await;
            pause = (2 * pause).min(longest);
        }
    }

    fn trouble(&mut self, error: &str) {
        if !self.is_in_trouble {
            tracing::warn!(error, "traces do not reach the collector; everything else goes on");
        }
        self.is_in_trouble = true;
    }

    fn recovered(&mut self) {
        if self.is_in_trouble {
            tracing::info!("traces reach the collector again");
        }
        self.is_in_trouble = false;
    }
}
