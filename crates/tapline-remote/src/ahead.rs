//! Objects fetched ahead of the work, in its order: requests are out before the bytes are wanted, within a bound of bytes.
//!
//! A body is read once there is room for all of it, or once somebody waits for it: so that what is held never exceeds the
//! bound by more than one object for each that waits, and nobody waits for room that another holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, GetResult};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::objects::{other_length, strong};
use crate::stores::Target;
use crate::{Fault, Remote};

/// How often a wait looks whether it should be given up.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// How long an answer waits for room before it is let go, and asked for again once there is: servers drop whoever does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Objects that are asked for and not yet taken, however small they are.
const AHEAD: usize = 32;

/// What is to be fetched.
pub struct Order {
    /// The objects, in the order in which they will be taken, more or less.
    pub objects: Vec<Wanted>,
    /// The most bytes to hold, objects that somebody waits for aside.
    pub bytes_in_flight: u64,
    /// The most bytes of one object.
    pub max_bytes: u64,
}

/// An object, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub url: Arc<str>,
    /// The bytes that are wanted; all where it is absent.
    pub range: Option<Range<u64>>,
    /// The version that is wanted, where its source tells versions apart (an entity tag).
    pub version: Option<Arc<str>>,
}

impl From<Arc<str>> for Wanted {
    fn from(url: Arc<str>) -> Self {
        Self { url, range: None, version: None }
    }
}

impl Wanted {
    /// What is asked of a client.
    pub(crate) fn options(&self) -> GetOptions {
        GetOptions {
            range: self.range.clone().map(GetRange::Bounded),
            if_match: self.version.as_deref().map(str::to_owned),
            ..GetOptions::default()
        }
    }
}

/// The bytes that were asked for, if these are not all.
pub(crate) fn part(options: &GetOptions) -> Option<Range<u64>> {
    match &options.range {
        Some(GetRange::Bounded(range)) => Some(range.clone()),
        _ => None,
    }
}

/// The bytes of an object, or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Which version of the object they are of, where its source tells (an entity tag).
    pub version: Option<Arc<str>>,
}

impl Fetched {
    fn len(fetched: &Result<Self, Fault>) -> u64 {
        fetched.as_ref().map_or(0, |fetched| fetched.bytes.len() as u64)
    }
}

/// Objects on their way; dropping it ends the fetching.
pub struct Ahead {
    shared: Arc<Shared>,
    driver: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    /// Wakes those that wait for room.
    taken: Notify,
    bytes_in_flight: u64,
    max_bytes: u64,
    retries: usize,
}

#[derive(Default)]
struct State {
    /// Bytes that were let in and not yet taken.
    held: u64,
    /// Positions that were asked for and not yet taken.
    open: BTreeSet<usize>,
    /// Positions that somebody waits for.
    wanted: BTreeSet<usize>,
    arrived: BTreeMap<usize, Result<Fetched, Fault>>,
    /// Positions that nobody will take, and that are not yet behind.
    forgotten: BTreeSet<usize>,
    /// The most bytes ever held.
    peak: u64,
}

impl Remote {
    /// Begins to fetch.
    ///
    /// # Errors
    /// Where a URL cannot be used.
    pub fn fetch(&self, order: Order) -> Result<Ahead, Fault> {
        let target = |wanted: &Wanted| Ok((self.target(&wanted.url)?, wanted.options()));
        let targets = order.objects.iter().map(target).collect::<Result<Vec<_>, Fault>>()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            arrived: Condvar::new(),
            taken: Notify::new(),
            bytes_in_flight: order.bytes_in_flight,
            max_bytes: order.max_bytes,
            retries: self.config.retries,
        });
        let driver = self.runtime.spawn(drive(shared.clone(), targets));
        Ok(Ahead { shared, driver })
    }
}

