//! `tapline advise` and odd data for `compare`: the cell, the layer, and one clear sentence for what cannot be judged.

use std::path::Path;
use std::process::Command;

use crate::util::{Scratch, made, python, ran, run, tapline};

/// Relative; sums are in f64 on both sides, in another order.
const SHIFT_TOLERANCE: f64 = 1e-9;

/// A listing of pictures with these labels, extracted: those at even places are dark, the others light.
fn listed(scratch: &Scratch, labels: &[String], store: &str, taps: &str) -> String {
    let name = format!("{store}.csv");
    let mut csv = csv::Writer::from_path(scratch.path(&name)).expect("a file");
    csv.write_record(["path", "label"]).expect("a line");
    for (index, label) in labels.iter().enumerate() {
        let seed = if index % 2 == 0 { index as u32 } else { 100 + index as u32 };
        scratch.picture(&format!("pictures/{index}.png"), seed);
        csv.write_record([&format!("pictures/{index}.png"), label]).expect("a line");
    }
    csv.flush().expect("written");
    let store = scratch.text(store);
    let (list, taps) = (scratch.text(&name), format!("--taps={taps}"));
    let mut command: Command =
        tapline(&["extract", &list, "--model", "squeezenet1.1", "--store", &store, "--device", "cpu"]);
    command.arg(taps);
    run(command).ok();
    store
}

fn both(store: &str, more: &[&str], check: impl Fn(crate::util::Ran)) {
    for command in ["compare", "advise"] {
        check(run(tapline(&[&[command, store], more].concat())));
    }
}

#[test]
fn the_cell_the_layer_and_what_to_type_are_named() {
    let scratch = Scratch::new();
    let labels: Vec<String> = (0..48).map(|i| ["dark", "light"][i % 2].to_owned()).collect();
    let store = listed(&scratch, &labels, "store", "pool1,fire2,fire3,logits");
    let text = run(tapline(&["advise", &store])).ok();
    let unbroken = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "squeezenet1.1: linear probes on 48 pictures (24 dark, 24 light), 5 folds",
        "Layer: pool1 ",
        "100.0 % of the pictures right, with 6.2 % of the network's arithmetic",
        "The median class has 24 pictures",
        "twice the 38 pictures learned from would probably bring nothing",
        "the file of squeezenet1.1 keeps no batch norm",
        "% sure of these pictures on average (logits",
        "--tap pool1@mean --save probe.json",
        "tapline report ",
    ] {
        assert!(unbroken.contains(words), "{words:?} is not in\n{text}");
    }
    let edge = "lies at the edge of the grid in some fold";
    let narrow = run(tapline(&["advise", &store, "--strengths", "1,10", "--json"])).json();
    assert!(narrow["warnings"].to_string().contains(edge), "{}", narrow["warnings"]);
    let advice = run(tapline(&["advise", &store, "--json"])).json();
    // Few pictures and a flat curve do not agree; taps that tell all pictures apart say nothing of the curve of layers.
    assert_eq!(advice["data"]["reading"], "uncertain");
    assert_eq!(advice["data"]["slope"], "flat");
    assert_eq!(advice["evidence"][0]["curve"], "uncertain");
    assert_eq!(advice["recommended"]["name"], "pool1");
    assert_eq!(advice["recommended"]["loss"], 0.0);
    let confidence = advice["evidence"][0]["answers"]["confidence"].as_f64().expect("a number");
    let expected = mean_confidence(&store, "logits");
    assert!((confidence - expected).abs() < 1e-6, "{confidence}, {expected} of the stored logits");
    // The kept curve says the same.
    assert_eq!(advice, run(tapline(&["advise", &store, "--json"])).json());
    // What it says to type can be typed.
    let probe = advice["next"][0].as_str().expect("a command").replace("probe.json", &scratch.text("probe.json"));
    run(tapline(&probe.split(' ').skip(1).collect::<Vec<_>>())).ok();
}

