//! `probe --recall`: a threshold that finds what was asked, what it costs, and `predict` by it.

use std::fs;

use serde_json::Value;

use crate::util::{Scratch, extract, made, python, ran, run, tapline};

/// 600 pictures, 150 of them of `class 1`, that no probe tells apart without errors.
fn overlapping(scratch: &Scratch) -> String {
    made(scratch, "made", &["--rows", "600", "--uneven", "4", "--columns", "8"])
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

#[test]
fn thresholds_and_what_they_cost_are_those_of_the_reference() {
    let scratch = Scratch::new();
    let (store, predictions) = (overlapping(&scratch), scratch.text("predictions.csv"));
    for (class, recall) in [("class 1", "0.9"), ("class 0", "0.99")] {
        let typed = format!("{class}={recall}");
        let args = ["probe", &store, "--tap", "stage0", "--recall", &typed, "--predictions", &predictions];
        let report = run(tapline(&[&args[..], &["--json"]].concat())).json();
        let found = ran(python("tests/reference/operating.py", &[&predictions, class, recall])).ok();
        let [threshold, counts, area, interval] = found.lines().collect::<Vec<_>>().try_into().expect("four lines");
        let point = &report["operating_point"];
        assert_eq!(point["class"], class);
        let off = number(&point["threshold"]) - threshold.parse::<f64>().expect("a number");
        assert!(off.abs() < 1e-12, "{off}");
        let ours: Vec<String> = ["recall", "specificity", "precision"]
            .iter()
            .flat_map(|what| ["correct", "total"].map(|part| point[what][part].to_string()))
            .collect();
        assert_eq!(ours.join(" "), counts, "{class}");
        let reached = number(&point["recall"]["accuracy"]) - recall.parse::<f64>().expect("a number");
        assert!(reached.abs() < 0.03, "{reached}");
        let off = number(&report["auroc"]) - area.parse::<f64>().expect("a number");
        assert!(off.abs() < 1e-6, "{off}");
        // The reference draws pictures by another generator, 1,000 times.
        let ends = interval.split(' ').map(|end| end.parse::<f64>().expect("a number"));
        for (end, expected) in ends.enumerate() {
            let off = number(&point["specificity"]["interval"][end]) - expected;
            assert!(off.abs() < 0.02, "{class} {end}: {off}");
        }
        let text = run(tapline(&args)).ok();
        assert!(text.contains(&format!("recall (sensitivity): {class} called {class}")), "{text}");
    }
}

#[test]
fn a_saved_probe_is_applied_at_its_operating_point() {
    let scratch = Scratch::new();
    let (store, saved, out) = (overlapping(&scratch), scratch.text("probe.json"), scratch.text("new.csv"));
    let args = ["probe", &store, "--tap", "stage0", "--recall", "class 1=0.9", "--save", &saved];
    run(tapline(&args)).ok();
    let text = run(tapline(&["predict", &saved, &store, "--out", &out])).ok();
    assert!(text.contains("A picture is predicted class 1 from a probability of 0."), "{text}");
    // The reference in NumPy calls by the same threshold, which is far below one half.
    let scored = ran(python("tests/reference/saved_probe.py", &[&store, &saved, &out])).ok();
    assert!(scored.lines().last().is_some_and(|off| off.parse::<f64>().is_ok_and(|off| off < 1e-12)), "{scored}");
    let plain = scratch.text("plain.json");
    run(tapline(&["probe", &store, "--tap", "stage0", "--save", &plain])).ok();
    let predicted = |probe: &str| {
        let report = run(tapline(&["predict", probe, &store, "--json"])).json();
        number(&report["predicted"]["class 1"])
    };
    assert!(predicted(&saved) > 1.2 * predicted(&plain), "{} {}", predicted(&saved), predicted(&plain));
    // On labelled pictures it says what was asked for.
    assert!(text.contains("chosen to find 90 % of that class") && text.contains("Recall: 1"), "{text}");
    let labelled = run(tapline(&["predict", &saved, &store, "--json"])).json()["labelled"].clone();
    let totals = ["recall", "specificity"].map(|part| labelled[part]["total"].as_u64());
    assert_eq!(totals, [Some(150), Some(450)]);
    assert!(number(&labelled["recall"]["accuracy"]) > 0.85, "{labelled}");
    // A probe from elsewhere is checked.
    let text = fs::read_to_string(&saved).expect("a probe");
    for (from, to, words) in [
        (
            r#""operating_point":{"class":"class 1""#,
            r#""operating_point":{"class":"class 7""#,
            "not of one of two classes",
        ),
        (r#""wanted_recall":0.9"#, r#""wanted_recall":9.0"#, "not between 0 and 1"),
        (r#""threshold":0."#, r#""threshold":-0."#, "not between 0 and 1"),
        (r#""classes":["#, r#""labels":["#, "not of one of two classes"),
    ] {
        let bad = scratch.write("bad.json", text.replace(from, to));
        let bad = bad.to_str().expect("UTF-8");
        assert_ne!(fs::read_to_string(bad).expect("a probe"), text);
        run(tapline(&["predict", bad, &store])).fails_with(&["bad.json is no probe that can be used", words]);
    }
}

/// With `--split` the threshold is the one that the training pictures alone give.
#[test]
fn a_threshold_for_a_split_is_chosen_on_its_training_pictures() {
    let scratch = Scratch::new();
    scratch.two_classes(9);
    let list = |name: &str, parts: &[&str]| {
        let mut table = "path,label,split\n".to_owned();
        for (class, seed) in ["dark", "light"].iter().flat_map(|class| (0..9).map(move |seed| (class, seed))) {
            let part = if seed < 6 { "train" } else { "test" };
            if parts.contains(&part) || parts.contains(class) {
                table += &format!("pictures/{class}/{seed}.png,{class},{part}\n");
            }
        }
        scratch.write(name, table);
        let (list, store) = (scratch.text(name), scratch.text(&format!("{name}.store")));
        run(extract(&list, &store, &[])).ok();
        store
    };
    let point = |store: &str, more: &[&str]| {
        let args = ["probe", store, "--tap", "pool1", "--folds", "3", "--recall", "dark=0.6", "--json"];
        run(tapline(&[&args[..], more].concat())).json()["operating_point"].clone()
    };
    let of_split = point(&list("all.csv", &["train", "test"]), &["--split"]);
    let of_training = point(&list("train.csv", &["train"]), &[]);
    assert_eq!(of_split["threshold"], of_training["threshold"]);
    assert_eq!((&of_split["recall"]["total"], &of_split["specificity"]["total"]), (&3.into(), &3.into()));
    // Where no picture of a class is scored, nothing is said of it.
    let of_dark = point(&list("dark.csv", &["train", "dark"]), &["--split"]);
    assert_eq!((&of_dark["recall"]["total"], &of_dark["specificity"]), (&3.into(), &Value::Null));
}

#[test]
fn what_cannot_be_found_is_refused_in_words() {
    let scratch = Scratch::new();
    let store = overlapping(&scratch);
    let fails = |store: &str, recall: &str, words: &[&str]| {
        run(tapline(&["probe", store, "--tap", "stage0", "--recall", recall])).fails_with(words);
    };
    fails(&store, "class 7=0.9", &[r#"no class "class 7", but "class 0" and "class 1""#]);
    // Each fold's threshold is chosen on the pictures outside it: 1,249 leave 999.
    fails(&store, "class 1=0.999", &[r#"takes 1,249 picture(s) of the class "class 1", and there are 150"#]);
    let many = made(&scratch, "many", &["--rows", "60", "--classes", "3", "--columns", "4"]);
    fails(&many, "class 1=0.9", &["--recall parts two classes, and there are 3"]);
    for typed in ["class 1", "class 1=95", "class 1=0", "0.95", "class 1=NaN"] {
        let ran = run(tapline(&["probe", &store, "--tap", "stage0", "--recall", typed]));
        assert_eq!(ran.code, 2, "{typed}");
        assert!(ran.stderr.contains("such as defective=0.95"), "{}", ran.stderr);
    }
}

/// The area below a report's curve is the AUROC beside it, and its points are those of `probe`.
#[test]
fn a_report_shows_what_it_costs_to_find_more_of_the_rarer_class() {
    let scratch = Scratch::new();
    let (store, page) = (overlapping(&scratch), scratch.text("report.html"));
    let report = run(tapline(&["report", &store, "--out", &page, "--json"])).json();
    let roc = &report["layers"][0]["roc"];
    assert_eq!(report["classes"][roc["class"].as_u64().expect("a number") as usize][0], "class 1");
    let curve: Vec<(f64, f64)> = serde_json::from_value(roc["curve"].clone()).expect("corners");
    let area: f64 = curve.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0).sum();
    let auroc = number(&report["taps"][0]["scores"]["auroc"]);
    assert!((area - auroc).abs() < 1e-6, "{area} {auroc}");
    let wanted: Vec<f64> =
        roc["points"].as_array().expect("points").iter().map(|p| number(&p["wanted_recall"])).collect();
    assert_eq!(wanted, [0.8, 0.9, 0.95, 0.99]);
    let probed = run(tapline(&["probe", &store, "--tap", "stage0", "--recall", "class 1=0.95", "--json"])).json();
    for part in ["threshold", "recall", "specificity", "precision"] {
        assert_eq!(roc["points"][2][part], probed["operating_point"][part], "{part}");
    }
    assert!(fs::read_to_string(&page).expect("a page").contains("Finding more of the class"));
}
