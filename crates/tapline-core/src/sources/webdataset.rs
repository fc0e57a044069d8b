//! WebDataset: members of a tar file that share a name up to its first point belong to one sample.
//!
//! `0001.jpg` with `0001.cls` (the label) and `0001.json` (label, split and other columns). A tar file without either is a
//! folder that was packed: there the folders of the members say what those of unpacked files would.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::shards::Row;
use super::tar_file::index;
use super::words::{MAX_WORDS, spend};
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
    read_within(path, tar, place, MAX_WORDS)
}

/// The same with so many bytes for words: what lies beside a picture lies beside each that shares its key.
fn read_within<R: Read + Seek>(
    path: &Path,
    tar: (BufReader<R>, u64),
    place: &dyn Fn(u64, u64) -> Place,
    mut left: usize,
) -> Shard {
    let index = index(path, tar, &|name| matches!(key(name).1.as_str(), "cls" | "json"))?;
    let mut passed_over = index.passed_over;
    let mut sides: HashMap<&str, Side> = HashMap::new();
    let mut names = HashSet::new();
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
            side.json = words(object, &mut names);
        }
    }
    let mut rows = Vec::new();
    for member in &index.members {
        let (key, ending) = key(&member.name);
        if EXTENSIONS.contains(&ending.rsplit('.').next().unwrap_or_default()) {
            let place = place(member.offset, member.bytes);
            let row = row(member.name.clone(), place, (sides.get(key), &mut left));
            rows.push(row.map_err(|what| Error::BadTar { path: path.to_owned(), what })?);
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
    json: Words,
}

/// What a JSON object says of a picture, as text: parsed, it would take many times as much.
#[derive(Default)]
struct Words {
    label: Option<String>,
    split: Option<String>,
    extra: Vec<(Arc<str>, String)>,
}

/// The name up to the first point of its last part, and what follows the point in small letters.
fn key(name: &str) -> (&str, String) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find('.') {
        Some(point) => (&name[..last + point], name[last + point + 1..].to_ascii_lowercase()),
        None => (name, String::new()),
    }
}

/// The words of a JSON object; names of columns that are among the known `names` are not held again.
fn words(object: Map<String, Value>, names: &mut HashSet<Arc<str>>) -> Words {
    let mut words = Words::default();
    for (field, value) in object {
        let Some(text) = text(value) else { continue };
        match field.as_str() {
            "label" => words.label = label_of(text.trim()),
            "split" => words.split = label_of(text.trim()),
            other => words.extra.push((held(names, column_name(other)), text)),
        }
    }
    words
}

fn held(names: &mut HashSet<Arc<str>>, name: String) -> Arc<str> {
    if let Some(known) = names.get(name.as_str()) {
        return known.clone();
    }
    let name: Arc<str> = name.into();
    names.insert(name.clone());
    name
}

/// A picture with the words beside it, which may take as many bytes as are `left`.
fn row(name: String, place: Place, (side, left): (Option<&Side>, &mut usize)) -> Result<Row, String> {
    let mut row = Row { name, place, label: None, split: None, extra: Vec::new() };
    let Some(Side { cls, json }) = side else { return Ok(row) };
    for (name, value) in &json.extra {
        spend(left, name)?;
        spend(left, value)?;
    }
    let label = cls.as_ref().or(json.label.as_ref());
    for word in label.into_iter().chain(&json.split) {
        spend(left, word)?;
    }
    row.label = label.cloned();
    row.split = json.split.clone();
    row.extra = json.extra.clone();
    Ok(row)
}

/// A blank around a word would make a class of its own that nobody sees.
fn label_of(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Lists and objects stay JSON.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A tar file with these members.
    fn tar(members: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes()).expect("append");
        }
        builder.into_inner().expect("tar")
    }

    fn read(tar: &[u8], left: usize) -> Shard {
        let place = |offset, bytes| Place::Part { url: "s3://bucket/a.tar".into(), offset, bytes, version: None };
        read_within(Path::new("a.tar"), (BufReader::new(Cursor::new(tar)), tar.len() as u64), &place, left)
    }

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

    #[test]
    fn words_beside_a_picture_are_those_of_its_side_files() {
        let json = r#"{"label": "dog", "split": " test ", "number": 7, "box": [1, 2], "none": null, "path": "theirs"}"#;
        let tar = tar(&[("a.1.png", ""), ("a.json", json), ("a.2.png", ""), ("a.cls", " cat\n"), ("b.png", "")]);
        let rows = read(&tar, MAX_WORDS).expect("rows").0;
        assert_eq!(rows.len(), 3);
        for row in &rows[..2] {
            assert_eq!((row.label.as_deref(), row.split.as_deref()), (Some("cat"), Some("test")));
            let mut extra: Vec<(&str, &str)> =
                row.extra.iter().map(|(name, value)| (&**name, value.as_str())).collect();
            extra.sort_unstable();
            assert_eq!(extra, [("box", "[1,2]"), ("number", "7"), ("source.path", "theirs")]);
        }
        assert_eq!((rows[2].label.as_ref(), rows[2].extra.len()), (None, 0));
        // The name of a column is held once.
        assert!(rows[0].extra.iter().zip(&rows[1].extra).all(|(one, other)| Arc::ptr_eq(&one.0, &other.0)));
    }

    #[test]
    fn words_beside_many_pictures_are_counted_for_each() {
        let long = "x".repeat(1000);
        for side in
            [("a.json", format!(r#"{{"note": "{long}"}}"#)), ("a.json", format!(r#"{{"{long}": 1}}"#)), ("a.cls", long)]
        {
            let names: Vec<String> = (0..20).map(|number| format!("a.{number}.png")).collect();
            let mut members = vec![(side.0, side.1.as_str())];
            members.extend(names.iter().map(|name| (name.as_str(), "")));
            let tar = tar(&members);
            assert_eq!(read(&tar, 22_000).expect("rows").0.len(), 20);
            let message = read(&tar, 20_000).map(|(rows, _)| rows.len()).expect_err("too many words").to_string();
            assert!(message.contains("a.tar cannot be used: its words take more than 2 GiB"), "{message}");
        }
    }
}
