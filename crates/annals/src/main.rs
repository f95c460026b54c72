//! The Annals binary: configuration, composition root, roles and the operators' command line.
//!
//! Everything is wired here and nowhere else: [`process`] builds the parts of the roles that a
//! process has, [`commands`] holds what can be typed, [`config`] what can be set.

#![expect(unreachable_pub, reason = "a binary has no outside: pub is for its other modules")]

mod cli;
mod commands;
mod config;
mod consumers;
mod contract;
mod database;
mod file_descriptors;
mod identity;
mod jobs;
mod logging;
mod mail;
mod ops;
mod process;
mod projector;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("annals: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}
