//! `tapline predict`: a saved probe says of other pictures what it says in NumPy, and of other features nothing.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::signals::{ended, signal};
use crate::util::{Scratch, extract, python, ran, run, tapline};

/// A store of six dark and six light pictures.
fn stored(scratch: &Scratch, name: &str, more: &[&str]) -> String {
    let (pictures, store) = (scratch.two_classes(6), scratch.text(name));
    run(extract(&pictures, &store, more)).ok();
    store
}

/// A probe of a tap, saved.
fn saved(scratch: &Scratch, store: &str, tap: &str, more: &[&str]) -> String {
    let saved = scratch.text("probe.json");
    let args = ["probe", store, "--tap", tap, "--folds", "3", "--save", &saved];
    run(tapline(&[&args[..], more].concat())).ok();
    saved
}

#[test]
fn probabilities_are_those_of_numpy_whatever_the_taps_views_and_transform() {
    let check = |extracted: &[&str], tap: &str, probed: &[&str]| {
        let scratch = Scratch::new();
        let store = stored(&scratch, "store", extracted);
        let (saved, out) = (saved(&scratch, &store, tap, probed), scratch.text("new.csv"));
        let text = run(tapline(&["predict", &saved, &store, "--out", &out])).ok();
        assert!(text.contains("12 of 12 pictures with a label of its classes are right (100.0 %"), "{text}");
        assert!(text.contains("Predicted: 6 dark, 6 light"), "{text}");
        let scored = ran(python("tests/reference/saved_probe.py", &[&store, &saved, &out])).ok();
        let (right, off) = scored.trim().split_once('\n').expect("two lines");
        assert_eq!(right, "12 of 12");
        assert!(off.parse::<f64>().expect("a number") < 1e-12, "{tap} {probed:?}: {off}");
    };
    check(&["--taps", "conv1,fire2@gem:3"], "conv1+fire2@gem:3", &[]);
    check(&["--taps", "conv1", "--views", "flip"], "conv1", &[]);
    check(&["--taps", "conv1", "--dtype", "f16"], "conv1", &["--transform", "l2"]);
    check(&["--taps", "conv1"], "conv1", &["--transform", "sqrt"]);
    check(&["--taps", "conv1"], "conv1", &["--transform", "pca", "--components", "3"]);
}

/// Pictures are predicted as they are by way of a store, to the last digit, whatever their features were made with.
#[test]
fn pictures_are_predicted_without_a_store_of_them() {
    let check = |extracted: &[&str], tap: &str| {
        let scratch = Scratch::new();
        let store = stored(&scratch, "store", &[extracted, &["--batch", "1"]].concat());
        let probe = saved(&scratch, &store, tap, &[]);
        scratch.write("pictures/dark/broken.png", "not a picture");
        let (pictures, new) = (scratch.text("pictures"), scratch.text("new.store"));
        let ranges = if extracted.contains(&"int8") { &["--ranges", store.as_str()][..] } else { &[] };
        assert_eq!(run(extract(&pictures, &new, &[extracted, ranges, &["--batch", "1"]].concat())).code, 3);
        let predicted = |from: &str| {
            let ran = run(tapline(&["predict", &probe, from, "--out", "-", "--device", "cpu"]));
            assert_eq!(ran.code, 3, "{}", ran.stderr);
            ran.stdout
        };
        assert_eq!(predicted(&pictures), predicted(&new), "{extracted:?}");
    };
    check(&["--taps", "conv1,fire2@max"], "conv1+fire2@max");
    check(&["--taps", "pool1", "--views", "flip", "--squash"], "pool1");
    check(&["--taps", "fire2", "--precision", "int8"], "fire2");
}

