//! `extract --precision int8`: the rows of an independently quantised network, whatever else is tapped and however often the
//! run was stopped; refused where it makes no sense.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Scratch, contents, extract, extract_odd, python, ran, run, tapline};

const INT8: [&str; 2] = ["--precision", "int8"];

#[test]
fn rows_are_those_of_the_runtimes_own_quantisation_tool() {
    for model in ["squeezenet1.1", "efficientnet-lite0"] {
        let scratch = Scratch::new();
        ran(python("tests/reference/taps.py", &["make", &scratch.text("")])).ok();
        let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
        let args = ["--precision", "int8", "--squash", "--device", "cpu", "--store", &store];
        run(tapline(&[&["extract", &pictures, "--model", model], &args[..]].concat())).ok();
        let card = format!("models/{model}.toml");
        ran(python("tests/reference/int8.py", &[&pictures, &card, &store])).ok();
    }
}

#[test]
fn unusual_networks_run_in_bytes_or_say_why_not() {
    let scratch = Scratch::new();
    let made = ran(python("tests/reference/odd_models.py", &["make", &scratch.text("")])).ok();
    for name in made.split_whitespace() {
        let (model, store) = (scratch.text(&format!("{name}.onnx")), scratch.text(&format!("{name}.store")));
        let ended = run(extract_odd(&scratch.text("pictures"), &model, &store, &INT8));
        let last = ended.stderr.lines().last().unwrap_or_default();
        match name {
            "quantised" => assert!(ended.code == 1 && last.contains("quantised already"), "{}", ended.stderr),
            "opset7" => assert!(ended.code == 1 && last.contains("operator set is 7"), "{}", ended.stderr),
            "float16" => assert!(ended.code == 1 && last.contains("no convolution"), "{}", ended.stderr),
            _ => {
                ended.ok();
                ran(python("tests/reference/odd_models.py", &["int8", &model, &store])).ok();
            }
        }
    }
}

#[test]
fn a_row_is_the_same_whatever_else_is_tapped() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(3);
    let row = |store: &str, taps: &str| {
        let store = scratch.text(store);
        run(extract(&pictures, &store, &[&["--taps", taps], &INT8[..]].concat())).ok();
        fs::read(Path::new(&store).join("features/fire2.mean.npy")).expect("an array")
    };
    let alone = row("alone", "fire2");
    // Raw convolutions and activations inside of what is fused, and everything behind.
    assert!(alone == row("all", "*"), "fire2 alone has other bytes than fire2 among all tensors");
}

#[test]
fn a_stopped_run_goes_on_with_its_ranges_and_ends_in_the_same_bytes() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(300);
    let (whole, killed) = (scratch.text("whole"), scratch.text("killed"));
    let args = ["--taps", "stages", "--precision", "int8"];
    run(extract(&pictures, &whole, &args)).ok();
    let mut child = extract(&pictures, &killed, &args).stdout(Stdio::null()).spawn().expect("starts");
    let journal = Path::new(&killed).join("building/journal.jsonl");
    let start = Instant::now();
    while fs::metadata(&journal).map_or(0, |file| file.len()) == 0 && child.try_wait().expect("a state").is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "no row within two minutes");
        sleep(Duration::from_millis(5));
    }
    child.kill().expect("a signal");
    child.wait().expect("an end");
    assert!(journal.exists(), "it ended before it was killed");
    run(extract(&pictures, &killed, &args)).ok();
    assert!(contents(Path::new(&whole)) == contents(Path::new(&killed)), "other files or other bytes");

    // A picture far outside the measured ranges is computed with them, and they stay.
    let ranges = |store: &str| {
        let info = run(tapline(&["info", store, "--json"])).json();
        info["space"]["precision"].clone()
    };
    let before = ranges(&whole);
    assert_eq!((&before["arithmetic"], &before["pictures"]), (&"int8".into(), &128.into()));
    assert_eq!(before["pictures_sha256"].as_str().map(str::len), Some(64));
    scratch.picture("pictures/light/new.png", 5000);
    let report = run(extract(&pictures, &whole, &[&args[..], &["--json"]].concat())).json();
    assert_eq!((&report["computed"], &report["reused"]), (&1.into(), &600.into()));
    assert_eq!(ranges(&whole), before);
}

