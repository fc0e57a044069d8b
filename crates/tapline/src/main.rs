//! The command line: the one place that prints, reads the environment and picks exit codes.
//!
//! stdout carries results alone, stderr warnings and progress. Exit codes: 0 done, 1 failed or not one picture could be used,
//! 2 a command line that cannot be read, 3 done but some pictures were skipped, 130 and 143 SIGINT and SIGTERM stopped an
//! extraction.

mod accuracy;
mod args;
mod baselines;
mod calibrate;
mod cells;
mod classes;
mod commands;
mod comparison;
mod control;
mod evidence;
mod features;
mod groups;
mod interrupt;
mod learning;
mod missing;
mod network;
mod noted;
mod operating;
mod output;
mod pipeline;
mod plan;
mod precision;
mod predictions;
mod probes;
mod progress;
mod project;
mod rankings;
mod reading;
mod replacement;
mod report_scores;
mod saved_probe;
mod scores;
mod settled;
mod shards;
mod sharing;
mod shots;
mod shuffles;
mod split;
mod stores;
mod taps;
mod target_scores;
mod targets;
mod typing;
mod views;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::interrupt::Signal;

/// How a command that did not fail ended.
enum Outcome {
    /// Everything was done.
    Done,
    /// Done, but some pictures could not be used; they are listed.
    Skipped,
    /// Not one picture could be used; the reasons are listed.
    Nothing,
    /// Stopped by a signal; what was done is kept.
    Stopped(Signal),
}

fn main() -> ExitCode {
    project::forbid_telemetry();
    let args = Args::parse();
    match run(&args.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped) => ExitCode::from(3),
        Ok(Outcome::Nothing) => ExitCode::FAILURE,
        Ok(Outcome::Stopped(signal)) => ExitCode::from(signal.exit_code()),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tapline: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Models(args) => commands::models::run(args),
        Command::Layers(args) => commands::layers::run(args),
        Command::Extract(args) => commands::extract::run(args),
        Command::Merge(args) => commands::merge::run(args),
        Command::Info(args) => commands::info::run(args),
        Command::ExportRows(args) => commands::export_rows::run(args),
        Command::Probe(args) => commands::probe::run(args),
        Command::Predict(args) => commands::predict::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Advise(args) => commands::advise::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Report(args) => commands::report::run(args),
    }
}

/// The error and its causes in one line.
fn sentence(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().trim_end().replace('\n', " ")).collect();
    causes.join(": ")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    error.chain().any(|cause| match cause.downcast_ref().map(csv::Error::kind) {
        // The crate csv does not give it as its source.
        Some(csv::ErrorKind::Io(error)) => is_broken(error),
        _ => cause.downcast_ref().is_some_and(is_broken),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_stopped_is_found_in_every_error() {
        let check =
            |error: anyhow::Error, expected| assert_eq!(is_broken_pipe(&error.context("not printed")), expected);
        check(io::Error::from(ErrorKind::BrokenPipe).into(), true);
        check(csv::Error::from(io::Error::from(ErrorKind::BrokenPipe)).into(), true);
        check(csv::Error::from(io::Error::from(ErrorKind::StorageFull)).into(), false);
    }
}
