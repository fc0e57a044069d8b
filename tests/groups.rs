//! `--group`: pictures that belong together stay on one side of every fold.

use crate::util::{Scratch, extract, run, tapline};

/// A store of nine dark and nine light pictures; `row` gives each its further columns.
fn stored(scratch: &Scratch, header: &str, row: &dyn Fn(&str, u32) -> String) -> String {
    scratch.two_classes(9);
    let mut table = format!("path,label,{header}\n");
    for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| (class, seed))) {
        table += &format!("pictures/{class}/{seed}.png,{class},{}\n", row(class, seed));
    }
    scratch.write("list.csv", table);
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &["--taps", "conv1,pool1"])).ok();
    store
}

#[test]
fn groups_are_counted_and_the_interval_says_where_it_comes_from() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "module,camera", &|_, seed| format!("m{},c", seed / 2));
    let report = run(tapline(&["compare", &store, "--group", "module", "--folds", "3", "--json"])).json();
    assert_eq!(report["groups"], serde_json::json!({"column": "module", "groups": 5}));
    assert_eq!(report["interval"], "bootstrap over groups");
    assert_eq!(report["taps"][0]["accuracy"]["total"], 18);
    let table = run(tapline(&["compare", &store, "--group", "module", "--folds", "3"])).ok();
    assert!(table.contains("3 folds of 5 groups (module), seed 0"), "{table}");
    assert!(table.contains("95 % bootstrap interval over groups"), "{table}");
    // What was kept for one protocol is not taken for the other.
    let saved = scratch.text("probe.json");
    let args = ["probe", &store, "--tap", "conv1", "--folds", "3", "--json", "--save", &saved];
    assert_eq!(run(tapline(&args)).json()["interval"], "Wilson");
    let grouped = run(tapline(&[&args[..], &["--group", "module"]].concat())).json();
    assert_eq!(grouped["interval"], "bootstrap over groups");
    let sizes: Vec<_> = grouped["folds"].as_array().expect("folds").iter().map(|fold| fold["total"].as_u64()).collect();
    assert!(sizes.iter().all(|size| size.is_some_and(|size| size % 2 == 0)), "{sizes:?}");
}

#[test]
fn blanks_around_a_name_make_no_group_of_their_own() {
    let scratch = Scratch::new();
    let blank = |seed: u32| if seed.is_multiple_of(2) { " " } else { "" };
    let row = |_: &str, seed: u32| format!("{}m{},{}", blank(seed), seed / 2, if seed == 4 { " " } else { "c" });
    let store = stored(&scratch, "module,camera", &row);
    let report = run(tapline(&["compare", &store, "--group", "module", "--folds", "3", "--json"])).json();
    assert_eq!(report["groups"], serde_json::json!({"column": "module", "groups": 5}));
    run(tapline(&["compare", &store, "--group", "camera", "--folds", "3"]))
        .fails_with(&["2 picture(s) have no \"camera\", first pictures/dark/4.png"]);
}

#[test]
fn a_column_that_looks_like_groups_is_told_unless_it_is_used() {
    let scratch = Scratch::new();
    // Three animals of each class, of three pictures each; the camera says nothing.
    let store = stored(&scratch, "animal,camera", &|class, seed| format!("{class} {},c{}", seed / 3, seed % 2));
    let compared = |more: &[&str]| run(tapline(&[&["compare", &store, "--folds", "3"], more].concat())).stderr;
    let told = "the column \"animal\" has 6 values in 18 pictures, and all pictures of each are of one class";
    let found = compared(&[]);
    assert!(found.contains(told) && found.contains("--group animal keeps them"), "{found}");
    let found = compared(&["--group", "animal"]);
    assert!(!found.contains("has 6 values"), "{found}");
}

