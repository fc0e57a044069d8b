//! What a person meets first: help, usage errors, pipes.

use std::process::{Command, Stdio};

use crate::util::{root, run, tapline};

#[test]
fn every_command_teaches_itself() {
    let commands = [
        "models",
        "layers",
        "extract",
        "merge",
        "info",
        "export-rows",
        "probe",
        "predict",
        "compare",
        "advise",
        "explain",
        "report",
    ];
    for command in commands {
        let help = run(tapline(&[command, "--help"])).ok();
        assert!(help.contains("Usage:") && help.contains("--json") && help.contains("Examples:"), "{help}");
    }
    let usage = run(tapline(&["extract"]));
    assert_eq!(usage.code, 2);
    assert!(usage.stderr.contains("--model"), "{}", usage.stderr);
}

#[test]
fn models_lists_both_cards() {
    let ran = run(tapline(&["models", "--json"]));
    let models = ran.json();
    let names: Vec<_> = models.as_array().expect("a list").iter().map(|m| m["name"].as_str().expect("text")).collect();
    assert_eq!(names, ["efficientnet-lite0", "squeezenet1.1"]);
    assert!(models.as_array().expect("a list").iter().all(|m| m["installed"] == true), "run `make setup`");
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let script = format!("{} layers efficientnet-lite0 | head -n 1", env!("CARGO_BIN_EXE_tapline"));
    let mut shell = Command::new("bash");
    shell.current_dir(root()).args(["-c", &format!("set -o pipefail; {script}")]).stdin(Stdio::null());
    let ran = run(shell);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
