//! The index of a tar file: which member lies where, from its headers alone.
//!
//! Headers are walked here, with the `tar` crate reading their fields, because nothing in them is trusted: a long name is
//! read only up to a bound, no member may reach past the end, and names are words that no file is ever opened by.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use tar::{EntryType, Header, PaxExtensions};

use crate::samples::bytes_text;
use crate::{Error, Skipped};

const BLOCK: u64 = 512;
/// The longest name, or set of extended attributes, in bytes.
const MAX_EXTENSION: u64 = 1 << 20;
/// The most bytes of a member that is read into the index, and of all such members.
const MAX_HELD: u64 = 1 << 20;
const MAX_HELD_IN_ALL: u64 = 1 << 28;
/// How far behind the end marker padding is looked at, in bytes; `tar` pads to 10 KiB.
const MAX_PADDING: u64 = 1 << 20;

/// A regular file in a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    pub offset: u64,
    pub bytes: u64,
    /// What it holds, where that was asked for.
    pub held: Option<Vec<u8>>,
}

/// What a tar file holds, in its order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub members: Vec<Member>,
    /// Members that are no regular files, and those that a later member of the same name replaces.
    pub passed_over: Vec<Skipped>,
}

/// The index of a tar file of `len` bytes, gone through once from its start; members for which `is_held` says so by name are
/// read into it.
///
/// # Errors
/// [`Error::BadTar`] where it is damaged, cut off, compressed or several files in a row.
pub(crate) fn index<R: Read + Seek>(
    path: &Path,
    (file, len): (BufReader<R>, u64),
    is_held: &dyn Fn(&str) -> bool,
) -> Result<Index, Error> {
    let mut walk = Walk { file, at: 0, len, is_held, held: 0, index: Index::default() };
    walk.all().map_err(|fault| match fault {
        Fault::Io(source) => Error::Read { path: path.to_owned(), source },
        Fault::Tar(what) => Error::BadTar { path: path.to_owned(), what },
    })?;
    Ok(last_of_each(walk.index))
}

