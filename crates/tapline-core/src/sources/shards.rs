//! Several tar or Parquet files as one listing: names that tell shards apart, labels, splits, columns.
//!
//! A picture is listed as `SHARD: MEMBER`, with shards named from the folder that all of them share, so that the names are
//! the same wherever the shards lie.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::parquet_file::{is_parquet, read_pictures, read_pictures_at};
use super::ranges::Ranges;
use super::webdataset::{Shard, read_tar, read_tars};
use super::words::MAX_WORDS;
use super::{Holder, Place, is_url};
use crate::folder::{is_split, split_and_class};
use crate::samples::path_text;
use crate::store::{IndexedPicture, TarIndex};
use crate::{Error, Indexes, Listing, Sample, Skipped};

/// The most columns that the side files of pictures, or the words of a Parquet file, may make together.
pub(crate) const MAX_COLUMNS: usize = 1000;

/// Bytes of a tar file behind a URL that one read for its index asks for.
const REMOTE_BUFFER: usize = 4 << 20;

/// A picture of a shard.
pub(crate) struct Row {
    /// What it is called within the shard.
    pub name: String,
    pub place: Place,
    pub label: Option<String>,
    pub split: Option<String>,
    /// Names and values of further columns.
    pub extra: Vec<(Arc<str>, String)>,
}

/// Whether a file is a shard by its name.
pub(crate) fn is_shard(path: &Path) -> bool {
    is_tar(path) || is_parquet(path)
}

fn is_tar(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case("tar"))
}

/// The pictures of all shards, in the order of the shards and of their members.
pub(crate) fn read_shards(paths: &[PathBuf]) -> Result<Listing, Error> {
    let names = names(paths)?;
    let tars: Vec<&Path> = paths.iter().filter(|path| is_tar(path)).map(PathBuf::as_path).collect();
    let mut tars = read_tars(&tars).into_iter();
    let read = |path: &PathBuf| {
        if is_tar(path) {
            tars.next().expect("one for each tar file")
        } else if is_parquet(path) {
            read_pictures(path)
        } else {
            Err(Error::NotAShard { path: path.clone() })
        }
    };
    gather(paths, names, paths.iter().map(read))
}

/// A tar or Parquet file behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteShard {
    /// What it is called beside the others: a URL, or the path below the folder that was given.
    pub name: PathBuf,
    /// Where it is.
    pub url: Arc<str>,
}

/// The same, opened.
pub struct OpenShard<R> {
    /// Its bytes: those of a tar file are gone through once in reads of a few MiB, of a Parquet file parts are read.
    pub reader: R,
    /// How many these are.
    pub bytes: u64,
    /// Which version that is, where its source tells.
    pub version: Option<Arc<str>>,
}

/// The pictures of shards behind URLs, in the order of the shards and of their members: a [`Place::Part`] of each tar file, or
/// a [`Place::Cell`] of each Parquet file. All are opened by `open` first, then indexed on the threads of the pool that this runs in,
/// but for the tar files of which `indexes` have this version; `progress` is called after each.
///
/// # Errors
/// As [`scan_all`](crate::scan_all) for shards; [`Error::Read`] with what `open` and its readers say.
pub fn shards_listing<R: Read + Seek + Send + 'static>(
    (shards, indexes): (&[RemoteShard], &Indexes),
    open: &(dyn Fn(&str) -> io::Result<OpenShard<R>> + Sync),
    progress: &(dyn Fn() + Sync),
) -> Result<Listing, Error> {
    let paths: Vec<PathBuf> = shards.iter().map(|shard| shard.name.clone()).collect();
    let names = names(&paths)?;
    let failed = |shard: &RemoteShard, source| Error::Read { path: PathBuf::from(&*shard.url), source };
    let opened = shards.par_iter().map(|shard| open(&shard.url).map_err(|source| failed(shard, source)));
    let opened = opened.collect::<Result<Vec<_>, _>>()?;
    let read = |(shard, opened): (&RemoteShard, OpenShard<R>)| {
        let OpenShard { reader, bytes, version } = opened;
        let (url, path) = (&shard.url, Path::new(&*shard.url));
        let read = if is_tar(path) {
            let place = |offset, bytes| Place::Part { url: url.clone(), offset, bytes, version: version.clone() };
            let known = version.as_deref().and_then(|version| indexes.find(url, version, bytes));
            match known {
                Some(index) => Ok(shard_of(index, &place)),
                None => {
                    let read = read_tar(path, (BufReader::with_capacity(REMOTE_BUFFER, reader), bytes), &place);
                    if let (Ok(shard), Some(version)) = (&read, version.as_deref()) {
                        indexes.note(url, version, bytes, &index_of(shard));
                    }
                    read
                }
            }
        } else if is_parquet(path) {
            let holder = Holder::Url { url: url.clone(), version };
            read_pictures_at(path, (Ranges::of_file(reader, bytes), bytes), holder)
        } else {
            Err(Error::NotAShard { path: path.to_owned() })
        };
        progress();
        read
    };
    let shards = shards.par_iter().zip(opened).map(read).collect::<Result<Vec<_>, Error>>()?;
    gather(&paths, names, shards.into_iter().map(Ok))
}

