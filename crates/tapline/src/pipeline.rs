//! The way of the pictures: read, hash, decode, preprocess, run, and hand rows to the one thread that stores them.
//!
//! On the processor every worker owns a single-threaded session and takes its pictures from file to rows without a
//! hand-off; on a GPU a few workers decode in parallel and take turns on the device, so that decoding and the network
//! overlap. Rows do not depend on which worker made them or on what else was in the batch.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rayon::prelude::*;
use tapline_core::{Digest, Preprocess, Sample};
use tapline_image::{Limits, Scratch, decode, preprocess};
use tapline_onnx::{Device, Extractor, Runtime, TappedModel};

/// Everything a pass over pictures needs; checked before the first picture is read.
pub struct Pass<'a> {
    /// The runtime.
    pub runtime: &'a Runtime,
    /// Where to run.
    pub device: Device,
    /// The tapped network.
    pub model: &'a TappedModel,
    /// What is done to each picture.
    pub preprocess: &'a Preprocess,
    /// Bounds on decoding.
    pub limits: &'a Limits,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Pictures per pass of the network, at least 1.
    pub batch: usize,
}

/// What became of one picture.
pub struct Finished {
    /// Its row in the listing.
    pub row: usize,
    /// The digest of its bytes, where they could be read.
    pub digest: Option<Digest>,
    /// One vector of features for each tap of the model, or why there are none.
    pub features: Result<Vec<Vec<f32>>, String>,
}

/// Runs `rows` of `samples` through the network and hands each finished picture to `take`, in any order.
///
/// # Errors
/// The first error of a session or of `take`; workers stop at their next picture.
pub fn run_pass(
    pass: &Pass,
    samples: &[Sample],
    rows: &[usize],
    mut take: impl FnMut(Finished) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let workers = pass.workers.clamp(1, rows.len().div_ceil(pass.batch).max(1));
    let claims = Claims { next: &next, stop: &stop, rows };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(2 * workers * pass.batch);
        let handles: Vec<_> = (0..workers)
            .map(|_| {
                let sender = sender.clone();
                let claims = &claims;
                scope.spawn(move || {
                    let done = work(pass, samples, claims, &sender);
                    if done.is_err() {
                        claims.stop.store(true, Ordering::Relaxed);
                    }
                    done
                })
            })
            .collect();
        drop(sender);
        let stored = drain(receiver, &mut take);
        if stored.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        let worked: Vec<anyhow::Result<()>> =
            handles.into_iter().map(|h| h.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect();
        stored?;
        worked.into_iter().collect()
    })
}

fn drain(receiver: Receiver<Finished>, take: &mut impl FnMut(Finished) -> anyhow::Result<()>) -> anyhow::Result<()> {
    // Leaving drops the receiver, so that no worker waits for room in the channel.
    receiver.into_iter().try_for_each(take)
}

/// The rows still to be taken, shared by all workers.
struct Claims<'a> {
    next: &'a AtomicUsize,
    stop: &'a AtomicBool,
    rows: &'a [usize],
}

impl Claims<'_> {
    fn claim(&self, batch: usize) -> Option<&[usize]> {
        let first = self.next.fetch_add(batch, Ordering::Relaxed);
        if first >= self.rows.len() || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        Some(&self.rows[first..self.rows.len().min(first + batch)])
    }
}

fn work(pass: &Pass, samples: &[Sample], claims: &Claims, sender: &SyncSender<Finished>) -> anyhow::Result<()> {
    let threads = if pass.device == Device::Cpu { 1 } else { 0 };
    let mut extractor = Extractor::load(pass.model, pass.runtime, pass.device, threads)?;
    let values = pass.preprocess.values();
    let mut pictures = vec![0.0; pass.batch * values];
    let mut scratch = Scratch::default();
    while let Some(rows) = claims.claim(pass.batch) {
        let slots = &mut pictures[..rows.len() * values];
        let read: Vec<Read> = if pass.device == Device::Cpu {
            let each = rows.iter().zip(slots.chunks_mut(values));
            each.map(|(&row, slot)| read_picture(pass, &samples[row].file, slot, &mut scratch)).collect()
        } else {
            let each = rows.par_iter().zip(slots.par_chunks_mut(values));
            each.map_init(Scratch::default, |scratch, (&row, slot)| {
                read_picture(pass, &samples[row].file, slot, scratch)
            })
            .collect()
        };
        for finished in run_batch(&mut extractor, pass, rows, slots, read)? {
            if sender.send(finished).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A picture that was read: its digest, and whether its slot holds it.
struct Read {
    digest: Option<Digest>,
    fault: Option<String>,
}

fn read_picture(pass: &Pass, file: &Path, slot: &mut [f32], scratch: &mut Scratch) -> Read {
    let bytes = match read_bounded(file, pass.limits) {
        Ok(bytes) => bytes,
        Err(fault) => return Read { digest: None, fault: Some(fault) },
    };
    let digest = Some(Digest::of(&bytes));
    match decode(&bytes, pass.limits) {
        Ok(picture) => {
            preprocess(&picture, pass.preprocess, scratch, slot);
            Read { digest, fault: None }
        }
        Err(error) => Read { digest, fault: Some(chain(&error)) },
    }
}

fn read_bounded(file: &Path, limits: &Limits) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = std::fs::metadata(file).map_err(failed)?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.len() > limits.max_bytes {
        return Err(format!("has {} bytes, more than the limit of {}", metadata.len(), limits.max_bytes));
    }
    std::fs::read(file).map_err(failed)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Runs the pictures that could be read, closed up to the front of `slots`, and pairs rows with pictures again.
fn run_batch(
    extractor: &mut Extractor,
    pass: &Pass,
    rows: &[usize],
    slots: &mut [f32],
    read: Vec<Read>,
) -> anyhow::Result<Vec<Finished>> {
    let values = pass.preprocess.values();
    let mut good = 0;
    for (index, _) in read.iter().enumerate().filter(|(_, r)| r.fault.is_none()) {
        slots.copy_within(index * values..(index + 1) * values, good * values);
        good += 1;
    }
    let mut outputs = vec![Vec::new(); pass.model.taps.len()];
    if good > 0 {
        extractor.run(&slots[..good * values], &mut outputs)?;
    }
    let mut taken = 0;
    let finished = rows.iter().zip(read).map(|(&row, read)| {
        let features = match read.fault {
            Some(fault) => Err(fault),
            None => {
                taken += 1;
                Ok(features_of(pass.model, &outputs, taken - 1))
            }
        };
        Finished { row, digest: read.digest, features }
    });
    Ok(finished.collect())
}

fn features_of(model: &TappedModel, outputs: &[Vec<f32>], index: usize) -> Vec<Vec<f32>> {
    model.taps.iter().zip(outputs).map(|(tap, rows)| rows[index * tap.features..][..tap.features].to_vec()).collect()
}
