//! WebDataset: members of a tar file that share a name up to its first point belong to one sample.
//!
//! `0001.jpg` with `0001.cls` (the label) and `0001.json` (label, split and other columns). A tar file without either is a
//! folder that was packed: there the folders of the members say what those of unpacked files would.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::shards::Row;
use super::tar_file::index;
use super::{Place, column_name};
use crate::folder::EXTENSIONS;
use crate::{Error, Skipped};

/// What a shard gives: its pictures, and what was passed over.
pub(crate) type Shard = Result<(Vec<Row>, Vec<Skipped>), Error>;

/// The pictures of a tar file in its order, each at the place of its offset and bytes, and what was passed over; the file
/// is gone through once.
pub(crate) fn read_tar<R: Read + Seek>(
    path: &Path,
    tar: (BufReader<R>, u64),
    place: &dyn Fn(u64, u64) -> Place,
) -> Shard {
    let index = index(path, tar, &|name| matches!(key(name).1.as_str(), "cls" | "json"))?;
    let mut passed_over = index.passed_over;
    let mut sides: HashMap<&str, Side> = HashMap::new();
    for member in &index.members {
        let Some(held) = &member.held else { continue };
        let bad =
            |what: String| Error::BadTar { path: path.to_owned(), what: format!("member {:?} {what}", member.name) };
        let text = std::str::from_utf8(held).map_err(|_| bad("is not UTF-8".to_owned()))?;
        let (key, ending) = key(&member.name);
        let side = sides.entry(key).or_default();
        if ending == "cls" {
            side.cls = label_of(text.trim());
        } else {
            let object = serde_json::from_str(text).map_err(|error| bad(format!("is not a JSON object: {error}")))?;
            side.json = Some(object);
        }
    }
    let mut rows = Vec::new();
    for member in &index.members {
        let (key, ending) = key(&member.name);
        if EXTENSIONS.contains(&ending.rsplit('.').next().unwrap_or_default()) {
            let place = place(member.offset, member.bytes);
            rows.push(row(member.name.clone(), place, sides.get(key)));
        } else if !matches!(ending.as_str(), "cls" | "json") {
            let reason = "not a picture by its name, nor a label (.cls, .json)".to_owned();
            passed_over.push(Skipped { path: member.name.clone(), reason });
        }
    }
    Ok((rows, passed_over))
}

fn read_file(path: &Path) -> Shard {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(Error::BadTar { path: path.to_owned(), what: "it is not a regular file".to_owned() });
    }
    let shard: Arc<Path> = path.into();
    let place = |offset, bytes| Place::Member { shard: shard.clone(), offset, bytes };
    read_tar(path, (BufReader::new(file), metadata.len()), &place)
}

/// All tar files, on all cores, in their order.
pub(crate) fn read_tars(paths: &[&Path]) -> Vec<Shard> {
    paths.par_iter().map(|path| read_file(path)).collect()
}

/// What lies beside a picture.
#[derive(Default)]
struct Side {
    cls: Option<String>,
    json: Option<Map<String, Value>>,
}

/// The name up to the first point of its last part, and what follows the point in small letters.
fn key(name: &str) -> (&str, String) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find('.') {
        Some(point) => (&name[..last + point], name[last + point + 1..].to_ascii_lowercase()),
        None => (name, String::new()),
    }
}

fn row(name: String, place: Place, side: Option<&Side>) -> Row {
    let mut row = Row { name, place, label: None, split: None, extra: Vec::new() };
    let Some(side) = side else { return row };
    for (field, value) in side.json.iter().flatten() {
        let Some(text) = text(value) else { continue };
        match field.as_str() {
            "label" => row.label = label_of(text.trim()),
            "split" => row.split = label_of(text.trim()),
            other => row.extra.push((column_name(other), text)),
        }
    }
    row.label = side.cls.clone().or(row.label);
    row
}

/// A blank around a word would make a class of its own that nobody sees.
fn label_of(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Lists and objects stay JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_point_of_the_last_part() {
        let check = |name: &str, expected: (&str, &str)| {
            let (key, ending) = key(name);
            assert_eq!((key, ending.as_str()), expected, "{name}");
        };
        check("0001.jpg", ("0001", "jpg"));
        check("a.b/0001.left.JPG", ("a.b/0001", "left.jpg"));
        check("a.b/c", ("a.b/c", ""));
    }
}
