//! Small copies of the original pictures, as JPEG: a larger one for each picture in a gallery, a sheet for the map.
//!
//! The store keeps no pictures; their files are looked for, and only a file with the bytes that the features were
//! computed from is shown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, Rgb, RgbImage};
use rayon::prelude::*;
use tapline_core::{Digest, Error, FeatureSpace, Place, scan_all};
use tapline_image::{Limits, Picture, decode_deep, decode_for};
use tapline_report::{Report, Sprite, Thumbnails};

use crate::progress;
use crate::stores::Stores;

/// Sides in pixels and JPEG qualities to try until all pictures together keep within the budget.
const LARGE: [(u32, u8); 4] = [(144, 78), (128, 70), (96, 65), (64, 60)];
const SMALL: [(u32, u8); 5] = [(64, 72), (64, 55), (48, 55), (32, 55), (24, 45)];
/// Bytes of all galleries and of the sheet; a third more as text in the page.
const LARGE_BUDGET: usize = 800_000;
const SMALL_BUDGET: usize = 2_200_000;
/// What a sheet shows around pictures that are not square.
const GROUND: Rgb<u8> = Rgb([128, 128, 128]);

/// Rows of the listing whose pictures are shown.
#[derive(Debug, Default)]
pub struct Wanted {
    /// In galleries, each once.
    large: Vec<usize>,
    /// On the map, in its order.
    pub small: Vec<usize>,
}

impl Wanted {
    /// Asks for a picture in a gallery, and says which one it will be.
    pub fn large(&mut self, row: usize) -> usize {
        match self.large.iter().position(|&other| other == row) {
            Some(position) => position,
            None => {
                self.large.push(row);
                self.large.len() - 1
            }
        }
    }
}

/// Pictures in the order of `Wanted`; none where a file was not found.
pub struct Found {
    large: Vec<Option<DynamicImage>>,
    small: Vec<Option<DynamicImage>>,
}

/// Reads and shrinks the pictures wanted, on all cores.
pub fn make(files: &Files<'_>, wanted: &Wanted) -> Found {
    let bar = progress::bar("thumbnails", wanted.large.len() + wanted.small.len(), "pictures");
    let read = |row: &usize, side: u32| {
        let small = files.find(*row).and_then(image).map(|picture| shrunk(picture, side));
        bar.inc(1);
        small
    };
    let large = wanted.large.par_iter().map(|row| read(row, LARGE[0].0)).collect();
    let small = wanted.small.par_iter().map(|row| read(row, SMALL[0].0)).collect();
    bar.finish_and_clear();
    Found { large, small }
}

/// Puts what was found into the report, and counts what was not.
pub fn put(found: Found, wanted: &Wanted, report: &mut Report) {
    let mut missing: Vec<usize> = Vec::new();
    let mut positions = vec![None; wanted.large.len()];
    let mut kept = Vec::new();
    for (index, picture) in found.large.into_iter().enumerate() {
        match picture {
            Some(picture) => {
                positions[index] = Some(kept.len());
                kept.push(picture);
            }
            None => missing.push(wanted.large[index]),
        }
    }
    for layer in &mut report.layers {
        for picture in layer.mistakes.iter_mut().chain(&mut layer.hits) {
            picture.thumbnail = picture.thumbnail.and_then(|index| positions[index]);
        }
    }
    if let Some(map) = &mut report.map {
        for (index, (point, picture)) in map.points.iter_mut().zip(&found.small).enumerate() {
            point.has_thumbnail = picture.is_some();
            if picture.is_none() {
                missing.push(wanted.small[index]);
            }
        }
    }
    missing.sort_unstable();
    missing.dedup();
    report.provenance.without_file = missing.len();
    report.thumbnails = Thumbnails { pictures: large(&kept), sprite: sprite(&found.small) };
}

/// Whatever limit of pixels pictures were extracted with, these are the same bytes; memory still bounds them.
const KNOWN: Limits = Limits::megapixels(u32::MAX);

/// The original pictures' files.
pub struct Files<'a> {
    stores: &'a Stores,
    /// Where listed paths are by the table or the shards that were typed.
    places: HashMap<String, Place>,
    /// Folders that listed paths may start from.
    folders: Vec<PathBuf>,
}

impl<'a> Files<'a> {
    /// In or below `pictures`, what was extracted from, or below the working folder or the store's.
    ///
    /// # Errors
    /// Where a table or a shard that was typed cannot be read.
    pub fn of(stores: &'a Stores, pictures: Option<&Path>) -> anyhow::Result<Self> {
        let typed = pictures.filter(|path| path.is_dir()).map(Path::to_owned);
        let first = stores.listing().path.iter().next().unwrap_or_default();
        // In a folder of shards no picture has a file of its own.
        let listing = match pictures {
            Some(folder) if folder.is_dir() && folder.join(first).exists() => None,
            Some(typed) => match scan_all(&[typed.to_owned()]) {
                Err(Error::EmptyFolder { .. } | Error::MixedFolder { .. }) => None,
                found => Some(found.context("--pictures")?),
            },
            None => None,
        };
        let samples = listing.iter().flat_map(tapline_core::Listing::samples);
        let places = samples.map(|sample| (sample.path, sample.place)).collect();
        let beside = stores.stores[0].dir().parent().unwrap_or(Path::new("")).to_owned();
        let folders = typed.into_iter().chain([PathBuf::new(), beside]).collect();
        Ok(Self { stores, places, folders })
    }

    /// The picture of a row, if its file is found with the bytes its features were computed from.
    pub fn find(&self, row: usize) -> Option<Picture> {
        decode_deep(&self.bytes(row)?, &KNOWN, self.stores.stores[0].manifest().space.bits).ok()
    }