#[test]
fn batch_norms_that_a_file_keeps_are_compared_with_the_pictures() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    let model = ["--model", "efficientnet-lite0", "--taps", "blocks.0,blocks.1,blocks.2", "--device", "cpu"];
    run(tapline(&[&["extract", &pictures, "--store", &store], &model[..]].concat())).ok();
    let advice = run(tapline(&["advise", &store, "--folds", "3", "--json"])).json();
    let shift = &advice["evidence"][0]["shift"];
    // blocks.2 ends in an addition.
    assert_eq!((shift["taps"][0][0].as_str(), shift["taps"][1][0].as_str()), (Some("blocks.0"), Some("blocks.1")));
    assert_eq!(shift["taps"].as_array().map(Vec::len), Some(2));
    let reference =
        ran(python("tests/reference/batch_norm_shift.py", &["models/efficientnet-lite0.onnx", &store])).ok();
    for (ours, theirs) in shift["taps"].as_array().expect("taps").iter().zip(reference.lines()) {
        let (name, theirs) = theirs.split_once(' ').expect("name and shift");
        let theirs: f64 = theirs.parse().expect("a number");
        assert_eq!(ours[0], name);
        assert!(
            ours[1].as_f64().is_some_and(|ours| (ours - theirs).abs() < SHIFT_TOLERANCE * theirs),
            "{ours} {theirs}"
        );
    }
    // Two taps are too few for a reading.
    assert_eq!(advice["evidence"][0]["norms"], "uncertain");
    assert_eq!(advice["evidence"][0]["answers"], serde_json::Value::Null);
}

#[test]
fn labels_that_mean_nothing_get_no_layer() {
    let scratch = Scratch::new();
    // Dark and light pictures have both labels alike.
    let labels: Vec<String> = (0..40).map(|i| ["a", "b"][i / 2 % 2].to_owned()).collect();
    let store = listed(&scratch, &labels, "store", "pool1,fire2");
    let advice = run(tapline(&["advise", &store, "--json"])).json();
    assert_eq!(advice["recommended"], serde_json::Value::Null);
    let text = run(tapline(&["advise", &store])).ok();
    assert!(text.contains("Layer: none can be recommended"), "{text}");
    let text = run(tapline(&["compare", &store])).ok();
    assert!(text.contains("No tap is significantly better than always answering the commonest class"), "{text}");
}

#[test]
fn what_is_to_be_typed_next_has_the_protocol_that_was_typed() {
    let scratch = Scratch::new();
    let labels: Vec<String> = (0..40).map(|i| ["dark", "light"][i % 2].to_owned()).collect();
    let store = listed(&scratch, &labels, "store", "pool1,fire2");
    let typed = ["--folds", "3", "--seed", "4", "--shuffles", "4", "--transform", "l2", "--balanced", "--control"];
    let advice = run(tapline(&[&["advise", &store, "--json"], &typed[..]].concat())).json();
    let flags = " --folds 3 --seed 4 --control --shuffles 4 --test-share 0.25 --transform l2 --balanced";
    for command in advice["next"].as_array().expect("commands") {
        assert!(command.as_str().expect("text").contains(flags), "{command}");
    }
    assert_eq!(advice["controls"].as_array().map(Vec::len), Some(2));
    let text = run(tapline(&[&["advise", &store], &typed[..]].concat())).ok();
    let heading =
        "3 folds of what each of 4 shuffles learns from (25.0 % scored), transform l2, classes weighing alike, seed 4";
    assert!(text.contains(heading) && text.contains("Control: "), "{text}");
}

/// Few pictures call little worse: the layer named without a bound may lose far more than one that is named within it. The
/// bound is two points unless another one is typed.
#[test]
fn the_loss_of_the_layer_can_be_bounded() {
    let scratch = Scratch::new();
    let store = made(&scratch, "made", &["--rows", "240", "--taps", "6", "--columns", "8"]);
    let high = |more: &[&str]| {
        let found = run(tapline(&[&["advise", &store, "--json"], more].concat())).json();
        let layer = &found["recommended"];
        let high = layer["loss_interval"][1].as_f64().expect("a number");
        (high, layer["name"] == layer["best"], layer["name"].as_str().expect("a name").to_owned())
    };
    let (free, _, shallow) = high(&["--max-loss", "100"]);
    let (bound, is_best, deeper) = high(&["--max-loss", "3"]);
    assert!(free > 0.03 && shallow != deeper, "{shallow} loses up to {free}, {deeper} up to {bound}");
    assert!(is_best || bound <= 0.03, "{deeper} loses up to {bound}");
    assert_eq!(high(&[]), high(&["--max-loss", "2"]));
    let text = run(tapline(&["advise", &store])).ok();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cheaper = format!("not shown to be worse: {shallow}, with ");
    assert!(words.contains(&cheaper) && words.contains("--max-loss 100 names it"), "{text}");
    let compared = run(tapline(&["compare", &store, "--json"])).json();
    let cheapest = compared["comparison"]["cheapest"].as_u64().expect("a tap") as usize;
    assert_eq!(compared["taps"][cheapest]["name"], shallow.as_str(), "the one that compare names");
    let usage = run(tapline(&["advise", &store, "--max-loss", "200"]));
    assert!(usage.code == 2 && usage.stderr.contains("from 0 to 100, such as 2"), "{}", usage.stderr);
}

