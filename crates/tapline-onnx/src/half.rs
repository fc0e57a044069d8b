//! The network in float16: convolutions and matrix products compute in halves, and what follows them as far as it loses no more than
//! a rounding; everything else computes in float32.
//!
//! Every tensor keeps its name and its type: a half stands beside it under a name of its own, and the float32 one is made from the
//! half where something reads it, a tap or an operator that is not known to take halves. So taps pool in float32.
//!
//! Batch normalisation is folded into the convolution before it in float32, or stays there: in halves its differences of large
//! numbers would cost most of their digits. What lies between a convolution and what is folded into it is computed beside them where
//! it is tapped, so that no row depends on the other taps.

use std::collections::{HashMap, HashSet};

use half::f16;

use crate::constants::{Constants, floats};
use crate::folding::{Weights, is_plain_normalisation, is_standard};
use crate::graph::Graph;
use crate::proto::{NodeProto, TensorProto, data_type};
use crate::quantised::KEEP_NUMBERS;
use crate::{Error, Model};

/// The prefix of every name that a network in halves adds.
const HALF: &str = "tapline-half/";

/// Operators that are worth a conversion to halves. All their inputs are numbers.
const PRODUCTS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Operators that stay in halves where all they read is. All their inputs are numbers.
const FOLLOWERS: [&str; 20] = [
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Div",
    "Elu",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Mul",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Sub",
    "Sum",
    "Tanh",
];

/// Operators that stay in float32 and give numbers of the type they read.
const KEEP_TYPE: [&str; 40] = [
    "Abs",
    "BatchNormalization",
    "Ceil",
    "CumSum",
    "Einsum",
    "Erf",
    "Exp",
    "Expand",
    "Floor",
    "Gather",
    "Gelu",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "Max",
    "Mean",
    "Min",
    "Mish",
    "Neg",
    "Pow",
    "RMSNormalization",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Resize",
    "Softmax",
    "Sqrt",
    "Tile",
    "Upsample",
    "Where",
];

/// The first operator set whose Clip a GPU computes in halves.
const CLIP: i64 = 12;

/// The network `model` with its trunk in float16; its taps, names and digest are those of the original.
///
/// # Errors
/// [`Error::Unusable`] where nothing in it can be computed in halves, or it was made by Tapline.
pub fn halve(model: &Model) -> Result<Model, Error> {
    let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
    let graph = Graph::new(model.graph()).map_err(unusable)?;
    let stored = model.graph().initializer.iter().map(|tensor| &tensor.name);
    if graph.nodes.iter().flat_map(|node| &node.output).chain(stored).any(|name| name.starts_with(HALF)) {
        return Err(unusable(format!("it already holds tensors named {HALF}…; use the original")));
    }
    let carried = graph.carried_from(&model.input.name);
    let is_float = model.input.elem_type == data_type::FLOAT;
    let mut edit = Edit {
        clips: model.opset >= CLIP,
        constants: Constants::of(model.graph()),
        floats: is_float.then_some(model.input.name.as_str()).into_iter().collect(),
        halves: HashSet::new(),
        nodes: Vec::new(),
        weights: HashMap::new(),
        folded: Vec::new(),
    };
    let readers = graph.readers();
    for node in &graph.nodes {
        let first = node.input.first().map_or("", String::as_str);
        let before = graph.producer(first).map(|index| graph.nodes[index]);
        // What others read, too, is computed anyway.
        let is_only_reader = readers.get(first).is_some_and(|readers| readers.len() == 1);
        let is_folded = before.is_some_and(|before| is_only_reader && edit.fold(before, node));
        if !is_folded {
            edit.add(node, &carried);
        }
    }
    if !edit.nodes.iter().any(is_product_in_halves) {
        let what = "it has no convolution and no matrix product in float32 that can be in float16, so --precision float16 has nothing to do; leave the option out";
        return Err(unusable(what.to_owned()));
    }
    let mut halved = model.clone();
    let (nodes, mut weights): (_, Vec<TensorProto>) = (edit.nodes, edit.weights.into_values().collect());
    weights.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let graph = halved.proto.graph.as_mut().expect("a read model has a graph");
    graph.node = nodes;
    graph.initializer.append(&mut weights);
    graph.initializer.append(&mut edit.folded);
    Ok(halved)
}