    /// The same picture as the features of a space were computed from it.
    pub fn find_for(&self, row: usize, space: &FeatureSpace) -> Option<Picture> {
        decode_for(&self.bytes(row)?, &KNOWN, (&space.preprocess, space.views), (space.decode, space.bits)).ok()
    }

    fn bytes(&self, row: usize) -> Option<Vec<u8>> {
        let listing = self.stores.listing();
        let expected = listing.sha256[row]?;
        let listed = self.places.get(&listing.path[row]).cloned();
        let beside = self.folders.iter().map(|folder| Place::File(folder.join(&listing.path[row])));
        let read = |place: Place| place.read(Limits::default().max_bytes).ok();
        listed.into_iter().chain(beside).filter_map(read).find(|bytes| Digest::of(bytes) == expected)
    }
}

fn image(picture: Picture) -> Option<DynamicImage> {
    match picture.channels {
        1 => GrayImage::from_raw(picture.width, picture.height, picture.pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(picture.width, picture.height, picture.pixels).map(DynamicImage::ImageRgb8),
    }
}

/// A picture that fits a square of this side; smaller ones stay as they are.
fn shrunk(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width() <= side && picture.height() <= side {
        return picture;
    }
    // A fast reduction first, then a good one: large photographs take milliseconds instead of seconds.
    let near = side * 3;
    let picture = if picture.width().min(picture.height()) > near { picture.thumbnail(near, near) } else { picture };
    picture.resize(side, side, FilterType::Triangle)
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality));
    written.expect("8-bit pixels into memory");
    bytes
}

/// The galleries' pictures, at the best quality that keeps within the budget.
fn large(pictures: &[DynamicImage]) -> Vec<Vec<u8>> {
    let encode = |&(side, quality): &(u32, u8)| -> Vec<Vec<u8>> {
        pictures.par_iter().map(|picture| jpeg(&shrunk(picture.clone(), side), quality)).collect()
    };
    let fits = |all: &Vec<Vec<u8>>| all.iter().map(Vec::len).sum::<usize>() <= LARGE_BUDGET;
    LARGE.iter().map(encode).find(fits).unwrap_or_else(|| encode(&LARGE[LARGE.len() - 1]))
}

/// The map's pictures on one sheet, at the best quality that keeps within the budget; none where there is none of them.
fn sprite(pictures: &[Option<DynamicImage>]) -> Option<Sprite> {
    pictures.iter().flatten().next()?;
    let columns = (pictures.len() as f64).sqrt().ceil() as u32;
    let sheet = |side: u32| sheet(pictures, side, columns);
    let encode = |&(side, quality): &(u32, u8)| Sprite { jpeg: jpeg(&sheet(side), quality), side, columns };
    let last = SMALL.len() - 1;
    Some(SMALL.iter().map(encode).find(|s| s.jpeg.len() <= SMALL_BUDGET).unwrap_or_else(|| encode(&SMALL[last])))
}

fn sheet(pictures: &[Option<DynamicImage>], side: u32, columns: u32) -> DynamicImage {
    let is_grey = pictures.iter().flatten().all(|picture| matches!(picture, DynamicImage::ImageLuma8(_)));
    let rows = (pictures.len() as u32).div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(columns * side, rows * side, GROUND);
    for (index, picture) in pictures.iter().enumerate() {
        let Some(picture) = picture else { continue };
        let small = shrunk(picture.clone(), side);
        let (x, y) = (index as u32 % columns * side, index as u32 / columns * side);
        let (dx, dy) = ((side - small.width()) / 2, (side - small.height()) / 2);
        imageops::replace(&mut sheet, &small.to_rgb8(), i64::from(x + dx), i64::from(y + dy));
    }
    let sheet = DynamicImage::ImageRgb8(sheet);
    if is_grey { DynamicImage::ImageLuma8(sheet.to_luma8()) } else { sheet }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: u8) -> DynamicImage {
        DynamicImage::ImageLuma8(GrayImage::from_pixel(width, height, image::Luma([value])))
    }

    #[test]
    fn a_picture_is_asked_for_once() {
        let mut wanted = Wanted::default();
        assert_eq!([7, 9, 7].map(|row| wanted.large(row)), [0, 1, 0]);
        assert_eq!(wanted.large, [7, 9]);
    }

    #[test]
    fn cells_of_a_sheet_are_where_their_points_say() {
        let pictures = [Some(picture(300, 300, 10)), None, Some(picture(100, 50, 250)), Some(picture(8, 8, 0))];
        let sheet = sheet(&pictures, 32, 2).to_luma8();
        assert_eq!(sheet.dimensions(), (64, 64));
        assert_eq!(
            [(16, 16), (48, 16), (16, 48), (16, 34), (48, 48)].map(|(x, y)| sheet.get_pixel(x, y)[0]),
            [10, 128, 250, 128, 0]
        );
    }

    #[test]
    fn many_pictures_keep_within_the_budget() {
        // Noise compresses worst.
        let noise = |seed: u32| {
            let value = |x: u32, y: u32| ((x * 7919 + y * 104_729 + seed * 31).wrapping_mul(2_654_435_761) >> 24) as u8;
            DynamicImage::ImageRgb8(RgbImage::from_fn(144, 144, |x, y| {
                Rgb([value(x, y), value(y, x), value(x, x * y)])
            }))
        };
        let pictures: Vec<DynamicImage> = (0..144).map(noise).collect();
        assert!(large(&pictures).iter().map(Vec::len).sum::<usize>() <= LARGE_BUDGET);
        let many: Vec<Option<DynamicImage>> =
            (0..2_000).map(|i| Some(noise(i).resize(64, 64, FilterType::Nearest))).collect();
        assert!(sprite(&many).unwrap().jpeg.len() <= SMALL_BUDGET);
    }
}
