//! Samples, taps and the feature store: the waist of Tapline, which knows nothing of ONNX and nothing of probes.

mod error;
mod preprocess;
mod tap;

pub use error::Error;
pub use preprocess::{Channels, Interpolation, MAX_SIDE, Preprocess, Resize};
pub use tap::{Pooling, Tap, TapInfo};