#[test]
fn pictures_are_predicted_one_by_one_and_need_their_network() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "pool1"]);
    let probe = saved(&scratch, &store, "pool1", &[]);
    let files = ["dark/0.png", "light/1.png"].map(|name| scratch.text(&format!("pictures/{name}")));
    let typed = ["predict", &probe, &files[0], &files[1], &files[0], "--device", "cpu"];
    let report = run(tapline(&[&typed[..], &["--json"]].concat())).json();
    assert_eq!(report["from"], serde_json::json!([files[0], files[1], files[0]]));
    assert_eq!(report["not_listed"], serde_json::json!([{"path": files[0], "reason": "given twice"}]));
    assert_eq!(report["predicted"], serde_json::json!({"dark": 1, "light": 1}));
    assert_eq!(report.get("store"), None);
    let other = ["predict", &probe, &files[0], "--model", "efficientnet-lite0"];
    run(tapline(&other)).fails_with(&["not the network that the features were made with"]);
    run(tapline(&["predict", &probe, &store, "--model", "squeezenet1.1"])).fails_with(&["leave it out for a store"]);
    run(tapline(&["predict", &probe, &scratch.text("absent")])).fails_with(&["absent does not exist"]);
    scratch.write("pictures/dark/photo.heic", "");
    let text = run(tapline(&["predict", &probe, &scratch.text("pictures"), "--device", "cpu"])).ok();
    assert!(text.contains("not listed dark/photo.heic: not a picture file by its name"), "{text}");
}

#[test]
fn a_stopped_prediction_leaves_nothing() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "fire9"]);
    let probe = saved(&scratch, &store, "fire9", &[]);
    let (pictures, out, temporary) = (scratch.two_classes(600), scratch.text("out"), scratch.text("temporary"));
    let begun = |folder: &str| {
        let made = fs::read_dir(folder).expect("a folder").flatten();
        made.map(|entry| entry.path()).find(|path| path.join("building").exists())
    };
    [&out, &temporary].into_iter().for_each(|folder| fs::create_dir(folder).expect("a folder"));
    let file = format!("{out}/new.csv");
    let mut command = tapline(&["predict", &probe, &pictures, "--out", &file, "--device", "cpu"]);
    let mut child =
        command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    while begun(&temporary).is_none() {
        assert!(child.try_wait().expect("a state").is_none(), "it ended before it began");
        sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    let ended = ended(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (130, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped by SIGINT; not all was predicted, and nothing is kept"), "{}", ended.stderr);
    for folder in [out, temporary] {
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0, "{folder}");
    }
}

/// A probe from elsewhere is held against the network before this runs.
#[test]
fn probes_whose_features_the_network_does_not_make_are_refused() {
    let scratch = Scratch::new();
    let (store, picture) = (stored(&scratch, "store", &["--taps", "pool1"]), scratch.text("pictures/dark/0.png"));
    let probe = saved(&scratch, &store, "pool1", &[]);
    let text = fs::read_to_string(&probe).expect("a probe");
    let check = |from: &str, to: &str, words: &[&str]| {
        assert!(text.contains(from), "{from} in {text}");
        fs::write(&probe, text.replace(from, to)).expect("write");
        run(tapline(&["predict", &probe, &picture, "--device", "cpu"])).fails_with(words);
    };
    check("\"height\":224", "\"height\":0", &["height"]);
    check("\"channels\":\"bgr\"", "\"channels\":\"grey\"", &["mean"]);
    check("\"name\":\"squeezenet1.1\"", "\"name\":\"\\u001b[31mred\"", &["the network  [31mred cannot be opened"]);
}

#[test]
fn new_pictures_without_labels_are_predicted_and_those_without_features_left_out() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "pool1"]);
    let probe = saved(&scratch, &store, "pool1", &[]);
    for seed in 0..25 {
        scratch.picture(&format!("new/{seed}.png"), 200 + seed);
    }
    scratch.write("new/broken.png", "not a picture");
    let (pictures, new) = (scratch.text("new"), scratch.text("new.store"));
    assert_eq!(run(extract(&pictures, &new, &["--taps", "pool1,fire2"])).code, 3);
    let out = scratch.text("new.csv");
    let ran = run(tapline(&["predict", &probe, &new]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    for words in ["25 pictures by", "and 5 more; --out", "skipped broken.png: the bytes are not a picture"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("right"), "nothing is known of them: {}", ran.stdout);
    let ran = run(tapline(&["predict", &probe, &new, "--json", "--out", &out]));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let table = fs::read_to_string(&out).expect("a table");
    assert_eq!((ran.code, table.lines().count()), (3, 27));
    let broken = table.lines().find(|line| line.starts_with("broken.png")).expect("it is listed");
    assert!(broken.starts_with("broken.png,,,,,") && broken.contains("not a picture"), "{broken}");
    assert_eq!((json["pictures"].as_u64(), json["skipped"][0]["path"].as_str()), (Some(25), Some("broken.png")));
    let counted: u64 = ["dark", "light"].iter().map(|class| json["predicted"][class].as_u64().expect("a count")).sum();
    assert_eq!(counted, 25);
}

#[test]
fn predictions_on_standard_output_are_alone_there() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "pool1"]);
    let (probe, out) = (saved(&scratch, &store, "pool1", &[]), scratch.text("out.csv"));
    run(tapline(&["predict", &probe, &store, "--out", &out])).ok();
    let table = fs::read_to_string(&out).expect("a table");
    for name in ["-", "/dev/stdout"] {
        let ran = run(tapline(&["predict", &probe, &store, "--out", name]));
        assert_eq!((ran.code, &ran.stdout), (0, &table), "{}", ran.stderr);
        let said = ["Predicted: 6 dark, 6 light", "Written: standard output"];
        assert!(said.iter().all(|words| ran.stderr.contains(words)), "{}", ran.stderr);
        let predict = ["predict", &probe, &store, "--out", name, "--json"];
        run(tapline(&predict)).fails_with(&["prints the predictions", "leave out --json"]);
        let probe = ["probe", &store, "--tap", "pool1", "--folds", "3", "--predictions", name];
        run(tapline(&probe)).fails_with(&["is standard output", "name a file"]);
    }
}

