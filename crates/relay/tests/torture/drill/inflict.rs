//! How each fault is inflicted, and undone.

use std::ops::Range;
use std::time::Duration;

use eventstore::cursor::LEASE;
use rand::RngExt;
use testkit::{Line, Program};
use tokio::time::{Instant, sleep};

use super::{Drill, POLL, STANDSTILL};
use crate::faults::Fault;

impl Drill {
    pub(super) async fn inflict(&mut self, fault: Fault) {
        self.bag.count(fault);
        self.note(&format!("{fault:?}"));
        match fault {
            Fault::KillRelay => {
                self.backlog().await;
                let killed = self.random.random_range(0..2);
                self.relays[killed].kill9();
                self.pause(0..300).await;
                self.relays[killed].restart().unwrap();
            }
            Fault::KillConsumers => {
                let killed = self.random.random_range(0..2);
                self.consumers[killed].kill9();
                self.pause(0..300).await;
                self.consumers[killed].restart().unwrap();
            }
            Fault::KillBroker => {
                let killed = self.some_node().await;
                self.broker.node(killed).kill9();
                self.pause(0..300).await;
                self.broker.node(killed).restart().expect("the server comes back");
            }
            Fault::KillDatabase => {
                self.postgres.kill9();
                self.pause(0..300).await;
                self.postgres.restart().expect("the server comes back");
            }
            Fault::FreezeRelay => {
                let frozen = self.random.random_range(0..2);
                self.relays[frozen].pause();
                self.meanwhile().await;
                self.relays[frozen].resume();
            }
            Fault::FreezeConsumers => {
                let frozen = self.random.random_range(0..2);
                self.consumers[frozen].pause();
                self.meanwhile().await;
                self.consumers[frozen].resume();
            }
            Fault::FreezeBroker => {
                let frozen = self.some_node().await;
                self.broker.node(frozen).pause();
                // Of three, the others elect another leader within some seconds.
                self.pause(100..if self.broker.len() > 1 { 8_000 } else { 1_000 }).await;
                self.broker.node(frozen).resume();
            }
            Fault::FreezeDatabase => {
                self.postgres.pause();
                self.pause(100..1_000).await;
                self.postgres.resume();
            }
            Fault::FreezeLeader => self.freeze_leader().await,
            Fault::FreezeOwner => {
                let frozen = self.random.random_range(0..2);
                self.consumers[frozen].pause();
                sleep(LEASE + Duration::from_millis(700)).await;
                self.consumers[frozen].resume();
            }
            Fault::CutLines => self.broker.lines().iter().for_each(Line::cut),
            Fault::LateLines => {
                self.backlog().await;
                let delay = Duration::from_millis(self.random.random_range(200..3_000));
                self.broker.lines().iter().for_each(|line| line.cut_and_deliver_late(delay));
            }
            Fault::SlowLines => {
                let delay = Duration::from_millis(self.random.random_range(5..150));
                self.broker.lines().iter().for_each(|line| line.delay(delay));
                self.pause(300..1_500).await;
                self.broker.lines().iter().for_each(|line| line.delay(Duration::ZERO));
            }
            Fault::SilentLines => self.broker.lines().iter().for_each(Line::fall_silent),
        }
    }

    /// Lets no relay publish until there is a backlog, and then for a moment: so something is on its
    /// way when this ends.
    async fn backlog(&mut self) {
        self.relays.iter().for_each(Program::pause);
        // Less than a lease, so that the leader is the same.
        self.pause(300..900).await;
        self.relays.iter().for_each(Program::resume);
        self.pause(0..40).await;
    }

    /// One of the broker's servers; of three, every other time, the one that leads the stream.
    async fn some_node(&mut self) -> usize {
        let any = self.random.random_range(0..self.broker.len());
        if self.broker.len() == 1 || self.random.random_ratio(1, 2) {
            return any;
        }
        let stream = self.stream().await.ok();
        let leader =
            stream.and_then(|stream| stream.cached_info().cluster.as_ref()?.leader.clone());
        leader.and_then(|leader| self.broker.number(&leader)).unwrap_or(any)
    }

    /// Some time in which a process is frozen and, perhaps, something else happens.
    async fn meanwhile(&mut self) {
        self.pause(50..500).await;
        match self.random.random_range(0..6) {
            0 => Box::pin(self.inflict(Fault::KillBroker)).await,
            1 => Box::pin(self.inflict(Fault::KillDatabase)).await,
            2 => Box::pin(self.inflict(Fault::CutLines)).await,
            _ => {}
        }
        self.pause(50..500).await;
    }

    /// Freezes the relay that leads until the other one leads and publishes, and some time more.
    async fn freeze_leader(&mut self) {
        let epoch = |relay: &Program| {
            let said = relay.said();
            let leads = said.lines().last()?.strip_prefix("leads ")?;
            leads.split(' ').next()?.parse::<i64>().ok()
        };
        let leader = testkit::eventually(STANDSTILL, "a relay that leads", async || {
            let leader = (0..2).max_by_key(|&relay| epoch(&self.relays[relay]));
            leader.filter(|&relay| epoch(&self.relays[relay]).is_some()).ok_or("none")
        })
        .await;
        let before = epoch(&self.relays[leader]);
        self.backlog().await;
        self.relays[leader].pause();
        let frozen = Instant::now();
        while epoch(&self.relays[1 - leader]) <= before {
            if frozen.elapsed() > STANDSTILL {
                self.fail("no relay goes on when the leading one is frozen").await;
            }
            sleep(POLL).await;
        }
        self.pause(0..1_000).await;
        self.relays[leader].resume();
    }

    async fn pause(&mut self, range_ms: Range<u64>) {
        let pause = Duration::from_millis(self.random.random_range(range_ms));
        sleep(pause).await;
    }
}
