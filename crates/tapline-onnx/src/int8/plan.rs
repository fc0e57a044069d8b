//! Which tensors of a network become bytes, decided by the network alone.

use std::collections::{HashMap, HashSet};

use super::INT8;
use crate::Error;
use crate::constants::{Constants, floats, is_floats};
use crate::folding::{is_plain_normalisation, is_standard};
use crate::graph::Graph;
use crate::model::Model;
use crate::proto::NodeProto;

/// The first operator set with convolutions of bytes.
const OLDEST: i64 = 10;

/// A convolution or addition with what is fused into it.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    /// The node at its head.
    pub head: usize,
    /// The batch normalisation behind a convolution.
    pub normalisation: Option<usize>,
    /// The tensor it ends in, which becomes bytes.
    pub output: &'a str,
}

/// What becomes bytes.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Tensors that become bytes, in execution order.
    pub tensors: Vec<&'a str>,
    /// Those that share scale and zero point with another one.
    pub same_as: HashMap<&'a str, &'a str>,
    /// Convolutions and additions that read and write bytes.
    pub chains: Vec<Chain<'a>>,
    /// Matrix products that read bytes and write float32.
    pub dense: Vec<usize>,
    /// Tensors that hold no number below zero, whatever the picture.
    pub positive: HashSet<&'a str>,
    known: HashSet<&'a str>,
}

impl<'a> Plan<'a> {
    /// The plan for a network.
    ///
    /// # Errors
    /// [`Error::Unusable`] where it is quantised already, or nothing in it can be.
    pub fn of(model: &'a Model, graph: &Graph<'a>) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Unusable { path: model.path.clone(), what });
        if let Some(node) = graph.nodes.iter().find(|node| is_quantised(node)) {
            return refuse(format!(
                "it is quantised already ({} node {:?}), so --precision int8 has nothing to do; leave the option out",
                node.op_type, node.name
            ));
        }
        if graph.nodes.iter().flat_map(|node| &node.output).any(|name| name.starts_with(INT8)) {
            return refuse(format!("it already holds tensors named {INT8}…; use the original"));
        }
        if model.opset < OLDEST {
            return refuse(format!(
                "its operator set is {}, --precision int8 needs {OLDEST} or newer; convert it with onnx.version_converter",
                model.opset
            ));
        }
        let constants = Constants::of(model.graph());
        let carried = graph.carried_from(&model.input.name);
        let readers = graph.readers();
        let mut plan = Self::default();
        for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| is_standard(node)) {
            let inputs: Vec<&'a str> = node.input.iter().map(String::as_str).collect();
            let is_carried = |name: &&str| carried.contains(*name);
            match node.op_type.as_str() {
                "Conv" if is_carried(&inputs[0]) && has_float_weights(node, &constants) => {
                    plan.add(inputs[0]);
                    plan.chain(index, graph, (&constants, &readers));
                }
                "Add" if inputs.iter().all(is_carried) => {
                    inputs.iter().for_each(|input| plan.add(input));
                    plan.chain(index, graph, (&constants, &readers));
                }
                "Gemm" if is_carried(&inputs[0]) && is_plain_gemm(node, &constants) => {
                    plan.add(inputs[0]);
                    plan.dense.push(index);
                }
                // Bytes are known to MaxPool from operator set 12 on.
                "MaxPool" if model.opset >= 12 && plan.known.contains(inputs[0]) && node.output.len() == 1 => {
                    let source = plan.same_as.get(inputs[0]).copied().unwrap_or(inputs[0]);
                    plan.add(&node.output[0]);
                    plan.same_as.insert(&node.output[0], source);
                }
                "Concat" if inputs.iter().all(|input| plan.known.contains(input)) => {
                    plan.add(&node.output[0]);
                    let source = |input: &'a str| plan.same_as.get(input).copied().unwrap_or(input);
                    if inputs.iter().all(|input| plan.positive.contains(source(input))) {
                        plan.positive.insert(&node.output[0]);
                    }
                }
                _ => {}
            }
        }
        let convolutions = plan.chains.iter().filter(|chain| graph.nodes[chain.head].op_type == "Conv").count();
        if convolutions + plan.dense.len() == 0 {
            return refuse(
                "it has no convolution and no matrix product with constant float32 weights, so --precision int8 has \
                 nothing to do; leave the option out"
                    .to_owned(),
            );
        }
        Ok(plan)
    }

    /// The tensors whose ranges must be known.
    pub fn measured(&self) -> impl Iterator<Item = &'a str> {
        self.tensors.iter().copied().filter(|tensor| !self.same_as.contains_key(tensor))
    }

    fn add(&mut self, tensor: &'a str) {
        if self.known.insert(tensor) {
            self.tensors.push(tensor);
        }
    }

    /// Follows the node `head` through normalisation and activation as far as nothing else reads what lies between.
    fn chain(
        &mut self,
        head: usize,
        graph: &Graph<'a>,
        (constants, readers): (&Constants, &HashMap<&str, Vec<usize>>),
    ) {
        let mut output: &'a str = &graph.nodes[head].output[0];
        let next = |tensor: &str| match readers.get(tensor).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            _ => None,
        };
        let is_conv = graph.nodes[head].op_type == "Conv";
        let folds = |&node: &usize| is_conv && is_plain_normalisation(graph.nodes[node], output, constants);
        let normalisation = next(output).filter(folds);
        if let Some(node) = normalisation {
            output = &graph.nodes[node].output[0];
        }
        if let Some(node) = next(output).filter(|&node| saturates(graph.nodes[node], constants)) {
            output = &graph.nodes[node].output[0];
            if lower_limit(graph.nodes[node], constants) == Some(0.0) {
                self.positive.insert(output);
            }
        }
        self.add(output);
        self.chains.push(Chain { head, normalisation, output });
    }
}

