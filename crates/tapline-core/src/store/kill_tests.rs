//! A run stopped at every touch of the disk, run again, must end in the bytes of a run that was never stopped.
//!
//! The disk fails from the n-th touch on, for every n; what is on disk then is what a kill would leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::disk::injected::allow;
use super::*;
use crate::{
    Bits, Channels, Decode, Digest, Dtype, Error, FeatureSpace, Interpolation, Listing, ModelRef, Place, Pooling,
    Precision, Preprocess, Resize, Sample, Sharing, Tap, TapInfo, Views, hash_all,
};

/// Taps are told apart by their first letters, pictures by their bytes; `!` makes a picture broken.
#[derive(Clone)]
struct Scene {
    pictures: Vec<(&'static str, &'static str)>,
    taps: &'static str,
    label: &'static str,
    views: Views,
}

const PICTURES: [(&str, &str); 4] = [("a", "A"), ("b", "B"), ("c", "!C"), ("d", "D")];

fn first() -> Scene {
    Scene { pictures: PICTURES.to_vec(), taps: "xy", label: "cat", views: Views::Centre }
}

fn plan(scene: &Scene, pictures: &Path) -> Plan {
    fs::create_dir_all(pictures).expect("create");
    let sample = |&(name, bytes): &(&str, &str)| {
        fs::write(pictures.join(name), bytes).expect("write");
        let (file, path, label) = (pictures.join(name), name.to_owned(), Some(scene.label.to_owned()));
        Sample { place: Place::File(file), path, label, split: None, extra: Vec::new() }
    };
    let preprocess = Preprocess {
        resize: Resize::Squash,
        height: 1,
        width: 1,
        interpolation: Interpolation::Box,
        channels: Channels::Grey,
        scale: 1.0,
        mean: vec![0.0],
        std: vec![1.0],
    };
    Plan {
        space: FeatureSpace {
            model: ModelRef { name: "net".to_owned(), sha256: Digest::of(b"net") },
            preprocess,
            views: scene.views,
            decode: Decode::Exact,
            bits: Bits::ALL,
            precision: Precision::Float32,
            dtype: Dtype::F16,
        },
        taps: scene.taps.chars().map(tap).collect(),
        listing: Listing::of(pictures, scene.pictures.iter().map(sample), Vec::new()).into(),
        shard: None,
        run: Run {
            runtime: "none".to_owned(),
            provider: "cpu".to_owned(),
            device: "cpu".to_owned(),
            sharing: Sharing::alone(1),
        },
        tapline: "0.0.0".to_owned(),
    }
}

fn tap(letter: char) -> TapInfo {
    TapInfo {
        name: letter.to_string(),
        tap: Tap { tensor: letter.to_string(), pooling: Pooling::Max },
        features: letter as usize % 5 + 1,
        shape: vec![1],
        position: letter as usize,
        reduction: None,
        multiply_adds: u64::from(letter),
        cost_share: 0.5,
        classifier: false,
    }
}

/// Extracts made-up features and gives how many rows of taps were computed.
fn extract(dir: &Path, scene: &Scene, pictures: &Path) -> Result<usize, Error> {
    let mut writer = StoreWriter::begin(dir, plan(scene, pictures))?;
    if writer.has_sources() {
        let digests = hash_all(writer.listing(), &|_| std::ops::ControlFlow::Continue(()));
        writer.reuse(&digests)?;
    }
    let mut computed = 0;
    for Group { taps, rows } in writer.missing() {
        for row in rows {
            let bytes = fs::read(writer.listing().place(row).container().expect("a file")).expect("read");
            if bytes[0] == b'!' {
                writer.skip(row, Some(Digest::of(&bytes)), "broken")?;
            } else {
                computed += taps.len();
                let values: Vec<_> =
                    taps.iter().map(|&tap| features(&writer.taps()[tap].info, &bytes, scene.views)).collect();
                let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
                writer.put(row, Digest::of(&bytes), &taps, &values)?;
            }
            if row % 2 == 1 {
                writer.checkpoint()?;
            }
        }
    }
    writer.finish().map(|_| computed)
}

fn features(info: &TapInfo, bytes: &[u8], views: Views) -> Vec<f32> {
    let sum: usize = bytes.iter().map(|&byte| usize::from(byte)).sum();
    (0..views.count() * info.features).map(|i| (info.multiply_adds as usize + sum * (i + 1)) as f32).collect()
}