enum Fault {
    Io(io::Error),
    Tar(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Walk<'a, R> {
    file: BufReader<R>,
    at: u64,
    len: u64,
    is_held: &'a dyn Fn(&str) -> bool,
    /// Bytes read into the index so far.
    held: u64,
    index: Index,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn all(&mut self) -> Result<(), Fault> {
        let mut long_name: Option<Vec<u8>> = None;
        loop {
            let Some(block) = self.block()? else {
                let what = if self.at == 0 {
                    "it is empty"
                } else {
                    "it has no end marker, so that it was cut off: copy it again"
                };
                return Err(Fault::Tar(what.to_owned()));
            };
            if block == [0; BLOCK as usize] {
                return self.check_rest();
            }
            let header = Header::from_byte_slice(&block);
            check_sum(header, &block, self.at - BLOCK)?;
            let kind = header.entry_type();
            // A long name is that of the next member, whatever stands between them.
            let is_member = !matches!(
                kind,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            );
            let long = if is_member { long_name.take() } else { None };
            let name = tidy(bytes_text(&long.unwrap_or_else(|| header.path_bytes().into_owned())));
            let has_data = !matches!(kind, EntryType::Link | EntryType::Symlink | EntryType::Directory);
            let size = header.entry_size().map_err(|_| Fault::Tar(format!("member {name:?} has no valid size")))?;
            let bytes = if has_data { size } else { 0 };
            let padded = bytes.checked_next_multiple_of(BLOCK).and_then(|bytes| self.at.checked_add(bytes));
            let next = padded.filter(|_| self.len - self.at >= bytes);
            let next = next.ok_or_else(|| {
                Fault::Tar(format!("it ends within member {name:?}, so that it was cut off: copy it again"))
            })?;
            match kind {
                EntryType::GNULongName => long_name = Some(trimmed(self.extension(bytes)?)),
                EntryType::XHeader => long_name = pax_name(&self.extension(bytes)?)?.or(long_name),
                EntryType::GNULongLink | EntryType::XGlobalHeader | EntryType::Directory => {}
                EntryType::Regular | EntryType::Continuous if name.ends_with('/') || is_hidden(&name) => {}
                EntryType::Regular | EntryType::Continuous => {
                    let offset = self.at;
                    let held = if (self.is_held)(&name) { Some(self.hold(&name, bytes)?) } else { None };
                    self.index.members.push(Member { name, offset, bytes, held });
                }
                EntryType::Link | EntryType::Symlink => {
                    self.pass_over(name, "a link inside a tar file is not followed")
                }
                EntryType::GNUSparse => self.pass_over(name, "a sparse member of a tar file is not read"),
                _ => self.pass_over(name, "not a regular file"),
            }
            self.seek(next)?;
        }
    }

    /// The next block; none at the end of the file.
    fn block(&mut self) -> Result<Option<[u8; BLOCK as usize]>, Fault> {
        if self.len - self.at.min(self.len) < BLOCK {
            return Ok(None);
        }
        let mut block = [0; BLOCK as usize];
        self.file.read_exact(&mut block)?;
        self.at += BLOCK;
        Ok(Some(block))
    }

    fn extension(&mut self, bytes: u64) -> Result<Vec<u8>, Fault> {
        if bytes > MAX_EXTENSION {
            return Err(Fault::Tar(format!("a member's name takes {bytes} bytes, more than {MAX_EXTENSION}")));
        }
        self.bytes(bytes)
    }

    fn hold(&mut self, name: &str, bytes: u64) -> Result<Vec<u8>, Fault> {
        if bytes > MAX_HELD {
            return Err(Fault::Tar(format!("member {name:?} has {bytes} bytes, more than {MAX_HELD}")));
        }
        self.held += bytes;
        if self.held > MAX_HELD_IN_ALL {
            let what = format!("its labels and side files take more than {MAX_HELD_IN_ALL} bytes");
            return Err(Fault::Tar(what));
        }
        self.bytes(bytes)
    }

    fn bytes(&mut self, bytes: u64) -> Result<Vec<u8>, Fault> {
        let mut read = vec![0; bytes as usize];
        self.file.read_exact(&mut read)?;
        self.at += bytes;
        Ok(read)
    }

    fn seek(&mut self, to: u64) -> Result<(), Fault> {
        self.file.seek_relative((to - self.at) as i64)?;
        self.at = to;
        Ok(())
    }

    fn pass_over(&mut self, path: String, reason: &str) {
        self.index.passed_over.push(Skipped { path, reason: reason.to_owned() });
    }

    /// Tar files that were joined end to end would lose all but the first.
    fn check_rest(&mut self) -> Result<(), Fault> {
        let mut rest = Vec::new();
        self.file.by_ref().take(MAX_PADDING).read_to_end(&mut rest)?;
        if rest.iter().any(|&byte| byte != 0) {
            let what = "more follows its end marker, as where several were joined: give them one by one";
            return Err(Fault::Tar(what.to_owned()));
        }
        Ok(())
    }
}

fn check_sum(header: &Header, block: &[u8; BLOCK as usize], at: u64) -> Result<(), Fault> {
    let sum: u32 =
        block.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u32::from(b) }).sum();
    if header.cksum().is_ok_and(|written| written == sum) {
        return Ok(());
    }
    Err(Fault::Tar(match (at, block) {
        (0, [0x1f, 0x8b, ..]) => "it is compressed by gzip, so that no member can be read alone: gunzip it".to_owned(),
        (0, [0x28, 0xb5, 0x2f, 0xfd, ..]) => {
            "it is compressed by zstd, so that no member can be read alone: unzstd it".to_owned()
        }
        (0, _) => "it is no tar file".to_owned(),
        _ => format!("the header at byte {at} has a wrong checksum: it is damaged"),
    }))
}

fn pax_name(bytes: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut name = None;
    for extension in PaxExtensions::new(bytes) {
        let extension = extension.map_err(|_| Fault::Tar("a member has damaged extended attributes".to_owned()))?;
        match extension.key_bytes() {
            b"path" => name = Some(extension.value_bytes().to_vec()),
            b"size" => return Err(Fault::Tar("a member has more than 8 GiB".to_owned())),
            _ => {}
        }
    }
    Ok(name)
}

/// A name without the zero that ends it.
fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    name
}

fn tidy(name: String) -> String {
    let mut plain = name.as_str();
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest;
    }
    plain.to_owned()
}

fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') && part != "." && part != "..")
}

