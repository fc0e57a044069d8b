//! Pictures listed in a CSV or TSV file: a column `path`, and if wanted `label`, `split` and whatever else.
//!
//! Only the table is checked here. A listed picture that is missing is found at extraction, which skips and reports it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use csv::StringRecord;

use crate::listing::ListingRows;
use crate::{Error, Listing, Place, Sample};

/// Column names that the store writes itself.
pub(crate) const OWN_COLUMNS: [&str; 5] = ["path", "label", "split", "sha256", "skipped"];

/// The pictures a CSV or TSV file lists, in its order; relative paths start at the file's folder.
///
/// Fields are parted by what a first line such as `sep=;` says (Excel's); else by tabs in a `.tsv` file; otherwise by the first of
/// comma, tab and semicolon the header holds. Rows without a word in any field, as spreadsheets leave them, are passed over.
///
/// # Errors
/// For a file that is no such table, or a row of it that cannot be used.
pub fn read_csv(path: &Path) -> Result<Listing, Error> {
    let mut rows = ListingRows::below(path.parent().unwrap_or(Path::new("")));
    let (columns, lines) = each_record(path, Columns::of, |columns, record, line| {
        rows.push(columns.sample(path, record, line)?);
        Ok(())
    })?;
    let listing = rows.finish(columns.extra_names);
    if let Some((first, second)) = listing.first_repeat() {
        let (picture, first, second) = (listing.path(second).to_owned(), lines[first], lines[second]);
        return Err(Error::RepeatedPath { path: path.to_owned(), picture, first, second });
    }
    if listing.rows() == 0 {
        return Err(Error::EmptyTable { path: path.to_owned() });
    }
    Ok(listing)
}

/// Takes a table's header, and then each of its records with the line that it starts on, blank ones aside; returns what became of
/// the header, and the lines of these records.
pub(crate) fn each_record<C>(
    path: &Path,
    header: impl FnOnce(&Path, &[&str]) -> Result<C, Error>,
    mut record: impl FnMut(&C, &StringRecord, u64) -> Result<(), Error>,
) -> Result<(C, Vec<u64>), Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let (bytes, said) = said_delimiter(bytes);
    let delimiter = said.unwrap_or_else(|| delimiter(path, bytes));
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let bad_row = |error: csv::Error| bad_row((path, bytes), &error);
    let names = reader.headers().map_err(bad_row)?.clone();
    let columns = header(path, &names.iter().map(str::trim).collect::<Vec<_>>())?;
    let mut lines = Lines::default();
    for found in reader.records() {
        let found = found.map_err(bad_row)?;
        if found.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        lines.note(bytes, found.position());
        record(&columns, &found, lines.last())?;
    }
    Ok((columns, lines.of))
}

/// Checks that all columns have a name, each its own, and none that `refused` gives a reason against.
pub(crate) fn check_names(
    file: &Path,
    names: &[&str],
    refused: impl Fn(&str) -> Option<&'static str>,
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for name in names {
        let why = match *name {
            "" => Some("has no name"),
            _ if !seen.insert(name) => Some("appears twice"),
            _ => refused(name),
        };
        if let Some(why) = why {
            return Err(Error::BadColumn { path: file.to_owned(), column: (*name).to_owned(), why });
        }
    }
    Ok(())
}

/// Whether a file is a table by its name.
pub(crate) fn is_table(path: &Path) -> bool {
    has_extension(path, "csv") || has_extension(path, "tsv")
}

/// Where the fields of a sample stand in a row.
struct Columns {
    path: usize,
    label: Option<usize>,
    split: Option<usize>,
    extra: Vec<usize>,
    extra_names: Vec<String>,
}

