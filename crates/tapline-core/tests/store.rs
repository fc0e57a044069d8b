//! The store through its public face: what is reused, what is refused, and what comes back.

mod common;

use std::fs;
use std::path::Path;

use common::{FEATURES, Scratch, features, info};
use tapline_core::{Digest, Dtype, Group, Listing, Sample, StoreWriter, hash_all};

#[test]
fn what_was_put_comes_back_in_any_order_for_both_number_types() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let scratch = Scratch::of(&["a", "b", "c"]);
        let mut plan = scratch.plan("xy");
        plan.space.dtype = dtype;
        scratch.extract(plan).expect("extract");
        let store = scratch.open().expect("open");
        assert_eq!(store.listing().path, ["a.png", "b.png", "c.png"]);
        assert_eq!(store.manifest().skipped, 0);
        for (tap, stored) in store.taps().iter().enumerate() {
            let rows = store.rows(tap);
            assert_eq!((rows.rows, rows.features, rows.dtype), (3, FEATURES, dtype));
            let expected = [features(&stored.info, b"c"), features(&stored.info, b"a")].concat();
            assert_eq!(rows.to_f32(&[2, 0]).expect("finite"), expected);
            assert_eq!(store.tap_index(&stored.info.tap), Some(tap));
        }
    }
}

#[test]
fn many_shapes_survive_the_round_trip() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..20 {
        let names: Vec<String> = (0..1 + random(40)).map(|i| format!("{i:03}")).collect();
        let scratch = Scratch::of(&names);
        let mut plan = scratch.plan("x");
        let n = 1 + random(300) as usize;
        plan.taps[0].features = n;
        let values: Vec<Vec<f32>> =
            names.iter().map(|_| (0..n).map(|_| (random(2_000_000) as f32 - 1e6) / 37.0).collect()).collect();
        let mut writer = StoreWriter::begin(&scratch.store(), plan).expect("begin");
        for row in (0..names.len()).rev() {
            writer.put(row, Digest::of(names[row].as_bytes()), &[0], &[&values[row]]).expect("put");
        }
        let store = writer.finish().expect("finish");
        let all: Vec<usize> = (0..names.len()).collect();
        assert_eq!(store.rows(0).to_f32(&all).expect("finite"), values.concat());
    }
}

#[test]
fn nothing_is_computed_or_written_when_nothing_changed() {
    let scratch = Scratch::of(&["a", "b", "!broken"]);
    assert_eq!(scratch.extract(scratch.plan("xy")).expect("first"), 4);
    let before = scratch.inodes();
    let mut plan = scratch.plan("xy");
    plan.run.device = "another".to_owned();
    assert_eq!(scratch.extract(plan).expect("second"), 0);
    assert_eq!(scratch.inodes(), before);
    assert_eq!(scratch.open().expect("open").manifest().run.device, "cpu", "the run that computed is named");
}

#[test]
fn relabelling_reuses_every_row_and_leaves_the_arrays_in_place() {
    let scratch = Scratch::of(&["a", "b"]);
    scratch.extract(scratch.plan("xy")).expect("first");
    let before = scratch.inodes();
    let mut plan = scratch.plan("xy");
    let (label, extra) = (Some("new".to_owned()), vec![Some("mono".to_owned())]);
    let samples = plan.listing.samples().map(|sample| Sample { label: label.clone(), extra: extra.clone(), ..sample });
    plan.listing = Listing::of(Path::new(""), samples, vec!["type".to_owned()]).into();
    assert_eq!(scratch.extract(plan).expect("second"), 0);
    let store = scratch.open().expect("open");
    assert_eq!(store.listing().label, [Some("new"); 2]);
    assert_eq!(store.listing().extra[0].0, "type");
    assert_eq!(store.listing().extra[0].1, [Some("mono"); 2]);
    assert_eq!(scratch.inodes()["features/x.mean.npy"], before["features/x.mean.npy"]);
}

#[test]
fn a_picture_added_in_the_middle_leaves_the_rest_to_be_reused() {
    let scratch = Scratch::of(&["a", "c", "d"]);
    scratch.extract(scratch.plan("xy")).expect("first");
    scratch.add("b");
    assert_eq!(scratch.extract(scratch.plan("xy")).expect("second"), 2);
    scratch.check_against_fresh("xy");
}

