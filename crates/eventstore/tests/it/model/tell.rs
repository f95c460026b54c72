//! What somebody needs to read when the store and the model do not agree, a line for each thing.

use std::fmt;

use eventstore::Append;

use super::ask::Answered;
use super::state::State;

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, asked at {}, told at {}:", self.way, self.asked_at, self.told_at)?;
        for (append, answer) in self.appends.iter().zip(&self.answers) {
            tell(f, append)?;
            writeln!(f, "    => {answer:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, logged) in (1..).zip(&self.log) {
            let (event, version) = (logged.event(), logged.version);
            let (of_type, tags) = (&event.event_type, &event.tags);
            writeln!(f, "  {position}: {} at {version}, {of_type}, {tags:?}", event.stream)?;
        }
        writeln!(f, "  held: {:?}", self.claims)?;
        let commands = self.commands.values().map(|kept| &kept.receipt);
        writeln!(f, "  known: {:?}", commands.collect::<Vec<_>>())
    }
}

fn tell(f: &mut fmt::Formatter<'_>, append: &Append) -> fmt::Result {
    writeln!(f, "  {} with body {:x?}", append.command_id, &append.fingerprint.as_bytes()[..4])?;
    writeln!(f, "    expects {:?}", append.expectations)?;
    for event in &append.events {
        let text = if event.payload.len() < 2 { ", and is no JSON" } else { "" };
        writeln!(f, "    writes {}, {}, {:?}{text}", event.stream, event.event_type, event.tags)?;
    }
    for condition in &append.conditions {
        writeln!(
            f,
            "    only if nothing after {}: {:?}",
            condition.after,
            condition.query.items()
        )?;
    }
    writeln!(f, "    claims {:?}, releases {:?}", append.claims, append.releases)
}