/// How many convolutions and matrix products of a network, made for `--precision float16`, are still in float32.
pub fn products_in_float32(model: &Model) -> usize {
    let is_product = |node: &&NodeProto| is_standard(node) && PRODUCTS.contains(&node.op_type.as_str());
    model.graph().node.iter().filter(is_product).filter(|node| !is_product_in_halves(node)).count()
}

fn is_product_in_halves(node: &NodeProto) -> bool {
    is_standard(node) && PRODUCTS.contains(&node.op_type.as_str()) && node.output[0].starts_with(HALF)
}

/// The graph while it is made.
struct Edit<'a> {
    /// Whether Clip can be in halves.
    clips: bool,
    constants: Constants<'a>,
    /// Tensors that depend on the picture and are known to be float32.
    floats: HashSet<&'a str>,
    /// Those of them that stand beside themselves as halves.
    halves: HashSet<&'a str>,
    nodes: Vec<NodeProto>,
    /// Constants as halves, by the names of the originals.
    weights: HashMap<&'a str, TensorProto>,
    /// Weights that others were folded into.
    folded: Vec<TensorProto>,
}

impl<'a> Edit<'a> {
    /// Adds a node, in halves where it can be.
    fn add(&mut self, node: &'a NodeProto, carried: &HashSet<&str>) {
        if let Some(numbers) = self.numbers_to_halve(node) {
            return self.halve(node, numbers);
        }
        self.nodes.push(node.clone());
        let op = node.op_type.as_str();
        let reads_floats = node.input.iter().any(|input| self.floats.contains(input.as_str()));
        let keeps = [&PRODUCTS[..], &FOLLOWERS, &KEEP_NUMBERS, &KEEP_TYPE].iter().any(|ops| ops.contains(&op));
        let becomes_float = op == "Cast" && node.int("to") == Some(data_type::FLOAT.into());
        let is_carried = node.input.iter().any(|input| carried.contains(input.as_str()));
        if is_standard(node) && ((keeps && reads_floats) || (becomes_float && is_carried)) {
            let count = if op == "Split" { node.output.len() } else { 1 };
            self.floats.extend(node.output[..count].iter().map(String::as_str).filter(|name| !name.is_empty()));
        }
    }

    /// How many of a node's inputs, from the first on, are numbers to be read as halves; none where it stays in float32.
    fn numbers_to_halve(&self, node: &NodeProto) -> Option<usize> {
        let op = node.op_type.as_str();
        let given = |from: usize| node.input.iter().skip(from).map(String::as_str).filter(|input| !input.is_empty());
        // A second output is of another type, but for the parts of a Split.
        let is_plain = is_standard(node) && (op == "Split" || node.output[1..].iter().all(String::is_empty));
        let is_half = |input: &str| self.halves.contains(input);
        let halves = match op {
            _ if !is_plain => false,
            op if PRODUCTS.contains(&op) => {
                let fits = |input: &str| self.floats.contains(input) || self.fits(input, f16::is_finite);
                given(0).any(|input| self.floats.contains(input)) && given(0).all(fits)
            }
            "Clip" if !self.clips => false,
            op if FOLLOWERS.contains(&op) => {
                // A small constant that keeps a divisor from 0 must not become 0.
                let is_kept = |half: f16| half.is_finite() && half.is_normal();
                given(0).any(is_half) && given(0).all(|input| is_half(input) || self.fits(input, is_kept))
            }
            // What is put in beside the numbers would have to be of their type.
            "Pad" if given(2).next().is_some() => false,
            op => KEEP_NUMBERS.contains(&op) && is_half(&node.input[0]),
        };
        halves.then(|| if KEEP_NUMBERS.contains(&op) { 1 } else { node.input.len() })
    }

