//! All that is done to a model before the runtime sees it, for tests and fuzz targets: only they are built with this.
//!
//! The runtime measures shapes; here they are those the file states, or made up, so that everything around it is met by
//! damaged files thousands of times a second.

use std::path::Path;

use ort::value::TensorElementType;
use prost::Message;
use tapline_core::{Pooling, TensorRange};

use crate::graph::Graph;
use crate::half::halve;
use crate::layers::{Measured, candidates, layers_of};
use crate::proto::{
    AttributeProto, EXTERNAL, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto, data_type,
};
use crate::{InputSize, Layer, Model, RangeProbe, TapRequest, batch_norms, quantise, tap_model};

#[cfg(test)]
#[path = "../../../tests/mutate.rs"]
mod mutate;

const SIZE: InputSize = InputSize { channels: 3, height: 8, width: 8 };

/// The largest side of a tensor that is taken from a file's word; the runtime never gives more than it could compute.
const LARGEST: i64 = 4096;

const POOLINGS: [Pooling; 6] =
    [Pooling::Mean, Pooling::Max, Pooling::MeanMax, Pooling::Gem { p: 3.0 }, Pooling::Grid { k: 2 }, Pooling::Flatten];

/// Reads a model, lists its layers, taps each with every pooling, and turns it into bytes and halves; gives how many networks were made.
pub fn edit(path: &Path) -> usize {
    let Ok(mut model) = Model::read(path, None) else { return 0 };
    let Ok(graph) = Graph::new(model.graph()) else { return 0 };
    let candidates = candidates(&model, &graph);
    let layers = layers_of((&model, &graph), (SIZE, &[]), &candidates, &measured(&model, &candidates));
    batch_norms(&model);
    let requests = || layers.iter().flat_map(|layer| POOLINGS.map(|pooling| TapRequest { layer, pooling }));
    let singles = requests().filter(|&request| is_tapped(&model, &[request])).count();
    let fitting: Vec<TapRequest> = requests().filter(|request| crate::features(request).is_ok()).collect();
    let made =
        singles + usize::from(is_tapped(&model, &fitting)) + in_bytes(&model, &layers) + in_halves(&model, &layers);
    // The same with as many pictures per pass as one likes, where the file fixes it, or else with one.
    model.input.batch = model.input.batch.map_or(Some(1), |_| None);
    made + usize::from(is_tapped(&model, &fitting))
}

fn is_tapped(model: &Model, taps: &[TapRequest]) -> bool {
    tap_model(model, taps, SIZE).is_ok()
}

/// The network in halves, tapped once more.
fn in_halves(model: &Model, layers: &[Layer]) -> usize {
    let Ok(halved) = halve(model) else { return 0 };
    layers.iter().filter(|layer| is_tapped(&halved, &[TapRequest { layer, pooling: Pooling::Mean }])).count()
}

/// The network in bytes, tapped once more.
fn in_bytes(model: &Model, layers: &[Layer]) -> usize {
    let Ok(mut probe) = RangeProbe::new(model, layers, SIZE) else { return 0 };
    let rows: Vec<Vec<f32>> = probe.model.taps.iter().map(|tap| vec![1.5; tap.features.min(64)]).collect();
    assert!(rows.is_empty() || !probe.widen(&vec![vec![f32::NAN]; rows.len()]), "NaN widens no range");
    assert!(probe.widen(&rows), "finite rows");
    let Ok(ranges) = probe.finish() else { return 0 };
    let Ok(bytes) = quantise(model, &ranges) else { return 0 };
    // Ranges of another network are refused, not trusted.
    let foreign: Vec<TensorRange> = ranges.into_iter().skip(1).collect();
    assert!(quantise(model, &foreign).is_err(), "a range is missing");
    layers.iter().filter(|layer| is_tapped(&bytes, &[TapRequest { layer, pooling: Pooling::Mean }])).count()
}

/// Types and shapes as the file states them; a map of four channels where it does not.
fn measured(model: &Model, candidates: &[(usize, &str)]) -> Measured {
    let stated = |name: &str| model.graph().value_info.iter().find(|value| value.name == name)?.tensor_type();
    let shape = |name: &str| match stated(name) {
        Some((_, sizes)) => sizes.into_iter().map(|size| size.map_or(1, |size| size.min(LARGEST) as usize)).collect(),
        None => vec![1, 4, 4, 4],
    };
    let kind = |name: &str| match stated(name) {
        Some((data_type::UINT8, _)) => TensorElementType::Uint8,
        _ => TensorElementType::Float32,
    };
    candidates.iter().map(|&(_, name)| (name.to_owned(), (kind(name), shape(name)))).collect()
}

