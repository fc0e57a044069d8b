//! `probe --multi-label` and `probe --regression`: several labels for a picture, or numbers, instead of a class.

use crate::util::{Ran, Scratch, extract, python, ran, run, tapline};

/// A store of nine dark and nine light pictures with the columns that `row` gives each.
fn stored(scratch: &Scratch, header: &str, row: &dyn Fn(&str, u32) -> String) -> String {
    scratch.two_classes(9);
    let mut table = format!("path,{header}\n");
    for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| (class, seed))) {
        table += &format!("pictures/{class}/{seed}.png,{}\n", row(class, seed));
    }
    scratch.write("list.csv", table);
    let (list, store) = (scratch.text("list.csv"), scratch.text("store"));
    run(extract(&list, &store, &["--taps", "conv1,pool1"])).ok();
    store
}

/// Dark pictures are `dark`, those of odd number `odd`, whatever they are; light ones of even number are nothing.
fn labels(class: &str, seed: u32) -> String {
    match (class, seed % 2 == 1) {
        ("dark", true) => "dark | odd".to_owned(),
        ("dark", false) => "dark".to_owned(),
        (_, true) => "odd".to_owned(),
        _ => String::new(),
    }
}

fn probe(store: &str, more: &[&str]) -> Ran {
    run(tapline(&[&["probe", store, "--folds", "3"], more].concat()))
}

#[test]
fn several_labels_are_told_each_from_the_rest() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "label", &labels);
    let report = probe(&store, &["--multi-label", "--json"]).json();
    assert_eq!((report["task"].as_str(), report["pictures"].as_u64()), (Some("multi-label"), Some(18)));
    let expected = serde_json::json!([{"name": "dark", "pictures": 9}, {"name": "odd", "pictures": 8}]);
    assert_eq!(report["targets"], expected);
    assert_eq!(report["interval"], "bootstrap over pictures");
    assert_eq!(report["taps"].as_array().map(Vec::len), Some(2));
    for tap in report["taps"].as_array().expect("taps") {
        let dark = &tap["labels"][0];
        assert_eq!((dark["positives"].as_u64(), dark["average_precision"].as_f64()), (Some(9), Some(1.0)));
        let of = |label: usize| tap["labels"][label]["average_precision"].as_f64().expect("a share");
        assert!((tap["mean_average_precision"].as_f64().expect("mAP") - (of(0) + of(1)) / 2.0).abs() < 1e-12);
        assert_eq!((tap["scored"].as_u64(), tap["folds"].as_array().map(Vec::len)), (Some(18), Some(3)));
        assert_eq!(tap["not_converged"].as_array().map(Vec::len), Some(0));
    }
    // All taps in one table; a second run takes what was kept.
    let table = probe(&store, &["--multi-label"]).ok();
    assert!(table.contains("multi-label probes on 18 pictures (9 dark, 8 odd), 3 folds, seed 0"), "{table}");
    assert!(table.contains("mAP %  95 % interval  micro F1 %  macro F1 %  log loss  strength"), "{table}");
    assert_eq!(table, probe(&store, &["--multi-label"]).ok());
    assert_eq!(report, probe(&store, &["--multi-label", "--json"]).json(), "the seconds of the first run, too");
    let classes = probe(&store, &["--tap", "conv1"]);
    assert!(
        classes.stderr.contains("\"dark | odd\" is taken for one class; where | parts labels"),
        "{}",
        classes.stderr
    );
}

