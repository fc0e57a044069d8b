//! Where a byte tensor's scale and zero point stand, so that a tap inside a quantised network gives real numbers.

use crate::graph::Graph;

/// Names of the tensors that turn bytes back into numbers: `(byte − zero_point) · scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantisation {
    pub scale: String,
    pub zero_point: String,
}

/// Operators that hand their first input's bytes on, moved or chosen but not changed.
const KEEP_BYTES: [&str; 13] = [
    "MaxPool",
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Slice",
    "Split",
    "Pad",
    "DepthToSpace",
    "SpaceToDepth",
    "Dropout",
];

/// Scale and zero point of `tensor`, if its producer names them.
pub(crate) fn quantisation(graph: &Graph, tensor: &str) -> Option<Quantisation> {
    let mut tensor = tensor;
    // Each step goes one node back, so the graph's length bounds the walk.
    for _ in 0..=graph.nodes.len() {
        let node = graph.nodes[graph.producer(tensor)?];
        let named = |names: &[String], scale: usize| {
            let pair = (names.get(scale)?.clone(), names.get(scale + 1)?.clone());
            Some(Quantisation { scale: pair.0, zero_point: pair.1 })
                .filter(|q| !q.scale.is_empty() && !q.zero_point.is_empty())
        };
        match node.op_type.as_str() {
            "QuantizeLinear" => return named(&node.input, 1),
            "DynamicQuantizeLinear" => return named(&node.output, 1),
            "QLinearConv" | "QLinearMatMul" | "QLinearAdd" | "QLinearMul" => return named(&node.input, 6),
            "QGemm" => return named(&node.input, 7),
            "QLinearConcat" => return named(&node.input, 0),
            "QLinearGlobalAveragePool"
            | "QLinearAveragePool"
            | "QLinearReduceMean"
            | "QLinearLeakyRelu"
            | "QLinearSigmoid"
            | "QLinearSoftmax" => return named(&node.input, 3),
            op if KEEP_BYTES.contains(&op) => tensor = node.input.first()?,
            _ => return None,
        }
    }
    None
}
