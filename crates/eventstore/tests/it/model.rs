//! The store and a `Vec` agree on any run of appends.

use std::collections::HashMap;

use eventstore::{AppendError, Claim, EventStore, ExpectedVersion};
use proptest::prelude::*;

use crate::support::{all, append, assert_gapless, event, exactly, log, stream, to};

#[derive(Debug, Clone)]
struct Step {
    /// Per stream named: which, what is expected, how many events.
    writes: Vec<(u8, Expected, usize)>,
    claim: Option<u8>,
    /// Give an earlier command again instead.
    repeat: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Current,
    Stale,
    Any,
    Exists,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expected = prop_oneof![
        6 => Just(Expected::Current),
        1 => Just(Expected::Stale),
        2 => Just(Expected::Any),
        1 => Just(Expected::Exists),
    ];
    let writes =
        prop::collection::vec((0..4_u8, expected, 0..3_usize), 1..4).prop_map(|mut writes| {
            writes.sort_by_key(|(number, _, _)| *number);
            writes.dedup_by_key(|(number, _, _)| *number);
            writes
        });
    let repeat = prop_oneof![5 => Just(None), 1 => (0..20_usize).prop_map(Some)];
    let claim = prop_oneof![3 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    let step =
        (writes, claim, repeat).prop_map(|(writes, claim, repeat)| Step { writes, claim, repeat });
    prop::collection::vec(step, 1..25)
}

/// What the store should be: the streams of the log's events, in order.
#[derive(Default)]
struct Model {
    log: Vec<String>,
    claims: HashMap<u8, String>,
}

impl Model {
    fn version(&self, name: &str) -> i64 {
        i64::try_from(self.log.iter().filter(|stream| *stream == name).count()).unwrap()
    }
}

async fn run(store: &EventStore, steps: Vec<Step>) {
    let mut model = Model::default();
    let mut accepted = Vec::new();
    for step in steps {
        if let Some((command, receipt)) =
            step.repeat.and_then(|number| accepted.get(number).cloned())
        {
            let command: eventstore::Append = command;
            let again = append(store, command).await.unwrap();
            assert_eq!(again, eventstore::Receipt { repeated: true, ..receipt });
            continue;
        }
        let mut command = to("unused", ExpectedVersion::Any, 0);
        command.expectations.clear();
        let (mut conflict, mut written) = (false, Vec::new());
        for (number, expected, count) in &step.writes {
            let name = format!("stream-{number}");
            let version = model.version(&name);
            let expected = match expected {
                Expected::Current => exactly(version),
                Expected::Stale => exactly(version + 1),
                Expected::Any => ExpectedVersion::Any,
                Expected::Exists => ExpectedVersion::Exists,
            };
            conflict |= match expected {
                ExpectedVersion::Exact(wanted) => wanted.get() != version,
                ExpectedVersion::Exists => version == 0,
                ExpectedVersion::Any => false,
            };
            command.expectations.push((stream(&name), expected));
            for _ in 0..*count {
                command.events.push(event(&name));
                written.push(name.clone());
            }
        }
        let holder = format!("stream-{}", step.writes[0].0);
        let mut taken = false;
        if let Some(value) = step.claim {
            taken = model.claims.get(&value).is_some_and(|held| *held != holder);
            command.claims.push(Claim::new("test", value.to_string(), stream(&holder)));
        }
        match append(store, command.clone()).await {
            Ok(receipt) => {
                assert!(!conflict && !taken);
                model.log.extend(written);
                if let Some(value) = step.claim {
                    model.claims.insert(value, holder);
                }
                assert_eq!(receipt.position.get(), i64::try_from(model.log.len()).unwrap());
                for (name, version) in &receipt.streams {
                    assert_eq!(version.get(), model.version(name.as_str()));
                }
                accepted.push((command, receipt));
            }
            Err(AppendError::Conflict { .. }) => assert!(conflict),
            Err(AppendError::ClaimTaken { .. }) => assert!(taken && !conflict),
            Err(error) => panic!("{error:?}"),
        }
    }
    let events = all(store).await;
    assert_gapless(&events);
    let streams: Vec<_> = events.iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams, model.log);
}

#[test]
fn the_store_and_a_vec_agree_on_any_run_of_appends() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = ProptestConfig { cases: 24, ..ProptestConfig::default() };
    proptest!(cases, |(steps in steps())| {
        runtime.block_on(async {
            let (_database, store) = log().await;
            run(&store, steps).await;
        });
    });
}
