//! What is said of labels: which classes there are, which look odd, which are too small.

use crate::util::{Scratch, extract, run, tapline};

/// A store of nine pictures of each of two classes, listed in a table with these labels in turn.
fn listed(scratch: &Scratch, labels: &[&str]) -> (String, crate::util::Ran) {
    scratch.two_classes(9);
    let mut table = "path,label\n".to_owned();
    for (row, label) in labels.iter().enumerate() {
        let class = if row % 2 == 0 { "dark" } else { "light" };
        table += &format!("pictures/{class}/{}.png,{label}\n", row / 2);
    }
    scratch.write("list.csv", table);
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    let ran = run(extract(&list, &store, &["--taps", "pool1"]));
    (store, ran)
}

#[test]
fn classes_are_counted_and_odd_ones_named() {
    let scratch = Scratch::new();
    let (_, ran) = listed(&scratch, &["crab", "NA", "Crab", "bass", "", "bass"]);
    assert!(ran.stderr.contains("\"NA\" is taken for a class") && ran.stderr.contains("\"Crab\" and \"crab\" are"));
    let text = ran.ok();
    assert!(text.contains("labels: 1 Crab, 1 NA, 2 bass, 1 crab; 1 picture without one\n"), "{text}");
}

#[test]
fn a_class_that_is_lost_is_named_and_one_alone_is_not_to_be_compared() {
    let scratch = Scratch::new();
    ["1.png", "2.png"].iter().for_each(|name| drop(scratch.write(&format!("cells/sick/{name}"), "not a picture")));
    scratch.picture("cells/well/1.png", 1);
    let ran = run(extract(&scratch.text("cells"), &scratch.text("store"), &["--taps", "pool1"]));
    assert!(
        ran.code == 3 && ran.stdout.contains("labels: 1 well\nno picture could be used of sick (of 2 pictures)\n"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("next: add pictures of a second class"), "{ran:?}");
}

#[test]
fn folders_below_those_of_classes_are_named() {
    let scratch = Scratch::new();
    for (place, name) in ["h1/benign/1.png", "h1/malign/2.png", "h2/benign/3.png"].iter().enumerate() {
        scratch.picture(&format!("sites/{name}"), place as u32);
    }
    let ran = run(extract(&scratch.text("sites"), &scratch.text("store"), &["--taps", "pool1"]));
    assert!(ran.stderr.contains("those in h1/benign are of class \"h1\""), "{}", ran.stderr);
    assert!(ran.ok().contains("labels: 2 h1, 1 h2\n"));
}

#[test]
fn a_class_that_is_too_small_can_be_left_out() {
    let scratch = Scratch::new();
    let labels = ["dark", "light", "dark", "light", "dark", "light", "dark", "rare", "dark", "light"];
    let (store, ran) = listed(&scratch, &labels);
    ran.ok();
    let words = "class \"rare\" has 1 picture, fewer than 3 folds: add pictures to it, leave out small classes with --min-class 3";
    run(tapline(&["compare", &store, "--folds", "3"])).fails_with(&[words]);
    let report = run(tapline(&["compare", &store, "--folds", "3", "--min-class", "3", "--json"])).json();
    assert_eq!(report["left_out"]["small_classes"], serde_json::json!(["rare"]));
    assert_eq!((report["pictures"].as_u64(), report["taps"][0]["accuracy"]["total"].as_u64()), (Some(9), Some(9)));
    let text = run(tapline(&["probe", &store, "--tap", "pool1", "--folds", "3", "--min-class", "3"])).ok();
    assert!(text.contains("1 of small classes (rare)"), "{text}");
    run(tapline(&["compare", &store, "--min-class", "5"]))
        .fails_with(&["one class alone, \"dark\", has the 5 pictures"]);
    run(tapline(&["compare", &store, "--min-class", "6"])).fails_with(&["no class has the 6 pictures"]);
    // Where the pictures to score are of small classes alone, the split is not to blame.
    let mut table = "path,label,split\n".to_owned();
    for seed in 0..8 {
        let (label, split) = if seed < 6 { (["a", "b"][seed % 2], "train") } else { ("c", "test") };
        table += &format!("pictures/dark/{seed}.png,{label},{split}\n");
    }
    scratch.write("split.csv", table);
    let (list, split) = (scratch.text("split.csv"), scratch.text("split.store"));
    run(extract(&list, &split, &["--taps", "pool1"])).ok();
    let args = ["compare", &split, "--split", "--folds", "3", "--min-class", "3"];
    run(tapline(&args))
        .fails_with(&["no picture marked test is of a class with the 3 training pictures that --min-class"]);
}

#[test]
fn copies_with_another_label_are_told() {
    let scratch = Scratch::new();
    scratch.two_classes(6);
    scratch.picture("pictures/light/copy.png", 0);
    let (pictures, store) = (scratch.text("pictures"), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "pool1"])).ok();
    let ran = run(tapline(&["compare", &store, "--folds", "3"]));
    let words =
        "1 of them with another label (light/copy.png is \"light\", dark/0.png is \"dark\"): correct the labels";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
}

#[test]
fn files_that_are_not_there_say_where_paths_start_and_are_not_all_named() {
    let scratch = Scratch::new();
    let rows: String = (0..30).map(|row| format!("pictures/none/{row}.png,a\n")).collect();
    scratch.write("lists/list.csv", format!("path,label\n{rows}"));
    let (list, store) = (scratch.text("lists/list.csv"), scratch.text("store"));
    let ran = run(extract(&list, &store, &["--taps", "pool1"]));
    assert_eq!(ran.code, 1, "not one picture could be used");
    let words = format!(
        "30 files of the list are not there: a path that is not absolute starts at the table's own folder, {}",
        scratch.text("lists")
    );
    assert!(ran.stderr.contains(&words), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("\nskipped ").count(), 21, "{}", ran.stdout);
    assert!(ran.stdout.contains("skipped 10 more: `tapline info "), "{}", ran.stdout);
}