#[test]
fn labels_that_the_probe_does_not_know_are_counted_and_named() {
    let scratch = Scratch::new();
    let probe = saved(&scratch, &stored(&scratch, "store", &["--taps", "pool1"]), "pool1", &[]);
    let table = |label: &dyn Fn(u32) -> &'static str| {
        let rows = (0..6).map(|seed| format!("pictures/dark/{seed}.png,{}\n", label(seed)));
        let table = scratch.write("list.csv", format!("path,label\n{}", rows.collect::<String>()));
        let store = scratch.text("listed.store");
        run(extract(table.to_str().expect("UTF-8"), &store, &["--taps", "pool1"])).ok();
        store
    };
    let store = table(&|seed| ["dark", "dark", "grey", "grey", "blue", ""][seed as usize]);
    let text = run(tapline(&["predict", &probe, &store])).ok();
    assert!(text.contains("2 of 2 pictures with a label of its classes are right"), "{text}");
    let words = "Not scored: 3 pictures with a label that the probe does not know (2 grey, 1 blue)";
    assert!(text.contains(words), "{text}");
    let json = run(tapline(&["predict", &probe, &store, "--json"])).json();
    assert_eq!(json["unknown_labels"], serde_json::json!({"blue": 1, "grey": 2}));
    // Where it knows none of them, nothing is scored.
    let json = run(tapline(&["predict", &probe, &table(&|_| "grey"), "--json"])).json();
    assert_eq!((&json["unknown_labels"]["grey"], &json["labelled"]), (&6.into(), &serde_json::Value::Null));
    let json = run(tapline(&["predict", &probe, &table(&|_| "dark"), "--json"])).json();
    assert!(json.get("unknown_labels").is_none(), "{json}");
}

