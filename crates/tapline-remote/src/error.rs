//! Why bytes could not be had: of one object, or of a source as a whole.
//!
//! Causes are cut down to what holds no credential: servers repeat keys in their answers, and URLs carry tokens as queries.

use url::Url;

/// A failure. Of a picture's own object, the first two concern that picture; the others concern the run.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An object that is not there.
    #[error("is not there: {url} does not exist")]
    Missing {
        /// The object.
        url: String,
    },
    /// An object over the limit.
    #[error("has {bytes} bytes, more than the limit of {max_bytes}")]
    TooLarge {
        /// What the source says.
        bytes: u64,
        /// What is allowed.
        max_bytes: u64,
    },
    /// A text that is no URL of a known kind, or carries a credential.
    #[error("{url} cannot be used: {what}")]
    BadUrl {
        /// The URL, without what follows a `?` and without a password.
        url: String,
        /// Why, and what to do.
        what: String,
    },
    /// A prefix that holds an object whose name is no path.
    #[error("{url} cannot be listed ({what}): rename that object, or list the pictures' URLs in a CSV file")]
    BadName {
        /// The prefix.
        url: String,
        /// Which name, and why.
        what: String,
    },
    /// Credentials that are missing, wrong, or not allowed to read.
    #[error("{url} was refused ({cause}): {remedy}")]
    Refused {
        /// The object.
        url: String,
        /// The answer.
        cause: String,
        /// Where credentials are read from.
        remedy: &'static str,
    },
    /// A server whose certificate no known authority vouches for.
    #[error(
        "{url} cannot be used: {cause}; have the system trust the certificate's authority, or name a PEM file of it in SSL_CERT_FILE"
    )]
    Untrusted {
        /// The object.
        url: String,
        /// What is wrong with the certificate.
        cause: String,
    },
    /// A source that did not answer as it should, after all retries.
    #[error("{url} could not be read, {tried}: {cause}; run the same command again once the source is back")]
    Dead {
        /// The object.
        url: String,
        /// How often it was asked again.
        tried: String,
        /// The last failure.
        cause: String,
    },
    /// An object that is not the one whose index was read.
    #[error("{url} has changed, or is gone, since its index was read: run the same command again")]
    Changed {
        /// The object.
        url: String,
    },
    /// A source that gives whole objects alone.
    #[error("{url} cannot be read in parts, which its server does not offer: copy it to a disk first")]
    Whole {
        /// The object.
        url: String,
    },
    /// An answer that asking again does not change.
    #[error("{url} could not be read: {cause}{remedy}")]
    Rejected {
        /// The object.
        url: String,
        /// The answer.
        cause: String,
        /// What to do about it, after a colon; empty where the answer says it all.
        remedy: &'static str,
    },
    /// The wait was given up.
    #[error("the wait for a picture was given up")]
    GivenUp,
    /// The machinery of waiting could not be started.
    #[error("remote pictures cannot be fetched: {cause}")]
    NoRuntime {
        /// Why.
        cause: String,
    },
}

impl Fault {
    /// The failure inside an error of reading, if it is one of a source behind a URL.
    pub fn inside(error: &std::io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether it concerns one picture alone, which may be skipped.
    pub fn concerns_one_picture(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::TooLarge { .. })
    }

    /// What an object store's error means for `url`.
    pub(crate) fn of(url: &str, retries: usize, error: &object_store::Error) -> Self {
        let (url, cause) = (harmless(url), plain(error));
        // Listing a bucket gives the same answers as errors of no kind.
        let is_refusal = ["status code: 401", "status code: 403"].iter().any(|status| cause.contains(status));
        let is_whole =
            ["non-partial response", "Range request not supported"].iter().any(|words| cause.contains(words));
        let status = cause.split("status code: ").nth(1).and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        match error {
            object_store::Error::NotFound { .. } => Self::Missing { url },
            _ if status == Some(410) => Self::Missing { url },
            object_store::Error::InvalidPath { .. } => Self::BadName { url, what: cause },
            object_store::Error::Precondition { .. } => Self::Changed { url },
            _ if is_whole => Self::Whole { url },
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Refused { remedy: remedy(&url), url, cause }
            }
            _ if cause.contains("invalid peer certificate") => Self::Untrusted { url, cause },
            _ if is_refusal => Self::Refused { remedy: remedy(&url), url, cause },
            _ if cause.contains("Content-Length") => {
                let remedy = ": its server does not say how long it is; copy it to a disk first";
                Self::Rejected { url, cause, remedy }
            }
            _ if cause.contains("URL scheme is not allowed") => {
                let remedy =
                    ": for an endpoint without encryption set AWS_ALLOW_HTTP=true, or the like of another cloud";
                Self::Rejected { url, cause, remedy }
            }
            // Only these are tried again.
            _ if status.is_some_and(|status| (400..500).contains(&status) && ![408, 429].contains(&status)) => {
                Self::Rejected { url, cause, remedy: "" }
            }
            _ => Self::Dead { url, tried: tried(retries), cause },
        }
    }
}

