//! `annals serve`: the roles of this process, until it is told to stop.

use crate::config::{Config, Role};
use crate::process::{Process, listen};
use crate::signals::stop_token;

pub(super) async fn serve(mut config: Config, roles: Vec<Role>) -> anyhow::Result<()> {
    if !roles.is_empty() {
        config.roles = roles;
    }
    let stop = stop_token()?;
    let listener = listen(config.http.address).await?;
    let process = Process::prepare(config, listener).await?;
    tracing::warn!("there are no accounts yet: whoever reaches the listener may do everything");
    process.run(stop).await
}
