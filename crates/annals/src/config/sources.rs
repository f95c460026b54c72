//! Where settings come from.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use config::builder::DefaultState;
use config::{ConfigBuilder, ConfigError, File, FileFormat};

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
    load_from(settings, &environment()?)
}

pub(super) fn load_from(
    settings: &Settings,
    environment: &HashMap<String, String>,
) -> anyhow::Result<Config> {
    let mut builder =
        config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    let file = settings.config.clone();
    let named = environment.get("ANNALS_CONFIG").filter(|file| !file.is_empty());
    let file = file.or_else(|| named.map(PathBuf::from));
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    for (name, value) in environment {
        let setting =
            name.strip_prefix("ANNALS_").filter(|_| !NOT_SETTINGS.contains(&name.as_str()));
        if let Some(setting) = setting {
            let key = setting.to_lowercase().replace("__", ".");
            builder = assign(builder, &key, value).with_context(|| name.clone())?;
        }
    }
    // These win over their longer names.
    for (name, key) in [("DATABASE_URL", "database.url"), ("NATS_URL", "nats.url")] {
        if let Some(url) = environment.get(name).filter(|url| !url.is_empty()) {
            builder = builder.set_override(key, url.as_str())?;
        }
    }
    for (key, value) in &settings.set {
        builder = assign(builder, key, value).with_context(|| format!("--set {key}"))?;
    }
    let config: Config = builder.build().context("read the settings")?.try_deserialize()?;
    config.validate()?;
    Ok(config)
}

/// Sets one setting to a text; its type decides how the text is read.
fn assign(
    builder: ConfigBuilder<DefaultState>,
    key: &str,
    value: &str,
) -> Result<ConfigBuilder<DefaultState>, ConfigError> {
    match key {
        "roles"
        | "http.cors_origins"
        | "http.anonymous"
        | "http.trusted_proxies"
        | "external_login.redirect_uris" => {
            let values = value.split(',').map(str::trim).filter(|value| !value.is_empty());
            builder.set_override(key, values.collect::<Vec<_>>())
        }
        _ => builder.set_override(key, value),
    }
}

/// Where `annals dev` keeps its services: `ANNALS_DIRECTORY`, or else `.annals` here.
///
/// # Errors
/// A variable of ours is not UTF-8.
pub fn annals_directory() -> anyhow::Result<PathBuf> {
    let directory = environment()?.remove("ANNALS_DIRECTORY");
    Ok(directory.map_or_else(|| PathBuf::from(".annals"), PathBuf::from))
}

/// The variables that can be read; others are none of ours, unless they are named like it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> anyhow::Result<HashMap<String, String>> {
    let mut variables = HashMap::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                variables.insert(name, value);
            }
            (Ok(name), Err(_)) if name.starts_with("ANNALS_") => bail!("{name} is not UTF-8"),
            _ => {}
        }
    }
    Ok(variables)
}
