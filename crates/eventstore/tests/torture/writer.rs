//! A process that appends at random, and says what it asked for and what it was told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use eventstore::{
    Append, AppendError, Claim, CommandId, Condition, EventStore, EventType, ExpectedVersion,
    Fingerprint, Metadata, NewEvent, Query, QueryItem, StreamId, Tag,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const STREAMS: u32 = 40;

/// One line of what a writer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Before it asks.
    Asking { command: Uuid, events: usize },
    /// It was told that the command took effect.
    Acknowledged { command: Uuid, position: i64 },
    /// It was told that nothing was written.
    Refused { command: Uuid },
}

/// A process, and what it has said.
pub(crate) struct Process {
    child: Child,
    writers: usize,
    listening: Option<JoinHandle<Vec<Said>>>,
    before: Vec<Said>,
}

impl Process {
    pub(crate) fn start(url: &str, writers: usize, seed: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["writer", url, &writers.to_string(), &seed.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a writer");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let listening = std::thread::spawn(move || {
            // The last line of a killed process may be torn: it said nothing with it.
            let lines = output.lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
        });
        Self { child, writers, listening: Some(listening), before: Vec::new() }
    }

    /// Kills it in the middle of whatever it does, and begins another one.
    pub(crate) fn kill_and_start_again(&mut self, url: &str, seed: u64) {
        let started = Self::start(url, self.writers, seed);
        let killed = std::mem::replace(self, started);
        self.before = killed.kill();
    }

    /// Kills it; answers with all it ever said.
    pub(crate) fn kill(mut self) -> Vec<Said> {
        self.child.kill().expect("it was ours");
        self.child.wait().expect("it was ours");
        let said = self.listening.take().map(|listening| listening.join().expect("a listener"));
        self.before.extend(said.unwrap_or_default());
        std::mem::take(&mut self.before)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child does, until it is killed.
pub(crate) async fn run(url: &str, writers: usize, seed: u64) {
    let store = Arc::new(super::open(url).await);
    let writers = (0..writers).map(|writer| {
        let store = Arc::clone(&store);
        let random = StdRng::seed_from_u64(seed ^ u64::try_from(writer).expect("a small number"));
        tokio::spawn(async move { write(&store, random).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer does not end");
    }
}

async fn write(store: &EventStore, mut random: StdRng) {
    loop {
        let append = any_append(&mut random);
        let command = append.command_id.get();
        say(&Said::Asking { command, events: append.events.len() });
        // Given again until it is known what became of it, as a client would.
        loop {
            match store.append(append.clone()).await {
                Ok(receipt) => {
                    let position = receipt.position.get();
                    say(&Said::Acknowledged { command, position });
                }
                Err(AppendError::Unconfirmed { .. } | AppendError::Unavailable { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
                Err(
                    AppendError::Conflict { .. }
                    | AppendError::ConditionFailed { .. }
                    | AppendError::ClaimTaken { .. },
                ) => say(&Said::Refused { command }),
                // A server that starts up says so.
                Err(AppendError::Refused { source }) if source.to_string().contains("recovery") => {
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            }
            break;
        }
    }
}

fn any_append(random: &mut StdRng) -> Append {
    let command = Uuid::from_u128(random.random());
    let metadata = Metadata {
        actor: "torture".to_owned(),
        tenant: None,
        correlation_id: command,
        causation_id: None,
        trace: None,
    };
    let mut append =
        Append::new(CommandId::new(command), Fingerprint::of(command.as_bytes()), metadata);
    let first = random.random_range(0..STREAMS);
    for number in 0..random.random_range(1..4) {
        let stream = StreamId::new(format!("s-{}", (first + number) % STREAMS)).expect("a name");
        let expected = match random.random_range(0..6) {
            0 => ExpectedVersion::Exists,
            1 => ExpectedVersion::NO_STREAM,
            _ => ExpectedVersion::Any,
        };
        append.expectations.push((stream.clone(), expected));
        for _ in 0..random.random_range(0..4) {
            let tag = Tag::new(format!("t:{}", random.random_range(0..5))).expect("a name");
            let event_type = EventType::new("test.happened", 1);
            append.events.push(NewEvent {
                tags: if random.random_ratio(1, 3) { vec![tag] } else { vec![] },
                subject: random.random_ratio(1, 2).then(|| "test.happened.v1".to_owned()),
                ..NewEvent::new(stream.clone(), event_type, r#"{"a":1}"#)
            });
        }
    }
    let stream = append.expectations[0].0.clone();
    let value = random.random_range(0..50).to_string();
    let claim = Claim::new("test", value, stream);
    match random.random_range(0..6) {
        0 => append.claims.push(claim),
        1 => append.releases.push(claim),
        2 => append.conditions.push(Condition {
            after: eventstore::Position::START,
            query: Query::nothing().or(QueryItem::default().of_types(["test.never"])),
        }),
        _ => {}
    }
    append
}

#[expect(clippy::print_stdout, reason = "it is heard by the process that kills it")]
fn say(said: &Said) {
    println!("{}", serde_json::to_string(said).expect("plain data"));
    let _ = std::io::stdout().flush();
}
