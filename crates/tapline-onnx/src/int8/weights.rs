//! Weights: batch normalisation folded into them, and their bytes.

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
        for index in 0..self.values.len() {
            let output = self.output_of(index);
            self.values[index] = (f64::from(self.values[index]) * factor(output)) as f32;
        }
        Some(self)
    }

    /// How many outputs they make.
    pub fn outputs(&self) -> usize {
        self.dims[self.axis] as usize
    }

    /// The output that weight `index` belongs to.
    fn output_of(&self, index: usize) -> usize {
        let inner: usize = self.dims[self.axis + 1..].iter().map(|&size| size as usize).product();
        index / inner % self.outputs()
    }

    /// As whole numbers, for an input whose step is `input_scale`.
    pub fn quantised(&self, input_scale: f32) -> ByteWeights {
        let mut scales = vec![0.0f32; self.outputs()];
        for (index, value) in self.values.iter().enumerate() {
            let scale = &mut scales[self.output_of(index)];
            *scale = scale.max(value.abs());
        }
        for (output, scale) in scales.iter_mut().enumerate() {
            // A bias far above its weights sets the step, for it must fit 32 bits.
            let bias = self.bias.as_ref().map_or(0.0, |bias| bias[output].abs());
            *scale = (*scale / 127.0).max(bias / (input_scale * MAX_BIAS));
            if *scale < f32::MIN_POSITIVE {
                *scale = 1.0;
            }
        }
        let byte = |(index, value): (usize, &f32)| {
            (value / scales[self.output_of(index)]).round_ties_even().clamp(-127.0, 127.0) as i8
        };
        let values = self.values.iter().enumerate().map(byte).collect();
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let whole = |(value, scale): (&f32, &f32)| (f64::from(*value) / f64::from(*scale)).round_ties_even() as i32;
        let bias = self.bias.as_ref().map(|bias| bias.iter().zip(&bias_scales).map(whole).collect());
        ByteWeights { values, scales, bias, bias_scales }
    }
}

/// The largest bias in steps, somewhat below 2^31.
const MAX_BIAS: f32 = 2.0e9;

/// Weights in bytes: `value · scale` of its output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByteWeights {
    /// −127 to 127, in the order of the weights.
    pub values: Vec<i8>,
    /// One step for each output.
    pub scales: Vec<f32>,
    /// The bias in steps of `bias_scales`.
    pub bias: Option<Vec<i32>>,
    /// One step for each output: that of the input times that of the weights.
    pub bias_scales: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{GraphProto, TensorProto};

    fn weights(axis: usize) -> Weights {
        Weights { dims: vec![2, 2], values: vec![1.0, -2.0, 0.5, 0.25], bias: Some(vec![1.0, -3.0]), axis }
    }

    #[test]
    fn each_output_has_its_own_step_along_either_axis() {
        let rows = weights(0).quantised(0.5);
        assert_eq!(rows.values, [64, -127, 127, 64]);
        assert_eq!(rows.scales, [2.0 / 127.0, 0.5 / 127.0]);
        assert_eq!(rows.bias, Some(vec![127, -1524]));
        let columns = weights(1).quantised(0.5);
        assert_eq!(columns.values, [127, -127, 64, 16]);
        assert_eq!(columns.scales, [1.0 / 127.0, 2.0 / 127.0]);
    }

    #[test]
    fn a_bias_far_above_its_weights_still_fits() {
        let mut weights = weights(0);
        weights.values = vec![1e-20, 0.0, 0.0, 0.0];
        let bytes = weights.quantised(1.0);
        // To the rounding of the steps, which are float32.
        let whole = bytes.bias.expect("a bias");
        assert!(whole.iter().all(|value| (f64::from(value.abs()) / 2e9 - 1.0).abs() < 1e-6), "{whole:?}");
        let silent = Weights { values: vec![0.0; 4], bias: None, ..weights }.quantised(1.0);
        assert_eq!((silent.values, silent.scales), (vec![0; 4], vec![1.0; 2]));
    }

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
        let folded = weights(0).normalised(&node, &Constants::of(&graph)).expect("sizes fit");
        assert_eq!(folded.values, [1.0, -2.0, 0.5, 0.25]);
        assert_eq!(folded.bias, Some(vec![0.5, -5.0]));
    }
}
