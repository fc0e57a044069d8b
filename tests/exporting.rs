//! `tapline export-rows`: what DuckDB, pyarrow and pandas read is what the store holds.

use std::fs;

use crate::util::{Scratch, extract, python, ran, run, tapline};

/// Exports a tap and has it compared; gives what the script says.
fn check(scratch: &Scratch, store: &str, tap: &str, array: &str) -> String {
    let table = scratch.text("rows.parquet");
    let report = run(tapline(&["export-rows", store, "--tap", tap, "--out", &table, "--json"])).json();
    assert!(report["lines"].as_u64() > Some(0) && report["features"].as_u64() > Some(0), "{report}");
    ran(python("tests/reference/export_rows.py", &[store, array, &table])).ok()
}

#[test]
fn table_tools_read_what_the_store_holds() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(5);
    scratch.write("pictures/dark/2.png", "not a picture");
    for (name, more) in [
        ("float32", &["--taps", "pool1@mean,pool1@grid:4"][..]),
        ("float16", &["--taps", "pool1", "--dtype", "f16"]),
        ("views", &["--taps", "pool1", "--views", "flips"]),
    ] {
        let store = scratch.text(name);
        assert_eq!(run(extract(&pictures, &store, more)).code, 3);
        let said = check(&scratch, &store, "pool1@mean", "pool1.mean.npy");
        assert!(said.contains("64 features"), "{said}");
    }
    let said = check(&scratch, &scratch.text("float32"), "pool1@grid:4", "pool1.grid_4.npy");
    assert!(said.contains("1024 features"), "{said}");
}

#[test]
fn a_table_larger_than_a_row_group_is_whole() {
    let scratch = Scratch::new();
    // 774,400 numbers a picture: five make a row group.
    let (pictures, store) = (scratch.two_classes(6), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1@flatten"])).ok();
    let said = check(&scratch, &store, "conv1", "conv1.flatten.npy");
    assert!(said.starts_with("12 lines in 3 row groups"), "{said}");
}

#[test]
fn what_cannot_be_exported_is_named_and_leaves_no_file() {
    let scratch = Scratch::new();
    scratch.picture("a.png", 1);
    let table = scratch.write("list.csv", "path,label,features\na.png,x,7\n").display().to_string();
    let (store, out) = (scratch.text("store"), scratch.text("rows.parquet"));
    run(extract(&table, &store, &["--taps", "pool1,fire2"])).ok();
    let export = |tap: &str, out: &str| run(tapline(&["export-rows", &store, "--tap", tap, "--out", out]));
    export("pool1", &out).fails_with(&["column \"features\"", "rename"]);
    export("pool1+fire2", &out).fails_with(&["names 2 taps"]);
    export("absent", &out).fails_with(&["no tap \"absent\""]);
    export("pool1", &scratch.text("absent/rows.parquet")).fails_with(&["there is no folder", "absent"]);
    export("pool1", "-").fails_with(&["- is standard output", "name a file"]);
    export("pool1", &scratch.text("rows.csv"))
        .fails_with(&["rows.csv is to hold no csv: let its name end in .parquet"]);
    assert!(fs::metadata(out).is_err());
}
