//! A person presses Ctrl-C, a batch system sends SIGTERM: nothing computed is lost, and it is said how to go on.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Ran, Scratch, contents, extract, ran, run};

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let kill = Command::new("bash").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(kill.expect("bash starts").success());
}

/// Starts a run that is in the middle of its pictures when this returns.
pub fn started(mut command: Command, store: &str) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let journal = Path::new(store).join("building/journal.jsonl");
    let start = Instant::now();
    while fs::read(&journal).map_or(0, |bytes| bytes.len()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "no row within two minutes");
        assert!(child.try_wait().expect("a state").is_none(), "it ended before a row was journaled");
        sleep(Duration::from_millis(5));
    }
    child
}

pub fn ended(child: Child) -> Ran {
    ran(child.wait_with_output().expect("an end"))
}

/// Rows that count as done, by the journal.
fn journaled(store: &str) -> usize {
    let journal = fs::read_to_string(Path::new(store).join("building/journal.jsonl")).expect("a journal");
    journal.lines().count()
}

#[test]
fn a_signal_finishes_the_pictures_in_flight_and_the_same_command_ends_in_the_same_bytes() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(600);
    scratch.write("pictures/dark/broken.png", "not a picture");
    let (whole, stopped) = (scratch.text("whole"), scratch.text("stopped"));
    let taps = ["--taps", "stages"];
    assert_eq!(run(extract(&pictures, &whole, &taps)).code, 3);
    let mut before = 0;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = started(extract(&pictures, &stopped, &taps), &stopped);
        // The second run finds the first one's journal at once: give it time to get to its own pictures.
        while journaled(&stopped) <= before {
            sleep(Duration::from_millis(5));
        }
        signal(&child, name);
        let ended = ended(child);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let done = journaled(&stopped);
        let words = format!("stopped by SIG{name} with ");
        assert!(ended.stderr.contains(&words) && ended.stderr.contains("the same command goes on"), "{}", ended.stderr);
        assert!(before < done && done < 1201, "{before} rows before, {done} after");
        before = done;
    }
    assert_eq!(run(extract(&pictures, &stopped, &taps)).code, 3);
    let (whole, stopped) = (contents(Path::new(&whole)), contents(Path::new(&stopped)));
    assert!(whole == stopped, "other files or other bytes");
}

#[test]
fn a_second_signal_ends_at_once_and_still_loses_nothing_written() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(8), scratch.text("store"));
    // 64 views of a picture are in flight together, more than half a second of work.
    let args = ["--model", "efficientnet-lite0", "--views", "random:64", "--workers", "1"];
    let command = || {
        let mut all = vec!["extract", &pictures, "--store", &store, "--device", "cpu"];
        all.extend(args);
        crate::util::tapline(&all)
    };
    let child = started(command(), &store);
    signal(&child, "TERM");
    sleep(Duration::from_millis(20));
    signal(&child, "INT");
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (130, "", ""));
    assert!(journaled(&store) > 0);
    let written = journaled(&store) as u64;
    let mut resumed = command();
    let report = run({
        resumed.arg("--json");
        resumed
    })
    .json();
    assert_eq!(report["reused"].as_u64(), Some(written), "{report}");
}
