//! How long pictures take from file to network input on one thread: `time_decode exact|scaled PICTURE…`, prints JSON.
//!
//! The input is that of EfficientNet-Lite0's card: short side to 256, the centre of 224 × 224, bicubic, (x − 127) / 128.

use std::fs;
use std::time::Instant;

use tapline_core::{Bits, Channels, Decode, Interpolation, Preprocess, Resize, Views};
use tapline_image::{Limits, Scratch, decode_for, preprocess};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let decode = match arguments.next().as_deref() {
        Some("exact") => Decode::Exact,
        Some("scaled") => Decode::Scaled,
        _ => return Err("exact|scaled PICTURE…".into()),
    };
    let how = Preprocess {
        resize: Resize::ShortSide(256),
        height: 224,
        width: 224,
        interpolation: Interpolation::Bicubic,
        channels: Channels::Rgb,
        scale: 1.0,
        mean: vec![127.0; 3],
        std: vec![128.0; 3],
    };
    let (mut scratch, mut input) = (Scratch::default(), vec![0.0; how.values()]);
    let start = Instant::now();
    for path in arguments {
        let picture = decode_for(&fs::read(path)?, &Limits::default(), (&how, Views::Centre), (decode, Bits::ALL))?;
        preprocess(&picture, &how, &mut scratch, &mut input);
    }
    println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    Ok(())
}
