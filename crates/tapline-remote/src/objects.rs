//! What lies below a prefix, and digests of objects that are read in pieces.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, ObjectMeta, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tapline_core::Digest;
use url::Url;

use crate::ahead::{GLANCE, part};
use crate::error::{harmless, plain, tried};
use crate::stores::Target;
use crate::{Fault, Remote, Wanted};

/// Objects that are asked for at a time.
pub(crate) const REQUESTS: usize = 16;

/// Bytes that what is said of the objects below a prefix may take: a source that lists without end must not fill the memory.
const MAX_LISTED: usize = 2 << 30;

/// How long the next object of a list may take: pages without any may follow each other for ever.
const SILENCE: Duration = Duration::from_secs(600);

/// An object below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name below the prefix.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Which version of it this is, where the source tells (an entity tag).
    pub version: Option<Arc<str>>,
}

/// The digest of an object's bytes, and which version of it these are, where its source tells (an entity tag).
pub type Hashed = (Digest, Option<Arc<str>>);

impl Remote {
    /// All objects below a prefix, in the order of their names.
    ///
    /// # Errors
    /// Where the source cannot list, as plain web servers cannot.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>, Fault> {
        let prefix = prefix.trim_end_matches('/');
        if prefix.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) {
            let what = "a web server does not say what it has: list the pictures' URLs in a CSV file".to_owned();
            return Err(Fault::BadUrl { url: harmless(prefix), what });
        }
        let target = self.target(&prefix.into())?;
        let objects = self.runtime.block_on(listed(&target, prefix, self.config.retries))?;
        let bad = |what: String| Fault::BadUrl { url: harmless(prefix), what };
        let mut root = Url::parse(prefix).map_err(|error| bad(error.to_string()))?;
        let name = |meta: &ObjectMeta| {
            let name = meta.location.as_ref().strip_prefix(target.path.as_ref())?;
            Some(name.trim_start_matches('/').to_owned())
        };
        let named: Vec<(String, ObjectMeta)> =
            objects.into_iter().filter_map(|meta| Some((name(&meta)?, meta))).collect();
        let folders: HashSet<&str> = named.iter().flat_map(|(name, _)| folders(name)).collect();
        let mut found = Vec::new();
        for (name, meta) in &named {
            // What stands for a folder is no file: buckets' consoles make such.
            if meta.size == 0 && (name.is_empty() || folders.contains(name.as_str())) {
                continue;
            }
            // Names hold what a URL must not: each part is encoded.
            let mut parts = root.path_segments_mut().map_err(|()| bad("it has no path".to_owned()))?;
            parts.clear().extend(meta.location.parts().map(|part| part.as_ref().to_owned()));
            drop(parts);
            found.push(Object { name: name.clone(), url: root.to_string(), version: strong(meta.e_tag.clone()) });
        }
        found.sort_by(|a: &Object, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The digests of objects and the versions that were read; `found` is told each by its position, none where one is not there,
    /// in their order. `go_on` is asked now and then, whether or not anything comes.
    ///
    /// # Errors
    /// Where a source is dead or refuses its credentials.
    pub fn hash(
        &self,
        objects: &[Wanted],
        found: &mut dyn FnMut(usize, Option<Hashed>),
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        self.each(objects, digest, found, go_on)
    }

    /// The versions of objects as they are now, none where one is not there or its source does not tell; nothing is read. `found` and
    /// `go_on` are called as those of [`Remote::hash`] are.
    ///
    /// # Errors
    /// Where a source is dead or refuses its credentials.
    pub fn versions(
        &self,
        objects: &[Wanted],
        found: &mut dyn FnMut(usize, Option<Arc<str>>),
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        self.each(objects, version, &mut |position, version| found(position, version.flatten()), go_on)
    }

    /// What `ask` finds of each object.
    fn each<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        objects: &[Wanted],
        ask: impl Fn((Target, GetOptions), usize) -> F,
        found: &mut dyn FnMut(usize, Option<T>),
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let target = |wanted: &Wanted| Ok((self.target(&wanted.url)?, wanted.options()));
        let targets = objects.iter().map(target).collect::<Result<Vec<_>, Fault>>()?;
        let retries = self.config.retries;
        self.runtime.block_on(async {
            let mut answers = stream::iter(targets.into_iter().map(|target| ask(target, retries))).buffered(REQUESTS);
            let mut position = 0;
            while go_on() {
                match tokio::time::timeout(GLANCE, answers.next()).await {
                    Err(_) => continue,
                    Ok(None) => break,
                    Ok(Some(Ok(answer))) => found(position, Some(answer)),
                    Ok(Some(Err(fault))) if fault.concerns_one_picture() => found(position, None),
                    Ok(Some(Err(fault))) => return Err(fault),
                }
                position += 1;
            }
            Ok(())
        })
    }
}

