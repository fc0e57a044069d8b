//! Reads preprocessing from the files other tools ship with their networks, so that nobody has to copy numbers.
//!
//! Two formats: `preprocessor_config.json` of Hugging Face image processors, and `config.json` of timm, whose
//! `pretrained_cfg` follows its own transforms. What is not understood is an error, never a default.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tapline_core::{Channels, Interpolation, Preprocess, Resize};

use crate::Error;

/// What torchvision's classification networks are fed: RGB in 0..1, ImageNet mean and deviation, bilinear, 224 of 256 pixels; of
/// networks that take `side` × `side` pixels so many of `⌊side · 256 / 224⌋`.
pub fn torchvision(side: u32) -> Preprocess {
    Preprocess {
        resize: Resize::ShortSide(side.saturating_mul(256) / 224),
        height: side,
        width: side,
        interpolation: Interpolation::Bilinear,
        channels: Channels::Rgb,
        scale: 1.0 / 255.0,
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
    }
}

/// Reads a Hugging Face `preprocessor_config.json` or a timm `config.json`.
///
/// # Errors
/// [`Error::Read`], or [`Error::Preprocessing`] naming what is missing or not supported.
pub fn read_preprocessing(path: &Path) -> Result<Preprocess, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let refuse = |what: String| Error::Preprocessing { path: path.to_owned(), what };
    let document: Value = serde_json::from_str(&text).map_err(|e| refuse(format!("is not JSON: {e}")))?;
    let preprocess =
        if let Some(timm) = document.get("pretrained_cfg").or(document.get("crop_pct").and(Some(&document))) {
            if document.get("image_processor_type").is_some() || document.get("size").is_some() {
                from_hugging_face(&document)
            } else {
                from_timm(timm)
            }
        } else if document.get("image_mean").is_some() || document.get("do_resize").is_some() {
            from_hugging_face(&document)
        } else {
            Err("holds neither a timm `pretrained_cfg` nor a Hugging Face image processor".to_owned())
        };
    let preprocess = preprocess.map_err(refuse)?;
    preprocess.check().map_err(|e| refuse(format!("is unsound: {e}")))?;
    Ok(preprocess)
}

#[derive(Deserialize)]
struct Timm {
    input_size: [u32; 3],
    interpolation: String,
    crop_pct: f64,
    #[serde(default)]
    crop_mode: Option<String>,
    mean: Vec<f32>,
    std: Vec<f32>,
}

fn from_timm(document: &Value) -> Result<Preprocess, String> {
    let timm: Timm = Timm::deserialize(document).map_err(|e| format!("has no usable `pretrained_cfg`: {e}"))?;
    let [channels, height, width] = timm.input_size;
    if height != width {
        return Err(format!("has an input of {height} × {width}; only square ones are read"));
    }
    let resize = match timm.crop_mode.as_deref() {
        None | Some("center") => Resize::ShortSide((f64::from(height.max(width)) / timm.crop_pct).floor() as u32),
        Some("squash") if timm.crop_pct == 1.0 => Resize::Squash,
        Some(mode) => {
            return Err(format!("has crop_mode {mode:?} with crop_pct {}, which is not supported", timm.crop_pct));
        }
    };
    Ok(Preprocess {
        resize,
        height,
        width,
        interpolation: interpolation_named(&timm.interpolation)?,
        channels: if channels == 1 { Channels::Grey } else { Channels::Rgb },
        scale: 1.0 / 255.0,
        mean: timm.mean,
        std: timm.std,
    })
}

fn interpolation_named(name: &str) -> Result<Interpolation, String> {
    match name {
        "nearest" => Ok(Interpolation::Nearest),
        "box" => Ok(Interpolation::Box),
        "bilinear" => Ok(Interpolation::Bilinear),
        "bicubic" => Ok(Interpolation::Bicubic),
        "lanczos" => Ok(Interpolation::Lanczos),
        other => Err(format!("has interpolation {other:?}, which is not supported")),
    }
}

#[derive(Deserialize)]
struct HuggingFace {
    #[serde(default)]
    do_resize: Option<bool>,
    size: Option<Value>,
    #[serde(default)]
    do_center_crop: Option<bool>,
    crop_size: Option<Value>,
    crop_pct: Option<f64>,
    resample: Option<i64>,
    #[serde(default)]
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    #[serde(default)]
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
}

fn from_hugging_face(document: &Value) -> Result<Preprocess, String> {
    let hf = HuggingFace::deserialize(document).map_err(|e| format!("is not a usable image processor: {e}"))?;
    if let Some(step) = unknown_step(document) {
        return Err(format!("asks for {step:?}, which is not supported"));
    }
    if hf.do_resize == Some(false) {
        return Err("says do_resize false; a network needs pictures of one size".to_owned());
    }
    let interpolation = match hf.resample {
        Some(0) => Interpolation::Nearest,
        Some(1) => Interpolation::Lanczos,
        Some(2) => Interpolation::Bilinear,
        Some(3) => Interpolation::Bicubic,
        Some(4) => Interpolation::Box,
        other => return Err(format!("has resample {other:?}, expected 0 to 4")),
    };
    let (resize, height, width) = hugging_face_size(&hf)?;
    let scale = match hf.do_rescale {
        Some(false) => 1.0,
        _ => hf.rescale_factor.unwrap_or(1.0 / 255.0) as f32,
    };
    let (mean, std) = match (hf.do_normalize, hf.image_mean, hf.image_std) {
        (Some(false), ..) => (vec![0.0; 3], vec![1.0; 3]),
        (_, Some(mean), Some(std)) => (mean, std),
        _ => return Err("normalises without image_mean and image_std".to_owned()),
    };
    Ok(Preprocess { resize, height, width, interpolation, channels: Channels::Rgb, scale, mean, std })
}

