//! Everything that can go wrong with a picture: what was found, what to do.
//!
//! No variant knows the file's path: whoever read the bytes does, and says it.

/// The formats [`decode`](fn@crate::decode) reads, for messages.
const FORMATS: &str = "PNG, JPEG, WebP, TIFF, BMP, GIF or PNM";

/// The cause inside a decoder.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Zero bytes.
    #[error("the file is empty (0 bytes): copy it again")]
    Empty,
    /// The first bytes belong to no known picture format.
    #[error("the bytes are not a picture: expected {FORMATS}, whatever the file's name ends in")]
    NotAPicture,
    /// A picture, in a format nobody here reads.
    #[error("the picture is {format}, which is not read: convert it to {FORMATS}")]
    UnreadFormat {
        /// The format found.
        format: String,
    },
    /// A format that is read, of a kind that is not.
    #[error("{format} with {kind} is not read: save it {remedy}")]
    UnreadKind {
        /// The format found.
        format: &'static str,
        /// What it has, such as `32-bit floating-point samples in one channel`.
        kind: String,
        /// How to save it instead, such as `as 8- or 16-bit grey or RGB`.
        remedy: &'static str,
    },
    /// A format that is read, in a mode that is not and that only the decoder has words for.
    #[error("this kind of {format} is not read: convert it to 8-bit RGB or grey")]
    UnsupportedMode {
        /// The format found.
        format: &'static str,
        /// Which mode, in the decoder's words.
        source: Cause,
    },
    /// The data end early or contradict themselves.
    #[error("the {format} data are truncated or corrupt: copy or export the picture again")]
    Broken {
        /// The format found.
        format: &'static str,
        /// Where, in the decoder's words.
        source: Cause,
    },
    /// The header asks for more pixels than allowed.
    #[error(
        "the picture is {width} × {height} pixels, more than the limit of {max_pixels}: \
         shrink it, or allow it with --max-megapixels {}",
        megapixels(*.width, *.height)
    )]
    TooLarge {
        /// Columns, from the header.
        width: u64,
        /// Rows, from the header.
        height: u64,
        /// The most pixels allowed.
        max_pixels: u64,
    },
    /// The header asks for a longer side than any picture that is read.
    #[error("the picture is {width} × {height} pixels, longer than {max_side}: cut it into tiles or shrink it")]
    TooLong {
        /// Columns, from the header.
        width: u64,
        /// Rows, from the header.
        height: u64,
        /// The longest side allowed, in pixels.
        max_side: u64,
    },
    /// The decoder would take more memory than allowed.
    #[error(
        "decoding {width} × {height} pixels of {format} takes more than {max_bytes} bytes: \
         shrink it, or allow more with --max-megapixels"
    )]
    TooMuchMemory {
        /// The format found.
        format: &'static str,
        /// Columns, from the header.
        width: u64,
        /// Rows, from the header.
        height: u64,
        /// The most bytes allowed.
        max_bytes: u64,
    },
    /// The system has no room for the picture.
    #[error(
        "decoding {width} × {height} pixels of {format} may take {bytes} bytes, which this process cannot have: \
         allow it more memory, use fewer --workers, or shrink the picture"
    )]
    NoRoom {
        /// The format found.
        format: &'static str,
        /// Columns, from the header.
        width: u64,
        /// Rows, from the header.
        height: u64,
        /// What decoding may take.
        bytes: u64,
    },
    /// The decoder panicked; its message went to standard error.
    #[error("the {format} decoder gave up on a defect of its own: export the picture again, and report this one")]
    DecoderPanicked {
        /// The format found.
        format: &'static str,
    },
}

/// Millions of pixels that allow a picture of this size.
fn megapixels(width: u64, height: u64) -> u64 {
    width.saturating_mul(height).div_ceil(1_000_000)
}
