//! `--shuffles`: the pictures are parted again and again, and reports say how far the scores lie apart.

use crate::util::{Scratch, extract, run, tapline};

fn stored(scratch: &Scratch) -> String {
    scratch.two_classes(12);
    let mut table = "path,label,module\n".to_owned();
    for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..12).map(move |seed| (class, seed))) {
        table += &format!("pictures/{class}/{seed}.png,{class},m{}\n", seed / 2);
    }
    scratch.write("list.csv", table);
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &["--taps", "conv1,pool1"])).ok();
    store
}

const SHUFFLED: [&str; 6] = ["--shuffles", "5", "--test-share", "0.25", "--folds", "3"];

#[test]
fn scores_are_summed_over_shuffles_with_their_spread() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    let compared = run(tapline(&[&["compare", &store, "--json"], &SHUFFLED[..]].concat())).json();
    assert_eq!(compared["shuffles"], serde_json::json!({"count": 5, "test_share": 0.25}));
    assert_eq!(compared["interval"], "bootstrap over pictures");
    let tap = &compared["taps"][0];
    assert_eq!((tap["accuracy"]["total"].as_u64(), tap["shuffles"]["count"].as_u64()), (Some(30), Some(5)));
    assert_eq!(compared["chosen_taps"].as_array().map(Vec::len), Some(5));
    // The same from the kept scores, and another protocol is not taken for it.
    let again = run(tapline(&[&["compare", &store, "--json"], &SHUFFLED[..]].concat())).json();
    assert_eq!(again, compared);
    let folds = run(tapline(&["compare", &store, "--json", "--folds", "3"])).json();
    assert_eq!(folds["taps"][0]["accuracy"]["total"], 24);
    let probed = run(tapline(&[&["probe", &store, "--tap", "conv1", "--json"], &SHUFFLED[..]].concat())).json();
    assert_eq!(probed["folds"].as_array().map(Vec::len), Some(5));
    assert_eq!(probed["shuffles"]["mean"], tap["shuffles"]["mean"]);
    let text = run(tapline(&[&["probe", &store, "--tap", "conv1"], &SHUFFLED[..]].concat())).ok();
    assert!(text.contains("of 30 scores right (95 % bootstrap interval over pictures"), "{text}");
    assert!(text.contains("5 shuffles, each scoring 25.0 % of the pictures: mean "), "{text}");
    let table = run(tapline(&[&["compare", &store], &SHUFFLED[..]].concat())).ok();
    assert!(table.contains("3 folds of what each of 5 shuffles learns from (25.0 % scored), seed 0"), "{table}");
    assert!(!table.contains("sign test"), "{table}");
}

#[test]
fn a_class_too_small_to_learn_from_is_named_before_the_first_fit() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &[])).ok();
    // A quarter of the first class is rounded to 2 of 6, of both together to 3 of 12.
    let words = ["class \"dark\" has 6 pictures", "leaves 4 of them", "fewer than 5 folds", "--test-share"];
    run(tapline(&["compare", &store, "--shuffles", "10"])).fails_with(&words);
    run(tapline(&["compare", &store, "--shuffles", "10", "--folds", "4"])).ok();
}

#[test]
fn groups_stay_whole() {
    let scratch = Scratch::new();
    let (store, file) = (stored(&scratch), scratch.text("predictions.csv"));
    let args = ["probe", &store, "--tap", "conv1", "--group", "module", "--predictions", &file];
    let text = run(tapline(&[&args[..], &SHUFFLED[..]].concat())).ok();
    assert!(text.contains("bootstrap interval over groups"), "{text}");
    // Of each module all four pictures are scored in a shuffle, or none.
    let predictions = std::fs::read_to_string(&file).expect("predictions");
    let mut scored = std::collections::BTreeMap::<(String, u32), usize>::new();
    for line in predictions.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let picture: u32 =
            fields[0].rsplit('/').next().and_then(|name| name.strip_suffix(".png")?.parse().ok()).expect("a number");
        *scored.entry((fields[2].to_owned(), picture / 2)).or_default() += 1;
    }
    assert!(!scored.is_empty() && scored.values().all(|&pictures| pictures == 4), "{scored:?}");
}

#[test]
fn shuffles_that_cannot_be_drawn_are_refused() {
    let scratch = Scratch::new();
    let store = stored(&scratch);
    let check = |more: &[&str], words: &str| {
        run(tapline(&[&["compare", &store, "--shuffles", "3"], more].concat())).fails_with(&[words]);
    };
    check(&["--test-share", "1.5"], "--test-share 1.5 is out of range");
    check(
        &["--test-share", "0.7"],
        "class \"dark\" has 12 pictures; a shuffle that scores 0.7 of all leaves 4 of them to learn from",
    );
    let typed = run(tapline(&["compare", &store, "--shuffles", "3", "--split"]));
    assert!(typed.code == 2 && typed.stderr.contains("cannot be used with"), "{}", typed.stderr);
}
