//! Pillow's resampling of 8-bit pictures, to the bit, for the part of the result that is kept.
//!
//! Written out here because faster libraries differ: fast_image_resize filters columns before rows, so that clipping
//! falls elsewhere (up to 27 of 255 off with bicubic on photographs). Source: Pillow, `Resample.c`, 8-bit case; only
//! weights and pixels outside the kept part are skipped, no kept value changes.

use std::f64::consts::PI;

use tapline_core::Interpolation;

use crate::geometry::Axis;

/// Fraction bits of a weight: 32 less 8 for a sample less 2 for sums of weights beyond 1 (`PRECISION_BITS`).
const PRECISION: u32 = 32 - 8 - 2;

/// Buffers that survive from picture to picture.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// One source row, filtered along x: `[keep, channels]`.
    line: Vec<u8>,
    /// Weighted sums of lines: `[keep rows, keep columns, channels]`.
    sums: Vec<i32>,
    /// The result, `[keep rows, keep columns, channels]`.
    kept: Vec<u8>,
}

/// What is resized: rows of pixels, from the first pixel of a picture or of a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// From the first pixel to the end of the picture.
    pixels: &'a [u8],
    /// Pixels from one row to the next: the picture's width.
    stride: usize,
    /// 1 or 3.
    channels: usize,
}

impl<'a> Source<'a> {
    /// The part that begins at `left`, `top` of a picture `[height, width, 1 or 3]`.
    pub(crate) fn within(pixels: &'a [u8], (width, height): (u32, u32), (left, top): (usize, usize)) -> Self {
        let (width, height) = (width as usize, height as usize);
        let channels = pixels.len() / (width * height);
        Self { pixels: &pixels[(top * width + left) * channels..], stride: width, channels }
    }

    /// The first `width` pixels of a row.
    #[inline(always)]
    fn row(&self, y: usize, width: usize) -> &'a [u8] {
        let start = y * self.stride * self.channels;
        &self.pixels[start..start + width * self.channels]
    }
}

/// Resizes `pixels` `[y.from, x.from, 1 or 3]` and keeps a window of it, `[y.keep, x.keep, 1 or 3]`.
pub(crate) fn resample<'a>(
    pixels: &[u8],
    (x, y): (Axis, Axis),
    interpolation: Interpolation,
    buffers: &'a mut Buffers,
) -> &'a [u8] {
    let source = Source { pixels, stride: x.from, channels: pixels.len() / (x.from * y.from) };
    resample_part(&source, (x, y), interpolation, buffers)
}

/// The same of a part `[y.from, x.from, 1 or 3]` of a picture, as if no pixel lay around it.
pub(crate) fn resample_part<'a>(
    source: &Source,
    (x, y): (Axis, Axis),
    interpolation: Interpolation,
    buffers: &'a mut Buffers,
) -> &'a [u8] {
    buffers.kept.clear();
    let (filter, support): (fn(f64) -> f64, f64) = match interpolation {
        Interpolation::Nearest => {
            nearest(source, (x, y), &mut buffers.kept);
            return &buffers.kept;
        }
        Interpolation::Box => (box_filter, 0.5),
        Interpolation::Bilinear => (triangle, 1.0),
        Interpolation::Bicubic => (cubic, 2.0),
        Interpolation::Lanczos => (lanczos, 3.0),
    };
    let (columns, rows) = (Weights::new(x, filter, support), Weights::new(y, filter, support));
    match source.channels {
        1 => filter_both::<1>(source, &columns, &rows, buffers),
        _ => filter_both::<3>(source, &columns, &rows, buffers),
    }
    buffers.kept.extend(buffers.sums.iter().map(|&sum| clip(sum)));
    &buffers.kept
}

/// Which source positions make up each kept position, and how much of each.
struct Weights {
    /// Source positions in all.
    from: usize,
    /// First source position and number of positions, never decreasing in start and end.
    bounds: Vec<(usize, usize)>,
    /// `stride` numbers per kept position, in units of 2^-PRECISION, zeros at the end: about `2 · support · from` in
    /// all where a side shrinks, 24 MB for the longest side that is decoded.
    values: Vec<i32>,
    stride: usize,
}

