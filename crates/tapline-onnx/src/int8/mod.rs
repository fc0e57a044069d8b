//! Networks in bytes: which tensors are quantised, how their ranges are measured, and the graph that results.
//!
//! The trunk does not depend on the taps: tensors that vanish in a fused convolution are computed beside it in float32,
//! from the bytes before it, where they are tapped. So a row is the same whatever else is tapped.
//!
//! ONNX Runtime recognises quantised operators by the QuantizeLinear and DequantizeLinear nodes around them. What fuses
//! follows its own `quantization/qdq_quantizer.py`: convolutions with the activation behind them, additions,
//! concatenations, maxima and matrix products.

mod plan;
mod quantise;
mod ranges;
mod weights;

pub use quantise::quantise;
pub use ranges::RangeProbe;

/// The prefix of every tensor name that a quantised graph adds.
pub(crate) const INT8: &str = "tapline-int8/";
