//! `--views`: flips, ten-crop and random crops of each picture, in one row, averaged by the probes.

use std::fs;
use std::path::Path;

use crate::util::{Scratch, contents, extract, python, ran, run, tapline};

const ALL: [&str; 5] = ["flip", "flips", "ten-crop", "random:3", "random:5:17"];

/// The numbers of `pool1`, whatever axes they have.
fn pool1(store: &str) -> Vec<f32> {
    let bytes = fs::read(Path::new(store).join("features/pool1.mean.npy")).expect("an array");
    bytes[128..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Pillow, NumPy and the Python runtime make the same rows of the same files, view by view.
#[test]
fn every_view_equals_that_of_pillow_and_the_python_runtime() {
    let scratch = Scratch::new();
    ran(python("tests/reference/views.py", &["make", &scratch.text("")])).ok();
    let pictures = scratch.text("pictures");
    for (model, side, taps) in
        [("squeezenet1.1", "256", "conv1,fire4,fire9"), ("efficientnet-lite0", "241", "stem,blocks.11,head")]
    {
        let mut check = vec!["check".to_owned(), pictures.clone(), format!("models/{model}.toml"), side.to_owned()];
        for views in ["centre"].into_iter().chain(ALL) {
            let store = scratch.text(&format!("{model}-{}", views.replace(':', "-")));
            let args = ["--taps", taps, "--resize", side, "--views", views, "--device", "cpu", "--store", &store];
            run(tapline(&[&["extract", &pictures, "--model", model], &args[..]].concat())).ok();
            check.push(store);
        }
        let check: Vec<&str> = check.iter().map(String::as_str).collect();
        ran(python("tests/reference/views.py", &check)).ok();
    }
}

#[test]
fn the_first_flip_is_the_row_of_the_centre_to_the_bit() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(3);
    let (centre, flips) = (scratch.text("centre"), scratch.text("flips"));
    run(extract(&pictures, &centre, &[])).ok();
    run(extract(&pictures, &flips, &["--views", "flips"])).ok();
    let (centre, flips) = (pool1(&centre), pool1(&flips));
    assert_eq!(flips.len(), 4 * centre.len());
    for (row, views) in centre.chunks(64).zip(flips.chunks(4 * 64)) {
        assert_eq!(row, &views[..64]);
        assert_ne!(row, &views[64..128]);
    }
}

#[test]
fn rows_do_not_depend_on_batch_workers_or_place_in_the_listing() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(4);
    for views in ["flips", "random:3:9"] {
        let store = |name: &str, more: &[&str]| {
            let store = scratch.text(&format!("{views}-{name}").replace(':', "-"));
            run(extract(&pictures, &store, &[&["--views", views], more].concat())).ok();
            pool1(&store)
        };
        let alone = store("alone", &["--batch", "1", "--workers", "1"]);
        let scale = alone.iter().fold(0.0f32, |scale, v| scale.max(v.abs()));
        for (name, batch, workers) in [("five", "5", "2"), ("two", "2", "3"), ("many", "64", "1")] {
            let many = store(name, &["--batch", batch, "--workers", workers]);
            let worst = alone.iter().zip(&many).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(alone.len() == many.len() && worst <= 1e-5 * scale, "{views}, {name}: {worst} of {scale}");
        }
        assert_eq!(alone, store("three", &["--batch", "1", "--workers", "3"]), "the same to the bit");
        // The same picture under another name and in another place.
        let one = Scratch::new();
        let bytes = fs::read(scratch.path("pictures/light/2.png")).expect("a picture");
        one.write("pictures/other.png", bytes);
        let (folder, only) = (one.text("pictures"), one.text("store"));
        run(extract(&folder, &only, &["--views", views])).ok();
        let row = pool1(&only);
        assert_eq!(row, alone[6 * row.len()..7 * row.len()]);
    }
}

#[test]
fn only_missing_pictures_and_taps_are_computed_and_broken_ones_are_skipped() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(3), scratch.text("store"));
    let counts = |store: &str, more: &[&str]| {
        let report = run(extract(&pictures, store, &[&["--views", "random:4", "--json"], more].concat())).json();
        assert_eq!(report["views"], "random:4:0");
        ["computed", "reused", "skipped"]
            .map(|name| report[name].as_u64().unwrap_or_else(|| report[name].as_array().expect("a list").len() as u64))
    };
    assert_eq!(counts(&store, &[]), [6, 0, 0]);
    scratch.picture("pictures/dark/10.png", 50);
    scratch.write("pictures/dark/broken.png", "not a picture");
    fs::rename(scratch.path("pictures/dark/0.png"), scratch.path("pictures/light/9.png")).expect("moves");
    assert_eq!(counts(&store, &[]), [1, 6, 1]);
    assert_eq!(counts(&store, &["--taps", "fire2"]), [7, 0, 1]);
    let fresh = scratch.text("fresh");
    counts(&fresh, &["--taps", "pool1,fire2"]);
    assert!(contents(Path::new(&store)) == contents(Path::new(&fresh)), "reuse gives the bytes of a fresh run");
    fs::remove_file(scratch.path("pictures/light/1.png")).expect("gone");
    run(extract(&pictures, &store, &["--views", "random:4"])).fails_with(&["light/1.png", "--prune"]);
    assert_eq!(counts(&store, &["--taps", "pool1,fire2", "--prune"]), [0, 6, 1]);
}

