//! What can be typed, one file each.

mod access;
mod config;
mod contract;
mod dead_letters;
mod dev;
mod erase;
mod events;
mod healthcheck;
mod jobs;
mod keys;
mod projections;
mod relay;
mod serve;
mod users;

use std::io::{self, Write as _};
use std::process::ExitCode;

use eventstore::EventStore;

use crate::cli::{Cli, Command};
use crate::config::{Config, load};
use crate::{database, logging};

/// Does what was typed.
///
/// # Errors
/// One sentence that says what is wrong.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = load(&cli.settings)?;
    logging::start(&config.log, matches!(cli.command, Command::Projections(_)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let done = match cli.command {
            Command::Relay(command) => return relay::run(&config, command).await,
            Command::Projections(command) => return projections::run(&config, command).await,
            Command::Why { name } => projections::why(&config, &name).await,
            Command::Dev => dev::dev(config).await,
            Command::Serve { roles } => serve::serve(config, roles).await,
            Command::Migrate => migrate(&config).await,
            Command::Events(command) => events::run(&config, command).await,
            Command::Erase { subject: Some(subject), yes, command_id, .. } => {
                erase::erase(&config, &subject, yes, command_id).await
            }
            Command::Erase { subject: None, yes, .. } => erase::invitations(&config, yes).await,
            Command::Keys(command) => keys::run(&config, &command).await,
            Command::Users(command) => users::run(&config, command).await,
            Command::Access(command) => access::run(&config, command).await,
            Command::Jobs(command) => jobs::run(&config, command).await,
            Command::DeadLetters(command) => dead_letters::run(&config, command).await,
            Command::Config(command) => config::run(&config, &command),
            Command::Contract(command) => contract::run(&command),
            Command::Openapi => answer(api::openapi::text().trim_end()),
            Command::Healthcheck => healthcheck::healthcheck(&config.http).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    });
    match done {
        // Whoever reads our answer has read enough.
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = database::connect(&config.database).await?;
    database::migrate(&pool).await?;
    answer("the database has the schema of this version")
}

/// The log, for commands that only look at it.
async fn open_log(config: &Config) -> anyhow::Result<EventStore> {
    let pool = database::connect(&config.database).await?;
    database::check_schema(&pool).await?;
    Ok(EventStore::open(pool).await?)
}

/// Writes a line of the answer.
fn answer(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