#[test]
fn a_picture_removed_or_renamed_costs_nothing() {
    let scratch = Scratch::of(&["a", "b", "c"]);
    scratch.extract(scratch.plan("xy")).expect("first");
    fs::remove_file(scratch.picture("a")).expect("remove");
    fs::rename(scratch.picture("b"), scratch.picture("z")).expect("rename");
    assert_eq!(scratch.extract(scratch.plan("xy")).expect("second"), 0);
    assert_eq!(scratch.open().expect("open").listing().path, ["c.png", "z.png"]);
    scratch.check_against_fresh("xy");
}

#[test]
fn a_tap_added_is_the_only_one_computed_and_the_old_ones_stay() {
    let scratch = Scratch::of(&["a", "b"]);
    scratch.extract(scratch.plan("y")).expect("first");
    let before = scratch.inodes();

    let mut writer = StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect("begin");
    let names: Vec<_> = writer.taps().iter().map(|tap| tap.info.name.clone()).collect();
    assert_eq!(names, ["x", "y"], "from shallow to deep");
    let digests = hash_all(writer.listing(), &|_| std::ops::ControlFlow::Continue(()));
    assert_eq!(writer.reuse(&digests).expect("reuse"), 0);
    assert_eq!(writer.missing(), [Group { taps: vec![0], rows: vec![0, 1] }]);
    drop(writer);

    assert_eq!(scratch.extract(scratch.plan("x")).expect("second"), 2);
    assert_eq!(scratch.inodes()["features/y.mean.npy"], before["features/y.mean.npy"]);
    scratch.check_against_fresh("xy");
}

#[test]
fn a_skipped_picture_has_nan_and_a_reason_and_is_tried_again() {
    let scratch = Scratch::of(&["a", "!b"]);
    fs::write(scratch.picture("c"), "c").expect("write");
    let plan = scratch.plan("x");
    fs::remove_file(scratch.picture("c")).expect("remove");
    scratch.extract(plan.clone()).expect("first");
    let store = scratch.open().expect("open");
    let skipped = &store.listing().skipped;
    assert_eq!(store.listing().path, ["!b.png", "a.png", "c.png"]);
    assert_eq!((skipped.get(0), skipped.get(1), skipped.get(2).is_some()), (Some("broken"), None, true));
    assert_eq!((store.manifest().skipped, store.listing().sha256[2]), (2, None));
    let mut row = vec![0.0; FEATURES];
    store.rows(0).row_f32(0, &mut row);
    assert!(row.iter().all(|value| value.is_nan()));

    fs::write(scratch.picture("c"), "c").expect("write");
    assert_eq!(scratch.extract(plan).expect("second"), 1);
    assert_eq!(scratch.open().expect("open").manifest().skipped, 1);
}

#[test]
fn a_picture_that_vanished_loses_its_row() {
    let scratch = Scratch::of(&["a", "b"]);
    let plan = scratch.plan("x");
    scratch.extract(plan.clone()).expect("first");
    fs::remove_file(scratch.picture("a")).expect("remove");
    scratch.extract(plan).expect("second");
    let store = scratch.open().expect("open");
    assert!(store.listing().skipped.get(0).is_some());
    assert!(store.rows(0).to_f32(&[0]).expect("skipped").iter().all(|value| value.is_nan()));
}

#[test]
fn two_pictures_with_the_same_bytes_share_their_row() {
    let scratch = Scratch::of(&["a", "b"]);
    fs::copy(scratch.picture("a"), scratch.picture("c")).expect("copy");
    scratch.extract(scratch.plan("x")).expect("first");
    scratch.check_against_fresh("x");
    fs::copy(scratch.picture("b"), scratch.picture("d")).expect("copy");
    assert_eq!(scratch.extract(scratch.plan("x")).expect("second"), 0);
    scratch.check_against_fresh("x");
}

#[test]
fn another_space_is_refused_with_the_difference_named() {
    let scratch = Scratch::of(&["a"]);
    scratch.extract(scratch.plan("x")).expect("first");
    let mut plan = scratch.plan("x");
    plan.space.model.sha256 = Digest::of(b"other");
    plan.space.dtype = Dtype::F16;
    scratch.refuse(plan, "holds other features (model: net with SHA-256");
    let mut plan = scratch.plan("x");
    plan.space.preprocess.height = 9;
    scratch.refuse(plan, "preprocessing height: 8, asked 9");
    let mut plan = scratch.plan("x");
    plan.taps[0].features += 1;
    scratch.refuse(plan, "tap \"x\" has 4 features, but the store");
}

