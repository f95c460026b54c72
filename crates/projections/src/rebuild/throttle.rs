//! Makes a read model no faster than others can bear.
//!
//! Where others are to be spared, only one lane works at a time, or the reader, and rests after each
//! batch: one core is busy with it at most. All the time a tiny query like those of live traffic is
//! timed. What it takes while a lane works is compared with what it takes while all rest, so that it is
//! not put down to the lanes when something else keeps the machine busy; they then rest for a larger
//! part of the time, or a smaller one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(4);

/// Looks from which one is concluded.
const LOOKS: usize = 64;

/// Nobody minds this, however little it is otherwise.
const NOTHING: Duration = Duration::from_micros(300);

/// The parts of the time that lanes work: at least, at first, at most.
const SHARES: (f64, f64, f64) = (0.25, 0.6, 0.95);

#[derive(Debug)]
pub(super) struct Throttle {
    /// How many times slower others may become while a lane works; nothing if nobody cares.
    slowdown: Option<f64>,
    /// Who has it works.
    turn: Semaphore,
    is_working: AtomicBool,
    /// The part of the time that lanes may work.
    share: Mutex<f64>,
}

impl Throttle {
    pub(super) fn new(slowdown: Option<f64>) -> Self {
        let (turn, is_working) = (Semaphore::new(1), AtomicBool::new(false));
        Self { slowdown, turn, is_working, share: Mutex::new(SHARES.1) }
    }

    /// Whether others are to be spared.
    pub(super) const fn is_sparing(&self) -> bool {
        self.slowdown.is_some()
    }

    /// Does `work` when others can bear it, and rests thereafter.
    pub(super) async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        if self.slowdown.is_none() {
            return work.await;
        }
        // Never closed.
        let turn = self.turn.acquire().await;
        let begun = Instant::now();
        self.is_working.store(true, Ordering::Relaxed);
        let done = work.await;
        self.is_working.store(false, Ordering::Relaxed);
        let share = *self.share.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = begun.elapsed().mul_f64(1.0 / share.max(SHARES.0) - 1.0);
        tokio::time::sleep(rest.min(Duration::from_secs(2))).await;
        drop(turn);
        done
    }

    /// Looks for ever how others fare, and adapts; waits for ever if nobody cares.
    pub(super) async fn adapt(&self, pool: &PgPool) {
        let Some(slowdown) = self.slowdown else { return std::future::pending().await };
        let (mut resting, mut working) = (VecDeque::new(), VecDeque::new());
        loop {
            tokio::time::sleep(EVERY).await;
            let was_working = self.is_working.load(Ordering::Relaxed);
            let begun = Instant::now();
            let look = sqlx::query_scalar!("SELECT max(epoch) FROM projections.slots");
            if look.fetch_one(pool).await.is_err() {
                continue;
            }
            let took = begun.elapsed();
            let is_working = was_working || self.is_working.load(Ordering::Relaxed);
            let looks = if is_working { &mut working } else { &mut resting };
            looks.push_back(took);
            if looks.len() > LOOKS {
                looks.pop_front();
            }
            if working.len() == LOOKS && resting.len() >= LOOKS / 4 {
                let bearable = slow_one(&resting).max(NOTHING).mul_f64(slowdown);
                self.adapt_to(slow_one(&working) <= bearable);
                working.clear();
            }
        }
    }

    fn adapt_to(&self, is_bearable: bool) {
        let mut share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
        *share = (*share * if is_bearable { 1.1 } else { 0.8 }).clamp(SHARES.0, SHARES.2);
    }
}

/// The one that nearly all others are faster than.
fn slow_one(looks: &VecDeque<Duration>) -> Duration {
    let mut looks: Vec<_> = looks.iter().copied().collect();
    looks.sort_unstable();
    looks.get(looks.len() * 95 / 100).copied().unwrap_or_default()
}
