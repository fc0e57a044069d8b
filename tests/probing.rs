//! `tapline compare` and `tapline probe`: honest scores, clear refusals.

use crate::util::{Scratch, extract, python, ran, run, tapline};

/// Six dark and six light pictures: any layer tells them apart.
fn stored(scratch: &Scratch) -> String {
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1,pool1,fire2"])).ok();
    store
}

#[test]
fn classes_anybody_can_tell_apart_are_told_apart() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    let report = run(tapline(&["compare", &store, "--folds", "3", "--json"])).json();
    assert_eq!(report["pictures"], 12);
    assert_eq!(report["taps"].as_array().map(Vec::len), Some(3));
    for tap in report["taps"].as_array().expect("taps") {
        assert_eq!((tap["accuracy"]["correct"].as_u64(), tap["accuracy"]["total"].as_u64()), (Some(12), Some(12)));
        assert_eq!(tap["not_converged"].as_array().map(Vec::len), Some(0));
    }
    assert_eq!((report["best"].as_u64(), report["top"].as_u64()), (Some(0), Some(2)));
    assert_eq!(report["chosen_on_inner_folds"]["correct"], 12);
    // Another solver finds the same.
    let few = ["compare", &store, "--folds", "3", "--strengths", "0.001,0.01,0.1,1", "--json"];
    let linfa = run(tapline(&[few.as_slice(), &["--solver", "linfa-logistic"]].concat())).json();
    for (ours, theirs) in
        run(tapline(&few)).json()["taps"].as_array().expect("taps").iter().zip(linfa["taps"].as_array().expect("taps"))
    {
        assert_eq!(ours["accuracy"], theirs["accuracy"]);
        assert_eq!(ours["strengths"], theirs["strengths"]);
        let (a, b) = (ours["log_loss"].as_f64().expect("a number"), theirs["log_loss"].as_f64().expect("a number"));
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    // The table, the CSV and a second, kept run say the same.
    let table = run(tapline(&["compare", &store, "--folds", "3"])).ok();
    assert!(table.contains("Best stage: conv1, 100.0 % of 12 pictures right"), "{table}");
    assert_eq!(table, run(tapline(&["compare", &store, "--folds", "3"])).ok());
    let csv = run(tapline(&["compare", &store, "--folds", "3", "--csv"])).ok();
    assert_eq!(csv.lines().count(), 4, "{csv}");
}

#[test]
fn exact_copies_are_told() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    scratch.picture("pictures/light/copy.png", 100);
    run(extract(&pictures, &store, &[])).ok();
    let ran = run(tapline(&["compare", &store, "--folds", "3"]));
    assert_eq!(ran.code, 0);
    let words = "1 picture with the bytes of another one (light/copy.png of light/0.png)";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    // Apart from them, nothing is said.
    std::fs::remove_file(scratch.path("pictures/light/copy.png")).expect("removes");
    run(extract(&pictures, &store, &[])).ok();
    assert_eq!(run(tapline(&["compare", &store, "--folds", "3"])).stderr, "");
}

#[test]
fn one_tap_in_detail_and_a_probe_to_keep() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    let saved = scratch.text("probe.json");
    let report = run(tapline(&["probe", &store, "--tap", "fire2", "--folds", "3", "--save", &saved, "--json"])).json();
    assert_eq!(report["confusion"], serde_json::json!([[6, 0], [0, 6]]));
    let text = std::fs::read_to_string(&saved).expect("a probe");
    let probe: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(probe["classes"], serde_json::json!(["dark", "light"]));
    assert_eq!(probe["converged"], true);
    let length = |key: &str| probe[key].as_array().map(Vec::len);
    assert_eq!(["mean", "scale", "weights", "intercept"].map(length), [Some(128), Some(128), Some(128), Some(1)]);
    let scored = ran(python("tests/reference/saved_probe.py", &[&store, &saved])).ok();
    assert_eq!(scored.trim(), "12 of 12");
    run(tapline(&["probe", &store, "--tap", "fire9"])).fails_with(&["fire9", "conv1@mean"]);
    // A run that fails leaves the probe that was there.
    run(tapline(&["probe", &store, "--tap", "fire2", "--folds", "2", "--save", &saved])).fails_with(&["at least 3"]);
    assert_eq!(std::fs::read_to_string(&saved).expect("a probe"), text);
    run(tapline(&["probe", &store, "--tap", "fire2", "--folds", "3", "--save", "/proc/x"])).fails_with(&["/proc"]);
}

