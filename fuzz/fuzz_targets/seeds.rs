//! Sound files in `corpus/TARGET/`, from which the fuzzer begins; each target writes its own when it starts.

use std::fs;
use std::path::Path;

/// Lets panics be caught, as the readers of tables and pictures do with those of their libraries; one that is not caught still
/// stops the fuzzer, which by itself stops at any.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// Writes one of them.
pub fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a seed");
}
