//! `annals config`: whether the settings can be used, and what they are.

use super::answer;
use crate::cli;
use crate::config::Config;

pub(super) fn run(config: &Config, command: &cli::Config) -> anyhow::Result<()> {
    match command {
        // They were read and checked on the way here.
        cli::Config::Check => answer("the settings can be used"),
        cli::Config::Show => answer(toml::to_string(config)?.trim_end()),
    }
}
