//! A scratch folder with pictures and a store, and an extraction with made-up features.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod damage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tapline_core::{
    Bits, Channels, Decode, Digest, Dtype, Error, FeatureSpace, Interpolation, ModelRef, Plan, Pooling, Precision,
    Preprocess, Resize, Run, Sharing, Store, StoreWriter, Tap, TapInfo, Views, hash_all, scan,
};

/// Features of every made-up tap.
pub const FEATURES: usize = 3;

/// A temporary folder with `pictures/` and `store/`.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// Pictures of these names that hold their names; a leading `!` makes one broken.
    pub fn of(names: &[impl AsRef<str>]) -> Self {
        Self::within(tempfile::tempdir(), names)
    }

    /// The same in memory where the system has a folder for that: thousands of stores need not reach a disk.
    pub fn in_memory(names: &[impl AsRef<str>]) -> Self {
        Self::within(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()), names)
    }

    fn within(folder: std::io::Result<tempfile::TempDir>, names: &[impl AsRef<str>]) -> Self {
        let scratch = Self(folder.expect("folder"));
        fs::create_dir(scratch.pictures()).expect("create");
        names.iter().for_each(|name| scratch.add(name.as_ref()));
        scratch
    }

    pub fn pictures(&self) -> PathBuf {
        self.0.path().join("pictures")
    }

    pub fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    pub fn picture(&self, name: &str) -> PathBuf {
        self.pictures().join(format!("{name}.png"))
    }

    pub fn add(&self, name: &str) {
        fs::write(self.picture(name), name).expect("write");
    }

    /// The pictures as they are now, and one tap for each letter.
    pub fn plan(&self, taps: &str) -> Plan {
        Plan {
            space: space(),
            taps: taps.chars().map(info).collect(),
            listing: scan(&self.pictures()).expect("scan").into(),
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

    /// Runs an extraction and gives how many rows of taps were computed.
    pub fn extract(&self, plan: Plan) -> Result<usize, Error> {
        extract(&self.store(), plan)
    }

    pub fn open(&self) -> Result<Store, Error> {
        Store::open(&self.store())
    }

    /// Expects `words` from beginning with a plan.
    pub fn refuse(&self, plan: Plan, words: &str) {
        let message = StoreWriter::begin(&self.store(), plan).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }

    /// Expects the very files that an extraction into an empty folder makes.
    pub fn check_against_fresh(&self, taps: &str) {
        let fresh = self.0.path().join("fresh");
        extract(&fresh, self.plan(taps)).expect("fresh");
        assert_eq!(contents(&self.store()), contents(&fresh));
        fs::remove_dir_all(fresh).expect("remove");
    }

    /// The files of the store and which file each of them is to the file system.
    pub fn inodes(&self) -> BTreeMap<String, u64> {
        use std::os::unix::fs::MetadataExt;
        let names = contents(&self.store()).into_keys();
        names.map(|name| (name.clone(), fs::metadata(self.store().join(name)).expect("metadata").ino())).collect()
    }
}

/// Features that tell tap, picture and column apart, exact in float16.
pub fn features(info: &TapInfo, picture: &[u8]) -> Vec<f32> {
    let picture: usize = picture.iter().map(|&byte| usize::from(byte)).sum();
    (0..info.features).map(|i| ((picture % 32) * 8 + i) as f32 + (info.multiply_adds % 8) as f32 / 8.0).collect()
}

pub fn info(letter: char) -> TapInfo {
    TapInfo {
        name: letter.to_string(),
        tap: Tap { tensor: letter.to_string(), pooling: Pooling::Mean },
        features: FEATURES,
        shape: vec![FEATURES, 1, 1],
        position: letter as usize,
        reduction: Some(8.0),
        multiply_adds: u64::from(letter),
        cost_share: 1.0 / 3.0,
        classifier: false,
    }
}

fn space() -> FeatureSpace {
    FeatureSpace {
        model: ModelRef { name: "net".to_owned(), sha256: Digest::of(b"net") },
        preprocess: Preprocess {
            resize: Resize::Squash,
            height: 8,
            width: 8,
            interpolation: Interpolation::Bilinear,
            channels: Channels::Rgb,
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        },
        views: Views::Centre,
        decode: Decode::Exact,
        bits: Bits::ALL,
        precision: Precision::Float32,
        dtype: Dtype::F32,
    }
}

/// The features of every view, each a little apart from the others.
pub fn view_features(info: &TapInfo, picture: &[u8], views: Views) -> Vec<f32> {
    let of_view = |view: usize| features(info, picture).into_iter().map(move |value| value + 1024.0 * view as f32);
    (0..views.count()).flat_map(of_view).collect()
}

fn extract(dir: &Path, plan: Plan) -> Result<usize, Error> {
    let views = plan.space.views;
    let mut writer = StoreWriter::begin(dir, plan)?;
    if writer.has_sources() {
        let digests = hash_all(writer.listing(), &|_| std::ops::ControlFlow::Continue(()));
        writer.reuse(&digests)?;
    }
    let mut computed = 0;
    for group in writer.missing() {
        for row in group.rows {
            match fs::read(writer.listing().place(row).container().expect("a file")) {
                Err(error) => writer.skip(row, None, &error.to_string())?,
                Ok(bytes) if bytes.starts_with(b"!") => writer.skip(row, Some(Digest::of(&bytes)), "broken")?,
                Ok(bytes) => {
                    computed += group.taps.len();
                    let rows: Vec<_> =
                        group.taps.iter().map(|&tap| view_features(&writer.taps()[tap].info, &bytes, views)).collect();
                    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
                    writer.put(row, Digest::of(&bytes), &group.taps, &rows)?;
                }
            }
        }
    }
    writer.finish().map(|_| computed)
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in ["", "features"] {
        for entry in fs::read_dir(dir.join(name)).expect("read") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                found.insert(name, fs::read(path).expect("read"));
            }
        }
    }
    assert!(found.len() > 3, "a store has a lock, two documents and an array: {:?}", found.keys());
    found
}
