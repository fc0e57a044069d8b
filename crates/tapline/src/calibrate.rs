//! The network that `--precision` asks for; for int8 ranges are measured on the user's own pictures first.
//!
//! Measuring is an extraction like any other, of maxima and minima. A store keeps its ranges, so that a run that goes on
//! computes the same rows.

use std::path::Path;

use anyhow::{Context, bail};
use tapline_core::{Calibration, Digest, FeatureSpace, Listing, Precision, Store, stored_calibration};
use tapline_onnx::{Device, Model, RangeProbe, in_precision, products_in_float32};

use crate::args::{ExtractArgs, PrecisionArg};
use crate::interrupt::Interrupt;
use crate::output::counted;
use crate::pipeline::{Finished, run_pass};
use crate::progress;
use crate::settled::Settled;

/// The most pictures whose ranges are measured.
const PICTURES: usize = 128;

/// What an extraction runs on.
pub struct Trunk {
    /// The network, as it is stored, in halves or in bytes.
    pub model: Model,
    /// Which of the three, and with what ranges.
    pub precision: Precision,
}

/// The network to be run as `args` ask, for features of `space` but for its precision; none where a signal stopped it.
///
/// # Errors
/// Where int8 is asked for and the network, the store or the pictures do not allow it.
pub fn trunk(
    args: &ExtractArgs,
    (settled, interrupt): (&Settled, &Interrupt),
    space: &FeatureSpace,
    pictures: &Listing,
) -> anyhow::Result<Option<Trunk>> {
    let original = &settled.network.model;
    if args.ranges.is_some() && args.precision != PrecisionArg::Int8 {
        bail!("--ranges is for --precision int8 alone: leave it out, or add --precision int8");
    }
    let trunk = |precision: Precision| Ok(Some(Trunk { model: in_precision(original, &precision)?, precision }));
    match args.precision {
        PrecisionArg::Float32 => return trunk(Precision::Float32),
        PrecisionArg::Float16 => {
            let model = in_precision(original, &Precision::Float16)?;
            say_of_halves(settled.chosen.device, products_in_float32(&model));
            return Ok(Some(Trunk { model, precision: Precision::Float16 }));
        }
        PrecisionArg::Int8 => {}
    }
    let probe = RangeProbe::new(original, &settled.layers, settled.size)?;
    let given = args.ranges.as_deref().map(|store| given(store, space)).transpose()?;
    let calibration = match given.map_or_else(|| stored_calibration(&args.store, space), |given| Ok(Some(given)))? {
        Some(known) => known,
        None => match measure(probe, (settled, interrupt), pictures)? {
            Some(measured) => measured,
            None => return Ok(None),
        },
    };
    trunk(Precision::Int8(calibration))
}

/// The ranges that the store `dir` was made with.
fn given(dir: &Path, space: &FeatureSpace) -> anyhow::Result<Calibration> {
    let theirs = Store::open(dir).context("--ranges")?.manifest().space.clone();
    let dir = dir.display();
    let Precision::Int8(calibration) = &theirs.precision else {
        bail!(
            "--ranges {dir}: its features are of {}, without ranges; name a store of --precision int8",
            theirs.precision
        );
    };
    let asked = FeatureSpace { precision: theirs.precision.clone(), ..space.clone() };
    if let Some(what) = theirs.difference(&asked) {
        bail!(
            "--ranges {dir}: its ranges are of other features ({what}); name a store of the same, or leave out --ranges"
        );
    }
    Ok(calibration.clone())
}

/// Says of --precision int8 where it brings no speed.
pub fn say_of_bytes(precision: &Precision) {
    if !matches!(precision, Precision::Int8(_)) {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx512vnni") && !is_x86_feature_detected!("avxvnni") {
        eprintln!(
            "tapline: this processor has no VNNI instructions, so that int8 is hardly faster than float32 here, or slower"
        );
    }
}

/// Says what float16 does not bring, if anything.
fn say_of_halves(device: Device, in_float32: usize) {
    if device == Device::Cpu {
        eprintln!(
            "tapline: --precision float16 is for GPUs: on the processor it takes no less time, and rows are rounded otherwise"
        );
    }
    if in_float32 > 0 {
        let products = counted(in_float32, "convolution or matrix product");
        eprintln!("tapline: {products} of the network cannot be in float16, and stay in float32");
    }
}

/// The pictures whose ranges are measured, spread evenly over a listing: of a shard, over the whole of it, so that all
/// shards run the same network.
pub fn pictures(args: &ExtractArgs, listing: &Listing) -> Listing {
    match (args.precision, &args.ranges) {
        (PrecisionArg::Float32 | PrecisionArg::Float16, _) | (_, Some(_)) => Listing::default(),
        (PrecisionArg::Int8, None) => {
            let samples = spread(listing.rows()).into_iter().map(|row| listing.sample(row));
            Listing::of(Path::new(""), samples, listing.columns().to_vec())
        }
    }
}

/// The ranges over `pictures`, all their views; none where a signal stopped it.
fn measure(
    mut probe: RangeProbe,
    (settled, interrupt): (&Settled, &Interrupt),
    pictures: &Listing,
) -> anyhow::Result<Option<Calibration>> {
    let rows: Vec<usize> = (0..pictures.rows()).collect();
    let bar = progress::bar("calibrating", rows.len(), "pictures");
    let mut digests: Vec<(usize, Digest)> = Vec::new();
    let model = probe.model.clone();
    run_pass(&settled.pass(&model, interrupt), pictures, &rows, |finished| {
        bar.inc(1);
        let Finished { row, digest, features, .. } = finished;
        // A picture that cannot be used is skipped when its turn comes.
        if let (Ok(features), Some(digest)) = (features, digest)
            && probe.widen(&features)
        {
            digests.push((row, digest));
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    if interrupt.caught().is_some() {
        return Ok(None);
    }
    if digests.is_empty() {
        bail!(
            "--precision int8 needs pictures to measure, and none of {} can be used: they cannot be read, or the \
             network's numbers on them are not finite",
            rows.len()
        );
    }
    digests.sort_unstable_by_key(|(row, _)| *row);
    let bytes: Vec<u8> = digests.iter().flat_map(|(_, digest)| digest.0).collect();
    let ranges = probe.finish()?;
    Ok(Some(Calibration { pictures: digests.len(), pictures_sha256: Digest::of(&bytes), ranges }))
}

/// Rows of up to [`PICTURES`] pictures, at even distances.
fn spread(total: usize) -> Vec<usize> {
    let count = total.min(PICTURES);
    (0..count).map(|index| index * total / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_pictures_are_spread_over_the_whole_listing() {
        assert!(spread(0).is_empty());
        assert_eq!(spread(3), [0, 1, 2]);
        let rows = spread(1000);
        assert_eq!((rows.len(), rows[0], rows[1], rows[127]), (PICTURES, 0, 7, 992));
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
