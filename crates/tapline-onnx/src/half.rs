//! The network in float16: convolutions and what stands between them compute in halves, everything else in float32.
//!
//! Every tensor keeps its name and its type: a half stands beside it under a name of its own, and the float32 one is made from the
//! half where something reads it, a tap or an operator that is not known to take halves. So taps pool in float32.
//!
//! Batch normalisation is folded into the convolution before it in float32: in halves its differences of large numbers would cost most
//! of their digits. What lies between the two is computed beside them where it is tapped, so that no row depends on the other taps.

use std::collections::{HashMap, HashSet};

use half::f16;

use crate::constants::{Constants, floats};
use crate::graph::Graph;
use crate::int8::{Weights, is_plain_normalisation};
use crate::proto::{NodeProto, TensorProto, data_type};
use crate::{Error, Model};

/// The prefix of every tensor name that a network in halves adds.
const HALF: &str = "tapline-half/";

/// Operators whose inputs and outputs are all numbers of one type, and which lose no more in halves than a rounding.
const NUMBERS: [&str; 30] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Elu",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
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

/// Operators of which the first input alone is numbers, and which move or choose among them.
const MOVES: [&str; 8] =
    ["DepthToSpace", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze"];

/// Operators that give numbers of their first input's type, but are better left in float32.
const KEEPS_TYPE: [&str; 10] = [
    "Exp",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "Pow",
    "ReduceMean",
    "Resize",
    "Softmax",
    "Sqrt",
    "Upsample",
];

/// The network `model` with its trunk in float16; its taps, names and digest are those of the original.
///
/// # Errors
/// [`Error::Unusable`] where nothing in it can be computed in halves, or it was made by Tapline.
pub fn halve(model: &Model) -> Result<Model, Error> {
    let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
    let graph = Graph::new(model.graph()).map_err(unusable)?;
    if graph.nodes.iter().flat_map(|node| &node.output).any(|name| name.starts_with(HALF)) {
        return Err(unusable(format!("it already holds tensors named {HALF}…; use the original")));
    }
    let carried = graph.carried_from(&model.input.name);
    let is_float = model.input.elem_type == data_type::FLOAT;
    let readers = graph.readers();
    let mut edit = Edit {
        constants: Constants::of(model.graph()),
        floats: is_float.then_some(model.input.name.as_str()).into_iter().collect(),
        halves: HashSet::new(),
        nodes: Vec::new(),
        weights: HashMap::new(),
        folded: Vec::new(),
        products: 0,
    };
    for node in &graph.nodes {
        let first = node.input.first().map_or("", String::as_str);
        let before = graph.producer(first).map(|index| graph.nodes[index]);
        // What others read, too, is there anyway.
        let only = readers.get(first).is_some_and(|readers| readers.len() == 1);
        match before.filter(|_| only).and_then(|before| edit.folded(before, node)) {
            Some(weights) => edit.fold(before.expect("it was folded"), node, weights),
            None => edit.add(node, &carried),
        }
    }
    if edit.products == 0 {
        let what = "it has no convolution and no matrix product in float32, so --precision float16 has nothing to do; leave the option out";
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

/// The graph while it is made.
struct Edit<'a> {
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
    /// Convolutions and matrix products in halves.
    products: usize,
}

impl<'a> Edit<'a> {
    /// Adds a node, in halves where all its numbers can be.
    fn add(&mut self, node: &'a NodeProto, carried: &HashSet<&str>) {
        let op = node.op_type.as_str();
        let is_standard = matches!(node.domain.as_str(), "" | "ai.onnx") && !node.output.is_empty();
        let numbers = match node.input.len() {
            count if is_standard && NUMBERS.contains(&op) => count,
            1.. if is_standard && MOVES.contains(&op) => 1,
            _ => 0,
        };
        let inputs = node.input[..numbers].iter().map(String::as_str).filter(|input| !input.is_empty());
        // A second output is of another type, but for the parts of a Split.
        let is_plain = op == "Split" || node.output.iter().skip(1).all(String::is_empty);
        let fits = |input: &str| self.floats.contains(input) || self.fits(input);
        if is_plain && inputs.clone().any(|input| carried.contains(input)) && inputs.clone().all(fits) {
            return self.halve(node, numbers);
        }
        self.nodes.push(node.clone());
        let first = node.input.first().map_or("", String::as_str);
        let becomes_float = op == "Cast" && node.int("to") == Some(data_type::FLOAT.into()) && carried.contains(first);
        let keeps_type = numbers > 0 || KEEPS_TYPE.contains(&op);
        if is_standard && (becomes_float || (keeps_type && self.floats.contains(first))) {
            self.floats.insert(&node.output[0]);
        }
    }

    /// Weights and bias of the convolution `before` with the normalisation `node` behind it, if both can be one in halves.
    fn folded(&self, before: &NodeProto, node: &NodeProto) -> Option<Weights> {
        let output = before.output.first().filter(|output| self.halves.contains(output.as_str()))?;
        let folds = before.op_type == "Conv" && is_plain_normalisation(node, output, &self.constants);
        let weights = Weights::of(before, 0, &self.constants).filter(|_| folds)?.normalised(node, &self.constants)?;
        let fits = |numbers: &[f32]| numbers.iter().all(|&number| f16::from_f32(number).is_finite());
        (fits(&weights.values) && weights.bias.as_deref().is_none_or(fits)).then_some(weights)
    }

    /// Adds a convolution with the normalisation behind it.
    fn fold(&mut self, convolution: &'a NodeProto, normalisation: &'a NodeProto, weights: Weights) {
        let output = normalisation.output[0].as_str();
        let mut node = convolution.clone();
        node.name = format!("{HALF}folded/{output}");
        node.output = vec![own(output)];
        node.input = vec![self.half_of(&convolution.input[0])];
        let bias = weights.bias.unwrap_or_default();
        for (part, dims, numbers) in
            [("weights", weights.dims, weights.values), ("bias", vec![bias.len() as i64], bias)]
        {
            let name = format!("{HALF}{part}/{output}");
            self.folded.push(halves(&name, &dims, &numbers));
            node.input.push(name);
        }
        self.nodes.push(node);
        self.give(output);
    }

    /// Makes float32 of a half.
    fn give(&mut self, tensor: &'a str) {
        self.floats.insert(tensor);
        self.halves.insert(tensor);
        self.nodes.push(cast(&own(tensor), tensor, data_type::FLOAT));
    }

    /// Whether a tensor is a float32 constant that has no number beyond those of halves.
    fn fits(&self, tensor: &str) -> bool {
        let numbers = self.constants.get(tensor).and_then(floats);
        numbers.is_some_and(|numbers| numbers.iter().all(|&number| f16::from_f32(number).is_finite()))
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
            *output = own(output);
        }
        self.products += usize::from(matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"));
        self.nodes.push(halved);
        node.output.iter().filter(|name| !name.is_empty()).for_each(|name| self.give(name));
    }

    /// The name of a tensor's half, which is made where there is none.
    fn half_of(&mut self, tensor: &'a str) -> String {
        let half = own(tensor);
        if self.floats.contains(tensor) {
            if self.halves.insert(tensor) {
                self.nodes.push(cast(tensor, &half, data_type::FLOAT16));
            }
        } else if let Some(constant) = self.constants.get(tensor) {
            let weight = || halves(&half, &constant.dims, &floats(constant).unwrap_or_default());
            self.weights.entry(tensor).or_insert_with(weight);
        }
        half
    }
}

fn own(tensor: &str) -> String {
    format!("{HALF}{tensor}")
}

fn halves(name: &str, dims: &[i64], numbers: &[f32]) -> TensorProto {
    let bytes = numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect();
    TensorProto::raw(name, (dims, data_type::FLOAT16), bytes)
}

fn cast(from: &str, to: &str, data_type: i32) -> NodeProto {
    let mut node = NodeProto::new("Cast", &[from], to).with_int("to", data_type.into());
    // A node of the network may be called what its tensor is called.
    node.name = format!("{HALF}cast/{to}");
    node
}