/// What a source says of all objects below a prefix.
async fn listed(target: &Target, prefix: &str, retries: usize) -> Result<Vec<ObjectMeta>, Fault> {
    let mut listed = target.store.list(Some(&target.path));
    let (mut objects, mut bytes) = (Vec::new(), 0);
    loop {
        let next = tokio::time::timeout(SILENCE, listed.try_next()).await.map_err(|_| Fault::Dead {
            url: harmless(prefix),
            tried: tried(retries),
            cause: format!("its list did not go on for {} seconds", SILENCE.as_secs()),
        })?;
        let Some(object) = next.map_err(|error| Fault::of(prefix, retries, &error))? else { return Ok(objects) };
        bytes += size_of::<ObjectMeta>() + object.location.as_ref().len();
        if bytes > MAX_LISTED {
            let what = format!("its list takes more than {} GiB: list the pictures in a CSV file", MAX_LISTED >> 30);
            return Err(Fault::BadUrl { url: harmless(prefix), what });
        }
        objects.push(object);
    }
}

/// The folders that a name lies in.
fn folders(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end])
}

/// An entity tag that says which bytes an object has, as a weak one does not.
pub(crate) fn strong(tag: Option<String>) -> Option<Arc<str>> {
    tag.filter(|tag| !tag.starts_with("W/")).map(Arc::from)
}

async fn version((target, _): (Target, GetOptions), retries: usize) -> Result<Option<Arc<str>>, Fault> {
    match target.store.head(&target.path).await {
        Ok(meta) => Ok(strong(meta.e_tag)),
        // Servers that know GET alone.
        Err(error) if ["405", "501"].iter().any(|code| plain(&error).contains(&format!("status code: {code}"))) => {
            Ok(None)
        }
        Err(error) => Err(target.fault(None, retries, &error)),
    }
}

/// Why a body is not what its head announced: so many bytes came of so many.
pub(crate) fn other_length(target: &Target, retries: usize, (came, bytes): (u64, u64)) -> Fault {
    let more = if came > bytes { " or more" } else { "" };
    let cause = format!("{came} bytes{more} came of {bytes}");
    Fault::Dead { url: target.url.to_string(), tried: tried(retries), cause }
}

async fn digest((target, options): (Target, GetOptions), retries: usize) -> Result<Hashed, Fault> {
    let part = part(&options);
    if part.as_ref().is_some_and(Range::is_empty) {
        return Ok((Digest::of(&[]), options.if_match.map(Arc::from)));
    }
    let wrap = |error: object_store::Error| target.fault(part.as_ref(), retries, &error);
    let answer = target.store.get_opts(&target.path, options).await.map_err(wrap)?;
    if part.as_ref().is_some_and(|part| *part != answer.range) {
        return Err(Fault::Changed { url: target.url.to_string() });
    }
    let version = strong(answer.meta.e_tag.clone());
    let bytes = answer.range.end - answer.range.start;
    let mut pieces = answer.into_stream();
    let (mut hasher, mut came) = (Sha256::new(), 0);
    while let Some(piece) = pieces.try_next().await.map_err(wrap)? {
        hasher.update(&piece);
        came += piece.len() as u64;
        if came > bytes {
            break;
        }
    }
    if came != bytes {
        return Err(other_length(&target, retries, (came, bytes)));
    }
    Ok((Digest(hasher.finalize().into()), version))
}