#[test]
fn a_store_holds_one_precision_and_is_left_alone_by_the_other() {
    let scratch = Scratch::new();
    let (pictures, float32, int8) = (scratch.two_classes(2), scratch.text("float32"), scratch.text("int8"));
    run(extract(&pictures, &float32, &[])).ok();
    run(extract(&pictures, &int8, &INT8)).ok();
    let before = (contents(Path::new(&float32)), contents(Path::new(&int8)));
    run(extract(&pictures, &float32, &INT8)).fails_with(&["--precision: float32, asked int8", "another --store"]);
    run(extract(&pictures, &int8, &[])).fails_with(&["--precision: int8, asked float32", "another --store"]);
    assert!(before == (contents(Path::new(&float32)), contents(Path::new(&int8))));
    run(extract(&pictures, &int8, &[&INT8[..], &["--device", "cuda"]].concat()))
        .fails_with(&["int8 runs on the processor alone", "leave out --device"]);
    let info = run(tapline(&["info", &int8])).ok();
    assert!(info.contains("through squeezenet1.1 in int8 (ranges of 4 pictures)"), "{info}");
}

#[test]
fn with_the_ranges_of_another_store_its_probes_predict_new_pictures() {
    let scratch = Scratch::new();
    let (pictures, old, new) = (scratch.two_classes(6), scratch.text("old"), scratch.text("new"));
    let taps = ["--taps", "pool1,fire2"];
    run(extract(&pictures, &old, &[&taps[..], &INT8].concat())).ok();
    let probe = scratch.text("probe.json");
    run(tapline(&["probe", &old, "--tap", "fire2", "--folds", "3", "--save", &probe])).ok();
    for seed in 0..4 {
        scratch.picture(&format!("more/{seed}.png"), 900 + seed);
    }
    let more = scratch.text("more");
    run(extract(&more, &new, &[&taps[..], &INT8].concat())).ok();
    // Measured on other pictures, the ranges are others.
    run(tapline(&["predict", &probe, &new]))
        .fails_with(&["holds other features", "--precision int8 --store STORE --ranges"]);
    let given = [&taps[..], &INT8, &["--ranges", &old]].concat();
    run(extract(&more, &new, &given)).fails_with(&["ranges", "another --store"]);
    let same = scratch.text("same");
    run(extract(&more, &same, &given)).ok();
    assert!(run(tapline(&["predict", &probe, &same])).ok().contains("4 pictures by"));
    // A picture of both has one row, whatever pictures it is among.
    let again = scratch.text("again");
    run(extract(&pictures, &again, &given)).ok();
    let features = |store: &str| contents(&Path::new(store).join("features"));
    assert!(features(&old) == features(&again));

    let (float32, absent) = (scratch.text("float32"), scratch.text("absent"));
    run(extract(&more, &float32, &taps)).ok();
    let fails = |ranges: &str, more_args: &[&str], words: &[&str]| {
        let args = [&taps[..], &["--ranges", ranges], more_args].concat();
        run(extract(&more, &scratch.text("none"), &args)).fails_with(words);
    };
    fails(&float32, &INT8, &["its features are of float32", "--precision int8"]);
    fails(&absent, &INT8, &["--ranges", "absent"]);
    fails(&old, &[], &["--ranges is for --precision int8 alone"]);
    fails(&old, &[&INT8[..], &["--squash"]].concat(), &["--ranges", "other features", "leave out --ranges"]);
    // A shard needs no other pictures then.
    let part = scratch.text("part");
    run(extract(&pictures, &part, &[&given[..], &["--shard", "1/2"]].concat())).ok();
    let info = run(tapline(&["info", &part, "--json"])).json();
    assert_eq!(info["space"], run(tapline(&["info", &old, "--json"])).json()["space"]);
}