    /// Whether a tensor is a float32 constant whose numbers, where they are not 0, are `good` as halves.
    fn fits(&self, tensor: &str, good: impl Fn(f16) -> bool) -> bool {
        let numbers = self.constants.get(tensor).and_then(floats);
        numbers.is_some_and(|numbers| numbers.iter().all(|&number| number == 0.0 || good(f16::from_f32(number))))
    }

    /// Adds a node whose first `numbers` inputs are numbers, in halves, and what makes float32 of its outputs.
    fn halve(&mut self, node: &'a NodeProto, numbers: usize) {
        let mut halved = node.clone();
        for (input, original) in halved.input.iter_mut().zip(&node.input).take(numbers) {
            if !original.is_empty() {
                *input = self.half_of(original);
            }
        }
        for output in halved.output.iter_mut().filter(|name| !name.is_empty()) {
            *output = own("value", output);
        }
        self.nodes.push(halved);
        node.output.iter().filter(|name| !name.is_empty()).for_each(|name| self.give(name));
    }

    /// Adds the convolution `before` with the normalisation `node` behind it, if both can be one in halves.
    fn fold(&mut self, before: &'a NodeProto, node: &'a NodeProto) -> bool {
        let is_half = before.output.first().is_some_and(|output| self.halves.contains(output.as_str()));
        if before.op_type != "Conv" || !is_half || !is_plain_normalisation(node, &before.output[0], &self.constants) {
            return false;
        }
        let weights = Weights::of(before, 0, &self.constants).and_then(|one| one.normalised(node, &self.constants));
        let fits = |numbers: &[f32]| numbers.iter().all(|&number| f16::from_f32(number).is_finite());
        let Some(weights) = weights.filter(|one| fits(&one.values) && one.bias.as_deref().is_none_or(fits)) else {
            return false;
        };
        let output = node.output[0].as_str();
        let mut folded = before.clone();
        folded.name = own("folded", output);
        folded.output = vec![own("value", output)];
        folded.input = vec![self.half_of(&before.input[0])];
        let bias = weights.bias.unwrap_or_default();
        for (part, dims, numbers) in
            [("weights", weights.dims, weights.values), ("bias", vec![bias.len() as i64], bias)]
        {
            let name = own(part, output);
            self.folded.push(halves(&name, &dims, &numbers));
            folded.input.push(name);
        }
        self.nodes.push(folded);
        self.give(output);
        true
    }

    /// Makes float32 of a half.
    fn give(&mut self, tensor: &'a str) {
        self.floats.insert(tensor);
        self.halves.insert(tensor);
        self.nodes.push(cast(&own("value", tensor), tensor, data_type::FLOAT));
    }

    /// The name of a tensor's half, which is made where there is none.
    fn half_of(&mut self, tensor: &'a str) -> String {
        let half = own("value", tensor);
        if self.floats.contains(tensor) {
            if self.halves.insert(tensor) {
                self.nodes.push(cast(tensor, &half, data_type::FLOAT16));
            }
        } else if !self.weights.contains_key(tensor) {
            let constant = self.constants.get(tensor).expect("what is no float32 tensor of the picture is a constant");
            let numbers = floats(constant).expect("it was read before");
            self.weights.insert(tensor, halves(&half, &constant.dims, &numbers));
        }
        half
    }
}

fn own(part: &str, tensor: &str) -> String {
    format!("{HALF}{part}/{tensor}")
}

fn halves(name: &str, dims: &[i64], numbers: &[f32]) -> TensorProto {
    let bytes = numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect();
    TensorProto::raw(name, (dims, data_type::FLOAT16), bytes)
}

fn cast(from: &str, to: &str, data_type: i32) -> NodeProto {
    let mut node = NodeProto::new("Cast", &[from], to).with_int("to", data_type.into());
    // A node of the network may be called what its tensor is called.
    node.name = own("cast", to);
    node
}
