//! Decoding and preprocessing of pictures, matched to Pillow.
//!
//! A network was trained on what Pillow and torchvision made of its pictures. This crate makes the same bytes of the
//! same files, so that features computed here equal features computed there: JPEG decodes as libjpeg-turbo does,
//! resizing is Pillow's arithmetic, cropping is torchvision's rounding. It knows nothing of networks.
//!
//! ```
//! use tapline_core::{Channels, Interpolation, Preprocess, Resize};
//! use tapline_image::{Limits, Scratch, decode, preprocess};
//!
//! // A grey picture of 2 columns and 1 row, as PNM: black, white.
//! let picture = decode(b"P5 2 1 255\n\x00\xff", &Limits::default())?;
//! assert_eq!((picture.width, picture.height, picture.channels), (2, 1, 1));
//!
//! let how = Preprocess {
//!     resize: Resize::Squash,
//!     height: 1,
//!     width: 2,
//!     interpolation: Interpolation::Bilinear,
//!     channels: Channels::Rgb,
//!     scale: 1.0 / 255.0,
//!     mean: vec![0.5; 3],
//!     std: vec![0.5; 3],
//! };
//! let mut input = vec![0.0; how.values()]; // [3, 1, 2]
//! preprocess(&picture, &how, &mut Scratch::default(), &mut input);
//! assert_eq!(input, [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
//! # Ok::<(), tapline_image::Error>(())
//! ```
//!
//! # Rules
//!
//! - The format is told from the first bytes, never from the file's name. GIF, APNG and animated WebP: the first frame;
//!   TIFF: the first page. [`Picture::has_more`] says where there are others.
//! - Alpha is dropped, not blended, as Pillow's `convert("RGB")` does: the colour under it shows.
//! - 16-bit samples keep their high byte, `v >> 8`, in grey and in colour alike, or with [`decode_deep`] the upper 8 of fewer bits,
//!   `min(v >> (bits − 8), 255)`, as cameras of 12 bits want it. (Pillow keeps the high byte in colour; its conversion of
//!   16-bit grey saturates at 255, as 8 bits do here, which leaves little of a picture.)
//! - CMYK JPEG is read as Adobe writes it (inverted), then `255 − C` is scaled by `255 − K`, as in Pillow.
//! - EXIF orientation (else XMP's `tiff:Orientation`) is applied, as `PIL.ImageOps.exif_transpose` does. ICC profiles are not.
//! - A file that ends early is an error, as in Pillow; a JPEG must have its end marker. So are JPEG data that do not
//!   decode and PNG chunks with a wrong checksum, some of which Pillow paints over.
//! - [`decode_for`] may scale JPEG while it is decoded, by 1/2, 1/4 or 1/8, as Pillow's `Image.draft` does; to the bit.
//! - TIFF with a palette is read where that has 256 colours, as in Pillow; BigTIFF as any other.
//! - Not read: floating-point TIFF, TIFF with a palette of fewer bits, JPEG of 12 bits, lossless JPEG of other precisions, pictures of a file
//!   beyond the first.
//! - Nor are files read that ask for far more than their pixels do: TIFF whose strips or tiles hold more than four times the
//!   picture and 64 MiB, JPEG of more than 500 scans, or more than 20 where it is large, arithmetically coded or in a TIFF,
//!   JPEG in a TIFF of more than twice its strip's pixels, and WebP whose lossless data take more than 5 bytes a pixel and 16 KiB.
//!
//! # How close to Pillow
//!
//! Against Pillow 13.0: equal to the bit, lossy JPEG (grey and colour; baseline and progressive; 4:4:4, 4:2:2, 4:2:0,
//! 4:4:0) and lossy WebP included. The exceptions: CMYK and YCCK JPEG with coarser colour (usually within 2 of 255, up
//! to 20 on a few pixels), JPEG inside TIFF (another decoder: up to 9), CMYK TIFF (up to 1). Resizing across,
//! then down, and cropping are equal to the bit for all five filters; where Pillow 13 resizes down first (some pictures
//! higher than wide, mostly when squashed), its pixels may be one level off.

mod chunks;
mod colour;
mod decode;
mod depth;
mod error;
mod frames;
mod geometry;
mod jpeg;
mod orientation;
mod preprocess;
mod random;
mod raster;
mod resample;
mod scale;
mod tiff;
mod views;
mod webp;

pub use decode::{Limits, Picture, decode, decode_deep, decode_for};
pub use error::Error;
pub use preprocess::{Scratch, preprocess, resize_and_crop};
pub use views::preprocess_views;
