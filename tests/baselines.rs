//! `--baselines`: rules that learn nothing but where the training pictures are.

use crate::util::{Scratch, extract, run, tapline};

#[test]
fn baselines_are_scored_on_the_same_pictures() {
    let scratch = Scratch::new();
    let (pictures, store) = (scratch.two_classes(9), scratch.text("store"));
    run(extract(&pictures, &store, &["--taps", "conv1"])).ok();
    let check = |more: &[&str], total: u64| {
        let args = [&["probe", &store, "--tap", "conv1", "--folds", "3", "--baselines"], more].concat();
        let report = run(tapline(&[&args[..], &["--json"]].concat())).json();
        let found = report["baselines"].as_array().expect("baselines");
        assert_eq!(found.len(), 8);
        assert!(found.iter().all(|baseline| baseline["total"] == total && report["accuracy"]["total"] == total));
        assert_eq!((&found[0]["rule"], &found[0]["metric"]), (&"nearest-class-mean".into(), &"euclidean".into()));
        assert_eq!(found[7]["rule"]["nearest-neighbours"], 20);
        // Dark and light pictures lie apart.
        assert!(found[0]["correct"].as_u64() >= Some(total - 1), "{}", found[0]);
        let text = run(tapline(&args)).ok();
        assert!(text.contains("nearest class mean") && text.contains("20 nearest neighbours  cosine"), "{text}");
    };
    check(&[], 18);
    check(&["--shuffles", "2", "--test-share", "0.3"], 10);
    let plain = run(tapline(&["probe", &store, "--tap", "conv1", "--folds", "3"])).ok();
    assert!(!plain.contains("nearest"), "{plain}");
}