/// Where classes weigh alike, a tap that finds the few of a small class is better than a guess that never does.
#[test]
fn balanced_probes_are_held_against_a_guess_in_balanced_terms() {
    let scratch = Scratch::new();
    let store = made(&scratch, "made", &["--rows", "600", "--uneven", "12", "--taps", "2", "--columns", "4"]);
    let p = |more: &[&str]| {
        let found = run(tapline(&[&["compare", &store, "--json"], more].concat())).json();
        let best = &found["taps"][found["best"].as_u64().expect("a tap") as usize];
        (found["comparison"]["guess_p"].as_f64().expect("p"), best["balanced_accuracy"].as_f64().expect("a share"))
    };
    let (p, balanced) = p(&["--balanced"]);
    assert!(balanced > 0.6 && p < 0.05, "{p} {balanced}");
}

#[test]
fn one_tap_alone_is_judged() {
    let scratch = Scratch::new();
    let labels: Vec<String> = (0..20).map(|i| ["dark", "light"][i % 2].to_owned()).collect();
    let store = listed(&scratch, &labels, "store", "pool1");
    both(&store, &[], |ran| assert!(ran.ok().contains("pool1")));
    let text = run(tapline(&["advise", &store])).ok();
    assert!(text.contains("Layer curve: uncertain; it takes a stage below the top one"), "{text}");
}

#[test]
fn what_cannot_be_judged_is_refused_in_one_sentence() {
    let scratch = Scratch::new();
    let check = |name: &str, labels: &[&str], words: &str| {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let store = listed(&scratch, &labels, name, "pool1");
        both(&store, &[], |ran| ran.fails_with(&[words]));
    };
    check("one-class", &["cat"; 12], "all labelled pictures belong to one class, \"cat\"");
    check("no-labels", &[""; 12], "no labelled pictures");
    check("five", &["a", "b", "a", "b", "a"], "class \"b\" has 2 pictures, fewer than 5 folds");
    let long = "x".repeat(10_000);
    let labels = ["a", "b", "a", "b", "a", "b", "a", "b", "a", &long];
    let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
    let store = listed(&scratch, &labels, "long", "pool1");
    both(&store, &[], |ran| {
        assert!(ran.stderr.len() < 400, "{}", ran.stderr.len());
        ran.fails_with(&["fewer than 5 folds"]);
    });
}

#[test]
fn stores_over_different_pictures_are_refused_with_the_difference() {
    let scratch = Scratch::new();
    let labels = |count: usize, last: &str| {
        let mut labels: Vec<String> = (0..count).map(|i| ["dark", "light"][i % 2].to_owned()).collect();
        labels[count - 1] = last.to_owned();
        labels
    };
    let first = listed(&scratch, &labels(12, "light"), "first", "pool1");
    let fewer = listed(&scratch, &labels(10, "light"), "fewer", "fire2");
    let other = listed(&scratch, &labels(12, "dark"), "other", "fire2");
    for command in ["compare", "advise"] {
        run(tapline(&[command, &first, &fewer]))
            .fails_with(&["hold different pictures: 12 in the one, 10 in the other"]);
        run(tapline(&[command, &first, &other])).fails_with(&["pictures/11.png (row 12) has another label"]);
        run(tapline(&[command, &first, &first])).fails_with(&["both hold pool1@mean of the same network"]);
    }
    // Two stores of one network are one network.
    let same = listed(&scratch, &labels(12, "light"), "same", "fire2");
    let report = run(tapline(&["compare", &first, &same, "--json"])).json();
    assert_eq!(report["models"], serde_json::json!(["squeezenet1.1"]));
    assert_eq!(report["taps"].as_array().map(Vec::len), Some(2));
}

