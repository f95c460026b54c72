//! What is asked: any append, with numbers in place of what depends on the state.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use eventstore::{
    Append, Claim, CommandId, Condition, EventType, ExpectedVersion, Fingerprint, Metadata,
    NewEvent, Position, Query, QueryItem, StreamId, StreamVersion, Tag,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::ask::{Asked, Way};
use super::state::{NOT_JSON, State};
use crate::support::stream;

/// Sorted by bytes they stand in another order than in any language.
const STREAMS: [&str; 5] = ["b-1", "B-2", "ä-1", "b", "b_1"];
/// How many streams a crowd writes, so that many may share a batch.
const MANY: usize = 1_000;
const TYPES: [&str; 3] = ["test.joined", "test.left", "test.Ended"];
const TAGS: [&str; 4] = ["course:1", "Course:1", "student:ü", "student:1"];

/// One caller of a round.
#[derive(Debug, Clone)]
pub(super) struct Call {
    store: usize,
    wait: usize,
    way: Way,
    ops: Vec<Op>,
}

/// One append.
#[derive(Debug, Clone)]
struct Op {
    /// An earlier one instead, counted back from the last, with the same body or another.
    again: Option<(usize, bool)>,
    expectations: Vec<(usize, Expected)>,
    events: Vec<Event>,
    /// How far back from the end of the log, and the items: types and tags.
    conditions: Vec<(i64, Vec<Item>)>,
    /// Value and stream (of those expected).
    claims: Vec<(usize, usize)>,
    releases: Vec<(usize, usize)>,
    /// Values that go over from whoever holds them.
    moves: Vec<usize>,
    /// What an earlier one claims, counted back from the last, is given up.
    undone: Option<usize>,
    flaw: Option<Flaw>,
}

/// Stream (of those expected), type, its shape, tags, and whether the public is told.
type Event = (usize, usize, i16, Vec<usize>, bool);

type Item = (Option<Vec<usize>>, Vec<usize>);

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// So far from where it is.
    Off(i64),
    NoStream,
    Any,
    Exists,
}

#[derive(Debug, Clone, Copy)]
enum Flaw {
    NotJson,
    NamedTwice,
    EventElsewhere,
    ReleaseElsewhere,
}

pub(super) fn rounds() -> impl Strategy<Value = Vec<Vec<Call>>> {
    let alone = vec(call(STREAMS.len()), 1);
    let some = vec(call(STREAMS.len()), 2..14);
    // Most of them through one store, which then writes on two connections in turn.
    let crowd = vec(call(MANY), 110..128).prop_map(|mut calls| {
        for (number, call) in calls.iter_mut().enumerate() {
            call.wait = 0;
            call.store = usize::from(number % 16 == 15);
        }
        calls
    });
    vec(prop_oneof![12 => alone, 12 => some, 1 => crowd], 1..40)
}

fn call(streams: usize) -> impl Strategy<Value = Call> {
    let way = prop_oneof![
        5 => op(streams).prop_map(|op| (Way::Append, vec![op])),
        1 => (any::<bool>(), vec(op(streams), 1..4))
            .prop_map(|(commits, ops)| (Way::Transaction { commits }, ops)),
    ];
    let wait = prop_oneof![2 => Just(0), 1 => 0..14_usize];
    (prop_oneof![2 => Just(0), 1 => Just(1)], wait, way)
        .prop_map(|(store, wait, (way, ops))| Call { store, wait, way, ops })
}

