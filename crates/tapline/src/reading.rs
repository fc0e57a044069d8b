//! Reading the pictures of a run, wherever they lie: files and shards when their turn comes, objects behind URLs ahead of it.
//!
//! The machinery for URLs is started only where a listing holds one.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use tapline_core::{Digest, Listing, Place, Sample, Stamp, Stamps, hash_all_by, is_url, objects_listing, scan_all};
use tapline_remote::{Ahead, Config, Fault, Order, Remote};

use crate::args::ExtractArgs;
use crate::interrupt::Interrupt;

/// What pictures are read with.
pub struct Sources {
    remote: Option<Remote>,
    prefetch_bytes: u64,
}

impl Sources {
    /// The pictures that were typed, and what reads them.
    pub fn scan(args: &ExtractArgs) -> anyhow::Result<(Listing, Self)> {
        let config = Config { environment: std::env::vars().collect(), retries: args.retries.into() };
        let mut sources = Self { remote: None, prefetch_bytes: args.prefetch_bytes };
        let typed: Vec<&str> =
            args.pictures.iter().filter_map(|path| path.to_str().filter(|text| is_url(text))).collect();
        let listing = match (&typed[..], args.pictures.len()) {
            ([], _) => scan_all(&args.pictures)?,
            ([prefix], 1) => {
                let remote = Remote::new(config.clone())?;
                let objects = remote.list(prefix)?;
                sources.remote = Some(remote);
                let each = objects.into_iter().map(|object| (object.name, Place::Url(object.url.into())));
                objects_listing(Path::new(prefix.trim_end_matches('/')), each)?
            }
            _ => bail!(
                "{} is a URL, and several sources were given: give one prefix, or list all in a CSV file",
                typed[0]
            ),
        };
        if sources.remote.is_none() && listing.samples.iter().any(|sample| matches!(sample.place, Place::Url(_))) {
            sources.remote = Some(Remote::new(config)?);
        }
        Ok((listing, sources))
    }

    /// The digests of all pictures, none where one cannot be read; those that `stamps` vouch for are not read. `progress` is
    /// told how many are hashed.
    ///
    /// # Errors
    /// Where a source behind URLs is dead or refuses its credentials.
    pub fn hash(
        &self,
        (listing, stamps): (&Listing, &Stamps),
        progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
    ) -> anyhow::Result<Vec<Option<Digest>>> {
        let hash = |row: usize, place: &Place| stamps.digest(row, place);
        let Some(remote) = &self.remote else { return Ok(hash_all_by(listing, &hash, progress)) };
        let (rows, urls): (Vec<usize>, Vec<Arc<str>>) = urls(&listing.samples, 0..listing.samples.len()).unzip();
        let mut digests = hash_all_by(listing, &hash, &|_| progress(0));
        let hashed = remote.hash(&urls, &mut |done| progress(done).is_continue())?;
        rows.into_iter().zip(hashed).for_each(|(row, digest)| digests[row] = digest);
        Ok(digests)
    }

    /// A reader of `rows`, which are taken nearly in this order; objects are on their way from now on.
    pub fn reader<'a>(
        &self,
        samples: &'a [Sample],
        rows: &[usize],
        (max_bytes, interrupt): (u64, &'a Interrupt),
    ) -> anyhow::Result<Reader<'a>> {
        let (remote, urls): (Vec<usize>, Vec<Arc<str>>) = urls(samples, rows.iter().copied()).unzip();
        let positions = remote.into_iter().enumerate().map(|(position, row)| (row, position)).collect();
        let order = Order { urls, bytes_in_flight: self.prefetch_bytes, max_bytes };
        let ahead = self.remote.as_ref().map(|remote| remote.fetch(order)).transpose()?;
        Ok(Reader { samples, max_bytes, interrupt, positions, ahead })
    }
}

fn urls(samples: &[Sample], rows: impl Iterator<Item = usize>) -> impl Iterator<Item = (usize, Arc<str>)> {
    rows.filter_map(|row| match &samples[row].place {
        Place::Url(url) => Some((row, url.clone())),
        _ => None,
    })
}

/// Reads the pictures of a pass.
pub struct Reader<'a> {
    samples: &'a [Sample],
    max_bytes: u64,
    interrupt: &'a Interrupt,
    /// Where each row stands in the order of objects.
    positions: HashMap<usize, usize>,
    ahead: Option<Ahead>,
}

impl Reader<'_> {
    /// What the listing calls the picture of a row.
    pub fn path(&self, row: usize) -> &str {
        &self.samples[row].path
    }

    /// The stamp of a row's picture, to be taken before it is read.
    pub fn stamp(&self, row: usize) -> Option<Stamp> {
        Stamp::of(&self.samples[row].place)
    }

    /// The bytes of a row's picture, or why there are none; none at all where a signal ended the wait for them.
    ///
    /// # Errors
    /// Where a source behind URLs is dead or refuses its credentials, which concerns all pictures.
    pub fn read(&self, row: usize) -> anyhow::Result<Option<Result<Vec<u8>, String>>> {
        let (Some(ahead), Some(&position)) = (&self.ahead, self.positions.get(&row)) else {
            return Ok(Some(self.samples[row].place.read(self.max_bytes)));
        };
        match ahead.take(position, &|| self.interrupt.caught().is_some()) {
            Ok(bytes) => Ok(Some(Ok(bytes))),
            Err(Fault::GivenUp) => Ok(None),
            Err(fault) if fault.concerns_one_picture() => Ok(Some(Err(fault.to_string()))),
            Err(fault) => Err(fault.into()),
        }
    }
}
