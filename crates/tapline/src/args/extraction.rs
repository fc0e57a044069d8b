//! What `tapline extract` is asked for, and how pictures are prepared.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use tapline_core::{Bits, Channels, Decode, Interpolation, MAX_SIDE, Pooling, Shard, Views};
use tapline_onnx::{DeviceRequest, Layout};

/// Arguments of `tapline extract`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Pictures, none of which is unpacked or copied:
  folder         of class folders, of pictures, or of shards; where all top folders are called
                 train, training, val, valid, validation or test, they are the split and the
                 folders in them the classes (`--split` learns from train and scores test)
  table          .csv, .tsv or .parquet with the columns path (a relative one starts at the
                 table's own folder), label (optional), split (optional) and any others, which are
                 kept as text; blank rows are passed over, and Excel's first line sep=; is understood
  tar shards     WebDataset: NAME.jpg (or .png, ...) with NAME.cls (the label) or NAME.json
                 (label, split, other columns); without either, a packed folder of class folders.
                 Where their names begin with parts of a split (train-..., test-...), these are
                 the split
  Parquet        pictures in a column of bytes, or in `bytes` of a column `image` as Hugging
                 Face's datasets have them; label, split and other columns; the names of classes
                 are read from the file's metadata
  URLs           s3://, gs://, az://, http:// or https:// in a table's column path; or shards; or
                 s3://BUCKET/PREFIX (gs, az) as a folder of either. Credentials come from AWS_*,
                 GOOGLE_* and AZURE_* variables, never from a URL. Servers of your own:
                 AWS_ENDPOINT, GOOGLE_BASE_URL or AZURE_ENDPOINT, with AWS_ALLOW_HTTP=true
                 (GOOGLE_, AZURE_) where they speak http, and SSL_CERT_FILE where no known
                 authority vouches for them. Pictures are fetched ahead of the work within
                 --prefetch-bytes
  pictures       one by one (photos/*.jpg), without labels
Several shards: each as an argument, with wildcards (files alone), or with braces in quotes
('train-{000..146}.tar'), where all must be there. A picture of a shard is listed as \"SHARD:
MEMBER\".

Taps: stage or tensor names, globs, or `stages` for every stage of the card; NAME@POOLING pools
one tap its own way. Poolings: mean, max, mean+max, gem, gem:P, grid:K (K × K cells), flatten.

Views: what the network sees of each picture. All are kept, row i of an array holding the views of
picture i, and `probe` and `compare` take their mean. Each view costs a pass; flips suit pictures
without an up and down (cells, tiles, maps).
  centre         the picture alone (the default)
  flip           as it is, and mirrored left to right
  flips          as it is, mirrored left to right, top to bottom, both
  ten-crop       the four corners and the centre of the resized picture, then the same five of its
                 mirror image; needs a --resize larger than the input
  random:N       N parts of the picture (half of its area or more, half of them mirrored), drawn
                 anew for each picture
  random:N:SEED  by another seed than 0; N up to 64

Decoding: `--decode scaled` lets the decoder of JPEG leave out fine detail that the resizing would
take away anyway, as Pillow's `draft` does, to the bit. It is for photographs of several
megapixels; smaller ones and other formats are decoded as ever. Features are near those of exact
decoding and not the same, so a store holds one or the other.

Depth: networks see 8 bits. Of pictures with 16 bits per sample (TIFF, PNG, PNM) the upper 8 are
used; cameras and detectors of 10, 12 or 14 bits leave some of these empty. Where that is so for one
picture in ten, their number is told, scale bars and stray bright pixels aside, and `--bits 12`
takes the upper 8 of 12 instead. A store holds one or the other. Of a TIFF stack or an animation the first picture is used,
which is told; floating-point TIFF is skipped.

Precision: `--precision int8` quantises the network to 8 bits, after calibrating the ranges of its
tensors on up to 128 of the pictures, evenly spread over the listing. Its features differ from
those of float32 (`make bench ROWS=int8` shows by how much), so a store holds one or the other.
The ranges are kept in the store and reused by later runs; `--ranges STORE` takes those of another
store, for a second store of new pictures that a probe fitted on the first can predict (`predict` of
pictures takes the probe's by itself). `--precision float16`
computes in half precision, for GPUs: on a CPU it is no faster and rounds differently. Its
features are within about a hundredth of a tap's largest number of those of float32, and cannot
share a store with them either; a picture for which the network's numbers exceed 65504 is skipped.

Shards: `--shard I/N` takes part I of N of the listing, counted from 0: its rows ⌊I·rows/N⌋ up to
⌊(I+1)·rows/N⌋. Every shard needs the whole listing and a --store of its own, and may run anywhere
and at any time; `tapline merge` joins them to the very bytes of a run without --shard. With
--precision int8 every shard measures the same pictures, those of the whole listing, so it must be
able to read them (or be given --ranges).

Running it again on the same store computes only what is missing: new pictures, new taps; changed
labels cost nothing. Where a stored picture is no longer listed, has changed, can no longer be read,
or its new taps cannot be computed, the run ends with its name and exit code 1 and the store stays
as it is; --prune lets its old features go. A picture counts as unchanged while its file (or shard) keeps
its size and modification time, or behind a URL its entity tag (ETag); --verify reads it anyway.
Files changed within two seconds of being read, and pictures behind URLs without such a tag, are
read again. A stopped run resumes where it was. Ctrl-C (SIGINT) and SIGTERM let the pictures in
progress finish first and exit with 130 or 143; a second one ends at once, which costs two seconds
of work at most.

Examples:
  tapline extract photos/ --model squeezenet1.1 --store photos.store
  tapline extract 'shards/train-{000..009}.tar' --model squeezenet1.1 --store photos.store
  tapline extract list.csv --model efficientnet-lite0 --taps blocks.10,head@max --store cells.store
  tapline extract photos/ --model resnet50.onnx --preprocess torchvision --taps '*relu*' --store r.store
  tapline extract cells/ --model squeezenet1.1 --squash --views flips --store cells-flips.store
  tapline extract photos/ --model efficientnet-lite0 --decode scaled --store photos-scaled.store
  tapline extract photos/ --model efficientnet-lite0 --precision int8 --store photos-int8.store
  tapline extract photos/ --model efficientnet-lite0 --shard 0/4 --store photos.0.store")]
pub struct ExtractArgs {
    /// A folder of pictures, a .csv, .tsv or .parquet file that lists them, .tar or .parquet shards that hold them, or pictures
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// A model card's name or file, or a .onnx file
    #[arg(long, short)]
    pub model: String,
    /// The folder to keep the features in
    #[arg(long, short)]
    pub store: PathBuf,
    /// What to tap, separated by commas or given several times [default: stages, where a model card names them]
    #[arg(long, short)]
    pub taps: Vec<String>,
    /// Poolings of the taps that name none, separated by commas
    #[arg(long, short, value_delimiter = ',', default_value = "mean")]
    pub pool: Vec<Pooling>,
    /// What the network sees of each picture: centre, flip, flips, ten-crop, random:N or random:N:SEED
    #[arg(long, default_value_t = Views::Centre)]
    pub views: Views,
    /// How JPEG is decoded: exact to every pixel; scaled at 1/2, 1/4 or 1/8 where that leaves twice the size that is needed
    #[arg(long, default_value = "exact")]
    pub decode: DecodeArg,
    /// Bits that samples of 16-bit pictures use, from 8 to 16: 12 for a camera or detector of 12 bits, whose pictures are nearly
    /// black otherwise
    #[arg(long, value_name = "N", default_value_t = Bits::ALL)]
    pub bits: Bits,
    /// Arithmetic of the network: float32 runs it as it is stored; float16 in halves, for GPUs; int8 in bytes, on the
    /// processor alone, in about half the time where that has instructions for it
    #[arg(long, default_value = "float32")]
    pub precision: PrecisionArg,
    /// With --precision int8: take the ranges of this store instead of measuring pictures
    #[arg(long, value_name = "STORE")]
    pub ranges: Option<PathBuf>,
    /// Number type of stored features
    #[arg(long, default_value = "f32")]
    pub dtype: DtypeArg,
    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceRequest,
    /// Pictures, or views of them, per pass [default: 64 on a GPU; on the processor 1, or for 2,000 pictures and more in float32
    /// what trials of a second or two find fastest, kept for the next run; what is found changes the last bits of rows at most].
    /// A network whose file fixes the batch keeps it; a dynamically quantised one takes one picture at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65535))]
    pub batch: Option<u16>,
    /// Network sessions that run in parallel, each with one worker thread (on a GPU three, each holding the pictures of one
    /// pass) [default: one for each core, or what the trials of --batch find; 2 on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Threads of each session on the processor [default: 1, or as above]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Largest picture to decode, in megapixels
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 100)]
    pub max_megapixels: u32,
    /// Only part I of N of the listing, counted from 0 (0/4, 1/4, 2/4, 3/4), into a store that `tapline merge` joins
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Stop at the first picture that cannot be used, instead of skipping it
    #[arg(long)]
    pub strict: bool,
    /// Bytes of pictures behind URLs to hold ahead of the work; the one that is due is fetched even if it is larger
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub prefetch_bytes: u64,
    /// How often a failed request to a source behind URLs is made again, at growing intervals and for three minutes at most,
    /// before the run ends
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u8,
    /// Read every picture to find out whether it has changed, even where its file has the size and time it had before
    #[arg(long)]
    pub verify: bool,
    /// Drop stored features of pictures that are not listed any more or whose new taps cannot be computed, and what a stopped run left
    /// of other pictures and taps
    #[arg(long)]
    pub prune: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
}

/// How pictures are prepared. A model card states all of it, and only `--resize` and `--squash` may overrule it;
/// without a card all of it must be stated.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Preprocessing (a model card states it; --squash and --resize may overrule the card)")]
pub struct PreprocessingArgs {
    /// A Hugging Face preprocessor_config.json, a timm config.json, or `torchvision` for what its classifiers take: 224 pixels of a
    /// short side of 256, or with --size N so many of N × 256 / 224, rounded down
    #[arg(long, value_name = "FILE|torchvision")]
    pub preprocess: Option<String>,
    /// Side of the network's input in pixels, where the file leaves it free or --preprocess torchvision is to make another than 224
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SIDE)))]
    pub size: Option<u32>,
    /// Resize the short side to this many pixels, then crop the centre
    #[arg(long, value_name = "PIXELS", conflicts_with = "squash")]
    pub resize: Option<u32>,
    /// Use the whole picture: resize both sides to the input's size, whatever the proportions
    #[arg(long)]
    pub squash: bool,
    /// Resampling filter
    #[arg(long)]
    pub interpolation: Option<InterpolationArg>,
    /// Channel order
    #[arg(long)]
    pub channels: Option<ChannelsArg>,
    /// Factor on pixel values 0..255, a number or a fraction: 1/255 for inputs in 0..1
    #[arg(long, value_parser = factor)]
    pub scale: Option<f32>,
    /// Subtracted after scaling, one number or one per channel in the network's order
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true)]
    pub mean: Vec<f32>,
    /// Divides the difference, one number or one per channel in the network's order
    #[arg(long, value_delimiter = ',')]
    pub std: Vec<f32>,
    /// Order of the input's axes, where it cannot be seen from the file
    #[arg(long)]
    pub layout: Option<LayoutArg>,
}

/// A number, or one divided by another.
fn factor(text: &str) -> Result<f32, String> {
    let number = |text: &str| text.trim().parse::<f32>().ok();
    let factor = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    factor.filter(|factor| factor.is_finite()).ok_or_else(|| "give a number or a fraction, such as 1/255".to_owned())
}

/// How pictures are decoded, as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DecodeArg {
    /// Every pixel.
    Exact,
    /// Large JPEGs at a fraction of their size.
    Scaled,
}

impl From<DecodeArg> for Decode {
    fn from(decode: DecodeArg) -> Self {
        match decode {
            DecodeArg::Exact => Self::Exact,
            DecodeArg::Scaled => Self::Scaled,
        }
    }
}

/// What arithmetic a network runs in, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// As it is stored.
    Float32,
    /// In halves.
    Float16,
    /// In bytes, with ranges measured on the pictures.
    Int8,
}

/// Number type of stored features.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DtypeArg {
    /// float32, 4 bytes
    F32,
    /// float16, 2 bytes, numbers up to 65504
    F16,
}

/// Order of the input's axes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LayoutArg {
    /// Channel, row, column
    Nchw,
    /// Row, column, channel
    Nhwc,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Nchw => Self::Nchw,
            LayoutArg::Nhwc => Self::Nhwc,
        }
    }
}

/// Resampling filters.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs)]
pub enum InterpolationArg {
    Nearest,
    Box,
    Bilinear,
    Bicubic,
    Lanczos,
}

impl From<InterpolationArg> for Interpolation {
    fn from(interpolation: InterpolationArg) -> Self {
        match interpolation {
            InterpolationArg::Nearest => Self::Nearest,
            InterpolationArg::Box => Self::Box,
            InterpolationArg::Bilinear => Self::Bilinear,
            InterpolationArg::Bicubic => Self::Bicubic,
            InterpolationArg::Lanczos => Self::Lanczos,
        }
    }
}

/// Channel orders.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs)]
pub enum ChannelsArg {
    Rgb,
    Bgr,
    Grey,
}

impl From<ChannelsArg> for Channels {
    fn from(channels: ChannelsArg) -> Self {
        match channels {
            ChannelsArg::Rgb => Self::Rgb,
            ChannelsArg::Bgr => Self::Bgr,
            ChannelsArg::Grey => Self::Grey,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_number_or_a_fraction() {
        for (text, expected) in [("1/255", 1.0 / 255.0), ("0.5", 0.5), ("2 / 4", 0.5), ("1", 1.0), ("1e-2", 0.01)] {
            assert_eq!(factor(text), Ok(expected));
        }
        assert_eq!(factor("1/255"), Ok(tapline_onnx::torchvision(224).scale));
        for text in ["", "1/", "/255", "1/0", "1/2/3", "nan", "inf", "half"] {
            assert!(factor(text).is_err(), "{text}");
        }
    }
}
