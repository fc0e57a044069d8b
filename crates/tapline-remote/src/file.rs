//! An object as a file that is read and sought in: for the index of a shard, whose pictures are fetched later.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use tokio::runtime::Handle;

use crate::ahead::body;
use crate::objects::strong;
use crate::stores::Target;
use crate::{Fault, Remote, Wanted};

/// An object that is read from where it is asked for, a request for each read: to be put behind a large buffer.
///
/// Reads fail with a [`Fault`] inside [`io::Error`]; [`Fault::inside`] gets it out.
pub struct RemoteFile {
    runtime: Handle,
    retries: usize,
    target: Target,
    bytes: u64,
    version: Option<Arc<str>>,
    at: u64,
}

impl Remote {
    /// Opens an object to be read in parts.
    ///
    /// # Errors
    /// Where it is not there, or its source refuses or does not answer.
    pub fn file(&self, url: &str) -> Result<RemoteFile, Fault> {
        let target = self.target(&url.into())?;
        let meta = self.runtime.block_on(target.store.head(&target.path));
        let meta = meta.map_err(|error| Fault::of(url, self.config.retries, &error))?;
        let version = strong(meta.e_tag);
        let (runtime, retries) = (self.runtime.handle().clone(), self.config.retries);
        Ok(RemoteFile { runtime, retries, target, bytes: meta.size, version, at: 0 })
    }
}

impl RemoteFile {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Which version of the object is read, where the source tells: its entity tag.
    pub fn version(&self) -> Option<Arc<str>> {
        self.version.clone()
    }
}

impl Read for RemoteFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let range = self.at..self.bytes.min(self.at + out.len() as u64);
        let length = range.end.saturating_sub(range.start);
        if range.is_empty() {
            return Ok(0);
        }
        let Self { runtime, retries, target, .. } = self;
        let wanted = Wanted { url: target.url.clone(), range: Some(range), version: self.version.clone() };
        let read = async { body(target.store.get_opts(&target.path, wanted.options()).await?, length).await };
        let read = runtime.block_on(read);
        let read = read.map_err(|error| io::Error::other(Fault::of(&target.url, *retries, &error)))?;
        let count = read.len().min(out.len());
        out[..count].copy_from_slice(&read[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the start of the object"))?;
        Ok(self.at)
    }
}
