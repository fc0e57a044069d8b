//! The way of the pictures: read, hash, decode, preprocess, run, and hand rows to the one thread that stores them.
//!
//! A worker whose session has one thread takes its pictures from file to rows without a hand-off; one whose session has more, or
//! a GPU, decodes on all cores, and where there are several such, decoding and the network overlap. On a GPU several workers share
//! a session: while the pictures of one are in the network, another decodes.
//! Rows do not depend on which worker made them or on what else was in the batch.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::Builder;

use anyhow::bail;
use rayon::prelude::*;
use tapline_core::{Bits, Decode, Digest, Listing, Preprocess, Sharing, Stamp, TapInfo, Views};
use tapline_image::{Limits, Scratch, decode_for, preprocess_views};
use tapline_onnx::{Device, Extractor, Runtime, TappedModel};

use crate::cells::Picture;
use crate::interrupt::Interrupt;
use crate::reading::{Reader, Sources};

/// Bytes of rows that may wait while the one thread that stores them waits for the disk; those of one pass may in any case.
const WAITING: usize = 64 << 20;
/// The most passes whose rows wait, however small these are.
const WAITING_PASSES: usize = 1024;
/// Bytes of page-locked memory for pictures, of all workers together; beyond it they take ordinary memory.
const LOCKED: usize = 1 << 30;

/// Workers that share a session of a GPU.
const SHARERS: usize = 3;
/// Workers that decode on all cores at a time: two, of which one takes up the cores that the other's last pictures leave idle. Were
/// they more, their passes would be full at the same time, and the cores idle until the GPU has done with all of them.
const DECODING: usize = 2;
/// Pictures, or views of them, that are decoded on all cores in one go, however small a pass is, as long as they take no more than
/// so many bytes.
const AT_LEAST: (usize, usize) = (32, 64 << 20);

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
    /// Which bits of 16-bit samples are used.
    pub bits: Bits,
    /// How many sessions there are, the threads of each, and pictures, or views of them, per pass.
    pub sharing: Sharing,
    /// After a signal no further picture is begun.
    pub interrupt: &'a Interrupt,
}

impl Pass<'_> {
    /// Numbers of one picture's input, `[views, channels, height, width]`.
    fn values(&self) -> usize {
        self.views.count() * self.preprocess.values()
    }

    /// Whether a worker does all of its pictures by itself, on one core.
    fn is_alone(&self) -> bool {
        self.sharing.threads == 1
    }

    /// Pictures of a pass: as many as fill it with their views, so that memory is bounded by it or by one picture's views.
    fn step(&self) -> usize {
        (self.sharing.batch / self.views.count()).max(1)
    }

    /// Pictures a worker takes at a time: those of a pass, or where all cores decode them, of as many passes as keep these busy and
    /// leave some to the other workers.
    fn claim(&self, rows: usize) -> usize {
        let step = self.step();
        if self.is_alone() {
            return step;
        }
        let (least, bytes) = AT_LEAST;
        let wanted = (least / self.views.count()).min(bytes / (self.values() * size_of::<f32>()).max(1));
        let share = rows.div_ceil(self.sharing.sessions.max(1) * self.sharers());
        step * wanted.min(share).div_ceil(step).max(1)
    }

    /// Workers that share a session.
    fn sharers(&self) -> usize {
        match self.device {
            Device::Cpu => 1,
            Device::Cuda(_) => SHARERS,
        }
    }

    /// How many passes' rows may wait to be stored.
    fn waiting(&self) -> usize {
        let row: usize = self.model.taps.iter().map(|tap| tap.features).sum();
        let pass = self.step() * self.views.count() * row * size_of::<f32>();
        (WAITING / pass.max(1)).clamp(1, WAITING_PASSES)
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
    /// How many bits its samples use, of a picture with 16 for each.
    pub depth: Option<Bits>,
    /// Whether its file holds more pictures.
    pub has_more: bool,
    /// For each tap of the model its features `[views, features]`, or why there are none.
    pub features: Result<Vec<Vec<f32>>, String>,
}