impl Weights {
    /// `w(x) = f((x − c + ½) / s)`, normalised, with `c = (i + ½) · from / to` and `s = max(1, from / to)`
    /// (`precompute_coeffs` and `normalize_coeffs_8bpc`).
    fn new(axis: Axis, filter: fn(f64) -> f64, support: f64) -> Self {
        let scale = axis.from as f64 / axis.to as f64;
        let stretch = scale.max(1.0);
        let (support, shrink) = (support * stretch, 1.0 / stretch);
        let stride = support.ceil() as usize * 2 + 1;
        let (mut bounds, mut values) = (Vec::with_capacity(axis.keep), Vec::with_capacity(axis.keep * stride));
        let mut exact = Vec::with_capacity(stride);
        for i in axis.start..axis.start + axis.keep as u64 {
            let centre = (i as f64 + 0.5) * scale;
            let start = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(axis.from);
            exact.clear();
            exact.extend((start..end).map(|x| filter((x as f64 - centre + 0.5) * shrink)));
            // Not `iter().sum()`, which starts from −0: the order and start are Pillow's.
            let total = exact.iter().fold(0.0, |sum, w| sum + w);
            values.extend(exact.iter().map(|w| fixed(if total == 0.0 { *w } else { w / total })));
            values.resize(values.len() + stride - exact.len(), 0);
            bounds.push((start, exact.len()));
        }
        Self { from: axis.from, bounds, values, stride }
    }
}

/// Filters rows, then columns, leaving the weighted sums in `buffers.sums`.
fn filter_both<const C: usize>(source: &Source, columns: &Weights, rows: &Weights, buffers: &mut Buffers) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the one requirement of the function is AVX2, which this processor was just found to have.
        return unsafe { filter_both_avx2::<C>(source, columns, rows, buffers) };
    }
    filter_both_plain::<C>(source, columns, rows, buffers);
}

/// The same code, compiled for processors with AVX2: twice as fast, same integers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn filter_both_avx2<const C: usize>(source: &Source, columns: &Weights, rows: &Weights, buffers: &mut Buffers) {
    filter_both_plain::<C>(source, columns, rows, buffers);
}

/// One source row at a time, so that memory does not grow with the picture's height.
#[inline(always)]
fn filter_both_plain<const C: usize>(source: &Source, columns: &Weights, rows: &Weights, buffers: &mut Buffers) {
    let row_len = columns.bounds.len() * C;
    let Buffers { line, sums, .. } = buffers;
    line.resize(row_len, 0);
    sums.clear();
    sums.resize(row_len * rows.bounds.len(), 1 << (PRECISION - 1));
    let (first, last) = (rows.bounds[0], rows.bounds[rows.bounds.len() - 1]);
    let mut done = 0;
    for y in first.0..last.0 + last.1 {
        filter_row::<C>(source.row(y, columns.from), columns, line);
        while rows.bounds[done].0 + rows.bounds[done].1 <= y {
            done += 1;
        }
        for i in done..rows.bounds.len() {
            let start = rows.bounds[i].0;
            if start > y {
                break;
            }
            let weight = rows.values[i * rows.stride + y - start];
            for (sum, &sample) in sums[i * row_len..(i + 1) * row_len].iter_mut().zip(line.iter()) {
                *sum += i32::from(sample) * weight;
            }
        }
    }
}

/// One row of `[width, C]`, filtered along x.
#[inline(always)]
fn filter_row<const C: usize>(row: &[u8], columns: &Weights, line: &mut [u8]) {
    let weights = columns.values.chunks_exact(columns.stride);
    for ((&(start, count), weights), out) in columns.bounds.iter().zip(weights).zip(line.chunks_exact_mut(C)) {
        let mut sums = [1 << (PRECISION - 1); C];
        for (pixel, &weight) in row[start * C..(start + count) * C].chunks_exact(C).zip(weights) {
            for c in 0..C {
                sums[c] += i32::from(pixel[c]) * weight;
            }
        }
        for c in 0..C {
            out[c] = clip(sums[c]);
        }
    }
}

