//! `tapline report`: the same bytes each time, odd data, odd files, and the page in a browser.

use std::fs;
use std::process::Command;

use crate::util::{Scratch, extract, made, python, ran, root, run, tapline};

/// Of probabilities: probes are fitted again in another batch, and maps are averaged in another order.
const EVIDENCE_TOLERANCE: f64 = 2e-3;

fn report<'a>(stores: &[&'a str], out: &'a str, more: &[&'a str]) -> Command {
    let mut args = vec!["report"];
    args.extend(stores);
    args.extend(["--out", out]);
    args.extend(more);
    tapline(&args)
}

fn page(scratch: &Scratch, store: &str, more: &[&str]) -> String {
    let out = scratch.text("report.html");
    run(report(&[store], &out, more)).ok();
    fs::read_to_string(out).expect("a page")
}

/// A store of both classes with two taps.
fn stored(scratch: &Scratch, each: u32) -> (String, String) {
    let (pictures, store) = (scratch.two_classes(each), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "pool1,fire3"])).ok();
    (pictures, store)
}

/// Writes a listing with these labels for pictures of `two_classes`, and extracts it.
fn listed(scratch: &Scratch, labels: impl Iterator<Item = String>) -> String {
    let mut csv = csv::Writer::from_path(scratch.path("list.csv")).expect("a file");
    csv.write_record(["path", "label"]).expect("a line");
    for (index, label) in labels.enumerate() {
        let name = format!("pictures/שלום 🐈 {index}.png");
        scratch.picture(&name, if index % 2 == 0 { index as u32 } else { 100 + index as u32 });
        csv.write_record([name, label]).expect("a line");
    }
    csv.flush().expect("written");
    let store = scratch.text("store");
    run(extract(&scratch.text("list.csv"), &store, &[])).ok();
    store
}

#[test]
fn the_same_stores_give_the_same_bytes() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch, 24);
    let (out, figures) = (scratch.text("report.html"), scratch.text("figures"));
    let all = |threads: &str| {
        let mut command = report(&[&store], &out, &["--pictures", &pictures, "--figures", &figures]);
        command.env("RAYON_NUM_THREADS", threads);
        run(command).ok();
        (fs::read(&out).expect("a page"), crate::util::contents(&scratch.path("figures")))
    };
    let first = all("1");
    assert!(first == all("3"), "pages differ");
    assert_eq!(first.1.len(), 14, "six figures twice and two tables");
    let text = String::from_utf8(first.0).expect("UTF-8");
    assert!(
        text.contains("class=\"thumb t0\"") && text.contains("data:image/jpeg;base64,/9j/"),
        "thumbnails are in it"
    );
    // The one address is the name of SVG's elements.
    assert!(!text.replace("http://www.w3.org/2000/svg", "").contains("://"), "it loads nothing");
}

#[test]
fn json_is_the_struct_that_the_page_is_made_of() {
    let scratch = Scratch::new();
    let (_, store) = stored(&scratch, 6);
    let found = run(tapline(&["report", &store, "--json"])).json();
    let compared = run(tapline(&["compare", &store, "--json"])).json();
    for tap in [0, 1] {
        assert_eq!(found["taps"][tap]["scores"]["correct"], compared["taps"][tap]["accuracy"]["correct"]);
    }
    assert_eq!(found["best"], compared["best"]);
    assert_eq!(found["expected"]["correct"], compared["chosen_on_inner_folds"]["correct"]);
    assert_eq!(found["taps"][1]["top"], true);
}

/// Every picture of the galleries with its evidence, as JSON has them.
fn shown(report: &serde_json::Value) -> Vec<&serde_json::Value> {
    let layers = report["layers"].as_array().expect("layers").iter();
    layers
        .flat_map(|layer| ["mistakes", "hits"].map(|kind| layer[kind].as_array().expect("pictures")))
        .flatten()
        .collect()
}

#[test]
fn the_evidence_is_that_of_the_probe_that_scored_the_picture() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch, 12);
    let check = |more: &[&str]| {
        let found =
            run(tapline(&[&["report", &store, "--pictures", &pictures, "--json", "--folds", "3"], more].concat()));
        let report = found.json();
        found.ok();
        assert!(!shown(&report).is_empty());
        for picture in shown(&report) {
            // The mean of the cells is the log-odds of what was predicted when the picture was left out.
            let score = picture["evidence"]["score"].as_f64().expect("a score");
            let expected = picture["probability"].as_f64().expect("a probability");
            let said = 1.0 / (1.0 + (-score).exp());
            assert!((said - expected).abs() < EVIDENCE_TOLERANCE, "{said} {expected}");
            assert_eq!(picture["evidence"]["seen"], serde_json::json!([0.65625, 0.65625]));
        }
    };
    check(&[]);
    check(&["--shuffles", "4"]);
    check(&["--transform", "none", "--strengths", "0.01,0.1"]);
}