#[test]
fn what_was_predicted_of_labels_is_written_picture_by_picture() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "label", &labels);
    let (file, saved) = (scratch.text("predictions.csv"), scratch.text("probe.json"));
    let text = probe(&store, &["--multi-label", "--tap", "conv1", "--predictions", &file, "--save", &saved]).ok();
    assert!(text.contains("label  pictures  average precision %"), "{text}");
    assert!(text.contains("A probe fitted on all 18 pictures is in"), "{text}");
    let csv = std::fs::read_to_string(&file).expect("predictions");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["path", "label", "fold", "predicted", "probability of dark", "probability of odd"]);
    assert_eq!((lines.len(), lines[2][0], lines[2][1]), (19, "pictures/dark/1.png", "dark|odd"));
    for line in &lines[1..] {
        let probability: f64 = line[4].parse().expect("a number");
        assert!((probability > 0.5) == line[3].contains("dark") && (probability > 0.5) == line[1].contains("dark"));
    }
    let saved = std::fs::read_to_string(&saved).expect("a probe");
    let saved: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
    assert_eq!((&saved["labels"], saved["classes"].is_null()), (&serde_json::json!(["dark", "odd"]), true));
    assert_eq!(saved["weights"][0].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_target_with_the_name_of_another_column_is_told_from_it() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "fold,predicted fold", &|class, seed| {
        format!("{},{}", if class == "dark" { 1 } else { 5 }, seed)
    });
    let file = scratch.text("predictions.csv");
    let args = ["--regression", "--target", "fold,predicted fold", "--tap", "conv1", "--predictions", &file];
    probe(&store, &args).ok();
    let csv = std::fs::read_to_string(&file).expect("predictions");
    let header = "path,fold,target fold,predicted target fold,target predicted fold,predicted target predicted fold";
    assert_eq!(csv.lines().next(), Some(header));
}

#[test]
fn a_number_beyond_all_bounds_is_named_by_its_column_and_row() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "age", &|_, seed| if seed == 2 { "1e150".to_owned() } else { seed.to_string() });
    probe(&store, &["--regression", "--target", "age"])
        .fails_with(&["\"age\" of row 3 of the listing is 1e150", "1e100"]);
}

/// Brightness, in a large unit, and something that nobody can see.
fn numbers(class: &str, seed: u32) -> String {
    let brightness = if class == "dark" { 10_000 } else { 120_000 };
    format!("{},{},m{}", brightness + 10 * seed, f64::from(seed * 7 % 9) / 10.0, seed / 2)
}

#[test]
fn numbers_are_predicted_in_their_own_unit() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "brightness,luck,module", &numbers);
    let report = probe(&store, &["--regression", "--target", "brightness", "--json"]).json();
    for tap in report["taps"].as_array().expect("taps") {
        assert!(tap["r2"].as_f64() > Some(0.9), "{tap}");
        let target = &tap["targets"][0];
        let (mean, root) = (target["mean_absolute_error"].as_f64(), target["root_mean_squared_error"].as_f64());
        assert!(mean > Some(50.0) && mean <= root && root < Some(20_000.0), "{tap}");
        let interval = tap["interval"].as_array().expect("an interval");
        assert!(interval[0].as_f64() < tap["r2"].as_f64() && tap["r2"].as_f64() < interval[1].as_f64(), "{tap}");
    }
    let both = ["--regression", "--target", "brightness,luck", "--tap", "conv1"];
    let (file, saved) = (scratch.text("predictions.csv"), scratch.text("probe.json"));
    let text = probe(&store, &[&both[..], &["--predictions", &file, "--save", &saved]].concat()).ok();
    assert!(text.contains("target") && text.contains("RMSE") && text.contains("median cosine"), "{text}");
    let csv = std::fs::read_to_string(&file).expect("predictions");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["path", "fold", "brightness", "predicted brightness", "luck", "predicted luck"]);
    let number = |text: &str| text.parse::<f64>().expect("a number");
    for line in &lines[1..] {
        assert!((number(line[3]) - number(line[2])).abs() < 50_000.0, "{line:?}");
    }
    // What was kept for two targets is not taken for one; the table has one more column then.
    let table = probe(&store, &["--regression", "--target", "luck"]).ok();
    assert!(["R²  95 % interval", "MAE", "RMSE"].iter().all(|word| table.contains(word)), "{table}");
    let luck = |more: &[&str]| {
        let tap = &probe(&store, &[&["--regression", "--tap", "conv1", "--json"], more].concat()).json()["taps"][0];
        let targets = tap["targets"].as_array().expect("targets");
        (targets.len(), targets.last().and_then(|target| target["r2"].as_f64()).expect("a number"))
    };
    let (one, two) = (luck(&["--target", "luck"]), luck(&["--target", "brightness,luck"]));
    assert_eq!((one.0, two.0), (1, 2));
    assert!(one.1 < 0.5 && two.1 < 0.5, "nobody can see it: {one:?} {two:?}");
    let worst = ran(python("tests/reference/saved_probe.py", &[&store, &saved, "brightness"])).ok();
    assert!(number(worst.trim()) < 20_000.0, "{worst}");
}