#[test]
fn copies_in_other_groups_are_told() {
    let scratch = Scratch::new();
    let table = |groups: [&str; 2]| {
        let row = |class: &str, seed: u32| format!("pictures/{class}/{seed}.png,{class},m{seed}\n");
        let rows: String =
            ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| row(class, seed))).collect();
        let copies = groups.iter().enumerate().map(|(i, group)| format!("copy{i}.png,dark,{group}\n"));
        format!("path,label,module\n{rows}{}", copies.collect::<String>())
    };
    scratch.two_classes(9);
    (0..2).for_each(|copy| drop(scratch.picture(&format!("copy{copy}.png"), 50)));
    let list = scratch.text("list.csv");
    for (groups, is_told) in [(["m1", "m1"], false), (["m1", "m2"], true)] {
        scratch.write("list.csv", table(groups));
        let store = scratch.text(groups[1]);
        run(extract(&list, &store, &[])).ok();
        let ran = run(tapline(&["compare", &store, "--group", "module", "--folds", "3"]));
        let told = "1 picture with the bytes of another one of another group (copy1.png of copy0.png)";
        assert_eq!((ran.code, ran.stderr.contains(told)), (0, is_told), "{}", ran.stderr);
    }
}

#[test]
fn columns_that_make_no_groups_are_refused() {
    let scratch = Scratch::new();
    let row = |class: &str, seed: u32| format!("m{},{},{}", seed / 5, if seed == 3 { "" } else { "c" }, class);
    let store = stored(&scratch, "module,camera,kind", &row);
    let check = |column: &str, words: &[&str]| {
        run(tapline(&["compare", &store, "--folds", "3", "--group", column])).fails_with(words);
    };
    check("modul", &["no column \"modul\"; it has module, camera, kind"]);
    check("label", &["would put all pictures of a class into one fold"]);
    check("path", &["not one of your columns"]);
    check("camera", &["2 picture(s) have no \"camera\", first pictures/dark/3.png"]);
    check("module", &["2 groups cannot fill 3 folds: use more groups"]);
    let folder = Scratch::new();
    let (pictures, store) = (folder.two_classes(3), folder.text("store"));
    run(extract(&pictures, &store, &[])).ok();
    run(tapline(&["compare", &store, "--folds", "3", "--group", "module"])).fails_with(&["nor any of your own"]);
}

#[test]
fn a_class_that_groups_keep_out_of_a_training_set_is_named() {
    let scratch = Scratch::new();
    let row = |class: &str, seed: u32| if class == "dark" { "night".to_owned() } else { format!("day{}", seed / 2) };
    let store = stored(&scratch, "session", &row);
    let args = ["compare", &store, "--folds", "3", "--group", "session"];
    let ran = run(tapline(&args));
    assert!(!ran.stderr.contains("--seed") && !ran.stderr.contains("--min-class"), "neither helps: {}", ran.stderr);
    ran.fails_with(&["class \"dark\" lies in 1 of 3 folds", "takes 3", "use more groups with it"]);
}

#[test]
fn what_is_advised_for_a_class_of_few_groups_helps() {
    let scratch = Scratch::new();
    scratch.two_classes(9);
    let row = |class: &str, seed: u32| match (class, seed) {
        ("dark", ..3) => format!("pictures/dark/{seed}.png,rare,m0\n"),
        _ => format!("pictures/{class}/{seed}.png,{class},m{seed}\n"),
    };
    let rows = ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| row(class, seed)));
    scratch.write("list.csv", format!("path,label,module\n{}", rows.collect::<String>()));
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &[])).ok();
    let args = ["compare", &store, "--folds", "3", "--group", "module", "--json"];
    let advice = "use more groups with it, or leave out small classes with --min-class 4";
    run(tapline(&args)).fails_with(&["class \"rare\" lies in 1 of 3 folds of whole \"module\" groups", advice]);
    run(tapline(&[&args[..], &["--min-class", "4"]].concat())).ok();
}

#[test]
fn a_group_on_both_sides_of_a_split_is_named() {
    let scratch = Scratch::new();
    let row = |_: &str, seed: u32| format!("{},m{}", if seed < 6 { "train" } else { "test" }, seed / 2 + seed / 8 * 5);
    let store = stored(&scratch, "split,module", &row);
    let args = ["compare", &store, "--folds", "3", "--split", "--group", "module", "--json"];
    let report = run(tapline(&args)).json();
    assert_eq!(report["split"], serde_json::json!({"train": 12, "test": 6}));
    assert_eq!(report["groups"]["groups"], 5);
    let torn = Scratch::new();
    let row = |_: &str, seed: u32| format!("{},m{}", if seed < 7 { "train" } else { "test" }, seed / 2);
    let store = stored(&torn, "split,module", &row);
    let args = ["compare", &store, "--folds", "3", "--split", "--group", "module"];
    run(tapline(&args)).fails_with(&["module \"m3\" has pictures marked train and pictures marked test"]);
}
