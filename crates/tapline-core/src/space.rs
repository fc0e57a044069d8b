//! What makes features comparable: the same model, preprocessing, decoding, views, precision and number type.
//!
//! A store holds the features of one such space. Labels are no part of it, so relabelling costs no forward pass.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bits, Decode, Digest, Error, Precision, Preprocess, Views};

/// What all features of a store have in common; with a picture's digest and a tap it identifies one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSpace {
    /// The backbone.
    pub model: ModelRef,
    /// What is done to a picture before the backbone sees it.
    pub preprocess: Preprocess,
    /// How pictures are decoded. Not written where it is every pixel.
    #[serde(default, skip_serializing_if = "Decode::is_exact")]
    pub decode: Decode,
    /// Which bits of 16-bit samples are used. Not written where it is all of them.
    #[serde(default, skip_serializing_if = "Bits::is_all")]
    pub bits: Bits,
    /// Which views of each picture it sees. Not written where it is the centre alone.
    #[serde(default, skip_serializing_if = "Views::is_centre")]
    pub views: Views,
    /// In what arithmetic it runs. Not written where it is float32.
    #[serde(default, skip_serializing_if = "Precision::is_float32")]
    pub precision: Precision,
    /// How a feature is stored.
    pub dtype: Dtype,
}

/// A backbone by its bytes; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// What people call it; no part of a feature's identity.
    pub name: String,
    /// The digest of the ONNX file, followed by its side files where it has any.
    pub sha256: Digest,
}

/// The number type of stored features, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 single precision, 4 bytes.
    F32,
    /// IEEE 754 half precision, 2 bytes; up to ±65504.
    F16,
}

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// NumPy's name of the type.
    pub fn descr(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F16 => "<f2",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

impl FeatureSpace {
    /// Checks that the preprocessing can be carried out and leaves what the views need.
    ///
    /// # Errors
    /// [`Error::BadPreprocess`] and [`Error::BadViews`].
    pub fn check(&self) -> Result<(), Error> {
        self.preprocess.check()?;
        self.views.check(&self.preprocess)
    }

    /// What differs in another space, as `field: ours, asked theirs`; none if features are interchangeable.
    pub fn difference(&self, asked: &Self) -> Option<String> {
        let mut found = Vec::new();
        if self.model.sha256 != asked.model.sha256 {
            found.push(format!("model: {}, asked {}", describe(&self.model), describe(&asked.model)));
        }
        if self.preprocess != asked.preprocess {
            found.extend(preprocess_differences(&self.preprocess, &asked.preprocess));
        }
        if self.decode != asked.decode {
            found.push(format!("--decode: {}, asked {}", self.decode, asked.decode));
        }
        if self.bits != asked.bits {
            found.push(format!("--bits: {}, asked {}", self.bits, asked.bits));
        }
        if self.views != asked.views {
            found.push(format!("--views: {}, asked {}", self.views, asked.views));
        }
        found.extend(self.precision.difference(&asked.precision));
        if self.dtype != asked.dtype {
            found.push(format!("--dtype: {}, asked {}", self.dtype, asked.dtype));
        }
        if found.is_empty() { None } else { Some(found.join("; ")) }
    }
}

fn describe(model: &ModelRef) -> String {
    format!("{} with SHA-256 {:.12}…", model.name, model.sha256.to_string())
}

fn preprocess_differences(ours: &Preprocess, theirs: &Preprocess) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |field: &str, a: String, b: String| {
        if a != b {
            found.push(format!("preprocessing {field}: {a}, asked {b}"));
        }
    };
    compare("resize", ours.resize.to_string(), theirs.resize.to_string());
    compare("height", ours.height.to_string(), theirs.height.to_string());
    compare("width", ours.width.to_string(), theirs.width.to_string());
    compare("filter", lower(ours.interpolation), lower(theirs.interpolation));
    compare("channels", lower(ours.channels), lower(theirs.channels));
    compare("scale", ours.scale.to_string(), theirs.scale.to_string());
    compare("mean", format!("{:?}", ours.mean), format!("{:?}", theirs.mean));
    compare("std", format!("{:?}", ours.std), format!("{:?}", theirs.std));
    found
}