#[test]
fn several_labels_and_numbers_are_predicted() {
    let scratch = Scratch::new();
    scratch.two_classes(6);
    let mut table = "path,label,size\n".to_owned();
    for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..6).map(move |seed| (class, seed))) {
        let labels = if seed % 2 == 0 { format!("{class}|even") } else { (*class).to_owned() };
        table += &format!("pictures/{class}/{seed}.png,{labels},{seed}.5\n");
    }
    scratch.write("list.csv", table);
    let (list, store, out) = (scratch.text("list.csv"), scratch.text("store"), scratch.text("out.csv"));
    run(extract(&list, &store, &["--taps", "pool1"])).ok();
    let header = || fs::read_to_string(&out).expect("a table").lines().next().expect("a header").to_owned();
    let labels = saved(&scratch, &store, "pool1", &["--multi-label"]);
    run(tapline(&["predict", &labels, &store, "--out", &out])).ok();
    assert_eq!(header(), "path,label,predicted,probability of dark,probability of even,probability of light,skipped");
    let numbers = saved(&scratch, &store, "pool1", &["--regression", "--target", "size"]);
    let text = run(tapline(&["predict", &numbers, &store, "--out", &out])).ok();
    assert!(text.contains("size") && !text.contains("Predicted:"), "{text}");
    assert_eq!(header(), "path,label,predicted size,skipped");
}

#[test]
fn features_that_the_probe_was_not_fitted_on_are_refused_with_the_command_that_makes_them() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "fire2", "--squash"]);
    let probe = saved(&scratch, &store, "fire2", &[]);
    let other = stored(&scratch, "other", &["--taps", "fire2"]);
    let command = "tapline extract PICTURES --model squeezenet1.1 --taps fire2@mean --squash --store STORE";
    run(tapline(&["predict", &probe, &other])).fails_with(&["whole picture (--squash)", command]);
    let lacks = stored(&scratch, "lacks", &["--squash"]);
    run(tapline(&["predict", &probe, &lacks])).fails_with(&["has no fire2@mean", command]);
}

#[test]
fn files_that_are_no_probe_are_refused() {
    let scratch = Scratch::new();
    let store = stored(&scratch, "store", &["--taps", "pool1"]);
    let probe = saved(&scratch, &store, "pool1", &[]);
    run(tapline(&["predict", &store, &probe])).fails_with(&["store is a folder", "first name the file"]);
    let text = fs::read_to_string(&probe).expect("a probe");
    let good: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let check = |change: &dyn Fn(&mut serde_json::Value), words: &str| {
        let mut bad = good.clone();
        change(&mut bad);
        fs::write(&probe, bad.to_string()).expect("written");
        run(tapline(&["predict", &probe, &store])).fails_with(&["probe.json is no probe", words]);
    };
    check(&|bad| bad["mean"] = serde_json::json!([0.0]), "different numbers of features");
    check(&|bad| bad["weights"][3] = serde_json::json!([0.0, 1.0]), "weights and intercept are not those of 1 output");
    check(&|bad| bad["intercept"] = serde_json::json!([1.0, 2.0]), "weights and intercept");
    check(&|bad| bad["classes"] = serde_json::json!(["one"]), "it has 1 name alone");
    check(&|bad| bad["classes"] = serde_json::json!(["a", "a"]), "it names \"a\" twice");
    check(&|bad| bad["labels"] = serde_json::json!(["a"]), "not one of classes, labels and targets");
    check(&|bad| bad["more"] = serde_json::json!([[[1]]]), "unknown field");
    check(&|bad| bad["scale"][0] = serde_json::json!(0.0), "not above 0");
    check(&|bad| bad["taps"] = serde_json::json!([]), "different numbers of features");
    check(&|bad| bad["transform"] = serde_json::json!("fold"), "unknown variant");
    check(&|bad| *bad = serde_json::json!("probe"), "that `tapline probe --save` wrote");
    // Numbers too large to be multiplied are no answer.
    check(&|bad| bad["weights"][7] = serde_json::json!([1e280]), "too large to be multiplied");
    run(tapline(&["predict", &scratch.text("none.json"), &store])).fails_with(&["none.json", "cannot be read"]);
}