#[test]
fn what_has_no_evidence_says_why() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "pool1@max,fire2,fire3"])).ok();
    let check = |more: &[&str], present: bool, words: &str| {
        let html = page(&scratch, &store, &[&["--folds", "3"], more].concat());
        assert_eq!(html.contains("class=\"show-evidence\""), present, "{more:?}");
        assert!(html.contains(words), "{more:?}: {words}");
    };
    let pictures = ["--pictures", pictures.as_str()];
    check(&pictures, true, "cannot be shown here: pool1 is pooled by max: only the mean of a map");
    check(&[&pictures[..], &["--join", "fire2+fire3"]].concat(), true, "the maps of joined taps differ in size");
    check(&[&pictures[..], &["--transform", "l2"]].concat(), false, "features are bent row by row first");
    fs::create_dir(scratch.path("elsewhere")).expect("a folder");
    check(
        &["--pictures", &scratch.text("elsewhere")],
        false,
        "the files of the pictures are not there, or have changed",
    );
    // A store whose network is no card's and was not named.
    let manifest = scratch.path("store/store.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, text.replace("\"squeezenet1.1\"", "\"mine\"")).expect("written");
    check(&pictures, false, "no file of mine with the digest that the features come from was found; --model names it");
    let model = root().join("models/squeezenet1.1.onnx").display().to_string();
    check(
        &[&pictures[..], &["--model", "efficientnet-lite0", "--model", &model]].concat(),
        true,
        "pool1 is pooled by max",
    );
}

#[test]
fn all_stages_are_typed_as_such() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    let commands = |taps: &[&str]| {
        run(extract(&pictures, &store, taps)).ok();
        run(tapline(&["report", &store, "--folds", "3", "--json"])).json()["provenance"]["commands"].to_string()
    };
    let some = commands(&["--taps", "pool1,fire2@max"]);
    assert!(some.contains("--taps pool1@mean,fire2@max"), "{some}");
    let others = commands(&["--taps", "stages"]);
    assert!(others.contains(",fire2@max,"), "one more than the stages: {others}");
    std::fs::remove_dir_all(&store).expect("a folder");
    let all = commands(&["--taps", "stages"]);
    assert!(all.contains("--taps stages"), "{all}");
}

#[test]
fn the_protocol_is_that_of_compare() {
    let scratch = Scratch::new();
    let (_, store) = stored(&scratch, 12);
    let protocol = ["--folds", "3", "--shuffles", "4", "--transform", "sqrt", "--join", "pool1+fire3", "--json"];
    let of = |command: &str| run(tapline(&[&[command, &store], &protocol[..]].concat())).json();
    let (compared, report, advice) = (of("compare"), of("report"), of("advise"));
    assert_eq!(compared["taps"].as_array().map(Vec::len), Some(3));
    for tap in 0..3 {
        assert_eq!(report["taps"][tap]["scores"]["correct"], compared["taps"][tap]["accuracy"]["correct"]);
        assert_eq!(report["taps"][tap]["name"], compared["taps"][tap]["name"]);
    }
    let joined = &compared["taps"][2];
    assert_eq!((joined["name"].as_str(), joined["features"].as_u64()), (Some("pool1 + fire3"), Some(64 + 128)));
    assert_eq!((joined["pooling"].as_str(), joined["joined"].as_bool()), (Some("joined"), Some(true)));
    // It is as deep as fire3, which stays the top layer.
    assert_eq!((compared["top"].as_u64(), report["taps"][1]["top"].as_bool()), (Some(1), Some(true)));
    // Four shuffles of a quarter each score most of the 24.
    assert!(
        report["pictures"].as_u64().is_some_and(|pictures| (12..=24).contains(&pictures)),
        "{}",
        report["pictures"]
    );
    // Both taps tell all pictures apart: the cheaper one is to be used.
    assert_eq!(advice["recommended"]["name"], compared["taps"][0]["name"]);
    let commands = report["provenance"]["commands"].to_string();
    assert!(
        commands.contains("--join pool1+fire3 --folds 3 --shuffles 4 --test-share 0.25 --transform sqrt"),
        "{commands}"
    );
    for (taps, words) in [("pool1", "names one tap"), ("pool1+fire9", "no tap \"fire9\"")] {
        for command in ["compare", "report", "advise"] {
            run(tapline(&[command, &store, "--join", taps, "--json"])).fails_with(&["--join", words]);
        }
    }
    run(tapline(&["compare", &store, "--join", "pool1+fire3", "--join", "pool1+fire3"]))
        .fails_with(&["is there twice"]);
}

