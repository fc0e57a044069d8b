//! Several views of a picture in one row: what comes back, what is reused, what is refused.

mod common;

use std::fs;

use common::{FEATURES, Scratch, features, view_features};
use tapline_core::{Digest, Dtype, Plan, StoreWriter, Views};

fn plan(scratch: &Scratch, views: Views) -> Plan {
    let mut plan = scratch.plan("xy");
    plan.space.views = views;
    plan
}

#[test]
fn views_come_back_one_by_one_and_as_their_mean() {
    for (views, dtype) in [(Views::Flips, Dtype::F32), (Views::Random { count: 2, seed: 5 }, Dtype::F16)] {
        let scratch = Scratch::of(&["a", "b", "!c"]);
        let mut plan = plan(&scratch, views);
        plan.space.dtype = dtype;
        scratch.extract(plan).expect("extract");
        let store = scratch.open().expect("open");
        assert_eq!(store.manifest().space.views, views);
        for (tap, stored) in store.taps().iter().enumerate() {
            let rows = store.rows(tap);
            assert_eq!((rows.rows, rows.views, rows.features), (3, views.count(), FEATURES));
            let rounded = |value: f32| if dtype == Dtype::F16 { half::f16::from_f32(value).to_f32() } else { value };
            let expected: Vec<f32> = view_features(&stored.info, b"b", views).into_iter().map(rounded).collect();
            let mut found = vec![0.0; FEATURES];
            for (view, expected) in expected.chunks(FEATURES).enumerate() {
                rows.view_f32(2, view, &mut found);
                assert_eq!(found, expected, "view {view}");
            }
            let sum = |column: usize| expected.iter().skip(column).step_by(FEATURES).sum::<f32>();
            let mean: Vec<f32> = (0..FEATURES).map(|column| sum(column) / views.count() as f32).collect();
            assert_eq!(rows.to_f32(&[2]).expect("finite"), mean);
            assert!(rows.to_f32(&[0]).expect("skipped").iter().all(|value| value.is_nan()));
        }
    }
}

#[test]
fn one_view_is_stored_as_ever() {
    let (centre, one) = (Scratch::of(&["a", "b"]), Scratch::of(&["a", "b"]));
    centre.extract(centre.plan("xy")).expect("centre");
    one.extract(plan(&one, Views::Random { count: 1, seed: 0 })).expect("one");
    let array = |scratch: &Scratch| fs::read(scratch.store().join("features/x.mean.npy")).expect("read");
    assert_eq!(array(&centre), array(&one), "the made-up features of a first view are those of the centre");
    assert!(!fs::read_to_string(centre.store().join("store.json")).expect("read").contains("views"));
    let row = features(&centre.open().expect("open").taps()[0].info, b"a");
    assert_eq!(centre.open().expect("open").rows(0).to_f32(&[0]).expect("finite"), row);
}

#[test]
fn pictures_keep_their_views_when_others_come_and_go() {
    let scratch = Scratch::of(&["a", "b", "c"]);
    assert_eq!(scratch.extract(plan(&scratch, Views::TenCrop)).expect_err("squashed").to_string(), {
        "--views ten-crop cannot be made: squashing leaves no border to crop from; use --resize instead of --squash"
    });
    assert_eq!(scratch.extract(plan(&scratch, Views::Flips)).expect("first"), 6);
    fs::rename(scratch.picture("a"), scratch.picture("z")).expect("rename");
    scratch.add("n");
    assert_eq!(scratch.extract(plan(&scratch, Views::Flips)).expect("second"), 2, "the new picture alone");
    let store = scratch.open().expect("open");
    let mut found = vec![0.0; FEATURES];
    store.rows(0).view_f32(3, 3, &mut found);
    let expected = view_features(&store.taps()[0].info, b"a", Views::Flips);
    assert_eq!(found, expected[3 * FEATURES..], "the last view of the picture that moved");
}

#[test]
fn other_views_are_refused_by_the_flags_name() {
    let scratch = Scratch::of(&["a"]);
    scratch.extract(plan(&scratch, Views::Flip)).expect("first");
    scratch.refuse(scratch.plan("x"), "holds other features (--views: flip, asked centre): use another --store");
    scratch.refuse(plan(&scratch, Views::Random { count: 2, seed: 0 }), "--views: flip, asked random:2:0");

    let stopped = Scratch::of(&["a", "b"]);
    let mut writer = StoreWriter::begin(&stopped.store(), plan(&stopped, Views::Flip)).expect("begin");
    let rows: Vec<_> = writer.taps().iter().map(|tap| view_features(&tap.info, b"a", Views::Flip)).collect();
    writer.put(0, Digest::of(b"a"), &[0, 1], &[&rows[0], &rows[1]]).expect("put");
    writer.checkpoint().expect("checkpoint");
    drop(writer);
    stopped.refuse(plan(&stopped, Views::Flips), "--views: flip, asked flips");
    assert_eq!(stopped.extract(plan(&stopped, Views::Flip)).expect("resumed"), 2, "the other picture alone");
}

#[test]
fn a_number_that_is_none_is_refused_in_whatever_view() {
    let scratch = Scratch::of(&["a", "b"]);
    let mut writer = StoreWriter::begin(&scratch.store(), plan(&scratch, Views::Flips)).expect("begin");
    let mut row = vec![0.0; 4 * FEATURES];
    row[3 * FEATURES + 1] = f32::INFINITY;
    let message = writer.put(0, Digest::of(b"a"), &[0], &[&row]).expect_err("infinite").to_string();
    assert!(message.contains("tap \"x\" of a.png (row 0): feature 1 is inf"), "{message}");
    drop(writer);

    scratch.extract(plan(&scratch, Views::Flips)).expect("extract");
    let path = scratch.store().join("features/x.mean.npy");
    let mut bytes = fs::read(&path).expect("read");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).expect("write");
    let store = scratch.open().expect("open");
    let message = store.rows(0).to_f32(&[0, 1]).expect_err("NaN").to_string();
    assert!(message.contains("of b.png (row 1): feature 2 is NaN"), "{message}");
}

#[test]
fn an_array_of_other_views_than_store_json_says_is_refused() {
    let scratch = Scratch::of(&["a", "b"]);
    scratch.extract(plan(&scratch, Views::Flip)).expect("extract");
    let manifest = scratch.store().join("store.json");
    let text = fs::read_to_string(&manifest).expect("read");
    let check = |from: &str, to: &str, words: &str| {
        assert!(text.contains(from), "{text}");
        fs::write(&manifest, text.replacen(from, to, 1)).expect("write");
        let error = scratch.open().expect_err(words);
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        assert!(format!("{error}{source}").contains(words), "{error}{source}");
    };
    check("\"flip\"", "\"flips\"", "its shape is [2, 2, 3], expected [2, 4, 3]");
    check("\"flip\"", "\"centre\"", "its shape is [2, 2, 3], expected [2, 3]");
    check("\"flip\"", "\"random:65\"", "views \"random:65\" are unknown");
    check("\"flip\"", "\"ten-crop\"", "--views ten-crop cannot be made");
}
