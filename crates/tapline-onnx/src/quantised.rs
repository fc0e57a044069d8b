//! Where a byte tensor's scale and zero point stand, so that a tap inside a quantised network gives real numbers.

use crate::graph::Graph;

/// A tensor that a network made by [`crate::quantise`] holds in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByteTensor {
    /// The tensor with the bytes.
    pub bytes: String,
    /// The byte that stands for zero.
    pub zero: String,
    /// The real number from one byte to the next.
    pub step: f32,
    /// The tensor with the real numbers that the bytes stand for.
    pub real: String,
}

/// Names of the tensors that turn bytes back into numbers: `(byte − zero_point) · scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantisation {
    pub scale: String,
    /// None stands for zero.
    pub zero_point: Option<String>,
}

impl Quantisation {
    /// The tensors' names, scale first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.scale.as_str()).chain(self.zero_point.as_deref())
    }
}

/// Operators that hand their first input's numbers on, moved or chosen but not changed.
pub(crate) const KEEP_NUMBERS: [&str; 13] = [
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
            let given = |index: usize| names.get(index).filter(|name| !name.is_empty()).cloned();
            Some(Quantisation { scale: given(scale)?, zero_point: given(scale + 1) })
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
            op if KEEP_NUMBERS.contains(&op) => tensor = node.input.first()?,
            _ => return None,
        }
    }
    None
}