/// A step that changes pixels and is not among those read here: `do_…` and a few others that are true.
fn unknown_step(document: &Value) -> Option<&String> {
    const KNOWN: [&str; 5] = ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"];
    const OTHERS: [&str; 2] = ["rescale_offset", "include_top"];
    let changes_pixels = |key: &str| (key.starts_with("do_") && !KNOWN.contains(&key)) || OTHERS.contains(&key);
    document
        .as_object()?
        .iter()
        .find(|(key, value)| changes_pixels(key) && **value == Value::Bool(true))
        .map(|(key, _)| key)
}

/// The resize rule and the size after the crop, as the processors of CLIP, ViT and ConvNeXT apply them.
fn hugging_face_size(hf: &HuggingFace) -> Result<(Resize, u32, u32), String> {
    let size = hf.size.as_ref().ok_or("has no size")?;
    let short = size.get("shortest_edge").unwrap_or(size).as_u64().and_then(|v| u32::try_from(v).ok());
    let crop = hf.crop_size.as_ref().and_then(rectangle).filter(|_| hf.do_center_crop != Some(false));
    match (short, rectangle(size), crop, hf.crop_pct) {
        (Some(short), _, None, Some(fraction)) if short < 384 => {
            Ok((Resize::ShortSide((f64::from(short) / fraction) as u32), short, short))
        }
        (Some(short), _, None, Some(_)) => Ok((Resize::Squash, short, short)),
        (Some(short), _, Some((height, width)), _) => Ok((Resize::ShortSide(short), height, width)),
        // Processors without a crop give a bare number the meaning of both sides.
        (Some(short), _, None, None) if size.is_number() => Ok((Resize::Squash, short, short)),
        (_, Some((height, width)), crop, _) if crop.is_none() || crop == Some((height, width)) => {
            Ok((Resize::Squash, height, width))
        }
        _ => Err(format!("has size {size} with crop_size {:?}, which gives pictures of no one size", hf.crop_size)),
    }
}

fn rectangle(value: &Value) -> Option<(u32, u32)> {
    let number = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok());
    match number(value) {
        Some(side) => Some((side, side)),
        None => Some((number(value.get("height")?)?, number(value.get("width")?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(Resize, u32, u32), &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        fs::write(&path, text).expect("a file");
        match (read_preprocessing(&path), expected) {
            (Ok(found), Ok(expected)) => assert_eq!((found.resize, found.height, found.width), expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    fn hugging_face(fields: &str) -> String {
        format!(
            r#"{{"do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 3, {fields}}}"#
        )
    }

    fn timm(fields: &str) -> String {
        format!(
            r#"{{"pretrained_cfg": {{"interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], {fields}}}}}"#
        )
    }

    #[test]
    fn sizes_are_read_as_each_processor_means_them() {
        let clip =
            r#""size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": true"#;
        check(&hugging_face(clip), Ok((Resize::ShortSide(256), 224, 224)));
        check(&hugging_face(r#""size": {"height": 224, "width": 224}"#), Ok((Resize::Squash, 224, 224)));
        check(&hugging_face(r#""size": 224"#), Ok((Resize::Squash, 224, 224)));
        let convnext = r#""size": {"shortest_edge": 224}, "crop_pct": 0.875"#;
        check(&hugging_face(convnext), Ok((Resize::ShortSide(256), 224, 224)));
        check(&timm(r#""input_size": [3, 224, 224], "crop_pct": 0.95"#), Ok((Resize::ShortSide(235), 224, 224)));
        let squash = r#""input_size": [3, 288, 288], "crop_pct": 1.0, "crop_mode": "squash""#;
        check(&timm(squash), Ok((Resize::Squash, 288, 288)));
    }

    #[test]
    fn torchvisions_short_side_grows_with_the_input() {
        for (side, short) in [(224, 256), (64, 73), (32, 36), (299, 341), (1, 1)] {
            assert_eq!(torchvision(side).resize, Resize::ShortSide(short));
            torchvision(side).check().expect("sound");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let size = r#""size": {"height": 224, "width": 224}"#;
        for step in ["do_flip_channel_order", "rescale_offset", "include_top", "do_pad"] {
            check(&hugging_face(&format!(r#"{size}, "{step}": true"#)), Err(step));
        }
        check(&hugging_face(r#""size": {"longest_edge": 224}"#), Err("longest_edge"));
        check(&timm(r#""input_size": [3, 224, 192], "crop_pct": 0.9"#), Err("224 × 192"));
        check(&timm(r#""input_size": [3, 224, 224], "crop_pct": 0.9, "crop_mode": "border""#), Err("border"));
        check("{}", Err("neither"));
        check("<html>", Err("not JSON"));
    }
}
