//! `tapline layers` on the networks of the cards and on the nine light graphs of the onnx package.

use std::path::PathBuf;

use serde_json::Value;

use crate::util::{Scratch, extract_odd, python, ran, root, run, tapline};

fn site_packages() -> PathBuf {
    let lib = root().join(".venv/lib");
    let python = lib.read_dir().expect("run `make setup`").flatten().next().expect("a Python").path();
    python.join("site-packages")
}

/// Known figures: multiply-adds of the whole network in millions, as published or counted by hand within a per cent.
const LIGHT: [(&str, f64, &str); 9] = [
    ("bvlc_alexnet", 655.0, "Softmax"),
    ("densenet121", 2834.0, "Conv"),
    ("inception_v1", 1432.0, "Softmax"),
    ("inception_v2", 2019.0, "Softmax"),
    ("resnet50", 4089.0, "Softmax"),
    ("shufflenet", 125.0, "Softmax"),
    ("squeezenet", 349.0, "Softmax"),
    ("vgg19", 19632.0, "Softmax"),
    ("zfnet512", 1482.0, "Softmax"),
];

#[test]
fn the_light_graphs_list_layers_and_no_weights() {
    for (name, millions, last) in LIGHT {
        let path = site_packages().join(format!("onnx/backend/test/data/light/light_{name}.onnx"));
        let report = run(tapline(&["layers", path.to_str().expect("UTF-8"), "--json"])).json();
        let layers = report["layers"].as_array().expect("layers");
        assert!(layers.iter().all(|l| l["operator"] != "ConstantOfShape" && l["operator"] != "Unsqueeze"), "{name}");
        let deepest = layers.last().expect("layers");
        assert_eq!(deepest["operator"], last, "{name}");
        assert_eq!(deepest["cost_share"], 1.0, "{name}");
        let found = deepest["multiply_adds"].as_f64().expect("a number") / 1e6;
        assert!((found / millions - 1.0).abs() < 0.01, "{name}: {found} million multiply-adds");
    }
}

#[test]
fn stages_of_the_cards_match_the_real_shapes() {
    for model in ["efficientnet-lite0", "squeezenet1.1"] {
        let card = std::fs::read_to_string(root().join(format!("models/{model}.toml"))).expect("a card");
        let card: toml::Table = card.parse().expect("TOML");
        let report = run(tapline(&["layers", model, "--stages", "--json"])).json();
        let layers = report["layers"].as_array().expect("layers");
        let stages = card["stages"].as_array().expect("stages");
        assert_eq!(stages.len(), layers.len(), "{model}");
        for (stage, layer) in stages.iter().zip(layers) {
            assert_eq!(stage["name"].as_str(), layer["stage"].as_str());
            assert_eq!(stage["tensor"].as_str(), layer["name"].as_str());
            assert_eq!(stage["channels"].as_integer(), layer["shape"][0].as_i64(), "{}", layer["name"]);
            let reduction = stage.get("reduction").and_then(toml::Value::as_integer);
            assert_eq!(reduction.map(|r| r as f64), layer["reduction"].as_f64(), "{}", layer["name"]);
        }
    }
}

/// The receptive fields of SqueezeNet 1.1, by the recursion r + (k − 1)·j done by hand.
#[test]
fn receptive_fields_are_those_worked_out_by_hand() {
    let report = run(tapline(&["layers", "squeezenet1.1", "--stages", "--json"])).json();
    let field = |stage: &str| {
        let layers = report["layers"].as_array().expect("layers");
        layers.iter().find(|l| l["stage"] == stage).expect(stage)["receptive_field"].clone()
    };
    for (stage, pixels) in [("conv1", 3.0), ("pool1", 7.0), ("fire2", 15.0), ("pool3", 31.0), ("fire9", 207.0)] {
        assert_eq!(field(stage), Value::from(pixels), "{stage}");
    }
    assert_eq!(field("logits"), Value::Null);
}

