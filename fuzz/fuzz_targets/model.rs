//! ONNX files: read, sorted, listed, cut and pooled at every layer, and turned into bytes.

#![no_main]

mod seeds;

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    fs::write(folder.path().join("side.bin"), [0; 80]).expect("write");
    folder
});

fn write_seeds() {
    seeds::let_panics_be_caught();
    seeds::write("model", "small", &tapline_onnx::unrun::sound());
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    let path = FOLDER.path().join("model.onnx");
    fs::write(&path, bytes).expect("write");
    tapline_onnx::unrun::edit(&path);
});
