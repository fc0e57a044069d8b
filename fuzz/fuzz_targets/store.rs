//! One file of a store is the fuzzer's: opened, read row by row, and gone on with.
//!
//! The first byte chooses the file, so that one corpus serves all readers: `store.json`, the table, array headers, the plan,
//! the journal, the commit, the lock.

#![no_main]

#[path = "../../crates/tapline-core/tests/common/mod.rs"]
mod common;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::Scratch;
use common::damage::{FILES, copy, finished, go_on, read, refit, stopped};
use libfuzzer_sys::{Corpus, fuzz_target};

struct Sound {
    finished: (Scratch, PathBuf),
    stopped: (Scratch, PathBuf),
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let make = |of: fn(&Scratch) -> PathBuf| {
        let scratch = Scratch::in_memory(&["a", "b", "!c", "d"]);
        let store = of(&scratch);
        (scratch, store)
    };
    Sound { finished: make(finished), stopped: make(stopped) }
});

fn strike((scratch, sound): &(Scratch, PathBuf), file: &str, bytes: &[u8]) {
    let dir = sound.with_file_name("damaged");
    let _ = fs::remove_dir_all(&dir);
    copy(sound, &dir);
    fs::write(dir.join(file), bytes).expect("write");
    refit(&dir, Path::new(file).to_str().expect("a name"));
    read(&dir);
    go_on(&dir, scratch.plan("xy"));
}

fn write_seeds() {
    seeds::let_panics_be_caught();
    for (choice, file) in FILES.iter().enumerate() {
        let (_, store) = if file.starts_with("building") { &SOUND.stopped } else { &SOUND.finished };
        let bytes = match *file {
            "commit.json" => br#"{"format":"tapline-store","version":1,"tapline":"","files":["x.mean.npy"]}"#.to_vec(),
            file => fs::read(store.join(file)).expect("a file of a store"),
        };
        seeds::write("store", &file.replace('/', "-"), &[&[choice as u8], bytes.as_slice()].concat());
    }
}

fuzz_target!(init: write_seeds(), |input: &[u8]| -> Corpus {
    let Some((&choice, bytes)) = input.split_first() else { return Corpus::Reject };
    let Some(&file) = FILES.get(usize::from(choice)) else { return Corpus::Reject };
    let is_building = file.starts_with("building");
    strike(if is_building { &SOUND.stopped } else { &SOUND.finished }, file, bytes);
    Corpus::Keep
});
