//! Reading the pictures of a run, wherever they lie: files and shards when their turn comes, objects behind URLs ahead of it.
//!
//! The machinery for URLs is started only where a listing holds one.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use tapline_core::{
    Digest, Indexes, Listing, OpenShard, PictureTable, Place, RemoteShard, Stamp, Stamps, expand_url, hash_all_by,
    is_shard_url, is_url, objects_listing, scan_all, shards_listing,
};
use tapline_remote::{Ahead, Config, Fault, Fetched, Hashed, Object, Order, Remote, Wanted};

use crate::args::ExtractArgs;
use crate::cells::{Group, Picture, remote};
use crate::interrupt::Interrupt;
use crate::missing::hinted;
use crate::progress::bar;

/// Shards behind URLs that are indexed at a time.
const INDEXED_AT_ONCE: usize = 8;

/// What pictures are read with.
pub struct Sources {
    remote: Option<Remote>,
    prefetch_bytes: u64,
    /// Of the tar files behind URLs.
    indexes: Indexes,
}

impl Sources {
    /// The pictures that were typed, and what reads them.
    pub fn scan(args: &ExtractArgs) -> anyhow::Result<(Listing, Self)> {
        // Nothing that a source needs is other than text, and variables of other programs may be.
        let texts =
            std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        let config = Config { environment: texts.collect(), retries: args.retries.into() };
        let mut sources = Self {
            remote: None,
            prefetch_bytes: args.prefetch_bytes,
            indexes: Indexes::read(&args.store, !args.verify),
        };
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
            match (&urls[..], typed.len() == args.pictures.len()) {
                (urls, true) if urls.iter().all(|url| is_shard_url(url)) => {
                    let named = |url: &String| RemoteShard { name: url.into(), url: url.as_str().into() };
                    shards(remote, (&urls.iter().map(named).collect::<Vec<_>>(), &sources.indexes))?
                }
                ([prefix], true) => below(remote, (prefix, &sources.indexes))?,
                _ => bail!(
                    "{} is a URL, and several sources were given: give shards or one prefix, or list all in a CSV file",
                    typed[0]
                ),
            }
        };
        if sources.remote.is_none() && (0..listing.rows()).any(|row| matches!(listing.place(row), Place::Url { .. })) {
            sources.remote = Some(Remote::new(config)?);
        }
        Ok((listing, sources))
    }

    /// Keeps in a store what the next run need not look for again.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_indexes(&self, store: &Path) -> Result<(), tapline_core::Error> {
        self.indexes.write(store)
    }

    /// The digests of all pictures, none where one cannot be read; those that `stamps` vouch for are not read. `progress` is
    /// told how many are hashed.
    ///
    /// # Errors
    /// Where a source behind URLs is dead or refuses its credentials.
    pub fn hash(
        &self,
        (listing, stamps): (&Listing, &Stamps),
        interrupt: &Interrupt,
        progress: &(dyn Fn(usize) + Sync),
    ) -> anyhow::Result<Vec<Option<Digest>>> {
        let on = |done: usize| {
            progress(done);
            interrupt.flow()
        };
        let hash = |row: usize, place: &Place| stamps.digest(row, place);
        let Some(remote) = &self.remote else { return Ok(hash_all_by(listing, &hash, &on)) };
        let mut digests = hash_all_by(listing, &hash, &|_| on(0));
        let go_on = || interrupt.flow().is_continue();
        // What stands alone in a table has no version yet.
        let unsure = (0..listing.rows()).filter(|&row| digests[row].is_none() && stamps.has(row));
        let (rows, urls): (Vec<usize>, Vec<Wanted>) =
            unsure.filter_map(|row| unversioned(row, &listing.place(row))).unzip();
        let mut vouch = |position: usize, version: Option<Arc<str>>| {
            let row: usize = rows[position];
            digests[row] = version.and_then(|version| stamps.vouched(row, Stamp::of_version(&version)));
        };
        remote.versions(&urls, &mut vouch, &go_on)?;
        let unknown: Vec<usize> = (0..listing.rows()).filter(|&row| digests[row].is_none()).collect();
        let known = listing.rows() - unknown.len();
        let (rows, objects): (Vec<usize>, Vec<Wanted>) =
            unknown.iter().filter_map(|&row| Some((row, object(&listing.place(row))?))).unzip();
        let mut note = |position: usize, hashed: Option<Hashed>| {
            let row: usize = rows[position];
            let (digest, version) = hashed.unzip();
            stamps.note(row, came(&listing.place(row), version.flatten().as_deref()), digest);
            digests[row] = digest;
            progress(known + position + 1);
        };
        remote.hash(&objects, &mut note, &go_on)?;
        let cells: Vec<usize> = unknown.into_iter().filter(|&row| cell(&listing.place(row)).is_some()).collect();
        let reader = self.reader(listing, &cells, (u64::MAX, interrupt))?;
        for (done, row) in cells.into_iter().enumerate() {
            let Some((stamp, picture)) = reader.read(row)? else { break };
            let digest = picture.ok().map(|bytes| Digest::of(&bytes));
            stamps.note(row, stamp, digest);
            digests[row] = digest;
            if on(known + rows.len() + done + 1).is_break() {
                break;
            }
        }
        Ok(digests)
    }

    /// A reader of `rows`, which are taken nearly in this order; objects are on their way from now on.
    pub fn reader<'a>(
        &self,
        listing: &'a Listing,
        rows: &[usize],
        (max_bytes, interrupt): (u64, &'a Interrupt),
    ) -> anyhow::Result<Reader<'a>> {
        let (mut objects, mut groups, mut sources) = (Vec::new(), Vec::new(), HashMap::new());
        let mut known: HashMap<(*const PictureTable, usize), usize> = HashMap::new();
        for &row in rows {
            if let Some(object) = object(&listing.place(row)) {
                sources.insert(row, Source::Object(objects.len()));
                objects.push(object);
            } else if let Some((table, cell)) = cell(&listing.place(row)) {
                let index = table.group(cell);
                let group = *known.entry((Arc::as_ptr(table), index)).or_insert_with(|| {
                    groups.push(Group::new(table, index, &mut objects, max_bytes));
                    groups.len() - 1
                });
                groups[group].want(cell);
                sources.insert(row, Source::Cell(group, cell));
            }
        }
        let order = Order { objects, bytes_in_flight: self.prefetch_bytes, max_bytes };
        let ahead = self.remote.as_ref().map(|remote| remote.fetch(order)).transpose()?.map(Arc::new);
        Ok(Reader { listing, max_bytes, interrupt, sources, groups, ahead })
    }
}

