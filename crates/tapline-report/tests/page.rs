//! A report with every part, its page as a snapshot, and one whose every name is an attack.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p tapline-report` writes the snapshots anew.

use std::fs;
use std::path::Path;

use tapline_report::{
    Accuracy, Backbone, Bin, Comparison, Confused, Confusion, Evidence, FeatureMap, Field, Layer, LearningCurve,
    LearningFit, LearningPoint, MapLayer, MapPoint, OperatingPoint, Picture, Provenance, Report, Roc, Scores, Skipped,
    Sprite, TapRow, Thumbnails, figures, page, table,
};

const ATTACK: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn scores(correct: usize) -> Option<Scores> {
    let accuracy = correct as f64 / 40.0;
    Some(Scores {
        correct,
        total: 40,
        accuracy,
        interval: (accuracy - 0.1, (accuracy + 0.1).min(1.0)),
        balanced_accuracy: accuracy - 0.01,
        macro_f1: accuracy - 0.02,
        auroc: Some(0.9),
        calibration_error: 0.04,
        log_loss: 0.5,
        strength: 0.1,
        ..Scores::default()
    })
}

fn tap(name: &str, cost_share: f64, correct: usize) -> TapRow {
    TapRow {
        name: name.to_owned(),
        pooling: "mean".to_owned(),
        features: 64,
        cost_share,
        scores: scores(correct),
        comparison: Comparison {
            not_worse: Some(correct > 30),
            log_me: Some(-0.2),
            h_score: Some(1.5),
            cka: Some(0.8),
            similarity: Some(cost_share / 2.0),
        },
        ..TapRow::default()
    }
}

fn learning() -> LearningCurve {
    let point =
        |pictures, accuracy: f64| LearningPoint { pictures, accuracy, interval: (accuracy - 0.03, accuracy + 0.03) };
    LearningCurve {
        tap: 1,
        points: vec![point(10, 0.6), point(20, 0.7), point(40, 0.8)],
        fit: Some(LearningFit {
            curve: vec![point(10, 0.61), point(40, 0.79), point(80, 0.85)],
            sentence: "Twice the pictures would probably bring 85 %.".to_owned(),
        }),
    }
}

fn layer(tap: usize, path: &str) -> Layer {
    let picture = |label, predicted, thumbnail| Picture {
        path: path.to_owned(),
        label,
        predicted,
        probability: 0.75,
        thumbnail,
        evidence: None,
    };
    let evidence = Evidence { score: 1.1, seen: (1.0, 0.75), cells: vec![vec![1.0, -0.5], vec![0.25, 0.0]] };
    let has_map = tap == 1;
    Layer {
        tap,
        confusion: Confusion {
            counts: vec![vec![15, 5], vec![3, 17]],
            pairs: vec![Confused { truth: 0, predicted: 1, pictures: 5, of: 20 }],
        },
        calibration: vec![
            Bin::default(),
            Bin { probability: 0.6, correct: 10, total: 20, interval: (0.3, 0.7) },
            Bin { probability: 0.9, correct: 19, total: 20, interval: (0.8, 1.0) },
        ],
        roc: has_map.then(|| Roc {
            class: 0,
            curve: vec![(0.0, 0.0), (0.0, 0.5), (0.25, 0.75), (1.0, 1.0)],
            points: vec![OperatingPoint {
                wanted_recall: 0.9,
                threshold: 0.25,
                recall: Accuracy { correct: 18, total: 20, accuracy: 0.9, interval: (0.7, 0.97) },
                specificity: Accuracy { correct: 10, total: 20, accuracy: 0.5, interval: (0.3, 0.7) },
                precision: None,
            }],
        }),
        mistakes: vec![Picture { evidence: has_map.then_some(evidence), ..picture(0, 1, Some(0)) }],
        hits: vec![picture(1, 1, None)],
        no_evidence: (!has_map).then(|| format!("{path} is pooled by max")),
    }
}