impl Columns {
    fn of(file: &Path, names: &[&str]) -> Result<Self, Error> {
        let position = |name: &str| names.iter().position(|found| *found == name);
        let path = position("path").ok_or_else(|| Error::NoPathColumn {
            path: file.to_owned(),
            found: names.iter().map(|&name| name.to_owned()).collect(),
        })?;
        let is_ours = |name: &str| ["sha256", "skipped"].contains(&name);
        check_names(file, names, |name| is_ours(name).then_some("the store writes itself"))?;
        let extra: Vec<usize> = (0..names.len()).filter(|&i| !OWN_COLUMNS.contains(&names[i])).collect();
        let extra_names = extra.iter().map(|&i| names[i].to_owned()).collect();
        Ok(Self { path, label: position("label"), split: position("split"), extra, extra_names })
    }

    fn sample(&self, file: &Path, record: &StringRecord, line: u64) -> Result<Sample, Error> {
        let value = |i: usize| record.get(i).filter(|text| !text.is_empty()).map(str::to_owned);
        // A blank around a word would make a class of its own that nobody sees.
        let word = |i: usize| value(i).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let path = value(self.path).ok_or_else(|| Error::BadTableRow {
            path: file.to_owned(),
            line,
            what: "the path is empty, name a picture or drop the row".to_owned(),
        })?;
        Ok(Sample {
            place: Place::listed(file.parent().unwrap_or(Path::new("")), &path),
            path,
            label: self.label.and_then(word),
            split: self.split.and_then(word),
            extra: self.extra.iter().map(|&i| value(i)).collect(),
        })
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

/// The table behind a first line such as `sep=;`, and what it says; of other tables all and nothing. The line's end stays, so that
/// lines are counted as people see them.
fn said_delimiter(bytes: &[u8]) -> (&[u8], Option<u8>) {
    match bytes.split_at_checked(4) {
        Some((word, [delimiter, rest @ ..]))
            if word.eq_ignore_ascii_case(b"sep=")
                && !b"\"\r\n".contains(delimiter)
                && matches!(rest, [b'\r' | b'\n', ..]) =>
        {
            (rest, Some(*delimiter))
        }
        _ => (bytes, None),
    }
}

fn delimiter(path: &Path, bytes: &[u8]) -> u8 {
    if has_extension(path, "tsv") {
        return b'\t';
    }
    let header = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    *b",\t;".iter().find(|candidate| header.contains(candidate)).unwrap_or(&b',')
}

/// The lines that rows start on, from 1, whatever ends the lines before them; counted once over the whole file.
#[derive(Default)]
struct Lines {
    of: Vec<u64>,
    breaks: u64,
    counted: usize,
}

impl Lines {
    fn note(&mut self, bytes: &[u8], position: Option<&csv::Position>) {
        let start = position.map_or(0, |position| position.byte() as usize).min(bytes.len());
        // The reader leaves the second half of a "\r\n" to the row behind it.
        let start = start + bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.breaks += bytes[self.counted..start].iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.counted = start;
        self.of.push(1 + self.breaks);
    }

    fn last(&self) -> u64 {
        self.of.last().copied().unwrap_or(1)
    }
}

fn bad_row((path, bytes): (&Path, &[u8]), error: &csv::Error) -> Error {
    let mut lines = Lines::default();
    lines.note(bytes, error.position());
    let line = lines.last();
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields where the header has {expected_len}, quote fields that hold a delimiter")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8, save the table as UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Error::BadTableRow { path: path.to_owned(), line, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: impl AsRef<[u8]>) -> Result<Listing, Error> {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("write");
        let listing = read_csv(&file)?;
        let samples = listing.samples().map(|sample| {
            let file = sample.place.container().expect("a file");
            let place = Place::File(file.strip_prefix(folder.path()).unwrap_or(file).to_owned());
            Sample { place, ..sample }
        });
        Ok(Listing::of(Path::new(""), samples, listing.columns().to_vec()))
    }

    fn refuse(text: impl AsRef<[u8]>, words: &str) {
        let message = read("list.csv", text).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn columns_come_in_any_order_and_empty_fields_are_none() {
        let listing =
            read("list.csv", "type,label,path,split\nmono,cat,a b.png,train\n,,/abs/🐈.png,\n").expect("read");
        assert_eq!(listing.columns(), ["type"]);
        let expected = Sample {
            place: Place::File("a b.png".into()),
            path: "a b.png".to_owned(),
            label: Some("cat".to_owned()),
            split: Some("train".to_owned()),
            extra: vec![Some("mono".to_owned())],
        };
        assert_eq!(listing.sample(0), expected);
        assert_eq!(listing.place(1), Place::File("/abs/🐈.png".into()));
        assert_eq!((listing.label(1), listing.extra(1, 0)), (None, None));
    }

    #[test]
    fn tabs_semicolons_quotes_and_a_byte_order_mark_are_read() {
        for (name, text) in [
            ("list.tsv", "path\tlabel\n\"a,1.png\"\tcat\n"),
            ("list.csv", "path\tlabel\r\n\"a,1.png\"\tcat\r\n"),
            ("list.csv", "path;label\na,1.png;cat\n"),
            ("list.csv", "\u{feff}path,label\n\"a,1.png\",cat"),
            ("list.csv", "\u{feff}\"path\",label\n\"a,1.png\",cat"),
            ("list.csv", "\u{feff}sep=;\r\npath;label\r\na,1.png;cat\r\n"),
            ("list.tsv", "sep=,\npath,label\n\"a,1.png\",cat\n"),
            ("list.csv", "SEP=|\npath|label\na,1.png|cat\n"),
        ] {
            let listing = read(name, text).expect(text);
            assert_eq!(listing.path(0), "a,1.png");
            assert_eq!(listing.label(0), Some("cat"));
        }
    }

    #[test]
    fn blank_rows_are_passed_over() {
        let blank = "path;label;split\r\n;;\r\na.png;cat;\r\n\r\n ; ;\r\nb.png;;\r\n;;\r\n;;\r\n";
        let listing = read("list.csv", blank).expect("read");
        assert_eq!((0..listing.rows()).map(|row| listing.path(row)).collect::<Vec<_>>(), ["a.png", "b.png"]);
        refuse("path,label\n,\n,\n", "lists no picture");
        // They count among the lines, as does the one that names the delimiter.
        refuse("path,label\na.png,cat\n,\n,dog\n", "line 4: the path is empty");
        refuse("sep=;\npath;label\n;\na.png;x\na.png;x\n", "lists \"a.png\" on line 4 and again on line 5");
        refuse("sep=;\r\npath;label\r\na.png\r\n", "line 3: the row has 1 fields where the header has 2");
    }

    #[test]
    fn each_unusable_table_is_refused_by_its_own_sentence() {
        refuse("file,class\na.png,cat\n", "no column \"path\", only \"file\", \"class\"");
        refuse("", "no column \"path\"");
        refuse("path,label\n", "lists no picture");
        refuse("path,sha256\na.png,0\n", "column \"sha256\", which the store writes itself");
        refuse("path,skipped\na.png,0\n", "column \"skipped\", which the store writes itself");
        refuse("path,label,label\na.png,0,1\n", "column \"label\", which appears twice");
        refuse("path,\na.png,0\n", "column \"\", which has no name");
        refuse("path,label\na.png,cat\nb.png\n", "line 3: the row has 1 fields where the header has 2");
        refuse("path,label\na.png,cat\n,dog\n", "line 3: the path is empty");
        refuse(b"path\na.png\n\xff.png\n", "line 3: the row is not UTF-8");
        refuse("path\na.png\nb.png\na.png\n", "lists \"a.png\" on line 2 and again on line 4");
        refuse("path\r\na.png\r\nb.png\r\na.png\r\n", "lists \"a.png\" on line 2 and again on line 4");
    }

    #[test]
    fn a_missing_picture_is_no_error_of_reading() {
        assert_eq!(read("list.csv", "path\nabsent.png\n").expect("read").rows(), 1);
    }
}