/// As when unpacking, the last of several members of one name counts.
fn last_of_each(mut index: Index) -> Index {
    let last: HashMap<&str, usize> = index.members.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect();
    if last.len() == index.members.len() {
        return index;
    }
    let is_last: Vec<bool> = index.members.iter().enumerate().map(|(i, m)| last[m.name.as_str()] == i).collect();
    let reason = "a later member of the same name replaces it";
    let replaced = index.members.iter().zip(&is_last).filter(|(_, last)| !**last);
    index.passed_over.extend(replaced.map(|(m, _)| Skipped { path: m.name.clone(), reason: reason.to_owned() }));
    let mut keep = is_last.into_iter();
    index.members.retain(|_| keep.next().unwrap_or(true));
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: EntryType, bytes: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes);
        header.set_mode(0o644);
        header
    }

    fn shard(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        builder.into_inner().expect("tar")
    }

    fn add(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
        builder.append_data(&mut header(EntryType::Regular, bytes.len() as u64), name, bytes).expect("append");
    }

    fn read(bytes: &[u8]) -> Result<Index, Error> {
        let reader = BufReader::new(io::Cursor::new(bytes));
        index(Path::new("a.tar"), (reader, bytes.len() as u64), &|name| name.ends_with(".cls"))
    }

    fn refuse(bytes: &[u8], words: &str) {
        let message = read(bytes).expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn members_are_where_the_index_says_long_names_included() {
        let long = format!("{}/1.png", "folder".repeat(30));
        let bytes = shard(|builder| {
            add(builder, "./a.png", b"first");
            add(builder, &long, &[7; 600]);
            add(builder, "._a.png", b"a shadow file");
        });
        let index = read(&bytes).expect("reads");
        let found: Vec<(&str, &[u8])> =
            index.members.iter().map(|m| (m.name.as_str(), &bytes[m.offset as usize..][..m.bytes as usize])).collect();
        assert_eq!(found, [("a.png", &b"first"[..]), (&long, &[7; 600])]);
    }

    #[test]
    fn a_long_name_outlives_a_pax_header_without_a_path() {
        let long = format!("{}/1.png", "folder".repeat(30));
        let bytes = shard(|builder| {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(long.len() as u64 + 1);
            header.set_cksum();
            builder.append(&header, [long.as_bytes(), b"\0"].concat().as_slice()).expect("a name");
            let record = b"13 mtime=1.5\n";
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(record.len() as u64);
            header.set_cksum();
            builder.append(&header, record.as_slice()).expect("a record");
            add(builder, "cut.png", b"first");
        });
        let index = read(&bytes).expect("reads");
        assert_eq!(index.members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), [long]);
    }

    #[test]
    fn members_asked_for_are_read_on_the_way_within_a_bound() {
        let bytes = shard(|builder| {
            add(builder, "a.cls", b"cat");
            add(builder, "b.png", &[1; 9000]);
            add(builder, "b.cls", b"dog");
        });
        let held: Vec<_> = read(&bytes).expect("reads").members.into_iter().map(|member| member.held).collect();
        assert_eq!(held, [Some(b"cat".to_vec()), None, Some(b"dog".to_vec())]);
        refuse(&shard(|builder| add(builder, "a.cls", &[0; (1 << 20) + 1])), "\"a.cls\" has 1048577 bytes, more than");
    }

    #[test]
    fn links_and_replaced_members_are_passed_over_by_name() {
        let bytes = shard(|builder| {
            add(builder, "a.png", b"old");
            builder.append_link(&mut header(EntryType::Symlink, 0), "b.png", "/etc/passwd").expect("link");
            add(builder, "a.png", b"new");
        });
        let index = read(&bytes).expect("reads");
        assert_eq!(index.members.len(), 1);
        assert_eq!(&bytes[index.members[0].offset as usize..][..3], b"new");
        let passed: Vec<&str> = index.passed_over.iter().map(|s| s.path.as_str()).collect();
        assert_eq!(passed, ["b.png", "a.png"]);
    }

    #[test]
    fn absolute_names_are_words() {
        let mut odd = header(EntryType::Regular, 1);
        odd.as_mut_bytes()[..11].copy_from_slice(b"/etc/../p.x");
        odd.set_cksum();
        let bytes = shard(|builder| builder.append(&odd, &b"x"[..]).expect("append"));
        assert_eq!(read(&bytes).expect("reads").members[0].name, "/etc/../p.x");
    }

    #[test]
    fn each_damage_has_its_sentence() {
        let good = shard(|builder| {
            add(builder, "a.png", &[1; 2000]);
            add(builder, "b.png", &[2; 700]);
        });
        refuse(b"", "it is empty");
        refuse(&[b'x'; 2048], "it is no tar file");
        refuse(&[&[0x1f, 0x8b][..], &[1; 1000]].concat(), "compressed by gzip");
        refuse(&good[..1500], "it ends within member \"a.png\"");
        refuse(&good[..2560], "it has no end marker");
        refuse(&[&good[..], &good[..]].concat(), "more follows its end marker");
        let mut damaged = good.clone();
        damaged[2560 + 10] ^= 1;
        refuse(&damaged, "the header at byte 2560 has a wrong checksum");
        let mut huge = header(EntryType::GNULongName, 1 << 40);
        huge.set_cksum();
        refuse(&[huge.as_bytes(), &[0; 1024][..]].concat(), "it ends within member");
    }
}