/// All files below a folder but the lock, by their paths.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.expect("walk");
        let name = entry.path().strip_prefix(dir).expect("below").display().to_string();
        if name != LOCK {
            let bytes = if entry.file_type().is_file() { fs::read(entry.path()).expect("read") } else { Vec::new() };
            found.insert(name, bytes);
        }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("walk");
        let target = to.join(entry.path().strip_prefix(from).expect("below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).expect("create");
        } else {
            fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// Stops `scene` after `steps` touches; whether it finished before.
fn stopped(dir: &Path, scene: &Scene, (pictures, steps): (&Path, usize)) -> bool {
    allow(Some(steps));
    let result = extract(dir, scene, pictures);
    allow(None);
    match result {
        Ok(_) => true,
        Err(Error::Write { .. }) => false,
        Err(error) => panic!("after {steps} steps: {error}"),
    }
}

/// Runs `before` in order to the end, then stops `last` everywhere, and each resumed run at some places more.
fn check(before: &[Scene], last: &Scene) {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let base = at("base");
    fs::create_dir(&base).expect("create");
    for scene in before {
        extract(&base, scene, &at("pictures")).expect("before");
    }
    copy_folder(&base, &at("reference"));
    extract(&at("reference"), last, &at("pictures")).expect("reference");
    let expected = contents(&at("reference"));
    for steps in 0.. {
        let once = at("once");
        copy_folder(&base, &once);
        let is_over = stopped(&once, last, (&at("pictures"), steps));
        for again in [15, 36].map(|n| n + steps % 17) {
            let twice = at("twice");
            copy_folder(&once, &twice);
            stopped(&twice, last, (&at("pictures"), again));
            extract(&twice, last, &at("pictures")).expect("last");
            assert!(contents(&twice) == expected, "stopped after {steps}, then after {again} steps");
            fs::remove_dir_all(&twice).expect("remove");
        }
        extract(&once, last, &at("pictures")).expect("resumed");
        assert!(contents(&once) == expected, "stopped after {steps} steps");
        fs::remove_dir_all(&once).expect("remove");
        if is_over {
            assert!(steps > 10, "the run touches the disk");
            return;
        }
    }
}

#[test]
fn a_first_run_stopped_anywhere_ends_in_the_same_bytes() {
    check(&[], &first());
}

#[test]
fn a_first_run_over_several_views_stopped_anywhere_ends_in_the_same_bytes() {
    check(&[], &Scene { views: Views::Flips, ..first() });
}

#[test]
fn a_picture_added_to_a_store_of_several_views_ends_in_the_same_bytes() {
    let flips = Scene { views: Views::Random { count: 3, seed: 1 }, ..first() };
    let pictures = vec![("a", "A"), ("aa", "N"), ("b", "B2"), ("c", "!C"), ("d", "D")];
    check(std::slice::from_ref(&flips), &Scene { pictures, ..flips.clone() });
}

#[test]
fn a_relabelling_stopped_anywhere_ends_in_the_same_bytes() {
    check(&[first()], &Scene { label: "dog", ..first() });
}

#[test]
fn a_picture_added_in_the_middle_and_another_changed_end_in_the_same_bytes() {
    let pictures = vec![("a", "A"), ("aa", "N"), ("b", "B2"), ("c", "!C"), ("d", "D")];
    check(&[first()], &Scene { pictures, ..first() });
}

#[test]
fn a_broken_picture_that_was_repaired_ends_in_the_same_bytes() {
    let pictures = vec![("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")];
    check(&[first()], &Scene { pictures, ..first() });
}

#[test]
fn a_tap_added_ends_in_the_same_bytes() {
    check(&[first()], &Scene { taps: "wz", ..first() });
}

#[test]
fn a_run_stopped_under_one_plan_and_resumed_under_another_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let second =
        Scene { pictures: vec![("d", "D"), ("b", "B"), ("n", "N")], taps: "xyz", label: "dog", views: Views::Centre };
    extract(&at("reference"), &second, &at("pictures")).expect("reference");
    let expected = contents(&at("reference"));
    let mut least = usize::MAX;
    for steps in 0.. {
        let dir = at("dir");
        let is_over = stopped(&dir, &first(), (&at("pictures"), steps));
        if is_over {
            break;
        }
        stopped(&dir, &Scene { taps: "xz", ..second.clone() }, (&at("pictures"), steps * 5 % 31));
        stopped(&dir, &second, (&at("pictures"), steps * 7 % 37));
        least = least.min(extract(&dir, &second, &at("pictures")).expect("last"));
        // The finished first scene leaves nothing that the second would not: both have the taps x and y.
        assert!(contents(&dir) == expected, "stopped after {steps} steps");
        fs::remove_dir_all(&dir).expect("remove");
    }
    assert!(least < 9, "rows of the stopped runs were reused, at least {least} of 9 were computed");
}

#[test]
fn rows_journaled_by_a_stopped_run_are_not_computed_again() {
    let folder = tempfile::tempdir().expect("folder");
    let (dir, pictures) = (folder.path().join("store"), folder.path().join("pictures"));
    let mut left = Vec::new();
    for steps in 0.. {
        let _ = fs::remove_dir_all(&dir);
        if stopped(&dir, &first(), (&pictures, steps)) {
            break;
        }
        left.push(extract(&dir, &first(), &pictures).expect("resumed"));
    }
    assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
    assert_eq!((left[0], *left.last().expect("steps")), (6, 0), "{left:?}");
}

#[test]
fn a_picture_changed_back_and_forth_between_stopped_runs_never_keeps_stale_features() {
    let folder = tempfile::tempdir().expect("folder");
    let (dir, pictures) = (folder.path().join("store"), folder.path().join("pictures"));
    let changed = Scene { pictures: vec![("a", "A2"), ("b", "B2"), ("c", "C2"), ("d", "D2")], ..first() };
    extract(&folder.path().join("reference"), &first(), &pictures).expect("reference");
    let expected = contents(&folder.path().join("reference"));
    for steps in (10..60).step_by(3) {
        for again in (10 + steps % 2..60).step_by(4) {
            let _ = fs::remove_dir_all(&dir);
            if stopped(&dir, &first(), (&pictures, steps)) {
                return;
            }
            if !stopped(&dir, &changed, (&pictures, again)) {
                extract(&dir, &first(), &pictures).expect("last");
                assert!(contents(&dir) == expected, "stopped after {steps}, then after {again} steps");
            }
        }
    }
}
