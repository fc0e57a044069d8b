//! WebDataset: members of a tar file that share a name up to its first point belong to one sample.
//!
//! `0001.jpg` with `0001.cls` (the label) and `0001.json` (label, split and other columns). A tar file without either is a
//! folder that was packed: there the folders of the members say what those of unpacked files would.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::shards::Row;
use super::tar_file::{Member, index};
use super::{Place, column_name};
use crate::folder::EXTENSIONS;
use crate::{Error, Skipped};

/// The most bytes of a `.cls` or `.json` member.
const MAX_SIDE_BYTES: u64 = 1 << 20;

/// What a shard gives: its pictures, and what was passed over.
pub(crate) type Shard = Result<(Vec<Row>, Vec<Skipped>), Error>;

/// The pictures of a tar file in its order, and what was passed over.
fn read_tar(path: &Path) -> Shard {
    let index = index(path)?;
    let mut passed_over = index.passed_over;
    let mut sides: HashMap<&str, Side> = HashMap::new();
    let mut file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    for member in &index.members {
        let (key, ending) = key(&member.name);
        match ending.as_str() {
            "cls" => sides.entry(key).or_default().cls = label_of(read(&mut file, path, member)?.trim()),
            "json" => sides.entry(key).or_default().json = Some(object(path, member, &read(&mut file, path, member)?)?),
            _ => {}
        }
    }
    let shard: Arc<Path> = path.into();
    let mut rows = Vec::new();
    for member in &index.members {
        let (key, ending) = key(&member.name);
        if EXTENSIONS.contains(&ending.rsplit('.').next().unwrap_or_default()) {
            let place = Place::Member { shard: shard.clone(), offset: member.offset, bytes: member.bytes };
            rows.push(row(member.name.clone(), place, sides.get(key)));
        } else if !matches!(ending.as_str(), "cls" | "json") {
            let reason = "not a picture by its name, nor a label (.cls, .json)".to_owned();
            passed_over.push(Skipped { path: member.name.clone(), reason });
        }
    }
    Ok((rows, passed_over))
}

/// All tar files, on all cores, in their order.
pub(crate) fn read_tars(paths: &[&Path]) -> Vec<Shard> {
    paths.par_iter().map(|path| read_tar(path)).collect()
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

fn read(file: &mut File, path: &Path, member: &Member) -> Result<String, Error> {
    let bad = |what: &str| Error::BadTar { path: path.to_owned(), what: format!("member {:?} {what}", member.name) };
    if member.bytes > MAX_SIDE_BYTES {
        return Err(bad(&format!("has {} bytes, more than {MAX_SIDE_BYTES}", member.bytes)));
    }
    let mut bytes = vec![0; member.bytes as usize];
    file.seek(SeekFrom::Start(member.offset))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| bad("is not UTF-8"))
}

fn object(path: &Path, member: &Member, text: &str) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(text).map_err(|error| Error::BadTar {
        path: path.to_owned(),
        what: format!("member {:?} is not a JSON object: {error}", member.name),
    })
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