#[test]
fn another_space_does_not_displace_rows_of_a_stopped_run() {
    let scratch = Scratch::of(&["a", "b"]);
    let mut writer = StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect("begin");
    let row = features(&info('x'), b"a");
    writer.put(0, Digest::of(b"a"), &[0], &[&row]).expect("put");
    writer.checkpoint().expect("checkpoint");
    drop(writer);
    let mut plan = scratch.plan("x");
    plan.space.dtype = Dtype::F16;
    scratch.refuse(plan, "--dtype: f32, asked f16");
    let message = scratch.open().expect_err("unfinished").to_string();
    assert!(message.contains("has not finished"), "{message}");
    assert_eq!(scratch.extract(scratch.plan("x")).expect("resumed"), 1);
}

#[test]
fn a_second_writer_and_a_foreign_folder_are_refused() {
    let scratch = Scratch::of(&["a"]);
    let writer = StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect("begin");
    scratch.refuse(scratch.plan("x"), "is in use by another run");
    drop(writer);
    StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect("free again");

    let message = StoreWriter::begin(&scratch.pictures(), scratch.plan("x")).expect_err("foreign").to_string();
    assert!(message.contains("is not empty and not a store"), "{message}");
    assert_eq!(fs::read_dir(scratch.pictures()).expect("read").count(), 1, "nothing was written");
}

#[test]
fn a_plan_that_cannot_be_stored_is_refused() {
    let scratch = Scratch::of(&["a"]);
    scratch.refuse(scratch.plan(""), "1 pictures and 0 taps");
    let mut plan = scratch.plan("x");
    plan.listing = Listing::default().into();
    scratch.refuse(plan, "0 pictures and 1 taps");
    for features in [0, usize::MAX / 3] {
        let mut plan = scratch.plan("x");
        plan.taps[0].features = features;
        scratch.refuse(plan, "which no file can hold");
    }
    let mut plan = scratch.plan("x");
    plan.space.preprocess.std = vec![0.0; 3];
    scratch.refuse(plan, "std has a zero");
}

#[test]
fn features_that_cannot_be_stored_name_tap_and_picture() {
    let scratch = Scratch::of(&["a"]);
    let mut plan = scratch.plan("x");
    plan.space.dtype = Dtype::F16;
    let mut writer = StoreWriter::begin(&scratch.store(), plan).expect("begin");
    for (value, words) in [(70_000.0, "tap \"x\" of a.png: 70000 does not fit float16"), (f32::NAN, "feature 1 is NaN")]
    {
        let message = writer.put(0, Digest::of(b"a"), &[0], &[&[0.0, value, 0.0]]).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }
    let message = writer.finish().expect_err("open row").to_string();
    assert!(message.contains("1 of 1 rows have no features yet"), "{message}");
}

#[test]
fn a_picture_that_changed_between_two_taps_is_refused() {
    let scratch = Scratch::of(&["a"]);
    scratch.extract(scratch.plan("y")).expect("first");
    let mut writer = StoreWriter::begin(&scratch.store(), scratch.plan("x")).expect("begin");
    writer.reuse(&hash_all(&scratch.plan("x").listing, &|_| std::ops::ControlFlow::Continue(()))).expect("reuse");
    let message = writer.put(0, Digest::of(b"changed"), &[0], &[&[0.0; 3]]).expect_err("changed").to_string();
    assert!(message.contains("a.png changed while"), "{message}");
    writer.skip(0, None, "changed").expect("may be skipped");
    assert_eq!(writer.finish().expect("finish").manifest().skipped, 1);
}

#[cfg(unix)]
#[test]
fn names_of_any_bytes_are_stored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::of(&["🐈", "ä b"]);
    fs::write(scratch.pictures().join(OsStr::from_bytes(b"\xff.png")), "x").expect("write");
    assert_eq!(scratch.extract(scratch.plan("x")).expect("extract"), 3);
    assert_eq!(scratch.open().expect("open").listing().path, ["ä b.png", "🐈.png", "\\xFF.png"]);
}
