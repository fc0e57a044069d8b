//! A scratch folder, the binary, the project's Python, and a few pictures: what every black-box test needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// The binary, started in the checkout so that it finds cards and the runtime.
pub fn tapline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
    command.current_dir(root()).args(args);
    command.env_remove("ORT_DYLIB_PATH").env_remove("TAPLINE_MODELS");
    command
}

/// A script below `tests/reference/` or elsewhere in the checkout, in the project's Python.
pub fn python(script: &str, args: &[&str]) -> Output {
    let python = root().join(".venv/bin/python");
    assert!(python.is_file(), "{} is missing: run `make setup-test`", python.display());
    let mut python = Command::new(python);
    python.env("ORT_DISABLE_TELEMETRY", "1");
    python.current_dir(root()).arg(script).args(args).output().expect("Python starts")
}

/// A store of made-up features, without pictures: `tools/make_store.py` says what may be asked for.
pub fn made(scratch: &Scratch, name: &str, more: &[&str]) -> String {
    let store = scratch.text(name);
    ran(python("tools/make_store.py", &[&[store.as_str()], more].concat())).ok();
    store
}

/// A finished run's exit code, stdout and stderr.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Ran {
    ran(command.output().expect("the command starts"))
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    /// Checks for success and gives stdout.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// Checks for failure in one sentence on stderr that holds all of `words`, with nothing on stdout and no panic.
    #[track_caller]
    pub fn fails_with(self, words: &[&str]) {
        assert_eq!(self.code, 1, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "one line: {}", self.stderr);
        assert!(self.stderr.starts_with("tapline: ") && !self.stderr.contains("panicked"), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {}", self.stderr);
        }
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}

/// A folder that vanishes with the test.
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file, with its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// Writes a PNG of its own look for each `seed`, in a folder for its class.
    pub fn picture(&self, name: &str, seed: u32) -> PathBuf {
        self.write(name, encoded(seed, ImageFormat::Png))
    }

    /// Two classes of `each` small pictures below `pictures/`.
    pub fn two_classes(&self, each: u32) -> String {
        for seed in 0..each {
            self.picture(&format!("pictures/dark/{seed}.png"), seed);
            self.picture(&format!("pictures/light/{seed}.png"), 100 + seed);
        }
        self.text("pictures")
    }
}

/// A 40 × 30 picture; those with seeds from 100 are lighter.
pub fn encoded(seed: u32, format: ImageFormat) -> Vec<u8> {
    let base = if seed >= 100 { 120 } else { 10 };
    let noise = |x: u32, y: u32, c: u32| (x * 7 + y * 13 + c * 29 + seed * 31).wrapping_mul(2_654_435_761) >> 25;
    let picture = RgbImage::from_fn(40, 30, |x, y| Rgb([0, 1, 2].map(|c| (base + noise(x, y, c)) as u8)));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

/// Arguments of a cheap extraction: one shallow tap of the small network.
pub fn extract<'a>(pictures: &'a str, store: &'a str, more: &[&'a str]) -> Command {
    let mut args = vec!["extract", pictures, "--model", "squeezenet1.1", "--taps", "pool1", "--store", store];
    args.extend(more);
    if !more.contains(&"--device") {
        args.extend(["--device", "cpu"]);
    }
    tapline(&args)
}

/// An extraction through a network of `tests/reference/odd_models.py`, all its tensors with every pooling.
pub fn extract_odd(pictures: &str, model: &str, store: &str, more: &[&str]) -> Command {
    let taps = "*@mean,*@max,*@mean+max,*@gem:3,*@grid:2,*@flatten";
    let mut args = vec!["extract", pictures, "--model", model, "--taps", taps, "--store", store];
    args.extend(["--mean", "0", "--std", "1", "--scale", "1", "--channels", "rgb", "--interpolation", "bilinear"]);
    args.extend(["--squash", "--device", "cpu", "--batch", "2"]);
    args.extend(more);
    tapline(&args)
}

/// Every file below a folder with its bytes, aside from those whose names begin with a dot: a store's lock and stamps.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !entry.file_name().to_string_lossy().starts_with('.') {
                let name = path.strip_prefix(folder).expect("below").to_owned();
                found.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}
