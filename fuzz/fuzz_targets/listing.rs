//! Tables of pictures: the first byte says whether the fuzzer's bytes are a `.csv` or a `.tsv` file.

#![no_main]

mod seeds;

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tapline_core::scan;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder"));

fn write_seeds() {
    seeds::let_panics_be_caught();
    seeds::write(
        "listing",
        "csv",
        b"\0\xef\xbb\xbfpath,label,split,camera\ncat/1.png,\"a, b\",train,1\ncat/2.png,,test,\n",
    );
    seeds::write("listing", "sep", b"\0sep=;\r\npath;label\r\ncat/1.png;cat\r\n;\r\n");
    seeds::write("listing", "tsv", b"\x01path\tlabel\ncat/1.png\tcat\n");
}

fuzz_target!(init: write_seeds(), |input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    let table = FOLDER.path().join(if kind % 2 == 0 { "list.csv" } else { "list.tsv" });
    fs::write(&table, bytes).expect("write");
    if let Ok(listing) = scan(&table) {
        assert!(listing.rows() > 0, "a listing without pictures");
        assert!(listing.samples().all(|sample| sample.extra.len() == listing.columns().len()), "a ragged listing");
    }
});
