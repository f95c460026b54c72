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
    if config.roles.contains(&Role::Api) && !config.http.limits()?.anonymous.are_for_strangers() {
        let anonymous = config.http.anonymous.join(",");
        tracing::warn!("whoever reaches the listener may do this without a login: {anonymous}");
    }
    let process = Process::prepare(config, listener).await?;
    process.run(stop).await
}
