//! Batch normalisation folded into the weights of the convolution before it.

use crate::constants::{Constants, floats};
use crate::proto::NodeProto;

/// Weights and bias of a convolution or matrix product in float32.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weights {
    /// Their sizes.
    pub dims: Vec<i64>,
    /// The weights, `dims`.
    pub values: Vec<f32>,
    /// One number for each output, if there is a bias.
    pub bias: Option<Vec<f32>>,
    /// The axis of the outputs.
    pub axis: usize,
}

impl Weights {
    /// Those that `node` reads; none where they are not float32 constants of sound sizes.
    pub fn of(node: &NodeProto, axis: usize, constants: &Constants) -> Option<Self> {
        let tensor = constants.get(node.input.get(1)?)?;
        let values = floats(tensor)?;
        let bias = node.input.get(2).filter(|name| !name.is_empty());
        let bias = bias.map(|name| constants.get(name).and_then(floats));
        let bias = if let Some(bias) = bias { Some(bias?) } else { None };
        let outputs = usize::try_from(*tensor.dims.get(axis)?).ok()?;
        let is_sound = outputs > 0 && !values.is_empty() && bias.as_ref().is_none_or(|bias| bias.len() == outputs);
        is_sound.then(|| Self { dims: tensor.dims.clone(), values, bias, axis })
    }

    /// The same with a batch normalisation behind them: `w·γ/√(σ² + ε)`, `(b − μ)·γ/√(σ² + ε) + β`.
    pub fn normalised(mut self, node: &NodeProto, constants: &Constants) -> Option<Self> {
        let read = |index: usize| constants.get(&node.input[index]).and_then(floats);
        let (gamma, beta, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
        let outputs = self.outputs();
        if [&gamma, &beta, &mean, &variance].iter().any(|values| values.len() != outputs) {
            return None;
        }
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let factor = |o: usize| f64::from(gamma[o]) / (f64::from(variance[o]) + epsilon).sqrt();
        let bias = self.bias.take().unwrap_or_else(|| vec![0.0; outputs]);
        let moved = |o: usize| (f64::from(bias[o]) - f64::from(mean[o])) * factor(o) + f64::from(beta[o]);
        self.bias = Some((0..outputs).map(|o| moved(o) as f32).collect());
        let (outputs, run) = (self.outputs(), self.run());
        for (index, values) in self.values.chunks_mut(run).enumerate() {
            let factor = factor(index % outputs);
            values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        Some(self)
    }

    /// How many outputs they make.
    pub fn outputs(&self) -> usize {
        self.dims[self.axis] as usize
    }

    /// The weights in runs that belong to one output, each with that output, in their order.
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let outputs = self.outputs();
        self.values.chunks(self.run()).enumerate().map(move |(index, values)| (index % outputs, values))
    }

    /// How many weights of one output lie side by side.
    fn run(&self) -> usize {
        self.dims[self.axis + 1..].iter().map(|&size| size as usize).product()
    }
}

/// Whether `node` normalises `input`, the output of a convolution, by constants.
pub(crate) fn is_plain_normalisation(node: &NodeProto, input: &str, constants: &Constants) -> bool {
    node.op_type == "BatchNormalization"
        && is_standard(node)
        && node.input.len() == 5
        && node.input[0] == input
        && node.input[1..].iter().all(|name| constants.get(name).and_then(floats).is_some())
        && node.int("training_mode").unwrap_or(0) == 0
        && node.output[1..].iter().all(String::is_empty)
}

/// Whether a node is of the standard operator set, and reads and writes something.
pub(crate) fn is_standard(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx") && !node.input.is_empty() && !node.output.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{GraphProto, TensorProto};

    #[test]
    fn a_normalisation_is_folded_into_weights_and_bias() {
        let graph = GraphProto {
            initializer: ["g", "b", "m", "v"]
                .iter()
                .zip([[2.0, 1.0], [0.5, 0.0], [1.0, 2.0], [4.0, 1.0]])
                .map(|(name, values)| TensorProto::floats(name, &[2], values.to_vec()))
                .collect(),
            ..GraphProto::default()
        };
        let mut node = NodeProto::new("BatchNormalization", &["x", "g", "b", "m", "v"], "y");
        node.attribute.push(crate::proto::AttributeProto {
            name: "epsilon".to_owned(),
            f: Some(0.0),
            ..Default::default()
        });
        let weights =
            Weights { dims: vec![2, 2], values: vec![1.0, -2.0, 0.5, 0.25], bias: Some(vec![1.0, -3.0]), axis: 0 };
        let folded = weights.normalised(&node, &Constants::of(&graph)).expect("sizes fit");
        assert_eq!(folded.values, [1.0, -2.0, 0.5, 0.25]);
        assert_eq!(folded.bias, Some(vec![0.5, -5.0]));
    }
}
