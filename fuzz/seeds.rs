//! Writes sound files to `corpus/TARGET/`, from which the fuzzer begins.

#[path = "../crates/tapline-core/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;

use common::Scratch;
use common::damage::{FILES, finished, stopped};

fn main() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a seed");
    };
    let (whole, begun) = (Scratch::in_memory(&["a", "b", "!c", "d"]), Scratch::in_memory(&["a", "b", "!c", "d"]));
    let stores = [finished(&whole), stopped(&begun)];
    let commit = stores[0].join("commit.json");
    fs::write(commit, r#"{"format":"tapline-store","version":1,"tapline":"","files":["x.mean.npy"]}"#).expect("write");
    for (choice, file) in FILES.iter().enumerate() {
        let store = &stores[usize::from(file.starts_with("building"))];
        let bytes = fs::read(store.join(file)).expect("a file of a store");
        write("store", &file.replace('/', "-"), &[&[choice as u8], bytes.as_slice()].concat());
    }
    write("listing", "csv", b"\0\xef\xbb\xbfpath,label,split,camera\ncat/1.png,\"a, b\",train,1\ncat/2.png,,test,\n");
    write("listing", "tsv", b"\x01path\tlabel\ncat/1.png\tcat\n");
    #[cfg(fuzzing)]
    write("model", "small", &tapline_onnx::unrun::sound());
    for entry in fs::read_dir(fuzz.join("../crates/tapline-image/tests/goldens")).expect("goldens").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ![".py", ".csv", ".raw"].iter().any(|ending| name.ends_with(ending)) {
            write("picture", &name, &fs::read(entry.path()).expect("a picture"));
        }
    }
}