/// Runs `rows` of a listing through the network and hands each finished picture to `take`, in any order. After a signal it
/// returns when the pictures in flight are finished.
///
/// # Errors
/// The first error of `take` or of a session; workers stop at their next batch.
pub fn run_pass(
    pass: &Pass,
    listing: &Listing,
    rows: &[usize],
    mut take: impl FnMut(Finished) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let claims = Claims {
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        rows,
        size: pass.claim(rows.len()),
        turns: Turns::new(DECODING),
    };
    let reader = pass.sources.reader(listing, rows, (pass.limits.max_bytes, pass.interrupt))?;
    let workers = (pass.sharing.sessions * pass.sharers()).clamp(1, rows.len().div_ceil(claims.size).max(1));
    let is_locked = workers * claims.size * pass.values() * size_of::<f32>() <= LOCKED;
    let sessions: Vec<Session> = (0..workers.div_ceil(pass.sharers())).map(|_| Session::default()).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<Finished>>(pass.waiting());
        let mut handles = Vec::new();
        for worker in 0..workers {
            let (sender, claims, reader) = (sender.clone(), &claims, &reader);
            let session = &sessions[worker % sessions.len()];
            let spawned = Builder::new().spawn_scoped(scope, move || {
                let stops = StopOnFailure(claims);
                let done = work(pass, (session, is_locked), (reader, claims), &sender);
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
        let stored = receiver.into_iter().flatten().try_for_each(&mut take);
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
    /// How many are taken at a time.
    size: usize,
    /// For those who decode on all cores, taken before rows are: who waits for a turn must not hold what is fetched next.
    turns: Turns,
}

impl Claims<'_> {
    fn claim(&self) -> Option<&[usize]> {
        let first = self.next.fetch_add(self.size, Ordering::Relaxed);
        if first >= self.rows.len() || self.is_stopped() {
            return None;
        }
        Some(&self.rows[first..self.rows.len().min(first + self.size)])
    }

    /// Whether another worker has failed.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A number of turns that any worker may take.
struct Turns {
    left: Mutex<usize>,
    given_back: Condvar,
}

impl Turns {
    fn new(count: usize) -> Self {
        Self { left: Mutex::new(count), given_back: Condvar::new() }
    }

    /// Takes a turn, which is given back when it is dropped.
    fn take(&self) -> Turn<'_> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.given_back.wait_while(left, |left| *left == 0).unwrap_or_else(PoisonError::into_inner);
        *left -= 1;
        Turn(self)
    }
}

/// A turn that somebody has.
struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// A session, loaded by the first worker that needs it, or why it could not be.
#[derive(Default)]
struct Session(Mutex<Option<Result<Extractor, String>>>);

impl Session {
    /// Does `work` on it while no other worker does.
    fn with<T>(&self, pass: &Pass, work: impl FnOnce(&mut Extractor) -> anyhow::Result<T>) -> anyhow::Result<T> {
        // After a panic in a pass the run ends.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = slot.get_or_insert_with(|| {
            Extractor::load(pass.model, pass.runtime, pass.device, &pass.sharing)
                .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        });
        match loaded {
            Ok(extractor) => work(extractor),
            Err(cause) => bail!("{cause}"),
        }
    }
}

fn work(
    pass: &Pass,
    (session, is_locked): (&Session, bool),
    (reader, claims): (&Reader, &Claims),
    sender: &SyncSender<Vec<Finished>>,
) -> anyhow::Result<()> {
    let (values, step) = (pass.values(), pass.step());
    let inputs = claims.size.min(claims.rows.len()) * pass.views.count();
    let mut pictures = session.with(pass, |extractor| Ok(extractor.memory_for(inputs, is_locked)))?;
    let mut scratch = Scratch::default();
    loop {
        let turn = (!pass.is_alone()).then(|| claims.turns.take());
        let (Some(rows), None) = (claims.claim(), pass.interrupt.caught()) else { return Ok(()) };
        let slots = &mut pictures[..rows.len() * values];
        // None where a signal ended the wait for a picture.
        let read: Option<Vec<Read>> = if pass.is_alone() {
            let each = rows.iter().zip(slots.chunks_mut(values));
            each.map(|(&row, slot)| read_guarded(pass, (reader, row), slot, &mut scratch))
                .collect::<anyhow::Result<_>>()?
        } else {
            let each = rows.par_iter().zip(slots.par_chunks_mut(values));
            each.map_init(Scratch::default, |scratch, (&row, slot)| read_guarded(pass, (reader, row), slot, scratch))
                .collect::<anyhow::Result<_>>()?
        };
        drop(turn);
        let Some(mut read) = read else { return Ok(()) };
        for (rows, slots) in rows.chunks(step).zip(slots.chunks_mut(step * values)) {
            let finished = run_batch(session, pass, rows, slots, read.drain(..rows.len()).collect())?;
            if sender.send(finished).is_err() {
                return Ok(());
            }
            if pass.interrupt.caught().is_some() || claims.is_stopped() {
                return Ok(());
            }
        }
    }
}

/// A picture that was read: its stamp and digest, and whether its slot holds it.
#[derive(Default)]
struct Read {
    stamp: Option<Stamp>,
    digest: Option<Digest>,
    depth: Option<Bits>,
    has_more: bool,
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
        Ok(Some(Read { fault: Some(panicked(&*cause)), ..Read::default() }))
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
        Err(fault) => return Read { fault: Some(fault), ..Read::default() },
        Ok(bytes) => bytes,
    };
    let digest = Digest::of(&bytes);
    match decode_for(&bytes, pass.limits, (pass.preprocess, pass.views), (pass.decode, pass.bits)) {
        Ok(picture) => {
            preprocess_views((&picture, &digest), (pass.preprocess, pass.views), scratch, slot);
            Read { stamp, digest: Some(digest), depth: picture.depth, has_more: picture.has_more, fault: None }
        }
        Err(error) => Read { stamp, digest: Some(digest), fault: Some(chain(&error)), ..Read::default() },
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
    session: &Session,
    pass: &Pass,
    rows: &[usize],
    slots: &mut [f32],
    read: Vec<Read>,
) -> anyhow::Result<Vec<Finished>> {
    let values = pass.values();
    let mut good = 0;
    for (index, _) in read.iter().enumerate().filter(|(_, r)| r.fault.is_none()) {
        if index != good {
            slots.copy_within(index * values..(index + 1) * values, good * values);
        }
        good += 1;
    }
    let mut outputs = vec![Vec::new(); pass.model.taps.len()];
    for items in slots[..good * values].chunks(pass.sharing.batch * pass.preprocess.values()) {
        session.with(pass, |extractor| Ok(extractor.run(items, &mut outputs)?))?;
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
        let Read { stamp, digest, depth, has_more, .. } = read;
        Finished { row, stamp, digest, depth, has_more, features }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_have_a_turn_than_there_are_and_all_get_one() {
        let turns = Turns::new(2);
        let (having, most, had) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let turn = turns.take();
                        most.fetch_max(1 + having.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        std::thread::yield_now();
                        having.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                        had.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!((most.into_inner(), had.into_inner()), (2, 400));
    }
}