/// What is fetched for a picture alone.
fn object(place: &Place) -> Option<Wanted> {
    match place {
        // Whatever version there is by then is a picture, too.
        Place::Url { url, .. } => Some(url.clone().into()),
        Place::Part { url, offset, bytes, version } => {
            let range = Some(*offset..offset + bytes);
            Some(Wanted { url: url.clone(), range, version: version.clone() })
        }
        _ => None,
    }
}

/// The row and the object of a picture behind a URL whose version was not told when it was listed.
fn unversioned(row: usize, place: &Place) -> Option<(usize, Wanted)> {
    match place {
        Place::Url { url, version: None } => Some((row, url.clone().into())),
        _ => None,
    }
}

/// The stamp of a picture of which this version came.
fn came(place: &Place, version: Option<&str>) -> Option<Stamp> {
    match place {
        Place::Url { .. } => version.map(Stamp::of_version),
        // A part of the version that was indexed.
        _ => Stamp::of(place),
    }
}

/// The cell of a Parquet file behind a URL that holds a picture.
fn cell(place: &Place) -> Option<(&Arc<PictureTable>, usize)> {
    match place {
        Place::Cell { table, row } if remote(table).is_some() => Some((table, *row)),
        _ => None,
    }
}

/// The pictures below a prefix, or where it has shards and no pictures, those in the shards.
fn below(remote: &Remote, (prefix, indexes): (&str, &Indexes)) -> anyhow::Result<Listing> {
    let mut objects = remote.list(prefix)?;
    objects.retain(|object| !object.name.split('/').any(|part| part.starts_with('.')));
    let found: Vec<RemoteShard> = objects
        .iter()
        .filter(|object| is_shard_url(&object.url))
        .map(|object| RemoteShard { name: (&object.name).into(), url: object.url.as_str().into() })
        .collect();
    let place = |object: Object| (object.name, Place::Url { url: object.url.into(), version: object.version });
    let each = objects.into_iter().map(place);
    match objects_listing(Path::new(prefix.trim_end_matches('/')), each) {
        Err(tapline_core::Error::EmptyFolder { .. }) if !found.is_empty() => shards(remote, (&found, indexes)),
        listing => Ok(listing?),
    }
}

/// The pictures of shards, whose indexes are read now where they are not known.
fn shards(remote: &Remote, (shards, indexes): (&[RemoteShard], &Indexes)) -> anyhow::Result<Listing> {
    let open = |url: &str| {
        let file = remote.file(url).map_err(io::Error::other)?;
        let (bytes, version) = (file.bytes(), file.version());
        Ok(OpenShard { reader: file, bytes, version })
    };
    let bar = bar("indexing", shards.len(), "shards");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(INDEXED_AT_ONCE).build()?;
    let listing = pool.install(|| shards_listing((shards, indexes), &open, &|| bar.inc(1)));
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
    listing: &'a Listing,
    max_bytes: u64,
    interrupt: &'a Interrupt,
    /// For each row behind a URL, what brings it.
    sources: HashMap<usize, Source>,
    groups: Vec<Group>,
    ahead: Option<Arc<Ahead>>,
}

/// What brings a picture from behind a URL.
#[derive(Clone, Copy)]
enum Source {
    /// Its position in the order of objects.
    Object(usize),
    /// Its group, and its row in the file.
    Cell(usize, usize),
}

impl Reader<'_> {
    /// What the listing calls the picture of a row.
    pub fn path(&self, row: usize) -> &str {
        self.listing.path(row)
    }

    /// The bytes of a row's picture, or why there are none, and its stamp: of a file from just before it was read; none at all where
    /// a signal ended the wait for them.
    ///
    /// # Errors
    /// Where a source behind URLs is dead or refuses its credentials, which concerns all pictures.
    pub fn read(&self, row: usize) -> anyhow::Result<Option<(Option<Stamp>, Picture)>> {
        let place = &self.listing.place(row);
        let (Some(ahead), Some(&source)) = (&self.ahead, self.sources.get(&row)) else {
            let picture = place.read(self.max_bytes).map_err(|reason| hinted(reason, place));
            return Ok(Some((Stamp::of(place), picture)));
        };
        let position = match source {
            Source::Object(position) => position,
            Source::Cell(group, cell) => {
                let picture = self.groups[group].read(cell, (ahead, self.interrupt), self.max_bytes)?;
                return Ok(picture.map(|picture| (Stamp::of(place), picture)));
            }
        };
        match ahead.take(position, &|| self.interrupt.caught().is_some()) {
            Ok(Fetched { bytes, version }) => Ok(Some((came(place, version.as_deref()), Ok(bytes)))),
            Err(Fault::GivenUp) => Ok(None),
            Err(fault) if fault.concerns_one_picture() => Ok(Some((None, Err(fault.to_string())))),
            Err(fault) => Err(fault.into()),
        }
    }
}
