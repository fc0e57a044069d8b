//! `--transform`: what is done to features before they are probed.

use serde_json::Value;

use crate::util::{Scratch, extract, run, tapline};

#[test]
fn the_transform_is_reported_and_goes_with_the_probe() {
    let scratch = Scratch::new();
    let (pictures, store, file) = (scratch.two_classes(6), scratch.text("store"), scratch.text("probe.json"));
    run(extract(&pictures, &store, &["--taps", "conv1,pool1"])).ok();
    let probe = |transform: &str| {
        let args = ["probe", &store, "--tap", "conv1", "--folds", "3", "--transform", transform];
        let text = run(tapline(&[&args[..], &["--save", &file]].concat())).ok();
        let saved: Value = serde_json::from_slice(&std::fs::read(&file).expect("a probe")).expect("JSON");
        assert_eq!(saved["transform"], transform);
        let report = run(tapline(&[&args[..], &["--json"]].concat())).json();
        assert_eq!(report["protocol"]["transform"], transform);
        (text, saved, report["log_loss"].as_f64().expect("a loss"))
    };
    let usual = probe("standardise");
    assert!(!usual.0.contains("transform"), "{}", usual.0);
    for transform in ["none", "l2", "sqrt"] {
        let (text, saved, loss) = probe(transform);
        assert!(text.contains(&format!("pooling mean, transform {transform}): ")), "{text}");
        // What was kept for one transform is not taken for the other.
        assert!(loss != usual.2 && saved["weights"] != usual.1["weights"], "{transform}");
    }
    let table = run(tapline(&["compare", &store, "--folds", "3", "--transform", "l2"])).ok();
    assert!(table.contains("3 folds, transform l2, seed 0"), "{table}");
}

#[test]
fn principal_components_and_balanced_classes_are_reported() {
    let scratch = Scratch::new();
    let (pictures, store, file) = (scratch.two_classes(6), scratch.text("store"), scratch.text("probe.json"));
    run(extract(&pictures, &store, &["--taps", "conv1,pool1"])).ok();
    let probe = ["probe", &store, "--tap", "conv1", "--folds", "3"];
    let pca = [&probe[..], &["--transform", "pca", "--components", "2"]].concat();
    let text = run(tapline(&[&pca[..], &["--save", &file, "--baselines"]].concat())).ok();
    assert!(text.contains("pooling mean, 2 principal components at most): "), "{text}");
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).expect("a probe")).expect("JSON");
    // It takes features as they are: weights for all columns.
    assert_eq!(saved["transform"], serde_json::json!({"pca": 2}));
    let report = run(tapline(&[&pca[..], &["--json"]].concat())).json();
    assert_eq!(report["protocol"]["transform"]["pca"], 2);
    let balanced = run(tapline(&[&probe[..], &["--balanced"]].concat())).ok();
    assert!(balanced.contains("pooling mean, classes weighing alike): "), "{balanced}");
    let alone = [&probe[..], &["--components", "3"]].concat();
    run(tapline(&alone)).fails_with(&["--components is for --transform pca alone"]);
    let linfa = [&probe[..], &["--balanced", "--solver", "linfa-logistic"]].concat();
    run(tapline(&linfa)).fails_with(&["linfa-logistic knows neither --balanced nor --transform pca"]);
}