/// The source pixel at `⌊(i + ½) · from / to⌋`, the position summed up step by step (Pillow, `ImagingScaleAffine`).
fn nearest(source: &Source, (x, y): (Axis, Axis), out: &mut Vec<u8>) {
    let (columns, rows) = (nearest_positions(x), nearest_positions(y));
    for row in rows {
        let row = source.row(row, x.from);
        for &column in &columns {
            out.extend_from_slice(&row[column * source.channels..(column + 1) * source.channels]);
        }
    }
}

fn nearest_positions(axis: Axis) -> Vec<usize> {
    let step = axis.from as f64 / axis.to as f64;
    let mut position = add_repeatedly(step * 0.5, step, axis.start);
    let mut positions = Vec::with_capacity(axis.keep);
    for _ in 0..axis.keep {
        positions.push((position as usize).min(axis.from - 1));
        position += step;
    }
    positions
}

/// `start + step + … + step`, rounded after each of `count` additions of a positive step, in a few leaps.
///
/// Between two powers of two all floats are equally far apart, so a step adds the same number of these distances every
/// time; only a tie, rounded to even, may make the first of them differ. Hence two equal steps foretell the rest.
fn add_repeatedly(start: f64, step: f64, count: u64) -> f64 {
    /// Floats from one power of two to the next; the bits of positive floats count them.
    const BINADE: u64 = 1 << (f64::MANTISSA_DIGITS - 1);
    let (mut sum, mut left, mut before) = (start, count, None);
    while left > 0 {
        let next = sum + step;
        left -= 1;
        let stays = sum.to_bits() / BINADE == next.to_bits() / BINADE;
        let distance = next.to_bits() - sum.to_bits();
        sum = next;
        if stays && before == Some(distance) {
            let room = BINADE - 1 - sum.to_bits() % BINADE;
            let leap = room.checked_div(distance).map_or(left, |steps| steps.min(left));
            sum = f64::from_bits(sum.to_bits() + leap * distance);
            left -= leap;
        }
        before = stays.then_some(distance);
    }
    sum
}