#[test]
fn other_views_need_another_store() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(2), scratch.text("store"));
    run(extract(&pictures, &store, &["--views", "flip"])).ok();
    let before = contents(Path::new(&store));
    run(extract(&pictures, &store, &[])).fails_with(&["--views: flip, asked centre", "another --store"]);
    run(extract(&pictures, &store, &["--views", "random:2"])).fails_with(&["--views: flip, asked random:2:0"]);
    assert!(contents(Path::new(&store)) == before);
    let text = run(tapline(&["info", &store])).ok();
    assert!(text.contains("4 pictures (2 views each: flip) through squeezenet1.1"), "{text}");
    // Beside each other they are compared as two networks are.
    let (pictures, centre, flips) = (scratch.two_classes(6), scratch.text("centre"), scratch.text("flips"));
    run(extract(&pictures, &centre, &[])).ok();
    run(extract(&pictures, &flips, &["--views", "flips"])).ok();
    let report = run(tapline(&["compare", &centre, &flips, "--folds", "3", "--json"])).json();
    assert_eq!(report["models"].as_array().map(Vec::len), Some(2), "{}", report["models"]);
    // Of layers that do alike the one is cheapest that takes one pass, whichever store comes first.
    for stores in [[&centre, &flips], [&flips, &centre]] {
        let report = run(tapline(&["compare", stores[0], stores[1], "--folds", "3", "--json"])).json();
        let cheapest = &report["taps"][report["comparison"]["cheapest"].as_u64().expect("a tap") as usize];
        let model = &report["models"][cheapest["backbone"].as_u64().expect("a network") as usize];
        assert!(model.as_str().expect("a name").ends_with("centre"), "{model}");
    }
    assert_eq!(run(tapline(&["info", &store, "--json"])).json()["views"], 2);
}

#[test]
fn views_that_cannot_be_made_are_refused_before_the_first_picture_is_read() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(1), scratch.text("store"));
    let check = |more: &[&str], words: &[&str]| {
        run(extract(&pictures, &store, more)).fails_with(words);
        assert!(!Path::new(&store).exists());
    };
    check(&["--views", "ten-crop", "--squash"], &["--views ten-crop", "instead of --squash"]);
    check(
        &["--views", "ten-crop", "--resize", "224"],
        &["224 leaves no border around a crop of 224 × 224", "--resize"],
    );
    for views in ["tencrop", "random", "random:0", "random:65", "random:1000000", "random:2:x", ""] {
        let ran = run(extract(&pictures, &store, &["--views", views]));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("ten-crop, random:N or random:N:SEED (1 ≤ N ≤ 64)"), "{}", ran.stderr);
    }
}

#[test]
fn probes_average_the_views_of_a_picture() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(9), scratch.text("store"));
    scratch.write("pictures/dark/broken.png", "not a picture");
    assert_eq!(run(extract(&pictures, &store, &["--taps", "pool1,fire2", "--views", "flips"])).code, 3);
    let compared = run(tapline(&["compare", &store, "--folds", "3"])).ok();
    assert!(
        compared.contains("linear probes on the mean of 4 views (flips) of each of 18 pictures (9 dark, 9 light)"),
        "{compared}"
    );
    let (saved, predictions) = (scratch.text("probe.json"), scratch.text("predictions.csv"));
    let args = ["probe", &store, "--tap", "fire2", "--folds", "3", "--save", &saved, "--predictions", &predictions];
    let text = run(tapline(&args)).ok();
    assert!(text.contains("pooling mean, mean of 4 views: flips): 100.0 % of 18 pictures"), "{text}");
    // One line for each picture, not for each view.
    assert_eq!(fs::read_to_string(&predictions).expect("a table").lines().count(), 19);
    ran(python("tests/reference/mean_of_views.py", &[&store, &saved])).ok();
}

/// What was kept for the scores of a store is not taken for another's of the same pictures and other views.
#[test]
fn kept_scores_belong_to_the_features_that_were_probed() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(6);
    let (flip, random) = (scratch.text("flip"), scratch.text("random"));
    let loss = |store: &str| {
        let report = run(tapline(&["compare", store, "--folds", "3", "--json"])).json();
        report["taps"][0]["log_loss"].as_f64().expect("a number")
    };
    run(extract(&pictures, &flip, &["--views", "flip"])).ok();
    run(extract(&pictures, &random, &["--views", "random:2"])).ok();
    let expected = loss(&random);
    let kept = |store: &str| fs::read_dir(Path::new(store).join("scores")).expect("scores").count();
    assert_eq!(loss(&flip), loss(&flip));
    assert_eq!(kept(&flip), 1, "the second comparison took what the first had kept");
    for entry in fs::read_dir(Path::new(&flip).join("scores")).expect("scores").flatten() {
        fs::copy(entry.path(), Path::new(&random).join("scores").join(entry.file_name())).expect("copied");
    }
    assert_eq!(loss(&random), expected);
    assert_ne!(loss(&flip), expected);
}