/// A report with all parts; `name` is what a class and a picture are called.
fn report(name: &str) -> Report {
    let places = || vec![[0.0, 0.0], [1.0, 2.0], [-1.0, 0.5]];
    let map_layer = |tap, tsne| MapLayer {
        tap,
        pca: places(),
        explained: [0.6, 0.2],
        tsne,
        predicted: vec![Some((0, 0.9)), Some((1, 0.6)), None],
    };
    let point = |label, has_thumbnail| MapPoint { path: name.to_owned(), label, has_thumbnail };
    let mut report = Report {
        title: format!("A report on {name}"),
        verdict: vec!["The deep tap is best.".to_owned(), "Expect 80 %.".to_owned()],
        field: Some(Field {
            sentence: "little data; how similar is uncertain, so one of".to_owned(),
            may_be: [[true, true], [false, false]],
            recipes: [["the top", "a stage"], ["few layers", "more layers"]].map(|row| row.map(str::to_owned)),
            evidence: vec![(format!("Layer: {name}"), vec![format!("{name} is right.")])],
        }),
        notes: vec![format!("{name} was left out.")],
        training: None,
        pictures: 40,
        classes: vec![(name.to_owned(), 20), ("שלום 🐈".to_owned(), 20)],
        backbones: vec![Backbone {
            name: "net".to_owned(),
            sha256: "0123".to_owned(),
            store: "net.store".to_owned(),
            preprocessing: "whole picture".to_owned(),
            computed: "ONNX Runtime on cpu".to_owned(),
        }],
        taps: vec![tap(name, 0.2, 28), tap("deep", 0.9, 32), tap("logits", 1.0, 31)],
        best: Some(1),
        expected: Some(Accuracy { correct: 32, total: 40, accuracy: 0.8, interval: (0.65, 0.9) }),
        interval: "Wilson interval".to_owned(),
        similarity: Some("distance of batch-norm statistics".to_owned()),
        learning: vec![learning()],
        layers: vec![layer(1, name), layer(0, name)],
        map: Some(FeatureMap {
            pictures: 40,
            points: vec![point(Some(0), true), point(Some(1), false), point(None, true)],
            layers: vec![map_layer(1, Some(places())), map_layer(0, None)],
        }),
        thumbnails: Thumbnails {
            pictures: vec![b"not really a JPEG file".to_vec()],
            sprite: Some(Sprite { jpeg: b"nor this".to_vec(), side: 8, columns: 2 }),
        },
        provenance: Provenance {
            program: "tapline 0.0.0".to_owned(),
            protocol: vec!["5 folds".to_owned()],
            listed: 41,
            skipped: vec![Skipped { path: name.to_owned(), reason: name.to_owned() }],
            without_file: 1,
            commands: vec![format!("tapline report {}", name.len())],
        },
    };
    report.taps[2].classifier = true;
    report.taps[1].top = true;
    report
}

#[track_caller]
fn snapshot(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, text).expect("a snapshot");
    }
    assert_eq!(text, fs::read_to_string(&file).expect("a snapshot"), "{}", file.display());
}

#[test]
fn the_page_and_its_tables_look_as_they_should() {
    let report = report("cat");
    let html = page(&report);
    assert_eq!(html, page(&report), "the same struct gives the same bytes");
    // Style and script have files of their own.
    let body = &html[html.find("</head>").expect("a head")
        ..html.find("<script>\"use").or(html.find("<script>")).expect("a script")];
    snapshot("page.html", body);
    snapshot("taps.csv", &table(&report).csv().expect("csv"));
    snapshot("taps.md", &table(&report).markdown());
    for figure in figures(&report) {
        snapshot(&format!("{}.svg", figure.name), &figure.file());
    }
}

#[test]
fn pictures_that_only_train_are_told_from_those_that_are_scored() {
    let split = Report { training: Some(100), ..report("grey cat") };
    assert!(page(&split).contains("41 listed, 40 scored here by probes trained on 100 others."));
}

