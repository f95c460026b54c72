//! `annals dev`: everything on this machine, with demo data.

mod banner;
mod demo;
mod keys;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use testkit::{ServiceOptions, Services};

use crate::config::{Config, annals_directory};
use crate::database;
use crate::process::{Process, listen};
use crate::signals::stop_token;

pub(super) async fn dev(mut config: Config) -> anyhow::Result<()> {
    let stop = stop_token()?;
    let listener = listen(config.http.address).await?;
    let directory = annals_directory()?;
    let services = tokio::task::block_in_place(|| start_services(&config, &directory))?;
    config.database.url = Some(SecretString::from(services.database_url.clone()));
    config.nats.url = Some(SecretString::from(services.nats_url.clone()));
    // No proxy has to notice, and whoever presses Ctrl-C waits.
    config.http.drain_delay_ms = 0;
    config.mail.for_development(config.http.url());
    if config.keys.encryption.is_none() {
        config.keys.encryption = Some(keys::private(&directory)?);
    }

    let served = async {
        let pool = database::connect(&config.database).await?;
        database::migrate(&pool).await?;
        pool.close().await;
        let process = Process::prepare(config.clone(), listener).await?;
        demo::load(process.bus()).await?;
        if let Some(identity) = process.identity() {
            demo::users(identity).await?;
        }
        let environment = banner::environment(&config, &services)?;
        let file = directory.join("dev.env");
        write_private(&file, &environment).with_context(|| format!("write {}", file.display()))?;
        super::answer(&banner::text(&config, &file))?;
        process.run(stop).await
    };
    let served = Box::pin(served).await;
    let stopped = tokio::task::block_in_place(|| services.stop());
    served.and(stopped.context("stop the services"))
}

/// Starts the services that nobody gave. Those of an earlier run are nobody's: whoever has
/// sourced `dev.env` and starts again means the private ones.
fn start_services(config: &Config, directory: &Path) -> anyhow::Result<Services> {
    let ours = fs::read_to_string(directory.join("dev.env")).unwrap_or_default();
    let given = |url: &Option<SecretString>| {
        let url = url.as_ref()?.expose_secret();
        (!ours.contains(url)).then(|| url.to_owned())
    };
    let options = ServiceOptions {
        root: directory.to_owned(),
        database_url: given(&config.database.url),
        nats_url: given(&config.nats.url),
        report: &|line| tracing::info!("{line}"),
    };
    Ok(Services::start(&options)?)
}

/// The URLs hold the password of the private database.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}