impl Ahead {
    /// Waits for the object at a position of the order; each can be taken once. `give_up` is asked now and then.
    ///
    /// # Errors
    /// Why the object cannot be had; [`Fault::GivenUp`] where `give_up` says so.
    pub fn take(&self, position: usize, give_up: &dyn Fn() -> bool) -> Result<Fetched, Fault> {
        let mut state = self.shared.lock();
        loop {
            if let Some(arrived) = state.arrived.remove(&position) {
                state.open.remove(&position);
                state.wanted.remove(&position);
                state.held -= Fetched::len(&arrived);
                drop(state);
                self.shared.taken.notify_waiters();
                return arrived;
            }
            if give_up() {
                state.wanted.remove(&position);
                return Err(Fault::GivenUp);
            }
            if state.wanted.insert(position) {
                self.shared.taken.notify_waiters();
            }
            let waited = self.shared.arrived.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
    }

    /// Lets go of objects that nobody will take: what has come makes room, what has not been asked for is not.
    pub fn forget(&self, positions: Range<usize>) {
        let mut state = self.shared.lock();
        for position in positions {
            match state.arrived.remove(&position) {
                Some(arrived) => {
                    state.open.remove(&position);
                    state.held -= Fetched::len(&arrived);
                }
                None => drop(state.forgotten.insert(position)),
            }
        }
        drop(state);
        self.shared.taken.notify_waiters();
    }

    /// The most bytes that were held at a time.
    pub fn peak(&self) -> u64 {
        self.shared.lock().peak
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // The tasks belong to the driver and end with it.
        self.driver.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether enough was asked for, and nobody waits for what comes at `position` or behind it.
    fn is_full(&self, position: usize) -> bool {
        let state = self.lock();
        state.open.len() >= AHEAD && state.wanted.last().is_none_or(|&wanted| wanted < position)
    }

    /// Whether nobody will take the object at a position; asked once, when its turn comes.
    fn is_forgotten(&self, position: usize) -> bool {
        let mut state = self.lock();
        let is_forgotten = state.forgotten.remove(&position);
        if is_forgotten {
            state.open.remove(&position);
        }
        is_forgotten
    }

    /// Waits for room for `bytes` of the object at `position`; they are held from then on.
    async fn let_in(&self, position: usize, bytes: u64) -> Result<(), Fault> {
        if bytes > self.max_bytes {
            return Err(Fault::TooLarge { bytes, max_bytes: self.max_bytes });
        }
        loop {
            let taken = self.taken.notified();
            if self.admit(position, bytes) {
                return Ok(());
            }
            if self.lock().forgotten.contains(&position) {
                return Err(Fault::GivenUp);
            }
            tokio::time::timeout(GLANCE, taken).await.ok();
        }
    }

    /// Gives back room that is not needed after all.
    fn give_back(&self, bytes: u64) {
        self.lock().held -= bytes;
        self.taken.notify_waiters();
    }

    /// Whether there is room for `bytes` of the object at `position`; they are held from then on.
    fn admit(&self, position: usize, bytes: u64) -> bool {
        let mut state = self.lock();
        if state.held + bytes > self.bytes_in_flight && !state.wanted.contains(&position) {
            return false;
        }
        state.held += bytes;
        state.peak = state.peak.max(state.held);
        true
    }
}

/// Asks for objects in order, a few more than are read at a time.
async fn drive(shared: Arc<Shared>, targets: Vec<(Target, GetOptions)>) {
    let mut tasks = JoinSet::new();
    for (position, target) in targets.into_iter().enumerate() {
        while shared.is_full(position) {
            let taken = shared.taken.notified();
            if !shared.is_full(position) {
                break;
            }
            tokio::time::timeout(GLANCE, taken).await.ok();
        }
        while tasks.try_join_next().is_some() {}
        if shared.is_forgotten(position) {
            continue;
        }
        shared.lock().open.insert(position);
        let shared = shared.clone();
        tasks.spawn(async move {
            let (fetched, admitted) = fetch(&shared, position, target).await;
            let mut state = shared.lock();
            // A failed body gives back the room it was let in with.
            if state.forgotten.remove(&position) {
                state.open.remove(&position);
                state.held -= admitted;
            } else {
                state.held -= admitted - Fetched::len(&fetched);
                state.arrived.insert(position, fetched);
            }
            drop(state);
            shared.arrived.notify_all();
            shared.taken.notify_waiters();
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// One object, and the bytes of room it was let in with.
async fn fetch(
    shared: &Shared,
    position: usize,
    (target, options): (Target, GetOptions),
) -> (Result<Fetched, Fault>, u64) {
    let part = part(&options);
    let mut admitted = 0;
    // Clients refuse to ask for nothing.
    if part.as_ref().is_some_and(Range::is_empty) {
        return (Ok(Fetched { bytes: Vec::new(), version: options.if_match.map(Arc::from) }), 0);
    }
    // Where the size is known no source is kept waiting.
    if let Some(part) = &part {
        admitted = part.end - part.start;
        if let Err(fault) = shared.let_in(position, admitted).await {
            return (Err(fault), 0);
        }
    }
    let (answer, bytes) = loop {
        let answer = match target.store.get_opts(&target.path, options.clone()).await {
            Ok(answer) => answer,
            Err(error) => return (Err(target.fault(part.as_ref(), shared.retries, &error)), admitted),
        };
        if part.as_ref().is_some_and(|part| *part != answer.range) {
            return (Err(Fault::Changed { url: target.url.to_string() }), admitted);
        }
        let bytes = answer.range.end - answer.range.start;
        // Let in before, unless it is another object by now.
        if admitted == bytes {
            break (answer, bytes);
        }
        shared.give_back(admitted);
        let mut room = pin!(shared.let_in(position, bytes));
        let (entry, kept) = match tokio::time::timeout(PATIENCE, &mut room).await {
            Ok(entry) => (entry, Some(answer)),
            Err(_) => {
                drop(answer);
                (room.await, None)
            }
        };
        if let Err(fault) = entry {
            return (Err(fault), 0);
        }
        admitted = bytes;
        if let Some(answer) = kept {
            break (answer, bytes);
        }
    };
    let version = strong(answer.meta.e_tag.clone());
    match body(answer, bytes).await {
        Ok(body) if body.len() as u64 == bytes => (Ok(Fetched { bytes: body, version }), admitted),
        Ok(body) => (Err(other_length(&target, shared.retries, (body.len() as u64, bytes))), admitted),
        Err(error) => (Err(target.fault(part.as_ref(), shared.retries, &error)), admitted),
    }
}

/// The body of an answer that announced so many bytes; of one that does not end there, a piece more.
pub(crate) async fn body(answer: GetResult, bytes: u64) -> object_store::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    let mut pieces = answer.into_stream();
    while let Some(piece) = pieces.try_next().await? {
        body.extend_from_slice(&piece);
        if body.len() as u64 > bytes {
            break;
        }
    }
    Ok(body)
}
