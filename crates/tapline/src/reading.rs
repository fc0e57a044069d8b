//! Reading the pictures of a run, wherever they lie: files and shards when their turn comes, objects behind URLs ahead of it.
//!
//! The machinery for URLs is started only where a listing holds one.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{anyhow, bail};
use tapline_core::{
    Digest, Listing, OpenTar, Place, RemoteTar, Sample, Stamp, Stamps, expand_url, hash_all_by, is_parquet_url,
    is_tar_url, is_url, objects_listing, scan_all, tars_listing,
};
use tapline_remote::{Ahead, Config, Fault, Order, Remote, Wanted};

use crate::args::ExtractArgs;
use crate::interrupt::Interrupt;
use crate::progress::bar;

/// Tar files behind URLs that are indexed at a time.
const INDEXED_AT_ONCE: usize = 8;

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
        let typed = args.pictures.iter().filter_map(|path| path.to_str().filter(|text| is_url(text)));
        let typed: Vec<&str> = typed.collect();
        let listing = if typed.is_empty() {
            scan_all(&args.pictures)?
        } else {
            let remote = sources.remote.insert(Remote::new(config.clone())?);
            let mut urls = Vec::new();
            for typed in &typed {
                urls.extend(expand_url(typed)?);
            }
            if let Some(url) = urls.iter().find(|url| is_parquet_url(url)) {
                return Err(not_read(url));
            }
            match (&urls[..], typed.len() == args.pictures.len()) {
                (urls, true) if urls.iter().all(|url| is_tar_url(url)) => {
                    let named = |url: &String| RemoteTar { name: url.into(), url: url.as_str().into() };
                    tars(remote, &urls.iter().map(named).collect::<Vec<_>>())?
                }
                ([prefix], true) => below(remote, prefix)?,
                _ => bail!(
                    "{} is a URL, and several sources were given: give tar files or one prefix, or list all in a CSV file",
                    typed[0]
                ),
            }
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
        let (rows, objects): (Vec<usize>, Vec<Wanted>) = wanted(&listing.samples, 0..listing.samples.len()).unzip();
        let mut digests = hash_all_by(listing, &hash, &|_| progress(0));
        let hashed = remote.hash(&objects, &mut |done| progress(done).is_continue())?;
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
        let (remote, objects): (Vec<usize>, Vec<Wanted>) = wanted(samples, rows.iter().copied()).unzip();
        let positions = remote.into_iter().enumerate().map(|(position, row)| (row, position)).collect();
        let order = Order { objects, bytes_in_flight: self.prefetch_bytes, max_bytes };
        let ahead = self.remote.as_ref().map(|remote| remote.fetch(order)).transpose()?;
        Ok(Reader { samples, max_bytes, interrupt, positions, ahead })
    }
}

/// Rows whose pictures lie behind URLs.
fn wanted(samples: &[Sample], rows: impl Iterator<Item = usize>) -> impl Iterator<Item = (usize, Wanted)> {
    rows.filter_map(|row| match &samples[row].place {
        Place::Url(url) => Some((row, url.clone().into())),
        Place::Part { url, offset, bytes, version } => {
            let range = Some(*offset..offset + bytes);
            Some((row, Wanted { url: url.clone(), range, version: version.clone() }))
        }
        _ => None,
    })
}

fn not_read(url: &str) -> anyhow::Error {
    anyhow!("{url} is a Parquet file, which is not read behind a URL: copy it to a disk first")
}

/// The pictures below a prefix, or where it has tar files and no pictures, those in the tar files.
fn below(remote: &Remote, prefix: &str) -> anyhow::Result<Listing> {
    let mut objects = remote.list(prefix)?;
    objects.retain(|object| !object.name.split('/').any(|part| part.starts_with('.')));
    let shards: Vec<RemoteTar> = objects
        .iter()
        .filter(|object| is_tar_url(&object.url))
        .map(|object| RemoteTar { name: (&object.name).into(), url: object.url.as_str().into() })
        .collect();
    let parquet = objects.iter().map(|object| object.url.clone()).find(|url| is_parquet_url(url));
    let each = objects.into_iter().map(|object| (object.name, Place::Url(object.url.into())));
    match (objects_listing(Path::new(prefix.trim_end_matches('/')), each), parquet) {
        (Err(tapline_core::Error::EmptyFolder { .. }), Some(url)) => Err(not_read(&url)),
        (Err(tapline_core::Error::EmptyFolder { .. }), None) if !shards.is_empty() => tars(remote, &shards),
        (listing, _) => Ok(listing?),
    }
}

/// The pictures of tar files, whose indexes are read now.
fn tars(remote: &Remote, tars: &[RemoteTar]) -> anyhow::Result<Listing> {
    let open = |url: &str| {
        let file = remote.file(url).map_err(io::Error::other)?;
        let (bytes, version) = (file.bytes(), file.version());
        Ok(OpenTar { reader: file, bytes, version })
    };
    let bar = bar("indexing", tars.len(), "shards");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(INDEXED_AT_ONCE).build()?;
    let listing = pool.install(|| tars_listing(tars, &open, &|| bar.inc(1)));
    bar.finish_and_clear();
    listing.map_err(|error| match &error {
        tapline_core::Error::Read { source, .. } => match Fault::inside(source) {
            Some(fault) => fault.clone().into(),
            None => error.into(),
        },
        _ => error.into(),
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