/// A URL without user, password and query. Of what is no URL as it stands, such as a password with a slash in it, nothing is shown
/// that may be part of one: what comes before the last `@`, or what is cut by a query that holds one.
pub(crate) fn harmless(text: &str) -> String {
    let is_plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.has_host();
    let before_query = |text: &'_ str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    let after_user = |text: &str| text.rsplit('@').next().unwrap_or_default().trim_start_matches('/').to_owned();
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = match Url::parse(text) {
        Ok(url) if is_plain(&url) => before_query(rest),
        Ok(_) => after_user(&before_query(rest)),
        Err(_) if rest.rsplit('@').skip(1).any(|before| before.contains('?')) => "…".to_owned(),
        Err(_) => before_query(&after_user(rest)),
    };
    if scheme.is_empty() { rest } else { format!("{scheme}://{rest}") }
}

/// How often a source was asked again.
pub(crate) fn tried(retries: usize) -> String {
    format!("with {retries} {}", if retries == 1 { "retry" } else { "retries" })
}

/// What to look at where a source refuses, or a client cannot be made.
pub(crate) fn remedy(url: &str) -> &'static str {
    match url.split("://").next().unwrap_or_default() {
        "s3" => "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may read",
        "gs" => "check GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS and what they may read",
        "az" => "check AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and what they may read",
        "http" | "https" => "the server wants credentials, which are not sent over http",
        _ => "use s3://, gs://, az://, http:// or https://",
    }
}

/// The innermost cause, up to where a server's answer or a query begins.
pub(crate) fn plain(error: &object_store::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    let text = inner.to_string();
    let words = text.split(['<', '{', '?', '\n']).next().unwrap_or_default();
    words.trim_end_matches([' ', ':', '(']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asking_again_does_not_change_is_not_called_dead() {
        let check = |cause: &str, expected: &str| {
            let error = object_store::Error::Generic { store: "HTTP", source: cause.to_owned().into() };
            assert_eq!(Fault::of("http://host/x.jpg", 1, &error).to_string(), expected);
        };
        let of = "http://host/x.jpg could not be read";
        check("status code: 410", "is not there: http://host/x.jpg does not exist");
        check("Client error with status code: 451", &format!("{of}: Client error with status code: 451"));
        let again = "run the same command again once the source is back";
        check(
            "Server error with status code: 503",
            &format!("{of}, with 1 retry: Server error with status code: 503; {again}"),
        );
        check("status code: 429", &format!("{of}, with 1 retry: status code: 429; {again}"));
        let long = "Content-Length Header missing from response";
        let copy = "its server does not say how long it is; copy it to a disk first";
        check(long, &format!("{of}: {long}: {copy}"));
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_credential() {
        let check = |url: &str, expected: &str| assert_eq!(harmless(url), expected);
        check("https://host:1/a/b@c.jpg?sig=secret#x", "https://host:1/a/b@c.jpg");
        check("s3://bucket/key", "s3://bucket/key");
        check("https://token@host", "https://host");
        check("https://me:secret@host/a@b/c.jpg", "https://b/c.jpg");
        check("s3://AKIA:sec/ret@bucket/key.png", "s3://bucket/key.png");
        check("https:///me:secret@host/x.jpg", "https://host/x.jpg");
        check("http://user:pa#secret@host/x.jpg", "http://host/x.jpg");
        check("https://host/x.jpg?sig=a@b", "https://host/x.jpg");
        check("nothing", "nothing");
        check("https://me:pass@host/x.jpg?sig=a@secret", "https://host/x.jpg");
        check("https://bad host/x?sig=a@secret", "https://…");
    }

    #[test]
    fn a_servers_answer_is_no_part_of_a_cause() {
        let answer = "status 403 Forbidden: <Error><AWSAccessKeyId>SECRET</AWSAccessKeyId></Error>";
        let error = object_store::Error::Generic { store: "S3", source: answer.into() };
        assert_eq!(plain(&error), "status 403 Forbidden");
    }
}
