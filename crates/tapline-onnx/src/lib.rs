//! The crate that knows ONNX: reads networks, lists their layers, ends them at taps and runs them.
//!
//! The whole route, from a card to rows (it needs the runtime and a model, so it is compiled but not run):
//!
//! ```no_run
//! use tapline_core::Sharing;
//! use std::path::{Path, PathBuf};
//! use tapline_onnx::{Card, Device, Extractor, InputSize, Runtime, list_layers, select_taps, tap_model};
//!
//! // Its official builds for Linux send telemetry unless ORT_DISABLE_TELEMETRY is 1 in the environment.
//! let runtime = Runtime::load(&[PathBuf::from("/usr/lib/libonnxruntime.so")])?;
//! let card = Card::read(Path::new("models/squeezenet1.1.toml"))?;
//! let model = card.read_model()?;
//! let size = InputSize { channels: 3, height: 224, width: 224 };
//! let layers = list_layers(&model, size, &card.stages, &runtime)?;
//! let selection = select_taps(&layers, &["fire4".to_owned()], &[tapline_core::Pooling::Mean])?;
//!
//! // The graph ends at fire4: nothing behind it is computed.
//! let tapped = tap_model(&model, &selection.taps, size)?;
//! let mut extractor = Extractor::load(&tapped, &runtime, Device::Cpu, &Sharing::alone(1))?;
//! let pictures = vec![0.0; 2 * extractor.picture_values()]; // [2, 3, 224, 224]
//! let mut rows = vec![Vec::new()];
//! extractor.run(&pictures, &mut rows)?;
//! assert_eq!(rows[0].len(), 2 * 256); // [2, 256]
//! # Ok::<(), tapline_onnx::Error>(())
//! ```

mod card;
mod constants;
mod edit;
mod error;
mod folding;
mod geometry;
mod graph;
mod half;
mod int8;
mod layers;
mod model;
mod norms;
mod parts;
mod precision;
mod preprocessing;
mod proto;
mod quantised;
mod runtime;
mod select;
mod session;
#[cfg(any(test, fuzzing))]
pub mod unrun;

pub use card::{Card, CardInput, ResizeRule, Stage, read_cards};
pub use edit::{TapRequest, TappedModel, features, tap_model};
pub use error::Error;
pub use half::products_in_float32;
pub use int8::{RangeProbe, quantise};
pub use layers::{InputSize, Layer, MAX_INPUT, check_pass, list_layers};
pub use model::{Layout, MIN_OPSET, Model, PictureInput};
pub use norms::{BatchNorm, batch_norms};
pub use precision::in_precision;
pub use preprocessing::{read_preprocessing, torchvision};
pub use runtime::{Chosen, Device, DeviceRequest, Runtime};
pub use select::{Selection, select_taps};
pub use session::{Extractor, PictureMemory};