/// The pictures of a tar file whose index is known.
fn shard_of(index: TarIndex, place: &dyn Fn(u64, u64) -> Place) -> (Vec<Row>, Vec<Skipped>) {
    let row = |one: IndexedPicture| {
        let IndexedPicture { name, offset, bytes, label, split, extra } = one;
        let extra = extra.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Row { name, place: place(offset, bytes), label, split, extra }
    };
    (index.pictures.into_iter().map(row).collect(), index.passed_over)
}

/// The index of a tar file behind a URL.
fn index_of((rows, passed_over): &(Vec<Row>, Vec<Skipped>)) -> TarIndex {
    let picture = |row: &Row| match row.place {
        Place::Part { offset, bytes, .. } => IndexedPicture {
            name: row.name.clone(),
            offset,
            bytes,
            label: row.label.clone(),
            split: row.split.clone(),
            extra: row.extra.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        },
        _ => unreachable!("its pictures are parts of it"),
    };
    TarIndex { pictures: rows.iter().map(picture).collect(), passed_over: passed_over.clone() }
}

/// Whether a URL names a tar or Parquet file; one that ends in `/` is a prefix, whatever it is called.
pub fn is_shard_url(url: &str) -> bool {
    is_url(url) && !url.ends_with('/') && is_shard(Path::new(url))
}

fn gather(paths: &[PathBuf], names: Vec<String>, shards: impl Iterator<Item = Shard>) -> Result<Listing, Error> {
    let mut gathered = Gathered::default();
    for ((path, name), shard) in paths.iter().zip(names).zip(shards) {
        let (mut rows, passed_over) = shard?;
        if is_tar(path) && rows.iter().all(|row| row.label.is_none()) {
            label_by_folder(&mut rows);
        }
        gathered.add(&name, rows, passed_over)?;
    }
    if gathered.samples.is_empty() {
        return Err(Error::EmptyShards { path: paths[0].clone(), others: gathered.skipped.len() });
    }
    gathered.split_by_shard();
    gathered.finish()
}

/// Names from the folder that all paths share, each once.
fn names(paths: &[PathBuf]) -> Result<Vec<String>, Error> {
    let mut shared = paths[0].parent().unwrap_or(Path::new("")).to_owned();
    while !paths.iter().all(|path| path.starts_with(&shared)) {
        shared = shared.parent().unwrap_or(Path::new("")).to_owned();
    }
    let mut known = HashSet::new();
    let mut names = Vec::new();
    for path in paths {
        let name = path_text(path.strip_prefix(&shared).unwrap_or(path).as_os_str());
        if !known.insert(name.clone()) {
            return Err(Error::RepeatedShard { path: path.clone() });
        }
        names.push(name);
    }
    Ok(names)
}

/// Labels, and splits, from the folders of members, by the rules for folders of files; a folder around all of them is
/// only what was packed. Where some lie in no folder there are no labels.
fn label_by_folder(rows: &mut [Row]) {
    let top = |name: &str| name.split_once('/').map(|(top, rest)| (top.to_owned(), rest.contains('/')));
    let tops: Option<Vec<(String, bool)>> = rows.iter().map(|row| top(&row.name)).collect();
    let Some(tops) = tops.filter(|tops| !tops.is_empty()) else { return };
    let is_packed = tops.iter().all(|(top, is_deep)| *is_deep && *top == tops[0].0 && !is_split(top));
    let skip = if is_packed { tops[0].0.len() + 1 } else { 0 };
    let parted: Option<Vec<_>> = rows.iter().map(|row| split_and_class(&row.name[skip..])).collect();
    if let Some(parted) = parted {
        for (row, (split, class)) in rows.iter_mut().zip(parted) {
            (row.split, row.label) = (Some(split), Some(class));
        }
        return;
    }
    for row in rows {
        row.label = row.name[skip..].split_once('/').map(|(class, _)| class.to_owned());
    }
}