#[test]
fn odd_names_are_shortened_and_kept_on_their_line() {
    let scratch = Scratch::new();
    let names = ["שלום".to_owned(), "🐈\u{200d}⬛".to_owned(), "y".repeat(10_000), "two\nlines".to_owned()];
    let labels: Vec<String> = (0..40).map(|i| names[i % 4].clone()).collect();
    let store = listed(&scratch, &labels, "store", "pool1,fire2");
    both(&store, &[], |ran| {
        let text = ran.ok();
        assert!(text.len() < 4000 && !text.contains("two\nlines"), "{text}");
    });
    let report = run(tapline(&["compare", &store, "--json"])).json();
    assert_eq!(report["classes"].as_array().map(Vec::len), Some(4));
}

#[test]
fn rankings_come_with_their_agreement() {
    let scratch = Scratch::new();
    let labels: Vec<String> = (0..36).map(|i| ["dark", "light", "light"][i % 3].to_owned()).collect();
    let store = listed(&scratch, &labels, "store", "conv1,pool1,fire2,fire3");
    let args = ["compare", &store, "--folds", "3", "--rankings"];
    let text = run(tapline(&args)).ok();
    assert!(text.contains("LogME") && text.contains("CKA") && text.contains("Spearman's rank correlation"), "{text}");
    let report = run(tapline(&[&args[..], &["--json"]].concat())).json();
    let best = report["best"].as_u64().expect("a position") as usize;
    assert!(report["taps"][best]["cka"].as_f64().is_some_and(|cka| (cka - 1.0).abs() < 1e-9));
    for tap in report["taps"].as_array().expect("taps") {
        assert!(
            tap["log_me"].is_number() && tap["h_score"].as_f64().is_some_and(|score| (0.0..1.000_001).contains(&score))
        );
    }
    let csv = run(tapline(&[&args[..], &["--csv"]].concat())).ok();
    assert!(csv.lines().next().is_some_and(|head| head.ends_with("not_worse,not_worse_p,log_me,h_score,cka")), "{csv}");
    let without = run(tapline(&["compare", &store, "--folds", "3", "--json"])).json();
    assert_eq!(without["rankings"], serde_json::Value::Null);
}

/// Mean of the largest softmax probability of a stored tap's rows.
fn mean_confidence(store: &str, tap: &str) -> f64 {
    let manifest = std::fs::read(Path::new(store).join("store.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let tap = manifest["taps"].as_array().expect("taps").iter().find(|found| found["name"] == tap).expect("the tap");
    let file = Path::new(store).join("features").join(tap["file"].as_str().expect("a name"));
    let bytes = std::fs::read(file).expect("an array");
    let numbers: Vec<f64> =
        bytes[128..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect();
    let rows: Vec<&[f64]> = numbers.chunks(tap["features"].as_u64().expect("a number") as usize).collect();
    let of_row = |row: &&[f64]| {
        let largest = row.iter().copied().fold(f64::MIN, f64::max);
        1.0 / row.iter().map(|value| (value - largest).exp()).sum::<f64>()
    };
    rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
}

#[test]
fn the_best_pooling_speaks_for_the_top_layer_whichever_store_comes_first() {
    let scratch = Scratch::new();
    // Some labels are wrong, so that poolings differ in what they get right.
    let labels: Vec<String> =
        (0..48).map(|i| ["dark", "light"][(i + usize::from(i % 5 == 0)) % 2].to_owned()).collect();
    let mean = listed(&scratch, &labels, "mean.store", "pool1,fire2");
    let max = listed(&scratch, &labels, "max.store", "pool1@max,fire2@max");
    let of = |stores: [&str; 2]| {
        let report = run(tapline(&["compare", stores[0], stores[1], "--json"])).json();
        let named = |tap: &serde_json::Value| {
            let tap = &report["taps"][tap.as_u64().expect("a tap") as usize];
            let text = |key: &str| tap[key].as_str().expect("text").to_owned();
            (text("name"), text("pooling"), tap["accuracy"]["correct"].as_u64().expect("a count"))
        };
        let top = &report["tops"][0];
        (named(&top["top"]), named(&top["inner"]), top["p"].as_f64().expect("a number"), named(&report["top"]))
    };
    let (top, inner, _, named) = of([&mean, &max]);
    assert_eq!((top.0.as_str(), inner.0.as_str(), &named), ("fire2", "pool1", &top));
    assert_eq!(of([&mean, &max]), of([&max, &mean]));
}
