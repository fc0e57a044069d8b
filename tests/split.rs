//! `--split`: the listing's test pictures are scored by probes that learn from its training pictures.

use crate::util::{Scratch, extract, run, tapline};

/// A store of `each` dark and as many light pictures with the split that `split` gives to each seed.
fn stored(scratch: &Scratch, split: &dyn Fn(&str, u32) -> &'static str) -> String {
    scratch.two_classes(9);
    let mut table = "path,label,split\n".to_owned();
    for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| (class, seed))) {
        table += &format!("pictures/{class}/{seed}.png,{class},{}\n", split(class, seed));
    }
    scratch.write("list.csv", table);
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &["--taps", "conv1,pool1"])).ok();
    store
}

/// Three in nine are for testing, one is for something else.
fn usual(_: &str, seed: u32) -> &'static str {
    match seed {
        0..5 => "train",
        5 => " TRAIN",
        6 => "val",
        7 => "test",
        _ => "Test",
    }
}

#[test]
fn only_the_test_pictures_are_scored() {
    let scratch = Scratch::new();
    let store = stored(&scratch, &usual);
    let report = run(tapline(&["compare", &store, "--split", "--folds", "3", "--json"])).json();
    assert_eq!(report["split"], serde_json::json!({"train": 12, "test": 4}));
    assert_eq!(report["left_out"]["unused"], 2);
    assert_eq!(report["taps"][0]["accuracy"]["total"], 4);
    assert_eq!(report["chosen_on_inner_folds"]["total"], 4);
    assert_eq!(report["chosen_taps"].as_array().map(Vec::len), Some(1));
    let table = run(tapline(&["compare", &store, "--split", "--folds", "3"])).ok();
    assert!(table.contains("12 training pictures, scored on 4 (2 dark, 2 light), 3 folds"), "{table}");
    assert!(table.contains("2 neither train nor test"), "{table}");
    // What was kept for one protocol is not taken for the other, and a run without the flag says that there is a split.
    let ran = run(tapline(&["compare", &store, "--folds", "3", "--json"]));
    assert_eq!(ran.json()["taps"][0]["accuracy"]["total"], 18);
    assert!(ran.stderr.contains("the listing has a split column; --split scores"), "{}", ran.stderr);
}

#[test]
fn the_probe_to_keep_learns_from_the_training_pictures_alone() {
    let scratch = Scratch::new();
    let (store, saved) = (stored(&scratch, &usual), scratch.text("probe.json"));
    let args = ["probe", &store, "--tap", "conv1", "--split", "--folds", "3", "--save", &saved];
    let text = run(tapline(&args)).ok();
    assert!(text.contains("A probe fitted on the 12 training pictures is in"), "{text}");
    assert!(text.contains("test  4 of 4"), "{text}");
}

#[test]
fn a_split_that_cannot_be_used_is_refused() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("none.store"));
    run(extract(&pictures, &store, &[])).ok();
    run(tapline(&["compare", &store, "--split", "--folds", "3"])).fails_with(&["needs a split column"]);
    let check = |split: &dyn Fn(&str, u32) -> &'static str, words: &str| {
        let scratch = Scratch::new();
        let store = stored(&scratch, split);
        run(tapline(&["compare", &store, "--split", "--folds", "3"])).fails_with(&[words]);
    };
    check(&|_, _| "train", "is marked test in the split column, which says train 18:");
    check(&|_, _| "test", "is marked train in the split column");
    check(
        &|class, _| if class == "dark" { "test" } else { "train" },
        "class \"dark\" has pictures marked test and none",
    );
    check(&|_, seed| if seed < 2 { "train" } else { "test" }, "has 2 training pictures, fewer than 3 folds");
}