/// A small network with a bit of everything: convolutions, normalisation, a sum, a branch, a classifier, weights beside
/// the file, byte tensors, a sub-graph.
pub fn sound() -> Vec<u8> {
    let node = NodeProto::new;
    let mut branch = node("If", &["flag"], "branch");
    let then = GraphProto {
        node: vec![node("Relu", &["sum"], "inner")],
        output: vec![ValueInfoProto::untyped("inner")],
        ..GraphProto::default()
    };
    for name in ["then_branch", "else_branch"] {
        let (name, g) = (name.to_owned(), Some(then.clone()));
        branch.attribute.push(AttributeProto { name, r#type: Some(5), g, ..AttributeProto::default() });
    }
    let conv = |from: &str, weight: &str, to: &str| {
        node("Conv", &[from, weight, "bias"], to).with_ints("kernel_shape", &[3, 3]).with_ints("pads", &[1; 4])
    };
    let nodes = vec![
        conv("x", "w1", "conv1").with_ints("strides", &[2, 2]),
        node("BatchNormalization", &["conv1", "bias", "bias", "bias", "bias"], "norm1"),
        node("Relu", &["norm1"], "relu1"),
        conv("relu1", "w2", "conv2").with_int("group", 1),
        node("Add", &["conv2", "relu1"], "sum"),
        branch,
        node("Clip", &["branch", "low", "high"], "clip"),
        node("QuantizeLinear", &["clip", "low", "zero"], "bytes"),
        node("DequantizeLinear", &["bytes", "low", "zero"], "back"),
        node("Transpose", &["back"], "last").with_ints("perm", &[0, 2, 3, 1]),
        node("GlobalAveragePool", &["back"], "pool"),
        node("Flatten", &["pool"], "flat"),
        node("Gemm", &["flat", "w3", "bias"], "logits").with_int("transB", 1),
    ];
    let floats = |name: &str, dims: &[i64]| {
        TensorProto::floats(name, dims, (0..dims.iter().product::<i64>()).map(|i| i as f32 / 7.0 - 1.0).collect())
    };
    let mut beside = TensorProto { name: "w3".to_owned(), dims: vec![4, 4], ..TensorProto::default() };
    beside.data_type = data_type::FLOAT;
    beside.data_location = Some(EXTERNAL);
    beside.external_data = [("location", "side.bin"), ("offset", "8"), ("length", "64")]
        .map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() })
        .to_vec();
    let map = |name: &str, kind: i32, dims: &[i64]| ValueInfoProto::tensor(name, kind, dims);
    let graph = GraphProto {
        node: nodes,
        initializer: vec![
            floats("w1", &[4, 3, 3, 3]),
            floats("w2", &[4, 4, 3, 3]),
            floats("bias", &[4]),
            floats("low", &[]),
            floats("high", &[]),
            TensorProto::raw("zero", (&[], data_type::UINT8), vec![7]),
            TensorProto::raw("flag", (&[], 9), vec![1]),
            beside,
        ],
        input: vec![map("x", data_type::FLOAT, &[-1, 3, 8, 8])],
        output: vec![map("logits", data_type::FLOAT, &[-1, 4])],
        value_info: vec![
            map("relu1", data_type::FLOAT, &[1, 4, 4, 4]),
            map("bytes", data_type::UINT8, &[1, 4, 4, 4]),
            map("last", data_type::FLOAT, &[1, 4, 4, 4]),
            map("pool", data_type::FLOAT, &[1, 4, 1, 1]),
            map("flat", data_type::FLOAT, &[1, 4]),
            map("logits", data_type::FLOAT, &[1, 4]),
        ],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(13) };
    let proto = ModelProto { ir_version: Some(8), opset_import: vec![opset], graph: Some(graph), ..Default::default() };
    proto.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    use super::mutate::{Random, mutated, mutated_in_place, soberly};

    const MUTANTS: u64 = 2500;

    /// What reading and editing a damaged model of a few kilobytes may hold.
    const BOUND: usize = 16 << 20;

    fn edited(path: &Path, bytes: &[u8], what: &str) -> usize {
        fs::write(path, bytes).expect("write");
        let path = path.to_owned();
        soberly(what, BOUND, move || edit(&path))
    }

    #[test]
    fn a_damaged_model_is_an_error_or_a_network() {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let path = folder.path().join("model.onnx");
        fs::write(folder.path().join("side.bin"), [0; 80]).expect("write");
        let sound = sound();
        let whole = edited(&path, &sound, "the sound model");
        assert!(whole > 60, "only {whole} networks of the sound model");
        let (mut made, mut refused) = (0, 0);
        for seed in 0..MUTANTS {
            let strike = if seed % 2 == 0 { mutated } else { mutated_in_place };
            match edited(&path, &strike(&sound, &mut Random::new(seed)), &format!("seed {seed}")) {
                0 => refused += 1,
                _ => made += 1,
            }
        }
        println!("{whole} networks of the sound model; of damaged ones {made} made some, {refused} none");
        assert!(made > MUTANTS / 20 && refused > MUTANTS / 20, "{made} made some, {refused} none");
    }
}
