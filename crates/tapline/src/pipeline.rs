//! The way of the pictures: read, hash, decode, preprocess, run, and hand rows to the one thread that stores them.
//!
//! A worker whose session has one thread takes its pictures from file to rows without a hand-off; one whose session has more, or
//! a GPU, decodes on all cores, and where there are several such, decoding and the network overlap.
//! Rows do not depend on which worker made them or on what else was in the batch.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use anyhow::bail;
use rayon::prelude::*;
use tapline_core::{Decode, Digest, Preprocess, Sample, Sharing, Stamp, TapInfo, Views};
use tapline_image::{Limits, Scratch, decode_for, preprocess_views};
use tapline_onnx::{Device, Extractor, Runtime, TappedModel};

use crate::cells::Picture;
use crate::interrupt::Interrupt;
use crate::reading::{Reader, Sources};

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
    /// Which views of it the network sees.
    pub views: Views,
    /// What reads them.
    pub sources: &'a Sources,
    /// Bounds on decoding.
    pub limits: &'a Limits,
    /// How much of each picture is decoded.
    pub decode: Decode,
    /// How many workers there are, each with a session, the threads of a session, and pictures, or views of them, per pass.
    pub sharing: Sharing,
    /// After a signal no further picture is begun.
    pub interrupt: &'a Interrupt,
}

impl Pass<'_> {
    /// Numbers of one picture's input, `[views, channels, height, width]`.
    fn values(&self) -> usize {
        self.views.count() * self.preprocess.values()
    }

    /// Pictures a worker takes at a time: as many as fill a pass with their views, so that memory is bounded by a pass or
    /// by one picture's views.
    fn claim(&self) -> usize {
        (self.sharing.batch / self.views.count()).max(1)
    }
}

/// What became of one picture.
pub struct Finished {
    /// Its row in the listing.
    pub row: usize,
    /// How its file looked before it was read, where that says something.
    pub stamp: Option<Stamp>,
    /// The digest of its bytes, where they could be read.
    pub digest: Option<Digest>,
    /// For each tap of the model its features `[views, features]`, or why there are none.
    pub features: Result<Vec<Vec<f32>>, String>,
}

/// Runs `rows` of `samples` through the network and hands each finished picture to `take`, in any order. After a signal it
/// returns when the pictures in flight are finished.
///
/// # Errors
/// The first error of `take` or of a session; workers stop at their next batch.
pub fn run_pass(
    pass: &Pass,
    samples: &[Sample],
    rows: &[usize],
    mut take: impl FnMut(Finished) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let claims = Claims { next: AtomicUsize::new(0), stop: AtomicBool::new(false), rows };
    let reader = pass.sources.reader(samples, rows, (pass.limits.max_bytes, pass.interrupt))?;
    let workers = pass.sharing.sessions.clamp(1, rows.len().div_ceil(pass.claim()).max(1));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(2 * workers * pass.claim().min(rows.len()));
        let mut handles = Vec::new();
        for _ in 0..workers {
            let (sender, claims, reader) = (sender.clone(), &claims, &reader);
            let spawned = Builder::new().spawn_scoped(scope, move || {
                let stops = StopOnFailure(claims);
                let done = work(pass, reader, claims, &sender);
                if done.is_ok() {
                    std::mem::forget(stops);
                }
                done
            });
            // Fewer workers than asked for do the same work; none is an error.
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(error) if handles.is_empty() => return Err(error.into()),
                Err(_) => break,
            }
        }
        drop(sender);
        // The receiver is gone when this returns, so that no worker waits for room in the channel.
        let stored = receiver.into_iter().try_for_each(&mut take);
        if stored.is_err() {
            claims.stop.store(true, Ordering::Relaxed);
        }
        let worked: Vec<anyhow::Result<()>> = handles.into_iter().map(|handle| joined(handle.join())).collect();
        stored?;
        worked.into_iter().collect()
    })
}

fn joined(joined: std::thread::Result<anyhow::Result<()>>) -> anyhow::Result<()> {
    joined.unwrap_or_else(|_| {
        bail!("a worker stopped on an internal error (see above); run again, finished rows are kept")
    })
}

/// Tells the other workers to stop when one ends otherwise than well, a panic included.
struct StopOnFailure<'a>(&'a Claims<'a>);

impl Drop for StopOnFailure<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// The rows still to be taken, shared by all workers.
struct Claims<'a> {
    next: AtomicUsize,
    stop: AtomicBool,
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

