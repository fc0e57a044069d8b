//! `--shots`: probes that learn from few pictures of each class.

use crate::util::{Scratch, extract, run, tapline};

#[test]
fn few_shots_are_a_table_of_their_own() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(9), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1"])).ok();
    let args = ["probe", &store, "--tap", "conv1", "--folds", "4", "--shots", "5,1", "--repeats", "3"];
    let report = run(tapline(&[&args[..], &["--json"]].concat())).json();
    let (few, more) = (&report["shots"]["counts"][0], &report["shots"]["counts"][1]);
    assert_eq!((few["shots"].as_u64(), few["folds"].as_u64(), few["fits"].as_u64()), (Some(1), Some(0), Some(3)));
    assert_eq!((more["shots"].as_u64(), more["folds"].as_u64()), (Some(5), Some(4)));
    assert_eq!((few["scores"][0]["total"].as_u64(), more["scores"][2]["total"].as_u64()), (Some(16), Some(8)));
    assert!(more["mean"].as_f64() >= few["mean"].as_f64() && few["mean"].as_f64() > Some(0.5), "{report}");
    assert_eq!(report["folds"].as_array().map(Vec::len), Some(4));
    let text = run(tapline(&args)).ok();
    assert!(text.contains("shots  accuracy %  deviation  lowest  highest  balanced %"), "{text}");
    assert!(text.contains("all others are scored, over 3 draws"), "{text}");
    assert!(text.contains("Fewer than 3 leave no folds to choose a strength on: it is 0.01 there"), "{text}");
    let none = run(tapline(&args[..6])).ok();
    assert!(!none.contains("shots"), "{none}");
}

#[test]
fn shots_that_cannot_be_drawn_are_refused() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1"])).ok();
    let probe = |more: &[&str]| run(tapline(&[&["probe", &store, "--tap", "conv1", "--folds", "3"], more].concat()));
    probe(&["--shots", "2,6"])
        .fails_with(&["class \"dark\" has 6 picture(s), and --shots 6 leaves none of it to score"]);
    for wrong in [["--shots", "0", "--json"], ["--shots", "2", "--split"], ["--repeats", "2", "--json"]] {
        assert_eq!(probe(&wrong).code, 2, "{wrong:?}");
    }
}
