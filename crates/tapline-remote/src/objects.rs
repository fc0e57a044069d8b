//! What lies below a prefix, and digests of objects that are read in pieces.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tapline_core::Digest;
use url::Url;

use crate::ahead::part;
use crate::error::{harmless, plain};
use crate::stores::Target;
use crate::{Fault, Remote, Wanted};

/// Objects that are asked for at a time.
pub(crate) const REQUESTS: usize = 16;

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

impl Remote {
    /// All objects below a prefix, in the order of their names.
    ///
    /// # Errors
    /// Where the source cannot list, as plain web servers cannot.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>, Fault> {
        let prefix = prefix.trim_end_matches('/');
        if prefix.starts_with("http") {
            let what = "a web server does not say what it has: list the pictures' URLs in a CSV file".to_owned();
            return Err(Fault::BadUrl { url: harmless(prefix), what });
        }
        let target = self.target(&prefix.into())?;
        let objects = self.runtime.block_on(target.store.list(Some(&target.path)).try_collect::<Vec<_>>());
        let objects = objects.map_err(|error| Fault::of(prefix, self.config.retries, &error))?;
        let bad = |what: String| Fault::BadUrl { url: harmless(prefix), what };
        let mut root = Url::parse(prefix).map_err(|error| bad(error.to_string()))?;
        let mut found = Vec::new();
        for meta in objects {
            let Some(name) = meta.location.as_ref().strip_prefix(target.path.as_ref()) else { continue };
            // Names hold what a URL must not: each part is encoded.
            let mut parts = root.path_segments_mut().map_err(|()| bad("it has no path".to_owned()))?;
            parts.clear().extend(meta.location.parts().map(|part| part.as_ref().to_owned()));
            drop(parts);
            found.push(Object {
                name: name.trim_start_matches('/').to_owned(),
                url: root.to_string(),
                version: strong(meta.e_tag),
            });
        }
        found.sort_by(|a: &Object, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The digests of objects and the versions that were read, none where one is not there; `progress` is told how many are done
    /// and says whether to go on.
    ///
    /// # Errors
    /// Where a source is dead or refuses its credentials.
    pub fn hash(
        &self,
        objects: &[Wanted],
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Option<(Digest, Option<Arc<str>>)>>, Fault> {
        self.each(objects, progress, digest)
    }

    /// The versions of objects as they are now, none where one is not there or its source does not tell; nothing is read.
    /// `progress` is told how many are done and says whether to go on.
    ///
    /// # Errors
    /// Where a source is dead or refuses its credentials.
    pub fn versions(
        &self,
        objects: &[Wanted],
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Vec<Option<Arc<str>>>, Fault> {
        let versions = self.each(objects, progress, version)?;
        Ok(versions.into_iter().map(Option::flatten).collect())
    }

    /// What `ask` finds of each object, none where one is not there or too many were.
    fn each<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        objects: &[Wanted],
        progress: &mut dyn FnMut(usize) -> bool,
        ask: impl Fn((Target, GetOptions), usize) -> F,
    ) -> Result<Vec<Option<T>>, Fault> {
        let target = |wanted: &Wanted| Ok((self.target(&wanted.url)?, wanted.options()));
        let targets = objects.iter().map(target).collect::<Result<Vec<_>, Fault>>()?;
        let retries = self.config.retries;
        self.runtime.block_on(async {
            let mut found = Vec::new();
            let mut done = stream::iter(targets.into_iter().map(|target| ask(target, retries))).buffered(REQUESTS);
            while let Some(answer) = done.next().await {
                found.push(match answer {
                    Ok(answer) => Some(answer),
                    Err(fault) if fault.concerns_one_picture() => None,
                    Err(fault) => return Err(fault),
                });
                if !progress(found.len()) {
                    found.resize_with(objects.len(), || None);
                    break;
                }
            }
            Ok(found)
        })
    }
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

async fn digest((target, options): (Target, GetOptions), retries: usize) -> Result<(Digest, Option<Arc<str>>), Fault> {
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
    let mut pieces = answer.into_stream();
    let mut hasher = Sha256::new();
    while let Some(piece) = pieces.try_next().await.map_err(wrap)? {
        hasher.update(&piece);
    }
    Ok((Digest(hasher.finalize().into()), version))
}
