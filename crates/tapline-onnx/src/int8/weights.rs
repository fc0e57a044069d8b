//! Weights in bytes.

use crate::folding::Weights;

impl Weights {
    /// As whole numbers, for an input whose step is `input_scale`.
    pub fn quantised(&self, input_scale: f32) -> ByteWeights {
        let mut scales = vec![0.0f32; self.outputs()];
        for (output, values) in self.runs() {
            scales[output] = values.iter().fold(scales[output], |largest, value| largest.max(value.abs()));
        }
        for (output, scale) in scales.iter_mut().enumerate() {
            // A bias far above its weights sets the step, for it must fit 32 bits.
            let bias = self.bias.as_ref().map_or(0.0, |bias| bias[output].abs());
            *scale = (*scale / 127.0).max(bias / (input_scale * MAX_BIAS));
            if *scale < f32::MIN_POSITIVE {
                *scale = 1.0;
            }
        }
        let mut values = Vec::with_capacity(self.values.len());
        for (output, run) in self.runs() {
            values.extend(run.iter().map(|value| byte(value / scales[output])));
        }
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let whole = |(value, scale): (&f32, &f32)| (f64::from(*value) / f64::from(*scale)).round_ties_even() as i32;
        let bias = self.bias.as_ref().map(|bias| bias.iter().zip(&bias_scales).map(whole).collect());
        ByteWeights { values, scales, bias, bias_scales }
    }
}

/// The nearest whole number, the even one of two, within ±127: of floats above 2^23 the step is 1, so that the sum is rounded, without
/// a call for each of millions where the processor's own instruction may not be taken for granted.
fn byte(steps: f32) -> i8 {
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    ((steps.clamp(-127.0, 127.0) + WHOLE) - WHOLE) as i8
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
    fn bytes_are_the_nearest_whole_numbers_and_of_two_the_even_one() {
        for steps in (-260..=260).map(|halves| halves as f32 / 2.0).chain([1e-9, 0.499_999_97, 1e30, f32::NAN]) {
            assert_eq!(byte(steps), steps.round_ties_even().clamp(-127.0, 127.0) as i8, "{steps}");
        }
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
}
