//! Pictures in the cells of Parquet files behind URLs: a row group's bytes come ahead of the work in blocks, and its pictures
//! are taken out of them in order, whichever of the workers needs the next one.
//!
//! Pages cannot be entered in the middle, and bytes should come once. So whoever is ahead of others keeps for them what it
//! passes, which is no more than the workers have in hand.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapline_core::{CellStream, Holder, NextBlock, PictureTable};
use tapline_remote::{Ahead, Fault, Wanted};

use crate::interrupt::Interrupt;

/// Bytes that are asked for at a time.
const BLOCK: u64 = 4 << 20;

/// A picture's bytes, or why there are none.
pub type Picture = Result<Vec<u8>, String>;

/// The pictures of one row group that a pass wants.
pub struct Group {
    table: Arc<PictureTable>,
    index: usize,
    /// The positions of its blocks in the order of objects.
    blocks: Range<usize>,
    supply: Arc<Supply>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rows of the file that are wanted and were not yet read.
    rows: HashSet<usize>,
    stream: Option<CellStream>,
    /// Pictures that were read before their turn, by their row.
    passed: HashMap<usize, Picture>,
    end: Option<End>,
    /// Whether the blocks that are left were let go.
    is_done: bool,
}

/// Its blocks on their way from the source to the stream.
struct Supply {
    /// The position of the block that comes next.
    next: AtomicUsize,
    /// What the source said, where it gave none.
    fault: Mutex<Option<Fault>>,
}

/// Why no more pictures come.
#[derive(Clone)]
enum End {
    /// What the pictures that are left are skipped with.
    Unreadable(String),
    /// What ends the run.
    Fault(Fault),
}

/// Where the file behind a URL is that holds a cell; none where it is a file of this machine.
pub fn remote(table: &PictureTable) -> Option<(&Arc<str>, &Option<Arc<str>>)> {
    match table.holder() {
        Holder::Url { url, version } => Some((url, version)),
        Holder::File { .. } => None,
    }
}

impl Group {
    /// Puts what it takes at the end of the `order`, in blocks of at most `max_bytes`. The rows that are wanted follow by
    /// [`Group::want`].
    pub fn new(table: &Arc<PictureTable>, index: usize, order: &mut Vec<Wanted>, max_bytes: u64) -> Self {
        let first = order.len();
        let mut state = State::default();
        match (table.range(index), remote(table)) {
            (Ok(range), Some((url, version))) => {
                let step = BLOCK.min(max_bytes).max(1);
                let mut at = range.start;
                while at < range.end {
                    let end = range.end.min(at.saturating_add(step));
                    order.push(Wanted { url: url.clone(), range: Some(at..end), version: version.clone() });
                    at = end;
                }
            }
            (Err(why), _) => state.end = Some(End::Unreadable(format!("cannot be read: {why}"))),
            (_, None) => {}
        }
        let supply = Supply { next: AtomicUsize::new(first), fault: Mutex::default() };
        let (table, blocks) = (table.clone(), first..order.len());
        Self { table, index, blocks, supply: Arc::new(supply), state: Mutex::new(state) }
    }

    /// Wants a row.
    pub fn want(&self, row: usize) {
        self.lock().rows.insert(row);
    }

    /// The picture of a row that is wanted, once; none after a signal.
    ///
    /// # Errors
    /// Where the source is dead or refuses its credentials, or the file changed, which concerns all pictures.
    pub fn read(
        &self,
        row: usize,
        (ahead, interrupt): (&Arc<Ahead>, &Interrupt),
        max_bytes: u64,
    ) -> Result<Option<Picture>, Fault> {
        let mut state = self.lock();
        while state.rows.contains(&row) && state.end.is_none() {
            if let Err(why) = self.advance(&mut state, (ahead, interrupt), max_bytes) {
                state.end = Some(self.end(why));
            }
        }
        if (state.rows.is_empty() || state.end.is_some()) && !state.is_done {
            (state.is_done, state.stream) = (true, None);
            ahead.forget(self.supply.next.load(Ordering::Relaxed)..self.blocks.end);
        }
        match (state.passed.remove(&row), state.end.clone()) {
            (Some(picture), _) => Ok(Some(picture)),
            (None, Some(End::Unreadable(why))) => Ok(Some(Err(why))),
            (None, Some(End::Fault(Fault::GivenUp))) => Ok(None),
            (None, Some(End::Fault(fault))) => Err(fault),
            (None, None) => unreachable!("each row is wanted, and read once"),
        }
    }

    /// Reads the next row of the file, and keeps it where it is wanted.
    fn advance(
        &self,
        state: &mut State,
        (ahead, interrupt): (&Arc<Ahead>, &Interrupt),
        max_bytes: u64,
    ) -> Result<(), String> {
        let stream = match &mut state.stream {
            Some(stream) => stream,
            empty => empty.insert(self.table.stream(self.index, self.next_block(ahead.clone(), interrupt.clone()))?),
        };
        let row = stream.next_row();
        let rest = |why: String| format!("{why} (row {row}, and with it the rest of its row group)");
        let picture = stream.read_next(max_bytes).map_err(rest)?;
        if state.rows.remove(&row) {
            state.passed.insert(row, picture);
        }
        Ok(())
    }

    /// What brings the blocks, one after the other.
    fn next_block(&self, ahead: Arc<Ahead>, interrupt: Interrupt) -> NextBlock {
        let (supply, end) = (self.supply.clone(), self.blocks.end);
        Box::new(move || {
            let position = supply.next.load(Ordering::Relaxed);
            if position == end {
                return Ok(Vec::new());
            }
            let block = ahead.take(position, &|| interrupt.caught().is_some()).map_err(|fault| {
                let message = io::Error::other(fault.to_string());
                *supply.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                message
            })?;
            supply.next.store(position + 1, Ordering::Relaxed);
            Ok(block.bytes)
        })
    }

    /// What it means that no picture can be read: what the source said, where it said anything.
    fn end(&self, why: String) -> End {
        match self.supply.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(fault) => End::Fault(fault),
            None => End::Unreadable(why),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
