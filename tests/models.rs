//! Model files and cards that cannot be used: one clear sentence each.

use std::fs;
use std::process::Command;

use crate::util::{Scratch, extract, python, ran, root, run, tapline};

/// SqueezeNet under another digest: a field that ONNX does not know is added at the end.
fn plain_model(scratch: &Scratch) -> String {
    let mut bytes = fs::read(root().join("models/squeezenet1.1.onnx")).expect("run `make setup`");
    bytes.extend([0x78, 0x00]);
    scratch.write("plain.onnx", bytes).display().to_string()
}

#[test]
fn a_file_that_a_card_describes_is_recognised() {
    let scratch = Scratch::new();
    let copy = scratch.text("copy.onnx");
    fs::copy(root().join("models/squeezenet1.1.onnx"), &copy).expect("run `make setup`");
    let listed = run(tapline(&["layers", &copy]));
    assert!(listed.stderr.contains("naming squeezenet1.1 instead of the file"), "{}", listed.stderr);
    let other = run(tapline(&["layers", &plain_model(&scratch)]));
    assert_eq!((other.code, other.stderr.as_str()), (0, ""));
}

#[test]
fn a_web_page_an_empty_file_and_half_a_download_are_not_onnx() {
    let scratch = Scratch::new();
    let page = scratch.write("page.onnx", "<!DOCTYPE html><title>404</title>");
    let empty = scratch.write("empty.onnx", "");
    let pointer = scratch.write("pointer.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    let whole = fs::read(root().join("models/squeezenet1.1.onnx")).expect("run `make setup`");
    let half = scratch.write("half.onnx", &whole[..whole.len() / 2]);
    let noise = scratch.write("noise.onnx", [0xff; 4096]);
    let cases = [(page, "web page"), (empty, "empty"), (pointer, "Git LFS"), (half, "cut short"), (noise, "damaged")];
    for (file, words) in cases {
        let file = file.to_str().expect("UTF-8");
        run(tapline(&["layers", file])).fails_with(&[file, "is not an ONNX model", words]);
    }
}

#[test]
fn a_network_that_takes_no_pictures_is_refused() {
    let scratch = Scratch::new();
    let script = "import onnx, sys; from onnx import helper as h; \
        v = lambda n: h.make_tensor_value_info(n, 1, ['batch', 8]); \
        g = h.make_graph([h.make_node('Relu', ['x'], ['y'])], 'g', [v('x')], [v('y')]); \
        onnx.save(h.make_model(g, opset_imports=[h.make_opsetid('', 13)], ir_version=8), sys.argv[1])";
    let file = scratch.text("table.onnx");
    ran(python("-c", &[script, &file])).ok();
    run(tapline(&["layers", &file])).fails_with(&[&file, "picture network", "inputs: x"]);
}

#[test]
fn a_missing_file_and_an_unknown_card_are_named_with_what_there_is() {
    run(tapline(&["layers", "absent.onnx"])).fails_with(&["absent.onnx does not exist"]);
    run(tapline(&["layers", "resnet99"])).fails_with(&["resnet99", "efficientnet-lite0, squeezenet1.1"]);
}

#[test]
fn a_model_that_is_not_its_cards_is_refused_with_both_digests() {
    let scratch = Scratch::new();
    let card = fs::read_to_string(root().join("models/squeezenet1.1.toml")).expect("a card");
    scratch.write("squeezenet1.1.toml", &card);
    fs::copy(root().join("models/efficientnet-lite0.onnx"), scratch.path("squeezenet1.1.onnx"))
        .expect("run `make setup`");
    let mut command = tapline(&["layers", "squeezenet1.1"]);
    command.env("TAPLINE_MODELS", scratch.path(""));
    let expected = card.split("sha256 = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest");
    run(command).fails_with(&["is not the file its card describes", expected]);
}

#[test]
fn a_card_with_an_unknown_key_and_one_without_its_model_are_refused() {
    let scratch = Scratch::new();
    let card = fs::read_to_string(root().join("models/squeezenet1.1.toml")).expect("a card");
    let typo = scratch.write("typo.toml", card.replace("licence =", "license =")).display().to_string();
    run(tapline(&["layers", &typo])).fails_with(&[&typo, "license"]);
    let lonely = scratch.write("lonely.toml", &card).display().to_string();
    run(tapline(&["layers", &lonely])).fails_with(&[&lonely, "is not there", "make setup"]);
}

#[test]
fn without_a_card_nothing_is_guessed() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    let (model, store) = (plain_model(&scratch), scratch.text("store"));
    let args = |more: &[&str]| {
        let mut args = vec!["extract", pictures.as_str(), "--model", &model, "--store", &store, "--taps", "pool1"];
        args.extend(more);
        tapline(&args)
    };
    run(args(&[])).fails_with(&["is not known", "--preprocess"]);
    run(args(&["--mean", "0"])).fails_with(&["not complete", "--std", "--channels"]);
    let hf = scratch.write(
        "wrong.json",
        r#"{"do_resize": true, "size": {"height": 96, "width": 96}, "resample": 2,
        "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#,
    );
    run(args(&["--preprocess", hf.to_str().expect("UTF-8")])).fails_with(&["224", "96", "wrong.json"]);
    // Beside the model, the file is found by itself and said to be used.
    scratch.write(
        "config.json",
        r#"{"pretrained_cfg": {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.875,
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}"#,
    );
    let done = run(args(&["--json"])).json();
    assert!(done["preprocessing"].as_str().expect("text").ends_with("config.json"), "{done}");
    let stored = run(tapline(&["info", &store, "--json"])).json();
    assert_eq!(stored["space"]["preprocess"]["resize"]["short-side"], 256);
}