fn op(streams: usize) -> impl Strategy<Value = Op> {
    // In a crowd one that must wait for others keeps many more from sharing its batch.
    let share = if streams == MANY { 0.04 } else { 0.2 };
    let expected = prop_oneof![
        8 => Just(Expected::Off(0)),
        1 => Just(Expected::Off(-1)),
        1 => Just(Expected::Off(1)),
        1 => Just(Expected::NoStream),
        4 => Just(Expected::Any),
        1 => Just(Expected::Exists),
    ];
    let expectations = vec((0..streams, expected), 0..4).prop_map(|mut expectations| {
        let mut named = BTreeSet::new();
        expectations.retain(|(stream, _)| named.insert(*stream));
        expectations
    });
    // So many shapes that some come only with what is refused.
    let event = (0..4_usize, 0..TYPES.len(), 1..60_i16, vec(0..TAGS.len(), 0..3), any::<bool>());
    let item = (prop::option::of(vec(0..TYPES.len(), 0..3)), vec(0..TAGS.len(), 0..3));
    let condition = (-2..8_i64, vec(item, 0..4));
    let claim = (0..3_usize, 0..4_usize);
    let flaw = prop_oneof![
        2 => Just(Flaw::NotJson),
        1 => Just(Flaw::NamedTwice),
        1 => Just(Flaw::EventElsewhere),
        1 => Just(Flaw::ReleaseElsewhere),
    ];
    (
        prop::option::weighted(0.1, (0..12_usize, any::<bool>())),
        expectations,
        vec(event, 0..5),
        some(share, vec(condition, 1..3)),
        some(share, vec(claim.clone(), 1..3)),
        some(share, vec(claim, 1..3)),
        some(share, vec(0..3_usize, 1..2)),
        prop::option::weighted(share / 2.0, 0..12_usize),
        prop::option::weighted(0.05, flaw),
    )
        .prop_map(
            |(again, expectations, events, conditions, claims, releases, moves, undone, flaw)| Op {
                again,
                expectations,
                events,
                conditions,
                claims,
                releases,
                moves,
                undone,
                flaw,
            },
        )
}

/// `things` in that `share` of all cases, else none.
fn some<T: Debug + Clone>(
    share: f64,
    things: impl Strategy<Value = Vec<T>>,
) -> impl Strategy<Value = Vec<T>> {
    prop::option::weighted(share, things).prop_map(Option::unwrap_or_default)
}

impl Call {
    /// What is asked if `state` is what the caller knows. `made` are the appends so far.
    pub(super) fn make(&self, state: &State, made: &mut Vec<Arc<Append>>) -> Asked {
        let appends = self.ops.iter().map(|op| op.make(state, made)).collect();
        Asked { store: self.store, wait: self.wait, way: self.way, appends }
    }
}

impl Op {
    fn make(&self, state: &State, made: &mut Vec<Arc<Append>>) -> Arc<Append> {
        if let Some((back, is_same)) = self.again
            && let Some(earlier) = made.iter().rev().nth(back)
        {
            let mut again = (**earlier).clone();
            if !is_same {
                again.fingerprint = Fingerprint::of(b"another body");
            }
            return Arc::new(again);
        }
        let mut append = empty(made.len());
        for (number, expected) in &self.expectations {
            let stream = numbered(*number);
            let version = state.version(&stream).get();
            let expected = match expected {
                Expected::Off(off) => ExpectedVersion::Exact(StreamVersion::new(version + off)),
                Expected::NoStream => ExpectedVersion::NO_STREAM,
                Expected::Any => ExpectedVersion::Any,
                Expected::Exists => ExpectedVersion::Exists,
            };
            append.expectations.push((stream, expected));
        }
        append.conditions = self.conditions.iter().map(|given| condition(state, given)).collect();
        let named: Vec<_> = append.expectations.iter().map(|(stream, _)| stream.clone()).collect();
        if !named.is_empty() {
            let of = |number: usize| named[number % named.len()].clone();
            let events = self.events.iter().enumerate();
            append.events = events.map(|(index, given)| event(index, of, given)).collect();
            append.claims = self.claims.iter().map(|(of_a, to)| value(*of_a, of(*to))).collect();
            append.releases =
                self.releases.iter().map(|(of_a, to)| value(*of_a, of(*to))).collect();
            for number in &self.moves {
                hand_over(&mut append, state, value(*number, of(0)));
            }
            if let Some(flaw) = self.flaw {
                spoil(&mut append, flaw, of(0));
            }
        }
        let earlier = self.undone.and_then(|back| made.iter().rev().nth(back));
        if let Some(claim) = earlier.and_then(|earlier| earlier.claims.first()) {
            give_up(&mut append, claim.clone());
        }
        let append = Arc::new(append);
        made.push(Arc::clone(&append));
        append
    }
}