#[test]
fn what_was_predicted_is_written_picture_by_picture() {
    let scratch = Scratch::new();
    let (store, file) = (stored(&scratch), scratch.text("predictions.csv"));
    let args = ["probe", &store, "--tap", "conv1", "--folds", "3", "--predictions", &file];
    let text = run(tapline(&args)).ok();
    assert!(text.contains("What was predicted for each picture is in"), "{text}");
    let csv = std::fs::read_to_string(&file).expect("predictions");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["path", "label", "fold", "predicted", "predicted_probability", "true_probability"]);
    assert_eq!(lines.len(), 13);
    assert_eq!((lines[1][0], lines[1][1], lines[1][3]), ("dark/0.png", "dark", "dark"));
    for line in &lines[1..] {
        assert!(["1", "2", "3"].contains(&line[2]) && line[4] == line[5], "{line:?}");
        assert!(line[4].parse::<f64>().is_ok_and(|probability| (0.5..=1.0).contains(&probability)), "{line:?}");
    }
    let same = ["probe", &store, "--tap", "conv1", "--folds", "3", "--predictions", &file, "--save", &file];
    run(tapline(&same)).fails_with(&["name the same file"]);
    assert_eq!(std::fs::read_to_string(&file).expect("predictions"), csv);
}

#[test]
fn a_control_has_shuffled_labels_and_says_what_chance_is() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    let report = run(tapline(&["compare", &store, "--folds", "3", "--control", "--json"])).json();
    for tap in report["taps"].as_array().expect("taps") {
        assert_eq!((tap["accuracy"]["correct"].as_u64(), tap["control"]["chance"].as_f64()), (Some(12), Some(0.5)));
        assert!(tap["control"]["correct"].as_u64().is_some_and(|correct| correct < 12), "{tap}");
    }
    assert_eq!(report, run(tapline(&["compare", &store, "--folds", "3", "--control", "--json"])).json());
    let text = run(tapline(&["probe", &store, "--tap", "conv1", "--folds", "3", "--control"])).ok();
    assert!(text.contains("shuffled labels; chance, always answering the largest class, is 50.0 %"), "{text}");
}

#[test]
fn labels_that_cannot_be_probed_are_refused() {
    let scratch = Scratch::new();
    for seed in 0..4 {
        scratch.picture(&format!("flat/{seed}.png"), seed);
        scratch.picture(&format!("one/only/{seed}.png"), seed);
        scratch.picture(&format!("few/many/{seed}.png"), seed);
    }
    scratch.picture("few/rare/0.png", 100);
    for (folder, words) in
        [("flat", "no labelled pictures"), ("one", "one class, \"only\""), ("few", "class \"rare\" has 1")]
    {
        let store = scratch.text(&format!("{folder}.store"));
        run(extract(&scratch.text(folder), &store, &[])).ok();
        run(tapline(&["compare", &store])).fails_with(&[words]);
    }
}

#[test]
fn a_protocol_that_cannot_be_followed_is_refused() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    run(tapline(&["compare", &store, "--strengths", "0"])).fails_with(&["strength"]);
    run(tapline(&["compare", &store, "--strengths", "0.1,inf"])).fails_with(&["strength"]);
    run(tapline(&["compare", &store, "--folds", "2"])).fails_with(&["at least 3"]);
}