fn lower(word: impl fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calibration, Channels, Interpolation, Resize, TensorRange};

    fn space() -> FeatureSpace {
        FeatureSpace {
            model: ModelRef { name: "net".to_owned(), sha256: Digest::of(b"net") },
            preprocess: Preprocess {
                resize: Resize::Squash,
                height: 8,
                width: 8,
                interpolation: Interpolation::Bilinear,
                channels: Channels::Rgb,
                scale: 1.0,
                mean: vec![0.0; 3],
                std: vec![1.0; 3],
            },
            decode: Decode::Exact,
            bits: Bits::ALL,
            views: Views::Centre,
            precision: Precision::Float32,
            dtype: Dtype::F32,
        }
    }

    #[test]
    fn stores_from_before_views_are_of_the_centre_and_stay_as_they_were() {
        let text = serde_json::to_string(&space()).expect("json");
        assert!(!text.contains("views"), "{text}");
        assert_eq!(serde_json::from_str::<FeatureSpace>(&text).expect("space"), space());
        let flips = FeatureSpace { views: Views::Flips, ..space() };
        let text = serde_json::to_string(&flips).expect("json");
        assert!(text.contains("\"views\":\"flips\""), "{text}");
        assert_eq!(serde_json::from_str::<FeatureSpace>(&text).expect("space"), flips);
    }

    #[test]
    fn stores_from_before_decode_are_exact_and_stay_as_they_were() {
        let text = serde_json::to_string(&space()).expect("json");
        assert!(!text.contains("decode"), "{text}");
        let scaled = FeatureSpace { decode: Decode::Scaled, ..space() };
        let text = serde_json::to_string(&scaled).expect("json");
        assert!(text.contains("\"decode\":\"scaled\""), "{text}");
        assert_eq!(serde_json::from_str::<FeatureSpace>(&text).expect("space"), scaled);
    }

    #[test]
    fn int8_is_a_space_of_its_own_and_so_are_other_ranges() {
        let text = serde_json::to_string(&space()).expect("json");
        assert!(!text.contains("precision"), "stores of float32 stay as they were: {text}");
        let int8 = |max| {
            let ranges = vec![TensorRange { tensor: "x".to_owned(), min: -0.1, max }];
            let calibration = Calibration { pictures: 1, pictures_sha256: Digest::of(b"picture"), ranges };
            FeatureSpace { precision: Precision::Int8(calibration), ..space() }
        };
        let text = serde_json::to_string(&int8(0.3)).expect("json");
        assert_eq!(serde_json::from_str::<FeatureSpace>(&text).expect("space"), int8(0.3));
        let check = |ours: FeatureSpace, asked: FeatureSpace, expected: Option<&str>| {
            assert_eq!(ours.difference(&asked).as_deref(), expected);
        };
        check(int8(0.3), int8(0.3), None);
        check(space(), int8(0.3), Some("--precision: float32, asked int8"));
        check(int8(0.3), space(), Some("--precision: int8, asked float32"));
        check(int8(0.3), int8(0.4), Some("--precision int8: other ranges than those asked for"));
    }

    #[test]
    fn another_name_of_the_same_bytes_is_no_difference() {
        let mut other = space();
        other.model.name = "renamed".to_owned();
        assert_eq!(space().difference(&other), None);
    }

    #[test]
    fn each_difference_is_named_with_both_values() {
        type Change = fn(&mut FeatureSpace);
        let cases: [(&str, Change); 14] = [
            ("--decode: exact, asked scaled", |s| s.decode = Decode::Scaled),
            ("--bits: 16, asked 12", |s| s.bits = Bits::try_from(12).expect("8 to 16")),
            ("--views: centre, asked flips", |s| s.views = Views::Flips),
            ("--views: centre, asked random:2:1", |s| s.views = Views::Random { count: 2, seed: 1 }),
            ("model: net", |s| s.model.sha256 = Digest::of(b"other")),
            ("--dtype: f32, asked f16", |s| s.dtype = Dtype::F16),
            ("resize: whole picture (--squash), asked short side to 9, centre crop", |s| {
                s.preprocess.resize = Resize::ShortSide(9)
            }),
            ("height: 8, asked 9", |s| s.preprocess.height = 9),
            ("width: 8, asked 9", |s| s.preprocess.width = 9),
            ("filter: bilinear, asked box", |s| s.preprocess.interpolation = Interpolation::Box),
            ("channels: rgb, asked bgr", |s| s.preprocess.channels = Channels::Bgr),
            ("scale: 1, asked 2", |s| s.preprocess.scale = 2.0),
            ("mean", |s| s.preprocess.mean[1] = 0.5),
            ("std", |s| s.preprocess.std[1] = 0.5),
        ];
        for (words, change) in cases {
            let mut other = space();
            change(&mut other);
            let what = space().difference(&other).expect(words);
            assert!(what.contains(words) && !what.contains(';'), "{what}");
        }
    }
}