#[derive(Default)]
struct Gathered {
    samples: Vec<Sample>,
    skipped: Vec<Skipped>,
    /// Names of the columns, and their positions.
    names: Vec<String>,
    columns: HashMap<String, usize>,
    /// For each shard its name and the number of its pictures.
    shards: Vec<(String, usize)>,
    /// Cells of the columns that have a value, and those that are held.
    cells: (usize, usize),
}

impl Gathered {
    fn add(&mut self, shard: &str, rows: Vec<Row>, passed_over: Vec<Skipped>) -> Result<(), Error> {
        self.shards.push((shard.to_owned(), rows.len()));
        for row in rows {
            let mut extra = Vec::new();
            self.cells.0 += row.extra.len();
            for (name, value) in row.extra {
                let position = self.column(shard, &name)?;
                if extra.len() <= position {
                    extra.resize(position + 1, None);
                }
                extra[position] = Some(value);
            }
            self.cells.1 += extra.len();
            self.check_cells(self.cells.1)?;
            let path = format!("{shard}: {}", row.name);
            self.samples.push(Sample { place: row.place, path, label: row.label, split: row.split, extra });
        }
        let named = |other: Skipped| Skipped { path: format!("{shard}: {}", other.path), reason: other.reason };
        self.skipped.extend(passed_over.into_iter().map(named));
        Ok(())
    }

    fn column(&mut self, shard: &str, name: &str) -> Result<usize, Error> {
        if let Some(&position) = self.columns.get(name) {
            return Ok(position);
        }
        if self.columns.len() == MAX_COLUMNS {
            let what = format!("its pictures have more than {MAX_COLUMNS} different columns");
            return Err(Error::BadTar { path: shard.into(), what });
        }
        self.names.push(name.to_owned());
        self.columns.insert(name.to_owned(), self.columns.len());
        Ok(self.columns.len() - 1)
    }

    /// Where nothing else states a split and shards of several parts are there, such as `train-0000.tar` and `test-0000.tar`,
    /// their names state it.
    fn split_by_shard(&mut self) {
        let parts: Option<Vec<&str>> = self.shards.iter().map(|(name, _)| part(name)).collect();
        let Some(parts) = parts.filter(|parts| parts.iter().any(|part| *part != parts[0])) else { return };
        if self.samples.iter().any(|sample| sample.split.is_some()) {
            return;
        }
        let each = self.shards.iter().zip(&parts).flat_map(|((_, rows), part)| std::iter::repeat_n(*part, *rows));
        for (sample, part) in self.samples.iter_mut().zip(each) {
            sample.split = Some(part.to_owned());
        }
    }

    /// Refuses to hold so many cells where few of them have a value: a picture has a cell in each column that any picture has.
    fn check_cells(&self, held: usize) -> Result<(), Error> {
        let (filled, columns) = (self.cells.0, self.columns.len());
        if held.saturating_mul(size_of::<Option<String>>()) <= MAX_WORDS || held / 8 <= filled {
            return Ok(());
        }
        let path = self.shards.last().map(|(name, _)| name.into()).unwrap_or_default();
        let what = format!("its pictures have few of their {columns} columns each: leave out those that few have");
        Err(Error::BadTar { path, what })
    }

    fn finish(self) -> Result<Listing, Error> {
        self.check_cells(self.names.len().saturating_mul(self.samples.len()))?;
        Ok(Listing::of(Path::new(""), self.samples, self.names).with_skipped(self.skipped))
    }
}

/// The part of a split that a shard's name begins with.
fn part(name: &str) -> Option<&str> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let end = name.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(name.len());
    Some(&name[..end]).filter(|part| is_split(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_values_are_not_held_in_large_numbers() {
        let check = |filled: usize, held: usize| {
            let gathered = Gathered { cells: (filled, held), ..Gathered::default() };
            gathered.check_cells(held).map_err(|error| error.to_string())
        };
        assert_eq!(check(10, 1_000_000), Ok(()));
        assert_eq!(check(50_000_000, 200_000_000), Ok(()));
        let message = check(1_000_000, 200_000_000).expect_err("4.8 GB");
        assert!(message.contains("its pictures have few of their 0 columns each"), "{message}");
    }
}
