//! `tapline explain`: maps of evidence against the Python ONNX Runtime, and what cannot be explained.

use std::fs;
use std::path::Path;

use crate::util::*;

#[test]
fn maps_are_the_runtimes_own_activations_under_the_saved_probe() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    ran(python("tests/reference/explain.py", &["make", &pictures])).ok();
    run(extract(&pictures, &store, &["--taps", "fire9", "--squash"])).ok();
    let probe = scratch.text("probe.json");
    run(tapline(&["probe", &store, "--tap", "fire9", "--folds", "3", "--save", &probe])).ok();
    let (smooth, striped, out) =
        (scratch.text("pictures/smooth/2.png"), scratch.text("pictures/striped/4.png"), scratch.text("out"));
    let args = ["explain", &store, &smooth, &striped, "--tap", "fire9", "--folds", "3", "--out", &out];
    let text = run(tapline(&args)).ok();
    assert!(text.contains("squeezenet1.1 at fire9") && text.contains("1-2.png") && text.contains("2-4.png"), "{text}");
    for class in [&[][..], &["--class", "smooth"]] {
        let explained = run(tapline(&[&args[..], &["--json"], class].concat()));
        let json = scratch.write("explained.json", &explained.stdout);
        explained.ok();
        let (card, tensor) = (root().join("models/squeezenet1.1.toml"), tensor_of(&store, "fire9"));
        let check = ["check", card.to_str().expect("UTF-8"), &tensor, &probe, json.to_str().expect("UTF-8")];
        ran(python("tests/reference/explain.py", &check)).ok();
    }
}

/// The tensor that a tap of the store stands for.
fn tensor_of(store: &str, tap: &str) -> String {
    let text = fs::read_to_string(format!("{store}/store.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let taps = manifest["taps"].as_array().expect("taps");
    let found = taps.iter().find(|other| other["name"] == tap).expect("the tap");
    found["tensor"].as_str().expect("a name").to_owned()
}

#[test]
fn pictures_of_the_store_are_explained_whatever_their_size() {
    let scratch = Scratch::new();
    let large = |grey: u8| [&b"P5 1100 1000 255\n"[..], &vec![grey; 1_100_000]].concat();
    let (pictures, store, out) = (scratch.two_classes(4), scratch.text("store"), scratch.text("out"));
    let known = scratch.write("pictures/light/large.pgm", large(200));
    let new = scratch.write("new.pgm", large(201));
    run(extract(&pictures, &store, &[])).ok();
    let explain = |picture: &Path, most: &str| {
        let picture = picture.to_str().expect("UTF-8");
        let args = ["explain", &store, picture, "--tap", "pool1", "--folds", "3", "--out", &out];
        run(tapline(&[&args[..], &["--max-megapixels", most]].concat()))
    };
    explain(&known, "1").ok();
    explain(&new, "2").ok();
    explain(&new, "1").fails_with(&["new.pgm", "1100 × 1000 pixels", "--max-megapixels 2"]);
}

#[test]
fn what_cannot_be_explained_is_refused_in_one_sentence() {
    let scratch = Scratch::new();
    let (pictures, store, out) = (scratch.two_classes(4), scratch.text("store"), scratch.text("out"));
    run(extract(&pictures, &store, &["--taps", "pool1@max,fire2"])).ok();
    let picture = scratch.text("pictures/dark/0.png");
    let check = |tap: &str, picture: &str, more: &[&str], words: &[&str]| {
        let args = ["explain", &store, picture, "--tap", tap, "--folds", "3", "--out", &out];
        run(tapline(&[&args[..], more].concat())).fails_with(words);
    };
    check("pool1@max", &picture, &[], &["pooled by max", "pooling mean"]);
    check("fire2+pool1@max", &picture, &[], &["joins taps"]);
    check("fire3", &picture, &[], &["no tap \"fire3\""]);
    check("fire2", &picture, &["--class", "grey"], &["no such class", "dark, light"]);
    check("fire2", &picture, &["--model", "efficientnet-lite0"], &["not the network that the features were made with"]);
    let broken = scratch.write("broken.png", "not a picture");
    check("fire2", broken.to_str().expect("UTF-8"), &[], &["broken.png", "not a picture"]);
    check("fire2", &scratch.text("none.png"), &[], &["none.png", "cannot be read"]);
    check("fire2", &pictures, &[], &["pictures: is a folder: name the pictures in it"]);
    // Beside one that can be explained the others are listed.
    let args =
        ["explain", &store, &scratch.text("none.png"), &picture, "--tap", "fire2", "--folds", "3", "--out", &out];
    let ran = run(tapline(&args));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stdout.contains("2-0.png") && ran.stdout.contains("none.png: cannot be read"), "{}", ran.stdout);
    let flipped = scratch.text("flipped");
    run(extract(&pictures, &flipped, &["--taps", "fire2", "--views", "flip"])).ok();
    let args = ["explain", &flipped, &picture, "--tap", "fire2", "--folds", "3", "--out", &out];
    run(tapline(&args)).fails_with(&["the mean over several views of a picture", "extract without --views"]);
}
