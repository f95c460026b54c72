//! Whether there is an order of what was asked at once that explains every answer.
//!
//! What is looked for is a sequence of the calls that took effect in which each gets exactly its
//! answers from the model, after those that took effect before it. Everything else (refusals,
//! repetitions, transactions that were given up) changes nothing, so its answers must be the
//! model's at some place of that sequence: a conflict names the version that the stream had there.
//! Nobody's place may be before that of someone who was answered before they asked. That is
//! linearizability, and it is what a caller can see: less would allow an answer from the past, and
//! more (the order in which they asked) was never promised.

use std::collections::HashSet;

use super::ask::Answered;
use super::state::{Claims, State};

/// The state after all of `calls`, which leaves `claims` held; `None` if no order explains it.
pub(super) fn find(state: &State, calls: &[Answered], claims: &Claims) -> Option<State> {
    assert!(calls.len() <= 128, "one bit for each");
    let effective = mask(calls, Answered::has_effect);
    let before: Vec<_> = calls
        .iter()
        .map(|call| effective & mask(calls, |other| other.told_at < call.asked_at))
        .collect();
    let after: Vec<_> = calls
        .iter()
        .map(|call| effective & mask(calls, |other| other.asked_at > call.told_at))
        .collect();
    let mut search = Search { calls, effective, before, after, claims, seen: HashSet::new() };
    search.go(state.clone(), 0, 0)
}

fn mask(calls: &[Answered], is_in: impl Fn(&Answered) -> bool) -> u128 {
    (0..).zip(calls).filter(|(_, call)| is_in(call)).fold(0, |mask, (bit, _)| mask | 1 << bit)
}

struct Search<'a> {
    calls: &'a [Answered],
    effective: u128,
    /// Who took effect and was answered before each asked.
    before: Vec<u128>,
    /// Who took effect and asked after each was answered.
    after: Vec<u128>,
    claims: &'a Claims,
    /// What was tried in vain: who had taken effect and who was explained, and the claims, on whose
    /// order nothing else depends.
    seen: HashSet<(u128, u128, Claims)>,
}

impl Search<'_> {
    /// Goes on from `state`, to which those of `taken` have led; `explained` are of no effect.
    fn go(&mut self, state: State, taken: u128, mut explained: u128) -> Option<State> {
        for (index, call) in self.calls.iter().enumerate() {
            let bit = 1 << index;
            let is_open = (self.effective | explained) & bit == 0;
            let is_time = self.before[index] & !taken == 0 && self.after[index] & taken == 0;
            if is_open && is_time && call.next_state(&state).is_some() {
                explained |= bit;
            }
        }
        if taken == self.effective {
            let is_all = (taken | explained).count_ones() as usize == self.calls.len();
            return (is_all && state.claims == *self.claims).then_some(state);
        }
        if !self.seen.insert((taken, explained, state.claims.clone())) {
            return None;
        }
        for (index, call) in self.calls.iter().enumerate() {
            let bit = 1 << index;
            let is_time = self.before[index] & !taken == 0;
            if self.effective & !taken & bit != 0
                && is_time
                && let Some(next) = call.next_state(&state)
            {
                let last = self.go(next.into_owned(), taken | bit, explained);
                if last.is_some() || self.may_as_well_come_first(index, explained) {
                    return last;
                }
            }
        }
        None
    }

    /// Whether nobody could tell if the call came somewhat later: it leaves nothing but its record,
    /// for which nobody asks who is not explained yet, and nobody was answered before it asked. To
    /// try that, too, would take for ever with many such calls.
    fn may_as_well_come_first(&self, index: usize, explained: u128) -> bool {
        let call = &self.calls[index];
        let is_silent = call.appends.iter().all(|append| {
            append.events.is_empty() && append.claims.is_empty() && append.releases.is_empty()
        });
        let open = self
            .calls
            .iter()
            .enumerate()
            .filter(|(other, _)| (self.effective | explained) & 1 << other == 0);
        let mut others = open.map(|(other, call)| (self.after[other], call));
        is_silent
            && others
                .all(|(after, other)| after & 1 << index == 0 && !other.shares_command_with(call))
    }
}