fn is_quantised(node: &NodeProto) -> bool {
    let names =
        ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QGemm"];
    node.op_type.starts_with("QLinear") || names.contains(&node.op_type.as_str())
}

fn has_float_weights(node: &NodeProto, constants: &Constants) -> bool {
    let is_float = |name: &String| constants.get(name).is_some_and(is_floats);
    node.input.get(1).is_some_and(is_float) && node.input.get(2).is_none_or(|bias| bias.is_empty() || is_float(bias))
}

/// `x · W + b` with constant float32 W and, where there is one, b of one number for each column.
fn is_plain_gemm(node: &NodeProto, constants: &Constants) -> bool {
    let is_one = |name: &str| node.float(name).is_none_or(|value| value == 1.0);
    let is_row = |name: &String| name.is_empty() || constants.get(name).is_some_and(|tensor| tensor.dims.len() == 1);
    has_float_weights(node, constants)
        && node.int("transA").unwrap_or(0) == 0
        && is_one("alpha")
        && is_one("beta")
        && node.input.get(2).is_none_or(is_row)
}

/// Whether a node only cuts off what lies outside a range that holds 0, as bytes do by themselves.
fn saturates(node: &NodeProto, constants: &Constants) -> bool {
    let reaches_zero = node.op_type == "Relu" || limit(node, (2, "max"), constants).is_some_and(|max| max >= 0.0);
    reaches_zero && lower_limit(node, constants).is_some_and(|min| min <= 0.0)
}

/// The number below which a Relu or Clip cuts off.
fn lower_limit(node: &NodeProto, constants: &Constants) -> Option<f32> {
    match node.op_type.as_str() {
        "Relu" if is_standard(node) => Some(0.0),
        "Clip" if is_standard(node) => limit(node, (1, "min"), constants),
        _ => None,
    }
}

/// A limit of a Clip, by input or attribute; infinite where it has none.
fn limit(node: &NodeProto, (index, attribute): (usize, &str), constants: &Constants) -> Option<f32> {
    let none = if attribute == "min" { f32::NEG_INFINITY } else { f32::INFINITY };
    match node.input.get(index).filter(|name| !name.is_empty()) {
        Some(name) => constants.get(name).and_then(floats)?.first().copied(),
        None => Some(node.float(attribute).unwrap_or(none)),
    }
}
