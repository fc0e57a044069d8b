//! The crate that knows ONNX: reads networks, lists their layers, ends them at taps and runs them.

mod card;
mod edit;
mod error;
mod geometry;
mod graph;
mod layers;
mod model;
mod preprocessing;
mod proto;
mod quantised;
mod runtime;
mod select;
mod session;

pub use card::{Card, CardInput, ResizeRule, Stage, read_cards};
pub use edit::{TapRequest, TappedModel, features, tap_model};
pub use error::Error;
pub use layers::{InputSize, Layer, list_layers};
pub use model::{Layout, MIN_OPSET, Model, PictureInput};
pub use preprocessing::{read_preprocessing, torchvision};
pub use runtime::{Chosen, Device, DeviceRequest, Runtime};
pub use select::{Selection, select_taps};
pub use session::Extractor;
