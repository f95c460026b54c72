//! Whether there is anything to query: a read model that is made for the first time holds nothing yet.

use eventstore::EventStore;
use projections::Projection;
use projections::generation::{self, State};
use projections::rebuild::{self, Progress};

/// Says how far the making of `projection` is, unless it is live.
pub(super) async fn is_live(store: &EventStore, projection: &Projection) -> Result<(), String> {
    let (pool, model) = (store.pool(), projection.model());
    let trouble = |error: sqlx::Error| error.to_string();
    let known = generation::of(pool, &model).await.map_err(trouble)?;
    if known.iter().any(|known| known.state == State::Live) {
        return Ok(());
    }
    let is_made = |state| matches!(state, State::Building | State::Built);
    let progress = match known.iter().rfind(|known| is_made(known.state)) {
        Some(making) => rebuild::progress(pool, making.id).await.map_err(trouble)?,
        None => None,
    };
    match progress {
        Some(progress) => Err(making(projection, &progress)),
        None => Err(format!("{model} is not there: start a process with the role projector")),
    }
}

fn making(projection: &Projection, progress: &Progress) -> String {
    let (name, model) = (projection.name, projection.model());
    if progress.state == "built" {
        return format!("{model} is made: `annals projections switch {name}` makes it live");
    }
    let left = progress.left().map(|left| format!("{} s left", left.as_secs()));
    let rest = match (&progress.trouble, progress.paused, progress.conducted) {
        (Some(trouble), _, _) => Some(trouble.clone()),
        (None, true, _) => Some(format!("paused: `annals projections resume {name} --rebuild`")),
        (None, false, false) => {
            Some("nobody works on it: start a process with the role projector".to_owned())
        }
        (None, false, true) => left,
    };
    let rest = rest.map(|rest| format!(", {rest}")).unwrap_or_default();
    format!("{model} is being made: {:.0} %{rest}", progress.done() * 100.0)
}
