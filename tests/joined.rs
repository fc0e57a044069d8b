//! `--tap a+b`: the features of several taps, side by side.

use serde_json::Value;

use crate::util::{Scratch, extract, run, tapline};

fn saved_mean(scratch: &Scratch, store: &str, taps: &str) -> (Value, Vec<f64>) {
    let file = scratch.text("probe.json");
    run(tapline(&["probe", store, "--tap", taps, "--folds", "3", "--save", &file])).ok();
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).expect("a probe")).expect("JSON");
    let mean = saved["mean"].as_array().expect("means").iter().map(|mean| mean.as_f64().expect("a number")).collect();
    (saved, mean)
}

#[test]
fn joined_taps_are_probed_as_one() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1@mean,conv1@mean+max,pool1"])).ok();
    let (_, conv) = saved_mean(&scratch, &store, "conv1@mean+max");
    let (one, pool) = saved_mean(&scratch, &store, "pool1");
    assert_eq!((one["tap"]["name"].as_str(), one["taps"].as_array().map(Vec::len)), (Some("pool1"), Some(1)));
    let (joined, means) = saved_mean(&scratch, &store, "pool1+conv1@mean+max");
    let close = means.iter().zip(pool.iter().chain(&conv)).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
    assert!(close && means.len() == pool.len() + conv.len() && means.len() == 192, "{}", means.len());
    let names: Vec<_> =
        joined["taps"].as_array().expect("taps").iter().map(|tap| (&tap["name"], &tap["pooling"])).collect();
    assert_eq!(
        names,
        [(&Value::from("pool1"), &Value::from("mean")), (&Value::from("conv1"), &Value::from("mean+max"))]
    );
    assert!(joined.get("tap").is_none() && joined["weights"].as_array().map(Vec::len) == Some(192));
    let text = run(tapline(&["probe", &store, "--taps", "pool1+conv1@mean+max", "--folds", "3"])).ok();
    assert!(text.contains("at pool1@mean + conv1@mean+max (192 features, 2 taps joined)"), "{text}");
    let text = run(tapline(&["probe", &store, "--tap", "pool1+conv1@mean", "--folds", "3"])).ok();
    assert!(text.contains("at pool1 + conv1 (128 features, pooling mean)"), "{text}");
}

#[test]
fn taps_that_cannot_be_joined_are_refused() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1,pool1"])).ok();
    let check = |taps: &str, words: &str| {
        run(tapline(&["probe", &store, "--tap", taps, "--folds", "3"])).fails_with(&[words]);
    };
    check("conv1+pool2", "the store has no tap \"pool2\"; it has conv1@mean, pool1@mean");
    check("conv1+pool1+conv1@mean", "joins tap conv1@mean with itself: name it once");
}

#[test]
fn features_read_from_the_store_are_probed_like_those_in_memory() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(9), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1,pool1", "--views", "flip"])).ok();
    for tap in ["conv1", "conv1+pool1"] {
        let probe = |more: &[&str]| {
            let args = [&["probe", &store, "--tap", tap, "--folds", "3", "--json"], more].concat();
            let report = run(tapline(&args)).json();
            // What was kept must not answer for what is asked anew.
            std::fs::remove_dir_all(scratch.path("store").join("scores")).expect("scores were kept");
            (report["accuracy"]["correct"].clone(), report["log_loss"].as_f64().expect("a loss"))
        };
        let (kept, streamed) = (probe(&[]), probe(&["--memory", "0"]));
        assert_eq!(kept.0, streamed.0);
        assert!((kept.1 - streamed.1).abs() < 1e-4, "{} {}", kept.1, streamed.1);
    }
}