#[test]
fn torchvisions_preprocessing_is_made_for_other_sizes_and_by_flags() {
    let scratch = Scratch::new();
    ran(python("tests/reference/odd_models.py", &["make", &scratch.text("")])).ok();
    let (pictures, model, store) = (scratch.text("pictures"), scratch.text("opset11.onnx"), scratch.text("store"));
    let extract = |more: &[&str]| {
        let args = ["extract", &pictures, "--model", &model, "--taps", "conv1", "--device", "cpu", "--store", &store];
        run(tapline(&[&args[..], more].concat()))
    };
    let preset = ["--preprocess", "torchvision"];
    extract(&preset).fails_with(&["--preprocess torchvision", "of 12 × 12", "of 224 × 224: use --size 12"]);
    extract(&[&preset[..], &["--size", "64"]].concat()).fails_with(&["--size 64", "of 64 × 64: use --size 12"]);
    let done = extract(&[&preset[..], &["--size", "12", "--json"]].concat()).json();
    assert_eq!((&done["preprocessing"], &done["computed"]), (&"--preprocess torchvision --size 12".into(), &5.into()));
    let stored = run(tapline(&["info", &store, "--json"])).json();
    assert_eq!(stored["space"]["preprocess"]["resize"]["short-side"], 13);
    // Flags that say the same make the same store.
    let numbers = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--scale", "1/255", "--resize", "13"];
    let rest = ["--channels", "rgb", "--interpolation", "bilinear", "--json"];
    let again = extract(&[&numbers[..], &rest[..]].concat()).json();
    assert_eq!((&again["reused"], &again["computed"]), (&5.into(), &0.into()), "{again}");
}

#[test]
fn an_unknown_tap_brings_the_nearest_names() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    let command = extract(&pictures, &scratch.text("store"), &["--taps", "fire99"]);
    run(command).fails_with(&["fire99", "did you mean", "fire9"]);
    run(extract(&pictures, &scratch.text("glob"), &["--taps", "*relu*"])).fails_with(&["*relu*", "conv1"]);
    let command = extract(&pictures, &scratch.text("other"), &["--taps", "pool5@grid:40"]);
    assert_eq!(run(command).code, 1);
}

#[test]
fn a_gpu_asked_for_by_name_is_an_error_where_there_is_none() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    let runs = |device| run(extract(&pictures, &scratch.text("gpu"), &["--device", device])).code == 0;
    if fs::exists("/dev/nvidiactl").unwrap_or(false) {
        // A machine with a GPU: both ways of asking agree on whether it can be used.
        assert!(runs("auto"));
        return;
    }
    run(extract(&pictures, &scratch.text("store"), &["--device", "cuda"]))
        .fails_with(&["device cuda:0 cannot be used"]);
    let auto = run(extract(&pictures, &scratch.text("store"), &["--device", "auto", "--json"])).json();
    assert_eq!(auto["device"], "cpu");
    assert!(auto["device_reason"].as_str().expect("text").starts_with("no usable GPU"));
}

#[test]
fn flags_that_would_change_nothing_are_refused() {
    let scratch = Scratch::new();
    run(tapline(&["layers", "squeezenet1.1", "--layout", "nhwc"])).fails_with(&["--layout", "model card"]);
    run(tapline(&["layers", "squeezenet1.1", "--size", "99"])).fails_with(&["--size 99", "224"]);
    let pictures = scratch.two_classes(1);
    let (model, store) = (plain_model(&scratch), scratch.text("store"));
    let args =
        ["extract", &pictures, "--model", &model, "--store", &store, "--taps", "pool1", "--preprocess", "torchvision"];
    run(tapline(&[&args[..], &["--size", "320"]].concat())).fails_with(&["torchvision --size 320", "use --size 224"]);
    run(extract(&pictures, &store, &["--mean", "0"])).fails_with(&["--squash", "--resize"]);
}