#[test]
fn a_name_that_is_an_attack_stays_text() {
    let report = report(ATTACK);
    let html = page(&report);
    assert!(!html.contains("<script>alert") && !html.contains("<img"), "a tag came through");
    let code: Vec<&str> = html.match_indices("<script").map(|(at, _)| &html[at..html.len().min(at + 40)]).collect();
    assert_eq!(code.len(), 2, "the data and the script alone: {code:?}");
    for tag in html.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        assert!(!tag.contains(" onerror") || tag.contains("&quot;") || !tag.contains('='), "{tag}");
    }
    let data = html.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("data");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["classes"][0], ATTACK);
    for figure in figures(&report) {
        let svg = figure.file();
        assert!(!svg.contains("<script") && !svg.contains("<img"), "{}", figure.name);
    }
    let table = table(&report);
    assert!(!table.markdown().contains("<script"), "{}", table.markdown());
}

#[test]
fn joined_taps_are_off_the_line_of_their_network() {
    let mut joined = report("cat");
    joined.taps[0].joined = true;
    let svg = figures(&joined).into_iter().find(|figure| figure.name == "layers").expect("the curve").file();
    assert!(svg.contains("net, mean") && svg.contains("net, joined taps"), "{svg}");
}

#[test]
fn of_too_many_lines_the_best_are_drawn() {
    let mut many = report("cat");
    let (backbone, taps) = (many.backbones[0].clone(), many.taps.clone());
    for number in 1..=9 {
        let mut backbone = backbone.clone();
        backbone.name = format!("other{number}");
        many.backbones.push(backbone);
        for mut tap in taps.clone() {
            tap.backbone = number;
            if let Some(scores) = &mut tap.scores {
                scores.accuracy += number as f64 / 100.0;
            }
            many.taps.push(tap);
        }
    }
    let svg = figures(&many).into_iter().find(|figure| figure.name == "layers").expect("the curve").file();
    assert!(svg.contains("other9, mean") && svg.contains("other2, mean") && svg.contains("2 lines more"), "{svg}");
    assert!(!svg.contains("other1, mean") && !svg.contains(">net, mean"), "{svg}");
}

#[test]
fn every_figure_becomes_a_png_with_something_in_it() {
    let figures = figures(&report("cat"));
    let names: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
    assert_eq!(names, ["layers", "similarity", "learning", "confusion", "calibration", "roc", "map"]);
    for figure in figures {
        let (png, unknown) = figure.png().expect("a PNG");
        assert!(unknown.iter().all(|&letter| letter == '🐈'), "{}: {unknown:?}", figure.name);
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n", "{}", figure.name);
        let blank =
            resvg::tiny_skia::Pixmap::decode_png(&png).expect("decodes").pixels().iter().all(|p| p.red() == 255);
        assert!(!blank, "{} is white throughout", figure.name);
    }
}

#[test]
fn letters_that_the_fonts_of_a_png_do_not_know_are_told() {
    let confusion = figures(&report("太陽")).into_iter().find(|figure| figure.name == "confusion").expect("the matrix");
    assert!(confusion.png().expect("a PNG").1.contains(&'太'));
}

#[test]
fn names_of_ten_thousand_letters_keep_the_page_small() {
    let long = "long ".repeat(2_000);
    let html = page(&report(&long));
    assert!(html.len() < 150_000, "{}", html.len());
    assert!(html.contains("(10,000 letters)"));
}

#[test]
fn reports_with_little_in_them_are_drawn_without_what_is_not_there() {
    assert!(figures(&Report::default()).is_empty());
    assert!(page(&Report::default()).ends_with("</html>\n"));
    let mut bare = report("cat");
    for tap in &mut bare.taps {
        tap.scores = None;
        tap.comparison = Comparison::default();
    }
    (bare.layers, bare.learning, bare.best, bare.expected) = (Vec::new(), Vec::new(), None, None);
    let html = page(&bare);
    assert!(!html.contains("id=\"depth\"") && !html.contains("id=\"closer\"") && html.contains("id=\"map\""));
    assert!(!html.replace("Number.isNaN", "").contains("NaN") && !html.contains("inf "), "numbers that are none");
    let mut one = report("cat");
    one.taps.truncate(1);
    (one.best, one.layers, one.map, one.learning) = (Some(0), Vec::new(), None, Vec::new());
    let html = page(&one);
    assert!(html.contains("id=\"depth\"") && !html.replace("Number.isNaN", "").contains("NaN"));
}