#[test]
fn labels_that_are_tags_formulas_or_endless_stay_text() {
    let scratch = Scratch::new();
    let names = [
        "</script><script>alert(1)</script>".to_owned(),
        "=HYPERLINK(\"x\")|`b`".to_owned(),
        "x".repeat(10_000),
        "שלום 🐈".to_owned(),
    ];
    let store = listed(&scratch, (0..24).map(|i| names[i % 4].clone()));
    let html = page(&scratch, &store, &["--figures", &scratch.text("figures")]);
    assert!(!html.contains("<script>alert"), "a tag came through");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("(10,000 letters)"));
    assert!(html.contains("<bdi>שלום 🐈</bdi>") && html.contains(">שלום 🐈 0.png</bdi>"));
    assert!(html.len() < 400_000, "{}", html.len());
}

#[test]
fn without_labels_or_with_one_class_there_is_the_map_alone() {
    for label in ["", "cat"] {
        let scratch = Scratch::new();
        let store = listed(&scratch, (0..20).map(|_| label.to_owned()));
        let html = page(&scratch, &store, &[]);
        assert!(html.contains("No layer was scored") && html.contains("id=\"map\""), "{label}");
        assert!(!html.contains("id=\"depth\"") && !html.contains("right or wrong"), "{label}");
    }
}

#[test]
fn few_pictures_and_many_classes_are_said_to_be_so() {
    let scratch = Scratch::new();
    let store = listed(&scratch, (0..5).map(|i| ["a", "b"][i % 2].to_owned()));
    let html = page(&scratch, &store, &[]);
    assert!(html.contains("has 2 pictures, fewer than 5 folds"), "five pictures");
    let scratch = Scratch::new();
    let store = listed(&scratch, (0..100).map(|i| format!("class {:02}", i % 25)));
    let html = page(&scratch, &store, &["--folds", "3"]);
    assert!(html.contains("With 25 classes a matrix could not be read"), "25 classes");
    assert!(html.contains("the 7 largest classes"));
}

#[test]
fn one_tap_is_enough_and_its_pictures_are_looked_into() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &[])).ok();
    let html = page(&scratch, &store, &["--pictures", &pictures]);
    assert!(html.contains("id=\"depth\"") && !html.replace("Number.isNaN", "").contains("NaN"));
    assert!(html.contains("class=\"show-evidence\"") && html.contains("background-image:url(data:image/png;base64,"));
}

#[test]
fn missing_and_changed_pictures_are_counted() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch, 10);
    fs::remove_file(scratch.path("pictures/dark/3.png")).expect("removed");
    scratch.picture("pictures/light/4.png", 77);
    // What has no end is not read.
    fs::remove_file(scratch.path("pictures/light/5.png")).expect("removed");
    std::os::unix::fs::symlink("/dev/zero", scratch.path("pictures/light/5.png")).expect("a link");
    let html = page(&scratch, &store, &["--pictures", &pictures]);
    assert!(html.contains("3 are shown as an empty frame"), "counted");
    assert!(html.contains("3 of them have no thumbnail"), "and said at the map");
    let html = page(&scratch, &store, &["--pictures", &scratch.text("")]);
    assert!(html.contains("20 are shown as an empty frame") && !html.contains("data:image/jpeg"));
}

#[test]
fn pictures_of_shards_have_thumbnails() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(7);
    ran(python("tests/reference/shards.py", &[&pictures, &scratch.text("packed")])).ok();
    for packed in ["packed/packed.tar", "packed/web-{000..002}.tar", "packed/t*-00000-of-00001.parquet"] {
        let (typed, store) = (scratch.text(packed), scratch.text("store"));
        run(extract(&typed, &store, &["--taps", "pool1,fire3", "--prune"])).ok();
        let html = page(&scratch, &store, &["--folds", "3", "--pictures", &typed]);
        assert!(html.contains("data:image/jpeg") && !html.contains("empty frame"), "{packed}");
        assert!(page(&scratch, &store, &["--folds", "3"]).contains("14 are shown as an empty frame"), "{packed}");
    }
    // A folder that holds them, and nothing else.
    let (folder, store) = (scratch.text("web"), scratch.text("of-folder"));
    fs::create_dir(&folder).expect("made");
    for shard in ["web-000.tar", "web-001.tar", "web-002.tar"] {
        fs::copy(scratch.path("packed").join(shard), scratch.path("web").join(shard)).expect("copied");
    }
    run(extract(&folder, &store, &["--taps", "pool1,fire3"])).ok();
    let html = page(&scratch, &store, &["--folds", "3", "--pictures", &folder]);
    assert!(html.contains("data:image/jpeg") && !html.contains("empty frame"));
    let (store, absent, out) = (scratch.text("store"), scratch.text("absent"), scratch.text("report.html"));
    run(report(&[&store], &out, &["--pictures", &absent])).fails_with(&["--pictures", "absent does not exist"]);
}

