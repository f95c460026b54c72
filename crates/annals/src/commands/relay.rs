//! `annals relay`: what the broker holds, against what it should.

mod replay;

use std::process::ExitCode;

use eventstore::Position;
use relay::verify::Range;

use super::{answer, open_log};
use crate::cli::Relay;
use crate::config::Config;
use crate::{consumers, contract};

/// What a plan that is not empty ends with.
const DRIFT: u8 = 2;

pub(super) async fn run(config: &Config, command: Relay) -> anyhow::Result<ExitCode> {
    match command {
        Relay::Plan => plan(config).await,
        Relay::Apply => apply(config).await,
        Relay::Verify { after, to } => verify(config, after, to).await,
        Relay::Replay(replay) => replay::run(config, &replay).await,
    }
}

async fn plan(config: &Config) -> anyhow::Result<ExitCode> {
    let plan = consumers::declared(config)?.plan().await?;
    answer(plan.to_string().trim_end())?;
    if plan.has_drift() {
        answer("run `annals relay apply` to bring this about")?;
        return Ok(ExitCode::from(DRIFT));
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(config: &Config) -> anyhow::Result<ExitCode> {
    let done = consumers::declared(config)?.apply().await?;
    answer(done.to_string().trim_end())?;
    answer(if done.has_drift() { "done: now all is as declared" } else { "nothing to do" })?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(config: &Config, after: Option<i64>, to: Option<i64>) -> anyhow::Result<ExitCode> {
    let range =
        Range { after: after.map(Position::new).unwrap_or_default(), to: to.map(Position::new) };
    let told = contract::told(open_log(config).await?, config.nats.namespace()?);
    let verification = relay::verify::verify(&config.nats.broker()?, told, range).await?;
    answer(&verification.to_string())?;
    let is_right = verification.difference.is_none();
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