fn work(pass: &Pass, reader: &Reader, claims: &Claims, sender: &SyncSender<Finished>) -> anyhow::Result<()> {
    let mut extractor = Extractor::load(pass.model, pass.runtime, pass.device, &pass.sharing)?;
    let values = pass.values();
    let mut pictures = vec![0.0; pass.claim().min(claims.rows.len()) * values];
    let mut scratch = Scratch::default();
    while let (Some(rows), None) = (claims.claim(pass.claim()), pass.interrupt.caught()) {
        let slots = &mut pictures[..rows.len() * values];
        // None where a signal ended the wait for a picture.
        let read: Option<Vec<Read>> = if pass.sharing.threads == 1 {
            let each = rows.iter().zip(slots.chunks_mut(values));
            each.map(|(&row, slot)| read_guarded(pass, (reader, row), slot, &mut scratch))
                .collect::<anyhow::Result<_>>()?
        } else {
            let each = rows.par_iter().zip(slots.par_chunks_mut(values));
            each.map_init(Scratch::default, |scratch, (&row, slot)| read_guarded(pass, (reader, row), slot, scratch))
                .collect::<anyhow::Result<_>>()?
        };
        let Some(read) = read else { return Ok(()) };
        for finished in run_batch(&mut extractor, pass, rows, slots, read)? {
            if sender.send(finished).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A picture that was read: its stamp and digest, and whether its slot holds it.
struct Read {
    stamp: Option<Stamp>,
    digest: Option<Digest>,
    fault: Option<String>,
}

/// As `read_picture`, a panic turned into a reason to skip: one picture must not end a run of thousands.
fn read_guarded(
    pass: &Pass,
    (reader, row): (&Reader, usize),
    slot: &mut [f32],
    scratch: &mut Scratch,
) -> anyhow::Result<Option<Read>> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        injected_panic(reader.path(row));
        Ok(reader.read(row)?.map(|read| read_picture(pass, read, slot, scratch)))
    }));
    read.unwrap_or_else(|cause| {
        // What the panic left half done is not used again.
        *scratch = Scratch::default();
        Ok(Some(Read { stamp: None, digest: None, fault: Some(panicked(&*cause)) }))
    })
}

/// The reason to skip a picture whose reading panicked.
fn panicked(cause: &dyn Any) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message").replace('\n', " ");
    format!("an internal error stopped the work on it ({text}): please report it with the picture")
}

/// Where a test makes the work on a picture panic; programs built for use have nothing here.
#[cfg(debug_assertions)]
fn injected_panic(picture: &str) {
    if std::env::var("TAPLINE_TEST_PANIC").is_ok_and(|path| path == picture) {
        panic!("on purpose");
    }
}

#[cfg(not(debug_assertions))]
fn injected_panic(_: &str) {}

/// Decodes what was read into its slot.
fn read_picture(
    pass: &Pass,
    (stamp, picture): (Option<Stamp>, Picture),
    slot: &mut [f32],
    scratch: &mut Scratch,
) -> Read {
    let bytes = match picture {
        Err(fault) => return Read { stamp: None, digest: None, fault: Some(fault) },
        Ok(bytes) => bytes,
    };
    let digest = Digest::of(&bytes);
    match decode_for(&bytes, pass.limits, (pass.preprocess, pass.views), pass.decode) {
        Ok(picture) => {
            preprocess_views((&picture, &digest), (pass.preprocess, pass.views), scratch, slot);
            Read { stamp, digest: Some(digest), fault: None }
        }
        Err(error) => Read { stamp, digest: Some(digest), fault: Some(chain(&error)) },
    }
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
///
/// Views are to the network what pictures are, so that how many there are of each changes no pass's size.
fn run_batch(
    extractor: &mut Extractor,
    pass: &Pass,
    rows: &[usize],
    slots: &mut [f32],
    read: Vec<Read>,
) -> anyhow::Result<Vec<Finished>> {
    let values = pass.values();
    let mut good = 0;
    for (index, _) in read.iter().enumerate().filter(|(_, r)| r.fault.is_none()) {
        slots.copy_within(index * values..(index + 1) * values, good * values);
        good += 1;
    }
    let mut outputs = vec![Vec::new(); pass.model.taps.len()];
    for items in slots[..good * values].chunks(pass.sharing.batch * pass.preprocess.values()) {
        extractor.run(items, &mut outputs)?;
    }
    let mut taken = 0;
    let finished = rows.iter().zip(read).map(|(&row, read)| {
        let features = match read.fault {
            Some(fault) => Err(fault),
            None => {
                taken += 1;
                Ok(features_of(pass, &outputs, taken - 1))
            }
        };
        Finished { row, stamp: read.stamp, digest: read.digest, features }
    });
    Ok(finished.collect())
}

/// The features of all views of the picture at `index`.
fn features_of(pass: &Pass, outputs: &[Vec<f32>], index: usize) -> Vec<Vec<f32>> {
    let of_tap = |(tap, rows): (&TapInfo, &Vec<f32>)| {
        let values = pass.views.count() * tap.features;
        rows[index * values..][..values].to_vec()
    };
    pass.model.taps.iter().zip(outputs).map(of_tap).collect()
}