#[test]
fn more_pictures_a_pass_than_memory_holds_are_refused() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    run(extract(&pictures, &scratch.text("store"), &["--batch", "60000"])).fails_with(&["smaller batch"]);
    for batch in ["0", "65536", "18446744073709551615"] {
        let refused = run(extract(&pictures, &scratch.text("store"), &["--batch", batch]));
        assert!(refused.code == 2 && refused.stderr.contains("'--batch <N>'"), "{}", refused.stderr);
    }
    let many = run(extract(&pictures, &scratch.text("store"), &["--workers", "100000"]));
    assert!(many.code == 2 && many.stderr.contains("256"), "{}", many.stderr);
    run(extract(&pictures, &scratch.text("store"), &["--batch", "1000", "--workers", "256"])).ok();
}

#[test]
fn globs_with_braces_and_several_taps_are_understood() {
    let scratch = Scratch::new();
    let pictures = scratch.two_classes(1);
    let more = ["--taps", "{pool1,fire2}@max,conv1", "--taps", "fire3", "--json"];
    let mut args = vec!["extract", &pictures, "--model", "squeezenet1.1", "--device", "cpu"];
    let store = scratch.text("store");
    args.extend(["--store", &store]);
    let report = run(tapline(&[&args[..], &more[..]].concat())).json();
    assert_eq!(report["taps"], serde_json::json!(["conv1@mean", "pool1@max", "fire2@max", "fire3@mean"]));
}

#[test]
fn a_runtime_that_is_none_is_named() {
    let scratch = Scratch::new();
    for (file, words) in
        [(scratch.path("absent.so"), "is not a file"), (scratch.write("text.so", "hello"), "cannot be used")]
    {
        let mut command = tapline(&["layers", "squeezenet1.1"]);
        command.env("ORT_DYLIB_PATH", &file);
        run(command).fails_with(&[file.to_str().expect("UTF-8"), words]);
    }
}

/// A library that has ONNX Runtime's entry point and reports an old version.
const OLD_RUNTIME: &str = r#"
static void *api(unsigned version) { return 0; }
static const char *version(void) { return "1.10.0"; }
static const struct { void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
const void *OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_runtime_that_is_too_old_is_told_with_the_version_it_takes() {
    let scratch = Scratch::new();
    let (source, library) = (scratch.write("old.c", OLD_RUNTIME), scratch.path("libonnxruntime.so.1.10.0"));
    let built = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("gcc").success());
    let mut command = tapline(&["layers", "squeezenet1.1"]);
    command.env("ORT_DYLIB_PATH", &library);
    run(command).fails_with(&["version 1.10", "1.17 or newer", "make setup"]);
}

#[test]
fn where_there_is_no_runtime_the_places_and_the_remedy_are_named() {
    let scratch = Scratch::new();
    let file = root().join("models/squeezenet1.1.toml");
    let mut command = copied_program(&scratch);
    command.arg("layers").arg(file);
    let ran = run(command);
    // A machine with ONNX Runtime installed has one after all: the system's is the last place looked at.
    if ran.code != 0 {
        let places = format!("no checkout of Tapline around {}", scratch.text("tapline"));
        ran.fails_with(&[&places, "was not found", "libonnxruntime.so", "make setup", "ORT_DYLIB_PATH"]);
    }
}

#[test]
fn where_there_are_no_cards_the_places_and_the_remedy_are_named() {
    let scratch = Scratch::new();
    let places = format!("no checkout of Tapline around {}", scratch.text("tapline"));
    let (pictures, store) = (scratch.two_classes(1), scratch.text("store"));
    let mut command = copied_program(&scratch);
    command.args(["extract", &pictures, "--model", "squeezenet1.1", "--store", &store]);
    run(command).fails_with(&["no model cards were found", &places, "TAPLINE_MODELS"]);
    let mut command = copied_program(&scratch);
    command.arg("models");
    let listed = run(command).ok();
    assert!(listed.contains(&places) && listed.contains("TAPLINE_MODELS"), "{listed}");

    fs::create_dir(scratch.path("empty")).expect("a folder");
    let mut command = tapline(&["layers", "squeezenet1.1"]);
    command.env("TAPLINE_MODELS", scratch.path("empty"));
    run(command).fails_with(&["TAPLINE_MODELS names", &scratch.text("empty"), "holds none"]);
}

/// The program outside the checkout, so that it finds nothing by itself.
fn copied_program(scratch: &Scratch) -> Command {
    let copy = scratch.path("tapline");
    fs::copy(env!("CARGO_BIN_EXE_tapline"), &copy).expect("copies");
    let mut command = Command::new(copy);
    command.current_dir(scratch.path("")).env_remove("ORT_DYLIB_PATH").env_remove("TAPLINE_MODELS");
    command
}
