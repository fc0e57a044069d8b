//! Stores of many classes, many rows, one tap or endless names, made without pictures: what `compare`, `advise` and `report`
//! say of them.

use std::fs;

use crate::util::{Scratch, made, run, tapline};

fn page(scratch: &Scratch, store: &str, more: &[&str]) -> String {
    let out = scratch.text("report.html");
    run(tapline(&[&["report", store, "--out", &out], more].concat())).ok();
    fs::read_to_string(out).expect("a page")
}

#[test]
fn a_thousand_classes_are_judged() {
    let scratch = Scratch::new();
    let store = made(&scratch, "store", &["--rows", "3000", "--classes", "1000", "--columns", "16"]);
    let protocol = ["--folds", "3", "--strengths", "0.01"];
    for command in ["compare", "advise"] {
        let text = run(tapline(&[&[command, &store], &protocol[..]].concat())).ok();
        assert!(text.contains("stage0"), "{text}");
    }
    let html = page(&scratch, &store, &protocol);
    assert!(html.contains("With 1,000 classes a matrix could not be read"), "1,000 classes");
    assert!(html.len() < 1_000_000, "{}", html.len());
}

#[test]
fn one_tap_is_compared_with_none() {
    let scratch = Scratch::new();
    let store = made(&scratch, "store", &["--rows", "60", "--columns", "4"]);
    let text = run(tapline(&["compare", &store])).ok();
    assert!(text.contains("It is the deepest layer probed.") && !text.contains("significantly worse"), "{text}");
    let text = run(tapline(&["advise", &store])).ok();
    assert!(text.contains("Layer: ") && text.contains("stage0"), "{text}");
    let html = page(&scratch, &store, &[]);
    assert!(html.contains("1 layer of 1 network") && !html.replace("Number.isNaN", "").contains("NaN"));
}

#[test]
fn the_map_of_many_pictures_is_a_sample_and_says_so() {
    let scratch = Scratch::new();
    let store = made(&scratch, "store", &["--rows", "2500", "--columns", "4", "--dtype", "f16"]);
    let html = page(&scratch, &store, &["--strengths", "0.1"]);
    assert!(html.contains("A sample of 2,000 of the 2,500 pictures, drawn with a fixed seed."));
    assert!(html.contains("2,500 listed, 2,500 used here."), "all of them are scored");
}

#[test]
fn endless_names_are_cut_in_tables_for_people_alone() {
    let scratch = Scratch::new();
    let name = "endless/".repeat(40);
    let store = made(&scratch, "store", &["--rows", "60", "--taps", "3", "--columns", "4", "--name", &name]);
    let text = run(tapline(&["compare", &store])).ok();
    let table: Vec<&str> = text.lines().skip(2).take_while(|line| !line.is_empty()).collect();
    assert_eq!(table.len(), 4, "{text}");
    assert!(table.iter().all(|line| line.chars().count() < 140), "{text}");
    assert!(table[1].contains("endless/endless/endl…ess/endless/0") || table[1].contains('…'), "{text}");
    let json = run(tapline(&["compare", &store, "--json"])).json();
    assert_eq!(json["taps"][0]["name"], format!("{name}0"));
    let csv = run(tapline(&["compare", &store, "--csv"])).ok();
    assert!(csv.contains(&format!("{name}2,")), "{csv}");
}