/// A weight in units of 2^-PRECISION, halves away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn box_filter(x: f64) -> f64 {
    if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    let x = x * PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Interpolation; 5] = [
        Interpolation::Nearest,
        Interpolation::Box,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
    ];

    fn whole(from: usize, to: u64) -> Axis {
        Axis { from, to, start: 0, keep: to as usize }
    }

    /// A picture of `[height, width, channels]` that no filter leaves unchanged.
    fn scene(width: usize, height: usize, channels: usize) -> Vec<u8> {
        (0..width * height * channels).map(|i| (i * i / 7 + i * 31) as u8).collect()
    }

    #[test]
    fn the_kept_window_equals_the_same_window_of_the_whole() {
        let mut buffers = Buffers::default();
        for filter in FILTERS {
            for (w, h, to_w, to_h) in [(31, 17, 23, 40), (5, 90, 16, 288), (64, 48, 16, 12), (1, 7, 9, 63)] {
                for channels in [1, 3] {
                    let pixels = scene(w, h, channels);
                    let all = resample(&pixels, (whole(w, to_w), whole(h, to_h)), filter, &mut buffers).to_vec();
                    let x = Axis { from: w, to: to_w, start: 2, keep: 6 };
                    let y = Axis { from: h, to: to_h, start: 3, keep: 7 };
                    let part = resample(&pixels, (x, y), filter, &mut buffers);
                    for row in 0..7 {
                        let at = ((row + 3) * to_w as usize + 2) * channels;
                        let expected = &all[at..at + 6 * channels];
                        assert_eq!(&part[row * 6 * channels..][..6 * channels], expected, "{filter:?} {w}×{h}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let mut buffers = Buffers::default();
        for filter in FILTERS {
            let pixels = scene(13, 9, 3);
            let out = resample(&pixels, (whole(13, 13), whole(9, 9)), filter, &mut buffers);
            assert_eq!(out, pixels, "{filter:?}");
        }
    }

    #[test]
    fn a_constant_picture_stays_constant() {
        let mut buffers = Buffers::default();
        for filter in FILTERS {
            for level in [0, 1, 127, 255] {
                let out = resample(&[level; 77], (whole(11, 29), whole(7, 3)), filter, &mut buffers);
                assert_eq!(out, [level; 29 * 3], "{filter:?} {level}");
            }
        }
    }

    #[test]
    fn processors_with_and_without_wide_vectors_agree() {
        let pixels = scene(301, 97, 3);
        let columns = Weights::new(whole(301, 101), cubic, 2.0);
        let rows = Weights::new(whole(97, 33), cubic, 2.0);
        let (mut a, mut b) = (Buffers::default(), Buffers::default());
        let source = Source { pixels: &pixels, stride: 301, channels: 3 };
        filter_both::<3>(&source, &columns, &rows, &mut a);
        filter_both_plain::<3>(&source, &columns, &rows, &mut b);
        assert_eq!(a.sums, b.sums);
    }

    #[test]
    fn leaps_end_where_single_steps_end() {
        let one_by_one = |start: f64, step: f64, count: u64| (0..count).fold(start, |sum, _| sum + step);
        let mut random = 2026_u64;
        let mut below = |n: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1 + (random >> 33) % n
        };
        for _ in 0..2000 {
            let step = below(1_000_000) as f64 / below(30_000_000) as f64;
            let count = below(20_000);
            let (found, expected) = (add_repeatedly(step * 0.5, step, count), one_by_one(step * 0.5, step, count));
            assert_eq!(found.to_bits(), expected.to_bits(), "{count} steps of {step}");
        }
        // Steps that end in half a distance of the sums: every addition is a tie.
        for step in [1.0, 3.0, 5.0, 7.0].map(|odd| odd * f64::EPSILON / 2.0) {
            for start in [1.0, 1.0 + f64::EPSILON, 0.5] {
                let (found, expected) = (add_repeatedly(start, step, 5000), one_by_one(start, step, 5000));
                assert_eq!(found.to_bits(), expected.to_bits(), "{start} and steps of {step:e}");
            }
        }
        assert_eq!(add_repeatedly(0.25, 0.5, 0), 0.25);
    }

    #[test]
    fn the_longest_strip_is_no_slower_than_its_window() {
        let started = std::time::Instant::now();
        let y = Axis { from: 1_000_000, to: 16_384_000_000, start: 8_191_999_888, keep: 224 };
        let positions = nearest_positions(y);
        assert!(positions.iter().all(|row| row.abs_diff(500_000) < 10), "{positions:?}");
        assert!(started.elapsed().as_secs() < 1, "took {:?}", started.elapsed());
    }

    #[test]
    fn weights_of_the_longest_side_fit_in_a_few_megabytes() {
        for to in [1, 224, 4096] {
            let weights = Weights::new(whole(1_000_000, to), lanczos, 3.0);
            assert!(weights.values.len() * size_of::<i32>() < 25_000_000, "{} weights", weights.values.len());
        }
    }

    #[test]
    fn a_strip_needs_no_more_memory_than_its_window() {
        let mut buffers = Buffers::default();
        let y = Axis { from: 1_000_000, to: 256_000_000, start: 127_999_888, keep: 224 };
        let x = Axis { from: 1, to: 256, start: 16, keep: 224 };
        let out = resample(&vec![9; 1_000_000], (x, y), Interpolation::Bicubic, &mut buffers);
        assert_eq!(out, vec![9; 224 * 224]);
        assert!(buffers.line.len() + buffers.sums.len() < 100_000);
    }
}
