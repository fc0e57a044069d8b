//! Pictures and preprocessings against Pillow's, made by `goldens/make.py`.
//!
//! Small pictures are committed; the large ones are drawn at test time by the Python of the project's environment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tapline_core::{Bits, Channels, Decode, Interpolation, Preprocess, Resize, Views};
use tapline_image::{Error, Limits, Scratch, decode, decode_for, resize_and_crop};

/// How far pixels may lie from Pillow's: the mean and the largest absolute difference, of 255.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    mean: f64,
    max: u8,
}

/// Everything but the three below, lossy formats included, comes out the same to the bit.
const EXACT: Tolerance = Tolerance { mean: 0.0, max: 0 };
/// JPEG inside TIFF, which the TIFF decoder reads with zune-jpeg; smooth colours at full chroma resolution.
const JPEG_IN_TIFF: Tolerance = Tolerance { mean: 0.1, max: 2 };
/// CMYK JPEG with coarse black, which zune-jpeg reads.
const COARSE_CMYK: Tolerance = Tolerance { mean: 0.3, max: 2 };
/// CMYK TIFF, which the TIFF decoder turns to RGB rounding down.
const CMYK_TIFF: Tolerance = Tolerance { mean: 0.5, max: 1 };

#[test]
fn small_pictures_decode_as_in_pillow() {
    check_pictures(&goldens());
}

#[test]
fn small_pictures_are_resized_and_cropped_as_in_pillow() {
    check_crops(&goldens());
}

#[test]
fn jpegs_are_scaled_while_they_are_decoded_as_in_pillow() {
    check_scaled(&goldens());
}

#[test]
fn what_is_no_jpeg_is_decoded_whole() {
    for name in ["rgb.png", "lossy.webp", "cmyk-420.jpg"] {
        let bytes = read(&goldens().join(name));
        let scaled =
            decode_for(&bytes, &Limits::default(), (&needed(1, 1), Views::Centre), (Decode::Scaled, Bits::ALL));
        assert_eq!(scaled.expect(name), decode(&bytes, &Limits::default()).expect(name), "{name}");
    }
}

