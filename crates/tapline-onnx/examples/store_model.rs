//! Writes the graph that computed a store's features, to look at it or to run it elsewhere.
//!
//! `store_model LIBRARY CARD STORE OUT.onnx`: LIBRARY is libonnxruntime.so, STORE holds features of that card's network.

use std::path::{Path, PathBuf};

use tapline_core::Store;
use tapline_onnx::{Card, InputSize, Runtime, TapRequest, in_precision, list_layers, tap_model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, card, store, out] = &arguments[..] else { return Err("LIBRARY CARD STORE OUT.onnx".into()) };
    let runtime = Runtime::load(&[PathBuf::from(library)])?;
    let card = Card::read(Path::new(card))?;
    let model = card.read_model()?;
    let manifest = Store::open(Path::new(store))?.manifest().clone();
    let how = &manifest.space.preprocess;
    let size = InputSize { channels: how.channels.count(), height: how.height, width: how.width };
    let layers = list_layers(&model, size, &card.stages, &runtime)?;
    let find = |tensor: &str| layers.iter().find(|layer| layer.name == tensor).ok_or("a tap the model lacks");
    let request = |tap: &tapline_core::StoredTap| -> Result<TapRequest, &str> {
        Ok(TapRequest { layer: find(&tap.info.tap.tensor)?, pooling: tap.info.tap.pooling })
    };
    let taps: Vec<TapRequest> = manifest.taps.iter().map(request).collect::<Result<_, _>>()?;
    let trunk = in_precision(&model, &manifest.space.precision)?;
    let tapped = tap_model(&trunk, &taps, size)?;
    std::fs::write(out, tapped.onnx())?;
    Ok(())
}
