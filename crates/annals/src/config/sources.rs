//! Where settings come from.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context as _;
use config::{Environment, File, FileFormat};

use super::Config;
use crate::cli::Settings;

const DEFAULTS: &str = include_str!("defaults.toml");

/// Names that begin like a setting but are none: told to users, or read here.
const NOT_SETTINGS: [&str; 3] = ["ANNALS_CONFIG", "ANNALS_URL", "ANNALS_DIRECTORY"];

/// Reads the settings and checks them.
///
/// # Errors
/// A source cannot be read, holds an unknown key or a value of another type, or the settings
/// together make no sense.
pub fn load(settings: &Settings) -> anyhow::Result<Config> {
    load_from(settings, environment())
}

pub(super) fn load_from(
    settings: &Settings,
    environment: HashMap<String, String>,
) -> anyhow::Result<Config> {
    let mut builder =
        config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    let file = settings.config.clone();
    let file = file.or_else(|| environment.get("ANNALS_CONFIG").map(PathBuf::from));
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    for (name, key) in [("DATABASE_URL", "database.url"), ("NATS_URL", "nats.url")] {
        if let Some(url) = environment.get(name).filter(|url| !url.is_empty()) {
            builder = builder.set_override(key, url.as_str())?;
        }
    }
    let named = |name: &str| name.starts_with("ANNALS_") && !NOT_SETTINGS.contains(&name);
    let variables = environment.into_iter().filter(|(name, _)| named(name)).collect();
    builder = builder.add_source(
        Environment::with_prefix("ANNALS")
            .prefix_separator("_")
            .separator("__")
            .list_separator(",")
            .with_list_parse_key("roles")
            .try_parsing(true)
            .source(Some(variables)),
    );
    for (key, value) in &settings.set {
        builder = match key.as_str() {
            "roles" => builder.set_override(key, value.split(',').collect::<Vec<_>>()),
            _ => builder.set_override(key, value.as_str()),
        }
        .with_context(|| format!("--set {key}"))?;
    }
    let config: Config = builder.build().context("read the settings")?.try_deserialize()?;
    config.validate()?;
    Ok(config)
}

/// Where `annals dev` keeps its services: `ANNALS_DIRECTORY`, or else `.annals` here.
pub fn annals_directory() -> PathBuf {
    environment().remove("ANNALS_DIRECTORY").map_or_else(|| PathBuf::from(".annals"), PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> HashMap<String, String> {
    std::env::vars().collect()
}