#[test]
fn a_table_beside_the_listing_holds_numbers_of_pictures_or_of_classes() {
    let scratch = Scratch::new();
    let row = |class: &str, seed: u32| format!("{class},{},{}", if class == "dark" { 1.5 } else { -2.0 }, seed);
    let store = stored(&scratch, "label,v1,v2", &row);
    let table = scratch.text("vectors.csv");
    std::fs::write(&table, "label,v1,v3\nlight,-2.0,8\ndark,1.5,4\nowl,3,\n").expect("written");
    let of = |more: &[&str]| {
        let mut report = probe(&store, &[&["--regression", "--json"], more].concat()).json();
        report["taps"].as_array_mut().expect("taps").iter_mut().for_each(|tap| tap["seconds"] = 0.into());
        report
    };
    // The same numbers, wherever they come from.
    assert_eq!(of(&["--target-table", &table, "--target", "v1"]), of(&["--target", "v1"]));
    let all = of(&["--target-table", &table]);
    let names = all["targets"].as_array().expect("targets").iter().map(|target| target["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["v1", "v3"]);
    assert_eq!(of(&["--target", "v*"])["targets"][1]["name"], "v2");
    // A picture that the table does not know is left out.
    let table = scratch.text("some.tsv");
    let lines: Vec<String> =
        (0..16).map(|i| format!("pictures/{}/{}.png\t{}", ["dark", "light"][i / 8], i % 8, i % 5)).collect();
    std::fs::write(&table, format!("path\tnumber\n{}\n", lines.join("\n"))).expect("written");
    let some = of(&["--target-table", &table, "--tap", "conv1"]);
    assert_eq!((&some["pictures"], &some["left_out"]["unlabelled"]), (&16.into(), &2.into()), "{some}");
    let said = probe(&store, &["--regression", "--target-table", &table, "--tap", "conv1"]).stderr;
    assert!(said.contains("some.tsv has no row for path \"pictures/dark/8.png\", \"pictures/light/8.png\""), "{said}");
    let refuse = |text: &str, more: &[&str], words: &[&str]| {
        std::fs::write(scratch.path("bad.csv"), text).expect("written");
        let bad = scratch.text("bad.csv");
        probe(&store, &[&["--regression", "--target-table", &bad], more].concat()).fails_with(words);
    };
    refuse("label,x\ncat,1\n", &[], &["bad.csv has a row for none of the pictures: it is joined by label", "\"dark\""]);
    refuse("label,x\ndark,1\nlight,tall\n", &[], &["\"x\" of", "bad.csv for pictures/light/0.png is \"tall\""]);
    refuse("label,x\ndark,1\n", &["--target", "y*"], &["\"y*\" is no column of", "bad.csv", "it has x"]);
    refuse("name,x\ndark,1\n", &[], &["bad.csv has neither a column path nor label, only \"name\", \"x\""]);
    // Without --regression they are no choice of classes, whatever else there is.
    for more in [&[][..], &["--balanced"], &["--control"], &["--baselines"]] {
        let typed = run(tapline(&[&["probe", &store, "--tap", "conv1", "--target", "v1"], more].concat()));
        assert!(typed.code != 0 && typed.stderr.contains("--regression"), "{more:?}: {}", typed.stderr);
    }
    // A join that failed is the cause, whatever the split says.
    let split =
        stored(&scratch, "label,split", &|class, seed| format!("{class},{}", ["train", "test"][seed as usize % 2]));
    std::fs::write(scratch.path("bad.csv"), "label,x\ncat,1\n").expect("written");
    let (bad, flags) = (scratch.text("bad.csv"), ["--regression", "--split", "--target-table"]);
    probe(&split, &[&flags[..], &[&bad]].concat()).fails_with(&["bad.csv has a row for none of the pictures"]);
    let lines: Vec<String> = (1..9).step_by(2).map(|i| format!("pictures/dark/{i}.png,{i}")).collect();
    std::fs::write(scratch.path("bad.csv"), format!("path,x\n{}\n", lines.join("\n"))).expect("written");
    probe(&split, &[&flags[..], &[&bad]].concat())
        .fails_with(&["no picture with features and a number in x is marked train"]);
    assert_eq!(probe(&store, &["--target-table", &table, "--tap", "conv1"]).code, 2);
}

#[test]
fn groups_splits_and_shuffles_part_these_pictures_too() {
    let scratch = Scratch::new();
    let row = |class: &str, seed: u32| {
        let label = if seed == 8 { "late" } else { "" };
        let part = if seed < 6 { "train" } else { "test" };
        format!("{};{label},{},{part}", labels(class, seed), numbers(class, seed))
    };
    let store = stored(&scratch, "label,brightness,luck,module,split", &row);
    let grouped = ["--regression", "--target", "brightness", "--group", "module", "--json"];
    let report = probe(&store, &grouped).json();
    assert_eq!((&report["groups"]["groups"], &report["interval"]), (&5.into(), &"bootstrap over groups".into()));
    let sizes = report["taps"][0]["folds"].as_array().expect("folds").iter().map(|fold| fold["scored"].as_u64());
    assert!(sizes.into_iter().all(|size| size.is_some_and(|size| size % 2 == 0)));
    let report = probe(&store, &["--regression", "--target", "brightness", "--split", "--json"]).json();
    assert_eq!(report["split"], serde_json::json!({"train": 12, "test": 6}));
    assert_eq!(report["taps"][0]["scored"], 6);
    probe(&store, &["--multi-label", "--split"]).fails_with(&["no training picture has label \"late\""]);
    let args = ["--regression", "--target", "brightness", "--shuffles", "2", "--tap", "conv1"];
    let text = probe(&store, &args).ok();
    assert!(text.contains("of 10 scores") && text.contains("shuffle"), "{text}");
}

#[test]
fn targets_that_cannot_be_probed_are_refused() {
    let scratch = Scratch::new();
    let row = |class: &str, seed: u32| {
        let word = if seed == 3 { "tall" } else { "7" };
        let sometimes = if seed == 4 { "nan".to_owned() } else { seed.to_string() };
        format!("all|{class},7,{word},{sometimes},")
    };
    let store = stored(&scratch, "label,constant,word,sometimes,empty", &row);
    let regression = |column: &str, words: &[&str]| {
        probe(&store, &["--regression", "--target", column]).fails_with(words);
    };
    regression("constant", &["\"constant\" is 7 in every picture"]);
    regression("word", &["\"word\" of row 4 (pictures/dark/3.png) is \"tall\", not a finite number"]);
    regression("sometimes", &["\"sometimes\" of row 5 (pictures/dark/4.png) is \"nan\""]);
    regression("empty", &["no picture with features has a number in empty"]);
    regression("height", &["\"height\" is no column", "it has label, constant, word, sometimes, empty"]);
    probe(&store, &["--multi-label"]).fails_with(&["every picture has label \"all\""]);
    let rare = Scratch::new();
    let row = |_: &str, seed: u32| if seed == 8 { "odd|late".to_owned() } else { labels("", seed) };
    probe(&stored(&rare, "label", &row), &["--multi-label"])
        .fails_with(&["pictures with label \"late\" lie in 2 of the folds", "takes 3"]);
    probe(&store, &["--multi-label", "--save", "x.json"]).fails_with(&["name it with --tap"]);
    probe(&store, &["--multi-label", "--solver", "linfa-logistic"]).fails_with(&["linfa-logistic"]);
    let wrong: [&[&str]; 5] = [
        &["--regression"],
        &["--target", "constant", "--tap", "conv1"],
        &["--multi-label", "--regression", "--target", "constant"],
        &["--multi-label", "--control"],
        &["--json"],
    ];
    wrong.iter().for_each(|more| assert_eq!(probe(&store, more).code, 2, "{more:?}"));
    assert_eq!(run(tapline(&["compare", &store, "--multi-label"])).code, 2);
    let bare = Scratch::new();
    for seed in 0..3 {
        bare.picture(&format!("flat/{seed}.png"), seed);
    }
    let store = bare.text("store");
    run(extract(&bare.text("flat"), &store, &[])).ok();
    probe(&store, &["--multi-label"]).fails_with(&["no picture of the store has a label"]);
}