fn numbered(number: usize) -> StreamId {
    stream(&STREAMS.get(number).map_or_else(|| format!("one-{number}"), ToString::to_string))
}

/// The command `number`, which does nothing yet.
fn empty(number: usize) -> Append {
    let id = Uuid::from_u128(1 + u128::try_from(number).unwrap());
    let metadata = Metadata {
        actor: format!("actor-{}", number % 3),
        tenant: number.is_multiple_of(5).then_some(id),
        correlation_id: Uuid::from_u128(u128::MAX - id.as_u128()),
        causation_id: number.is_multiple_of(2).then_some(id),
        trace: number.is_multiple_of(3).then(|| format!("00-{number}")),
    };
    Append::new(CommandId::new(id), Fingerprint::of(id.as_bytes()), metadata)
}

fn event(
    index: usize,
    of: impl Fn(usize) -> StreamId,
    (stream, of_type, schema_version, tags, is_public): &Event,
) -> NewEvent {
    let name = TYPES[*of_type];
    let payload = format!(r#"{{ "kept":  "byte\u0020for byte",  "index" :{index}}}"#);
    NewEvent {
        tags: tags.iter().map(|tag| Tag::new(TAGS[*tag]).unwrap()).collect(),
        subject: is_public.then(|| format!("{name}.v{schema_version}")),
        ..NewEvent::new(of(*stream), EventType::new(name, *schema_version), payload)
    }
}

fn condition(state: &State, (back, items): &(i64, Vec<Item>)) -> Condition {
    let item = |(types, tags): &Item| {
        let item = QueryItem::tagged(tags.iter().map(|tag| Tag::new(TAGS[*tag]).unwrap()));
        match types {
            Some(types) => item.of_types(types.iter().map(|of_type| TYPES[*of_type])),
            None => item,
        }
    };
    let query = items.iter().map(item).fold(Query::nothing(), Query::or);
    let after = Position::new((state.head().get() - back).max(0));
    Condition { after, query }
}

fn value(number: usize, stream: StreamId) -> Claim {
    let namespace = ["test.name", "test.Name"][number % 2];
    Claim::new(namespace, ["x", "ü"][number / 2], stream)
}

/// Adds that `claim` goes over to its stream, from whoever holds it.
fn hand_over(append: &mut Append, state: &State, claim: Claim) {
    let key = (claim.namespace.clone(), claim.value.clone());
    if let Some(holder) = state.claims.get(&key) {
        give_up(append, Claim { stream: holder.clone(), ..claim.clone() });
    }
    append.claims.push(claim);
}

fn give_up(append: &mut Append, claim: Claim) {
    if !append.expectations.iter().any(|(stream, _)| *stream == claim.stream) {
        append.expectations.push((claim.stream.clone(), ExpectedVersion::Any));
    }
    append.releases.push(claim);
}

fn spoil(append: &mut Append, flaw: Flaw, named: StreamId) {
    let of_type = EventType::new(TYPES[0], 1);
    match flaw {
        Flaw::NotJson => append.events.push(NewEvent::new(named, of_type, NOT_JSON)),
        Flaw::NamedTwice => append.expectations.push((named, ExpectedVersion::Any)),
        Flaw::EventElsewhere => {
            append.events.push(NewEvent::new(stream("elsewhere"), of_type, "{}"));
        }
        Flaw::ReleaseElsewhere => append.releases.push(value(0, stream("elsewhere"))),
    }
}
