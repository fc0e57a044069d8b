//! How cores share an extraction: trials where pictures are many, an answer kept for the next run, the same rows either way.

use std::fs;
use std::thread::available_parallelism;

use serde_json::{Value, json};

use crate::util::{Scratch, contents, extract, run, tapline};

/// How an extraction of ten views was shared, with a cache of the test's own; of 200 pictures they are many.
fn shared(scratch: &Scratch, pictures: &str, store: &str, more: &[&str]) -> Value {
    let mut command = extract(pictures, store, &[&["--json", "--views", "ten-crop"], more].concat());
    // Where telemetry of the runtime is not off, it leaves files there too.
    command.env("XDG_CACHE_HOME", scratch.path("cache")).env_remove("CI").env_remove("ORT_DISABLE_TELEMETRY");
    let done = run(command);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.json()["sharing"].clone()
}

#[test]
fn trials_decide_for_many_pictures_and_their_answer_is_kept() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(100);
    let kept = scratch.path("cache/tapline/sharing.json");
    let (first, second, third) = (scratch.text("first"), scratch.text("second"), scratch.text("third"));
    let found = shared(&scratch, &pictures, &first, &[]);
    if available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        assert_eq!((&found["by"], kept.exists()), (&json!("usual"), false));
        return;
    }
    assert_eq!(found["by"], "measured");
    let answers = fs::read(&kept).expect("answers");
    assert_eq!(shared(&scratch, &pictures, &second, &[]), found);
    assert_eq!(fs::read(&kept).expect("answers"), answers, "no second trial");
    assert_eq!(contents(scratch.path("first").as_path()), contents(scratch.path("second").as_path()));
    assert!(run(tapline(&["info", &first])).ok().contains("fastest of three ways tried"));

    // An answer that was tampered with is an answer that is not there.
    fs::write(&kept, String::from_utf8(answers).expect("text").replace("\"batch\": ", "\"batch\": 99"))
        .expect("written");
    assert_eq!(shared(&scratch, &pictures, &third, &[])["by"], "measured");
}

#[test]
fn what_was_asked_for_is_not_tried_and_gives_the_same_rows() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(100);
    let rows = |store: &str| fs::read(scratch.path(store).join("features/pool1.mean.npy")).expect("an array");
    for (store, more, sharing) in [
        ("alone", &["--workers", "1"][..], json!({"sessions": 1, "threads": 1, "batch": 1, "by": "asked"})),
        (
            "together",
            &["--workers", "1", "--threads", "2", "--batch", "32"],
            json!({"sessions": 1, "threads": 2, "batch": 32, "by": "asked"}),
        ),
    ] {
        assert_eq!(shared(&scratch, &pictures, &scratch.text(store), more), sharing);
        assert!(rows(store) == rows("alone"), "{store}");
    }
    assert!(!scratch.path("cache").exists());
}

#[test]
fn few_pictures_are_worth_no_trial_and_leave_nothing_outside_the_store() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(2);
    assert_eq!(shared(&scratch, &pictures, &scratch.text("store"), &[])["by"], "usual");
    assert!(!scratch.path("cache").exists());
}