#[test]
fn stores_of_other_pictures_are_refused_with_the_difference() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch, 6);
    let (out, other) = (scratch.text("report.html"), scratch.text("other"));
    scratch.picture("pictures/light/zz.png", 5);
    run(extract(&pictures, &other, &["--taps", "fire2"])).ok();
    run(report(&[&store, &other], &out, &[])).fails_with(&["different pictures", "12 in the one, 13 in the other"]);
    fs::remove_file(scratch.path("pictures/light/zz.png")).expect("removed");
    scratch.picture("pictures/light/2.png", 55);
    run(extract(&pictures, &other, &["--taps", "fire2", "--prune"])).ok();
    run(report(&[&store, &other], &out, &[])).fails_with(&["light/2.png", "other bytes"]);
    run(report(&[&store, &store], &out, &[])).fails_with(&["both hold", "give one of them"]);
    assert!(!scratch.path("report.html").exists());
}

#[test]
fn stores_of_one_network_are_one_line_for_each_pooling() {
    let scratch = Scratch::new();
    let (pictures, store) = stored(&scratch, 6);
    let (out, other) = (scratch.text("report.html"), scratch.text("other"));
    run(extract(&pictures, &other, &["--taps", "pool1,fire3", "--pool", "max"])).ok();
    run(report(&[&store, &other], &out, &[])).ok();
    let html = fs::read_to_string(out).expect("a page");
    assert!(html.contains("squeezenet1.1, mean") && html.contains("squeezenet1.1, max"));
    assert!(html.contains("4 layers of 1 network"), "one network");
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_at_once() {
    let scratch = Scratch::new();
    let (_, store) = stored(&scratch, 6);
    run(report(&[&store], &scratch.text("absent/report.html"), &[])).fails_with(&["absent", "cannot be written"]);
    run(report(&[&store], &scratch.text("report.html"), &["--group", "nothing"])).fails_with(&["nothing"]);
    let left: Vec<_> =
        fs::read_dir(scratch.path("")).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("report")), "{left:?}");
}

#[test]
fn the_page_works_in_a_browser() {
    let scratch = Scratch::new();
    // Real pictures: every sixth solar cell, so that something is right and something is wrong.
    let list = fs::read_to_string(root().join("data/elpv.csv")).expect("`make setup-test`");
    let mut lines = list.lines();
    let mut some = format!("{}\n", lines.next().expect("a header"));
    let folder = root().join("data");
    lines.step_by(6).for_each(|line| some += &format!("{}/{line}\n", folder.display()));
    let list = scratch.write("list.csv", some).display().to_string();
    let stores = [scratch.text("one"), scratch.text("two")];
    run(extract(&list, &stores[0], &["--squash", "--taps", "pool1,fire5,fire9"])).ok();
    run(extract(&list, &stores[1], &["--squash", "--taps", "pool1,fire4", "--pool", "max"])).ok();
    let out = scratch.text("report.html");
    run(report(&[&stores[0], &stores[1]], &out, &[])).ok();
    let mut python = Command::new(root().join(".venv/bin/python"));
    let tested = ran(python.arg(root().join("tests/browser/report.py")).arg(&out).output().expect("Python starts"));
    match tested.code {
        77 if std::env::var_os("TAPLINE_BROWSER").is_none() => {
            eprintln!("SKIPPED: the report's page was not opened in a browser: {}", tested.stdout);
        }
        _ => drop(tested.ok()),
    }
}

/// The page says the same as `advise`.
#[test]
fn a_report_marks_the_field_of_the_table_that_advise_names() {
    let scratch = Scratch::new();
    let store = made(&scratch, "made", &["--rows", "240", "--taps", "3", "--columns", "8"]);
    let page = scratch.text("report.html");
    let report = run(tapline(&["report", &store, "--out", &page, "--json"])).json();
    let advice = run(tapline(&["advise", &store, "--json"])).json();
    let field = &report["field"];
    let cells = [("little", 0), ("a-lot", 1)].iter().flat_map(|&(data, row)| {
        [("similar", 0), ("different", 1)]
            .map(|(similarity, column)| (data, similarity, field["may_be"][row][column].clone()))
    });
    for (data, similarity, may_be) in cells {
        let recipes = advice["recipes"].as_array().expect("recipes");
        let is_named = recipes.iter().any(|recipe| recipe["data"] == data && recipe["similarity"] == similarity);
        assert_eq!(may_be, is_named, "{data} {similarity}");
    }
    let layer = format!("Layer: {}", advice["recommended"]["name"].as_str().expect("a layer"));
    assert_eq!(field["evidence"][0][0], layer.as_str());
    let html = fs::read_to_string(&page).expect("a page");
    assert!(html.contains(&layer) && html.contains("<h2 id=\"field-h\">What to do</h2>"), "{layer}");
}
