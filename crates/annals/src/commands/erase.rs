//! `annals erase`: the personal data of a subject, everywhere and for ever.

use adapters::{SystemClock, TimeOrderedIds};
use anyhow::{Context as _, bail};
use application::organizations;
use application::ports::{Clock as _, IdSource as _};
use eventstore::{CommandId, Metadata, Subject};
use uuid::Uuid;

use super::{answer, open_log};
use crate::config::Config;

pub(super) async fn erase(
    config: &Config,
    subject: &str,
    yes: bool,
    command_id: Option<Uuid>,
) -> anyhow::Result<()> {
    let subject = Subject::new(subject).context("there can be no such subject")?;
    if !yes {
        bail!("erasing {subject} destroys its key and cannot be undone: repeat it with --yes");
    }
    let store = open_log(config).await?;
    let id = command_id.unwrap_or_else(|| TimeOrderedIds.next());
    let metadata = Metadata {
        actor: "operator".to_owned(),
        tenant: None,
        correlation_id: id,
        causation_id: None,
        trace: None,
    };
    let erased = store.erase(&subject, CommandId::new(id), metadata).await;
    let receipt = erased.with_context(|| {
        format!("{subject} may not be erased: repeat it with --command-id {id}")
    })?;
    let position = receipt.position;
    answer(&format!("erased {subject}, command {id}; the log is at position {position}"))
}

/// The addresses of those who were invited, where that is over.
pub(super) async fn invitations(config: &Config, yes: bool) -> anyhow::Result<()> {
    if !yes {
        bail!("erasing who was invited cannot be undone: repeat it with --yes");
    }
    let store = open_log(config).await?;
    let mut erased = 0;
    loop {
        let some = organizations::erase_invitations(&store, SystemClock.now()).await;
        let some = some.context("not all of them are erased: repeat it")?;
        erased += some;
        if some == 0 {
            return answer(&format!("erased who was invited by {erased} invitations"));
        }
    }
}
