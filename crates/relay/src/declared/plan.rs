//! What is declared against what the broker has.

use std::collections::HashMap;
use std::fmt;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::stream::Stream;
use futures_util::TryStreamExt as _;

use super::{Declared, Difference, consumer, stream};
use crate::broker::{BrokerError, find_stream};
use crate::consumer::catch_up_name;
use crate::verify::watch::READER;

/// Everything that is declared, and how it is; and what is there besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stream first, then the consumers.
    pub objects: Vec<Object>,
    /// Consumers of the stream that nobody declared: shown, and left alone.
    pub undeclared: Vec<Undeclared>,
}

/// Something that is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// How it is.
    pub standing: Standing,
}

/// What can be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The stream of the installation.
    Stream,
    /// A durable consumer of it.
    Consumer,
}

/// How something that is declared is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// As it is declared.
    AsDeclared,
    /// It is not there.
    Missing,
    /// Settings of it are not as they are declared.
    Differs(Vec<Difference>),
}

/// A consumer that nobody declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeclared {
    /// Its name.
    pub name: String,
    /// Whether it stays when nobody uses it.
    pub is_durable: bool,
    /// How many messages it has not got yet.
    pub pending: u64,
}

impl Plan {
    /// Whether something that is declared is missing or differs.
    #[must_use]
    pub fn has_drift(&self) -> bool {
        self.drift().next().is_some()
    }

    /// What is missing or differs.
    pub fn drift(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|object| object.standing != Standing::AsDeclared)
    }
}

impl Object {
    /// The differences that cannot be changed in place.
    pub(super) fn impossible(&self) -> impl Iterator<Item = (&Difference, &'static str)> {
        let differences = match &self.standing {
            Standing::Differs(differences) => differences.as_slice(),
            Standing::AsDeclared | Standing::Missing => &[],
        };
        differences.iter().filter_map(|difference| Some((difference, difference.obstacle?)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Consumer => "consumer",
        })
    }
}

/// What is to be done, a line each, and what cannot be done.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Object { kind, name, standing } in &self.objects {
            match standing {
                Standing::AsDeclared => writeln!(f, "= {kind} {name} is as declared")?,
                Standing::Missing => writeln!(f, "+ {kind} {name} is missing")?,
                Standing::Differs(differences) => {
                    writeln!(f, "~ {kind} {name} differs")?;
                    for difference in differences {
                        writeln!(f, "    {difference}")?;
                        if let Some(obstacle) = difference.obstacle {
                            writeln!(f, "    ! cannot be changed in place: {obstacle}")?;
                        }
                    }
                }
            }
        }
        for Undeclared { name, is_durable, pending } in &self.undeclared {
            let kind = if *is_durable { "durable" } else { "temporary" };
            writeln!(
                f,
                "? consumer {name} ({kind}, {pending} messages behind) is not declared here"
            )?;
        }
        Ok(())
    }
}

/// Asks the broker.
pub(super) async fn plan(context: &Context, declared: &Declared) -> Result<Plan, BrokerError> {
    let wanted = stream(&declared.publisher);
    let found = find_stream(context, &wanted.name).await?;
    let standing = match &found {
        None => Standing::Missing,
        Some(found) => compared(stream::differences(&found.cached_info().config, &wanted)),
    };
    let mut objects = vec![Object { kind: Kind::Stream, name: wanted.name, standing }];
    let mut there = match &found {
        None => HashMap::new(),
        Some(found) => consumers(found).await?,
    };
    // With this a relay reads what it has published.
    there.remove(READER);
    for config in &declared.consumers {
        // With this it reads what another copy had in hand.
        there.remove(&catch_up_name(&config.name));
        let standing = match there.remove(&config.name) {
            None => Standing::Missing,
            Some(info) => compared(consumer::differences(&info.config, &consumer(config))),
        };
        objects.push(Object { kind: Kind::Consumer, name: config.name.clone(), standing });
    }
    let undeclared = there.into_values().map(|info| Undeclared {
        is_durable: info.config.durable_name.is_some(),
        pending: info.num_pending,
        name: info.name,
    });
    let mut undeclared: Vec<_> = undeclared.collect();
    undeclared.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Plan { objects, undeclared })
}

/// The consumers of `stream`, by name.
pub(super) async fn consumers(stream: &Stream) -> Result<HashMap<String, Info>, BrokerError> {
    let infos = stream.consumers().map_ok(|info| (info.name.clone(), info));
    let infos: Result<_, _> = infos.try_collect().await;
    infos.map_err(|error| BrokerError::asked("list the consumers", error))
}

fn compared(differences: Vec<Difference>) -> Standing {
    if differences.is_empty() { Standing::AsDeclared } else { Standing::Differs(differences) }
}
