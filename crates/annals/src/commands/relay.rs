//! `annals relay`: what the broker holds, against what it should.

use std::process::ExitCode;

use relay::Declared;

use super::answer;
use crate::cli::Relay;
use crate::config::Config;
use crate::consumers;

/// What a plan that is not empty ends with.
const DRIFT: u8 = 2;

pub(super) async fn run(config: &Config, command: Relay) -> anyhow::Result<ExitCode> {
    match command {
        Relay::Plan => plan(config).await,
        Relay::Apply => apply(config).await,
    }
}

async fn plan(config: &Config) -> anyhow::Result<ExitCode> {
    let plan = declared(config)?.plan().await?;
    answer(plan.to_string().trim_end())?;
    if plan.has_drift() {
        answer("run `annals relay apply` to bring this about")?;
        return Ok(ExitCode::from(DRIFT));
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(config: &Config) -> anyhow::Result<ExitCode> {
    let done = declared(config)?.apply().await?;
    answer(done.to_string().trim_end())?;
    answer(if done.has_drift() { "done: now all is as declared" } else { "nothing to do" })?;
    Ok(ExitCode::SUCCESS)
}

/// What this version declares with these settings.
pub(super) fn declared(config: &Config) -> anyhow::Result<Declared> {
    let publisher = config.nats.publisher()?;
    let consumers = consumers::declared(&publisher.namespace).map(|(_, consumer)| consumer);
    Ok(Declared { consumers: consumers.collect(), publisher })
}