/// Dynamic quantisation takes the scale of a tensor from all of a batch.
#[test]
fn pictures_do_not_change_each_others_features_where_scales_are_of_batches() {
    let scratch = Scratch::new();
    ran(python("tests/reference/odd_models.py", &["make", &scratch.text("")])).ok();
    let script = "import onnx, sys\nm = onnx.load(sys.argv[1])\nnode = onnx.helper.make_node\n\
                  next(n for n in m.graph.node if n.output[0] == 'conv2').input[0] = 'real'\n\
                  m.graph.node.insert(2, node('DynamicQuantizeLinear', ['relu1'], ['small', 'scale', 'zero']))\n\
                  m.graph.node.insert(3, node('DequantizeLinear', ['small', 'scale', 'zero'], ['real']))\nonnx.save(m, sys.argv[2])";
    let (script, model) = (scratch.write("dynamic.py", script).display().to_string(), scratch.text("dynamic.onnx"));
    ran(python(&script, &[&scratch.text("opset11.onnx"), &model])).ok();
    let features = |batch: &str| {
        let (pictures, store) = (scratch.text("pictures"), scratch.text(batch));
        let args = ["extract", &pictures, "--model", &model, "--taps", "conv2", "--store", &store, "--batch", batch];
        let more = ["--mean", "0", "--std", "1", "--scale", "1", "--channels", "rgb", "--interpolation", "bilinear"];
        run(tapline(&[&args[..], &more[..], &["--squash", "--device", "cpu"]].concat())).ok();
        std::fs::read(scratch.path(batch).join("features/conv2.mean.npy")).expect("rows")
    };
    assert!(features("1") == features("5"), "rows depend on their batch");
    // A file that fixes another batch cannot be helped.
    let script = "import onnx, sys\nm = onnx.load(sys.argv[1])\n\
                  m.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2\nonnx.save(m, sys.argv[2])";
    let (script, fixed) = (scratch.write("fix.py", script).display().to_string(), scratch.text("fixed.onnx"));
    ran(python(&script, &[&model, &fixed])).ok();
    run(tapline(&["layers", &fixed])).fails_with(&["quantised dynamically with a fixed batch of 2", "a batch of 1"]);
}

/// NHWC input, float16 and QDQ inside, a side file, operator sets 7 and 21, batch fixed at 1: made by a script, listed
/// and extracted here, and compared there with the Python ONNX Runtime.
#[test]
fn unusual_networks_are_listed_and_tapped_right() {
    let scratch = Scratch::new();
    let made = ran(python("tests/reference/odd_models.py", &["make", &scratch.text("")])).ok();
    for name in made.split_whitespace() {
        let model = scratch.text(&format!("{name}.onnx"));
        let listed = run(tapline(&["layers", &model, "--json"])).json();
        assert!(listed["layers"].as_array().expect("layers").len() >= 3, "{name}: {listed}");
        let store = scratch.text(&format!("{name}.store"));
        run(extract_odd(&scratch.text("pictures"), &model, &store, &[])).ok();
        ran(python("tests/reference/odd_models.py", &["check", &model, &store])).ok();
    }
    // In training mode a picture's features would be those of its neighbours, too.
    let script = "import onnx, sys\nm = onnx.load(sys.argv[1])\nn = next(n for n in m.graph.node if n.op_type == 'BatchNormalization')\n\
                  n.attribute.append(onnx.helper.make_attribute('training_mode', 1))\nonnx.save(m, sys.argv[2])";
    let (script, training) = (scratch.write("train.py", script).display().to_string(), scratch.text("training.onnx"));
    ran(python(&script, &[&scratch.text("norms.onnx"), &training])).ok();
    run(tapline(&["layers", &training])).fails_with(&["\"norm1\" is in training mode", "model.eval()"]);
    // … and with dropout at work they would be others each time; switched off it is let be.
    let script = "import numpy, onnx, sys\nm = onnx.load(sys.argv[1])\n\
                  m.graph.initializer.append(onnx.numpy_helper.from_array(numpy.array(sys.argv[3] == 'on'), 'mode'))\n\
                  m.graph.node.append(onnx.helper.make_node('Dropout', ['out', '', 'mode'], ['dropped']))\nonnx.save(m, sys.argv[2])";
    let (script, dropout) = (scratch.write("drop.py", script).display().to_string(), scratch.text("dropout.onnx"));
    ran(python(&script, &[&scratch.text("opset21.onnx"), &dropout, "off"])).ok();
    run(tapline(&["layers", &dropout])).ok();
    ran(python(&script, &[&scratch.text("opset21.onnx"), &dropout, "on"])).ok();
    run(tapline(&["layers", &dropout]))
        .fails_with(&["dropout \"dropped\" is in training mode", "differently each time"]);
    // A network that reads bytes takes pixels as they are, and no others.
    let (pictures, model) = (scratch.text("pictures"), scratch.text("uint8.onnx"));
    let store = scratch.text("store");
    let args =
        ["extract", &pictures, "--model", &model, "--taps", "*", "--store", &store, "--mean", "127", "--std", "1"];
    let more = ["--scale", "1", "--channels", "rgb", "--interpolation", "bilinear", "--squash"];
    run(tapline(&[&args[..], &more[..]].concat())).fails_with(&["reads bytes"]);
}
