//! `extract --precision float16`: rows near those of float32, of stages and of what lies between them; refused where it makes no sense.

use std::path::Path;

use crate::util::{Scratch, contents, extract, extract_odd, python, ran, run, tapline};

const HALF: [&str; 2] = ["--precision", "float16"];

#[test]
fn rows_are_those_of_float32_but_for_roundings_to_halves() {
    for model in ["squeezenet1.1", "efficientnet-lite0"] {
        let scratch = Scratch::new();
        ran(python("tests/reference/taps.py", &["make", &scratch.text("")])).ok();
        let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
        // Stages, and what lies inside of what is folded.
        let args = ["--taps", "stages,*", "--precision", "float16", "--squash", "--device", "cpu", "--store", &store];
        run(tapline(&[&["extract", &pictures, "--model", model], &args[..]].concat())).ok();
        ran(python("tests/reference/taps.py", &["half", &pictures, &format!("models/{model}.toml"), &store])).ok();
    }
}

#[test]
fn unusual_networks_run_in_halves_or_say_why_not() {
    let scratch = Scratch::new();
    let made = ran(python("tests/reference/odd_models.py", &["make", &scratch.text("")])).ok();
    for name in made.split_whitespace() {
        let (model, store) = (scratch.text(&format!("{name}.onnx")), scratch.text(&format!("{name}.store")));
        let ended = run(extract_odd(&scratch.text("pictures"), &model, &store, &HALF));
        let last = ended.stderr.lines().last().unwrap_or_default();
        match name {
            "quantised" | "float16" => {
                assert!(ended.code == 1 && last.contains("no convolution"), "{name}: {}", ended.stderr);
            }
            _ => {
                assert!(
                    ended.stderr.contains("float16 is for GPUs") && !last.contains("stay in"),
                    "{name}: {}",
                    ended.stderr
                );
                ended.ok();
                ran(python("tests/reference/odd_models.py", &["half", &model, &store])).ok();
            }
        }
    }
}

#[test]
fn a_store_holds_one_precision_and_is_left_alone_by_the_others() {
    let scratch = Scratch::new();
    let (pictures, half) = (scratch.two_classes(2), scratch.text("half"));
    run(extract(&pictures, &half, &HALF)).ok();
    let before = contents(Path::new(&half));
    run(extract(&pictures, &half, &[])).fails_with(&["--precision: float16, asked float32", "another --store"]);
    run(extract(&pictures, &half, &["--precision", "int8"]))
        .fails_with(&["--precision: float16, asked int8", "another --store"]);
    assert!(before == contents(Path::new(&half)));
    let report = run(extract(&pictures, &half, &[&HALF[..], &["--json"]].concat())).json();
    assert_eq!((&report["reused"], &report["precision"]["arithmetic"]), (&4.into(), &"float16".into()));
    let info = run(tapline(&["info", &half])).ok();
    assert!(info.contains("through squeezenet1.1 in float16"), "{info}");
}
