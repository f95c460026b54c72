//! What goes wrong, in an order that the seed decides.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillRelay,
    KillConsumers,
    KillBroker,
    KillDatabase,
    FreezeRelay,
    FreezeConsumers,
    FreezeBroker,
    FreezeDatabase,
    /// Until another relay leads and publishes.
    FreezeLeader,
    /// Until another copy works.
    FreezeOwner,
    CutLines,
    /// What was on its way arrives later, when there are other connections.
    LateLines,
    SlowLines,
    /// Nothing arrives, and nobody is told.
    SilentLines,
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::KillRelay,
        Self::KillConsumers,
        Self::KillBroker,
        Self::KillDatabase,
        Self::FreezeRelay,
        Self::FreezeConsumers,
        Self::FreezeBroker,
        Self::FreezeDatabase,
        Self::FreezeLeader,
        Self::FreezeOwner,
        Self::CutLines,
        Self::LateLines,
        Self::SlowLines,
        Self::SilentLines,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::KillRelay => "relay killed",
            Self::KillConsumers => "consumers killed",
            Self::KillBroker => "broker killed",
            Self::KillDatabase => "PostgreSQL killed",
            Self::FreezeRelay => "relay frozen",
            Self::FreezeConsumers => "consumers frozen",
            Self::FreezeBroker => "broker frozen",
            Self::FreezeDatabase => "PostgreSQL frozen",
            Self::FreezeLeader => "leading relay frozen past its lease",
            Self::FreezeOwner => "working consumers frozen past their lease",
            Self::CutLines => "lines cut",
            Self::LateLines => "lines cut and late",
            Self::SlowLines => "lines slow",
            Self::SilentLines => "lines silent",
        }
    }
}

/// Draws faults, each as often as the others, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Bag {
    left: Vec<Fault>,
    drawn: BTreeMap<Fault, u32>,
}

impl Bag {
    pub(crate) fn draw(&mut self, random: &mut StdRng) -> Fault {
        if self.left.is_empty() {
            self.left = Fault::ALL.to_vec();
            self.left.shuffle(random);
        }
        self.left.pop().expect("it was filled")
    }

    pub(crate) fn count(&mut self, fault: Fault) {
        *self.drawn.entry(fault).or_default() += 1;
    }

    /// How many there were, in all and of each kind.
    pub(crate) fn told(&self) -> String {
        let all: u32 = self.drawn.values().sum();
        let each = self.drawn.iter().map(|(fault, times)| format!("{times} {}", fault.name()));
        format!("{all} faults ({})", each.collect::<Vec<_>>().join(", "))
    }
}
