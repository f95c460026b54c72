//! Whether there is an order of what was asked at once that explains every answer.
//!
//! What is looked for is a sequence of the calls that took effect in which each gets exactly its
//! answers from the model, after those that took effect before it. Everything else (refusals,
//! repetitions, transactions that were given up) changes nothing, so its answers must be the
//! model's at some place of that sequence: a conflict names the version that the stream had there.
//! Nobody's place may be before that of someone who was answered before they asked. That is
//! linearizability, and it is what a caller can see: less would allow an answer from the past, and
//! more (the order in which they asked) was never promised.

use std::collections::HashMap;

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
    let mut search = Search { calls, effective, before, after, claims, tried: HashMap::new() };
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
    /// What was tried in vain: who had taken effect, in which order as far as it matters, which is
    /// to the claims; and who was explained.
    tried: HashMap<(u128, Claims), Vec<u128>>,
}

impl Search<'_> {
    /// Goes on from `state`, to which those of `taken` have led; `explained` are of no effect.
    fn go(&mut self, state: State, taken: u128, mut explained: u128) -> Option<State> {
        for (index, call) in self.calls.iter().enumerate() {
            let bit = 1 << index;
            if (taken | explained) & bit == 0 && call.is_past(&state) {
                return None;
            }
            if (self.effective | explained) & bit == 0 {
                if self.after[index] & taken != 0 {
                    return None;
                }
                let is_time = self.before[index] & !taken == 0;
                if is_time && call.next_state(&state).is_some() {
                    explained |= bit;
                }
            }
        }
        if taken == self.effective {
            let is_all = (taken | explained).count_ones() as usize == self.calls.len();
            return (is_all && state.claims == *self.claims).then_some(state);
        }
        let tried = self.tried.entry((taken, state.claims.clone())).or_default();
        if tried.iter().any(|more| explained & !more == 0) {
            return None;
        }
        tried.push(explained);
        let is_next = |&index: &usize| {
            self.effective & !taken & 1 << index != 0
                && self.before[index] & !taken == 0
                && self.calls[index].next_state(&state).is_some()
        };
        let mut next: Vec<_> = (0..self.calls.len()).filter(is_next).collect();
        let comes_first = |&index: &usize| self.may_as_well_come_first(index, taken | explained);
        if let Some(first) = next.iter().copied().find(comes_first) {
            next = vec![first];
        }
        next.into_iter().find_map(|index| {
            let next = self.calls[index].next_state(&state)?.into_owned();
            self.go(next, taken | 1 << index, explained)
        })
    }

    /// Whether nobody could tell if the call came somewhat later: it leaves nothing but its record,
    /// and of those who are still to come nobody was answered before it asked, or as if there were
    /// no record. To try that, too, would take for ever with many such calls.
    fn may_as_well_come_first(&self, index: usize, done: u128) -> bool {
        let call = &self.calls[index];
        let mut others = self
            .calls
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index && done & 1 << other == 0);
        call.is_silent()
            && others.all(|(other, asked)| {
                self.after[other] & 1 << index == 0 && !asked.does_not_know(call)
            })
    }
}
