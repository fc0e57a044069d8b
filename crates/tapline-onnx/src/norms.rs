//! Batch normalisations that a file keeps as nodes: what they remember of the pretraining set.
//!
//! Many exporters fold them into the convolution before; then there is nothing to find.

use crate::Model;
use crate::proto::{NodeProto, TensorProto, data_type};

/// A batch normalisation `y = scale · (x − mean) / √(variance + ε) + bias`, by channel.
///
/// Over the pretraining set y has about the mean `bias` and the standard deviation `|scale|`: mean and variance are those of x
/// there.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// The tensor it makes.
    pub output: String,
    /// `[channels]`
    pub scale: Vec<f32>,
    /// `[channels]`
    pub bias: Vec<f32>,
}

/// The batch normalisations of a model whose scale and bias are float32 weights of the file, in the order of its nodes.
pub fn batch_norms(model: &Model) -> Vec<BatchNorm> {
    let graph = model.graph();
    let weight = |name: &String| graph.initializer.iter().find(|tensor| tensor.name == *name).and_then(values);
    let norm = |node: &NodeProto| {
        let [_, scale, bias, ..] = node.input.as_slice() else { return None };
        let (scale, bias) = (weight(scale)?, weight(bias)?);
        let output = node.output.first()?.clone();
        (scale.len() == bias.len()).then_some(BatchNorm { output, scale, bias })
    };
    graph.node.iter().filter(|node| node.op_type == "BatchNormalization").filter_map(norm).collect()
}

/// The numbers of a float32 tensor; none where they are of another type or in another place.
fn values(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type != data_type::FLOAT {
        return None;
    }
    match &tensor.raw_data {
        Some(raw) => Some(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()),
        None => Some(tensor.float_data.clone()).filter(|values| !values.is_empty()),
    }
}