#[test]
fn large_pictures_decode_and_shrink_as_in_pillow() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tapline-image-large");
    fs::create_dir_all(&folder).expect("a folder under the build folder");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make setup-test` first", python.display());
    let script = goldens().join("make.py");
    let status = Command::new(&python).arg(script).arg("--large").arg(&folder).status().expect("Python starts");
    assert!(status.success(), "make.py --large failed: run `make setup-test`, it needs Pillow and NumPy");
    check_pictures(&folder);
    check_crops(&folder);
    check_scaled(&folder);
}

#[test]
fn the_only_goldens_that_are_refused_are_the_known_ones() {
    let refused: Vec<String> = lines(&goldens().join("pictures.csv"))
        .into_iter()
        .map(|line| line[0].clone())
        .filter(|name| decode(&read(&goldens().join(name)), &Limits::default()).is_err())
        .collect();
    assert_eq!(refused, UNREAD);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for name in
        ["420.jpg", "420-progressive.jpg", "grey.jpg", "restarts.jpg", "rgb.png", "palette-4.png", "interlaced.png"]
    {
        let bytes = read(&goldens().join(name));
        // The checksum of a PNG's last, empty chunk is not waited for.
        let end = if name.ends_with("png") { bytes.len() - 4 } else { bytes.len() };
        for cut in (1..end).rev() {
            let error = decode(&bytes[..cut], &Limits::default());
            assert!(error.is_err(), "{name} cut to {cut} of {} bytes decodes", bytes.len());
        }
    }
}

#[test]
fn a_cut_file_is_called_truncated() {
    for (name, format) in [("420.jpg", "JPEG"), ("rgb.png", "PNG"), ("raw.tif", "TIFF"), ("rgb.bmp", "BMP")] {
        let bytes = read(&goldens().join(name));
        let error = decode(&bytes[..bytes.len() * 2 / 3], &Limits::default()).expect_err(name);
        assert!(matches!(error, Error::Broken { format: f, .. } if f == format), "{error:?}");
        assert!(error.to_string().contains("truncated or corrupt"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn a_header_that_promises_60000_by_60000_pixels_is_refused() {
    let mut png = read(&goldens().join("rgb.png"));
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    check_too_large(&png);

    let mut jpeg = read(&goldens().join("420.jpg"));
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).expect("a frame header");
    jpeg[frame + 5..frame + 7].copy_from_slice(&60_000u16.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&60_000u16.to_be_bytes());
    check_too_large(&jpeg);
}

#[test]
fn every_mutation_of_a_golden_is_a_picture_or_an_error() {
    let limits = Limits { max_pixels: 1_000_000, max_bytes: 1 << 26 };
    let mut random = Random(2026);
    for name in lines(&goldens().join("pictures.csv")).into_iter().map(|line| line[0].clone()) {
        let bytes = read(&goldens().join(&name));
        for round in 0..100 {
            let mut mutated = bytes.clone();
            for _ in 0..1 + random.below(8) {
                // Half of the blows go to the header, where they do most harm.
                let reach = if random.below(2) == 0 { mutated.len() } else { mutated.len().min(64) };
                let at = random.below(reach);
                mutated[at] = random.below(256) as u8;
            }
            if random.below(4) == 0 {
                mutated.truncate(random.below(mutated.len()));
            }
            for way in [Decode::Exact, Decode::Scaled] {
                match decode_for(&mutated, &limits, (&needed(1, 1), Views::Centre), (way, Bits::ALL)) {
                    Ok(picture) => {
                        let expected = picture.width as usize * picture.height as usize * picture.channels;
                        assert_eq!(picture.pixels.len(), expected, "{name}, round {round}, {way}");
                    }
                    // Decoders that panic (about 1 in 200,000 of these, all damaged CMYK JPEG) are errors as well.
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
    }
}

/// Goldens of modes that the decoders do not know; refused, with a sentence, rather than guessed at.
const UNREAD: [&str; 1] = ["float.tif"];

fn tolerance(name: &str) -> Tolerance {
    match name {
        "jpeg.tif" => JPEG_IN_TIFF,
        "cmyk-420.jpg" => COARSE_CMYK,
        "cmyk.tif" => CMYK_TIFF,
        _ => EXACT,
    }
}

fn check_pictures(folder: &Path) {
    let raw = read(&folder.join("pictures.raw"));
    let mut raw = &raw[..];
    let mut failures = Vec::new();
    for line in lines(&folder.join("pictures.csv")) {
        let [width, height, channels] = [1, 2, 3].map(|i: usize| line[i].parse::<usize>().expect("a number"));
        let expected = raw.split_off(..width * height * channels).expect("as many bytes as the table says");
        let name = &line[0];
        if UNREAD.contains(&name.as_str()) {
            continue;
        }
        let picture = match decode(&read(&folder.join(name)), &Limits::default()) {
            Ok(picture) => picture,
            Err(error) => {
                failures.push(format!("{name}: {error:?}"));
                continue;
            }
        };
        let shape = (picture.width as usize, picture.height as usize);
        if shape != (width, height) {
            failures.push(format!("{name}: {shape:?}, expected {width} × {height}"));
            continue;
        }
        failures.extend(differ(name, &widen(&picture.pixels, picture.channels), &widen(expected, channels)));
    }
    assert!(raw.is_empty(), "{} bytes are left", raw.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check_crops(folder: &Path) {
    let raw = read(&folder.join("crops.raw"));
    let mut raw = &raw[..];
    let (mut scratch, mut failures) = (Scratch::default(), Vec::new());
    for line in lines(&folder.join("crops.csv")) {
        let how = parse(&line);
        let expected = raw.split_off(..how.values()).expect("as many bytes as the table says");
        let picture = decode(&read(&folder.join(&line[0])), &Limits::default()).expect(&line[0]);
        let found = resize_and_crop(&picture, &how, &mut scratch);
        let channels = found.len() / (how.height * how.width) as usize;
        failures.extend(differ(&line.join(","), &widen(found, channels), &widen(expected, how.channels.count())));
    }
    assert!(raw.is_empty(), "{} bytes are left", raw.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check_scaled(folder: &Path) {
    let raw = read(&folder.join("scaled.raw"));
    let mut raw = &raw[..];
    let (mut failures, mut factors) = (Vec::new(), BTreeSet::new());
    for line in lines(&folder.join("scaled.csv")) {
        let number = |i: usize| line[i].parse::<usize>().expect("a number");
        let [width, height, channels] = [3, 4, 5].map(number);
        let expected = raw.split_off(..width * height * channels).expect("as many bytes as the table says");
        let bytes = read(&folder.join(&line[0]));
        let how = needed(number(1) as u32, number(2) as u32);
        let picture =
            decode_for(&bytes, &Limits::default(), (&how, Views::Centre), (Decode::Scaled, Bits::ALL)).expect(&line[0]);
        let shape = (picture.width as usize, picture.height as usize);
        if shape != (width, height) {
            failures.push(format!("{line:?}: {shape:?}"));
            continue;
        }
        let whole = decode(&bytes, &Limits::default()).expect(&line[0]);
        factors.insert((f64::from(whole.width) / f64::from(picture.width)).round() as u32);
        failures.extend(differ(&line[0], &widen(&picture.pixels, picture.channels), &widen(expected, channels)));
    }
    assert!(raw.is_empty(), "{} bytes are left", raw.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!([2, 4, 8].iter().all(|factor| factors.contains(factor)), "{factors:?}");
}

/// All of a picture, at this size.
fn needed(width: u32, height: u32) -> Preprocess {
    Preprocess {
        resize: Resize::Squash,
        height,
        width,
        interpolation: Interpolation::Box,
        channels: Channels::Rgb,
        scale: 1.0,
        mean: vec![0.0; 3],
        std: vec![1.0; 3],
    }
}

fn check_too_large(bytes: &[u8]) {
    let message = decode(bytes, &Limits::default()).expect_err("too large").to_string();
    assert!(message.contains("60000 × 60000 pixels, more than the limit of 100000000: shrink it, or"), "{message}");
}

/// A sentence where the difference exceeds the tolerance for `name`.
fn differ(name: &str, found: &[u8], expected: &[u8]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{name}: {} bytes, expected {}", found.len(), expected.len()));
    }
    let differences = || found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let max = differences().max().unwrap_or(0);
    let mean = differences().map(f64::from).sum::<f64>() / found.len() as f64;
    let allowed = tolerance(name);
    (max > allowed.max || mean > allowed.mean)
        .then(|| format!("{name}: max {max}, mean {mean:.3}, allowed {allowed:?}"))
}

/// name, short side (0: squash), height, width, filter, channels.
fn parse(line: &[String]) -> Preprocess {
    let number = |i: usize| line[i].parse::<u32>().expect("a number");
    let channels = if line[5] == "grey" { Channels::Grey } else { Channels::Rgb };
    let how = Preprocess {
        resize: if number(1) == 0 { Resize::Squash } else { Resize::ShortSide(number(1)) },
        height: number(2),
        width: number(3),
        interpolation: match line[4].as_str() {
            "nearest" => Interpolation::Nearest,
            "box" => Interpolation::Box,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => Interpolation::Lanczos,
        },
        channels,
        scale: 1.0,
        mean: vec![0.0; channels.count()],
        std: vec![1.0; channels.count()],
    };
    how.check().expect("a sound preprocessing");
    how
}

/// Three channels, whatever the number stored.
fn widen(pixels: &[u8], channels: usize) -> Vec<u8> {
    pixels.chunks_exact(channels).flat_map(|p| if channels == 1 { [p[0]; 3] } else { [p[0], p[1], p[2]] }).collect()
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = String::from_utf8(read(path)).expect("UTF-8");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

/// SplitMix64, so that every run breaks the same bytes.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}
