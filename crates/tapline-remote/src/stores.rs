//! One client for each bucket or host, made from its URL and the environment's credentials.
//!
//! The one place with a runtime for asynchronous work: it starts when the first URL is met, never for local files.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;
use url::Url;

use crate::Fault;
use crate::error::{harmless, plain, remedy};

/// How long a source may stay silent before that counts as a failure, and how long one object may take.
const TIMES: [(ClientConfigKey, &str); 2] =
    [(ClientConfigKey::ReadTimeout, "30 seconds"), (ClientConfigKey::Timeout, "1 hour")];
/// No further retry is made after this time.
const RETRY_TIME: Duration = Duration::from_secs(180);

/// What clients are made from.
#[derive(Clone)]
pub struct Config {
    /// Environment variables; those that start with `AWS_`, `GOOGLE_` and `AZURE_` configure clients.
    pub environment: Vec<(String, String)>,
    /// How often a failed request is made again.
    pub retries: usize,
}

/// Clients of all sources of a run.
pub struct Remote {
    pub(crate) config: Config,
    pub(crate) runtime: Runtime,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// An object and the client that can read it.
#[derive(Clone)]
pub(crate) struct Target {
    pub url: Arc<str>,
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
}

impl Target {
    /// What an error means for it: where a `part` was asked for, its index was read, so that it is not missing but gone.
    pub(crate) fn fault(&self, part: Option<&Range<u64>>, retries: usize, error: &object_store::Error) -> Fault {
        match Fault::of(&self.url, retries, error) {
            Fault::Missing { url } if part.is_some() => Fault::Changed { url },
            fault => fault,
        }
    }
}

impl Remote {
    /// Starts the threads that wait for sources.
    ///
    /// # Errors
    /// [`Fault::NoRuntime`].
    pub fn new(config: Config) -> Result<Self, Fault> {
        // An error means that the process has a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tapline-remote")
            .enable_all()
            .build()
            .map_err(|error| Fault::NoRuntime { cause: error.to_string() })?;
        Ok(Self { config, runtime, stores: Mutex::default() })
    }

    /// The client for a URL, made on first use, and the object's path in it.
    pub(crate) fn target(&self, text: &Arc<str>) -> Result<Target, Fault> {
        let bad = |what: String| Fault::BadUrl { url: harmless(text), what };
        let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user or password, which would be stored with the listing".to_owned()));
        }
        if url.query().is_some() {
            return Err(bad("it has a query (?...), which may be a credential and is not sent".to_owned()));
        }
        if url.fragment().is_some() {
            return Err(bad("it has a fragment (#...): write %23 where a name holds this sign".to_owned()));
        }
        let path = Path::from_url_path(url.path()).map_err(|error| bad(error.to_string()))?;
        let root = format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPort]);
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match stores.get(&root) {
            Some(store) => store.clone(),
            None => {
                let made = self.open(url.scheme(), &root);
                let made = made.map_err(|error| {
                    let cause = plain(&error);
                    let own = if cause.contains("failed to parse") { "correct that setting" } else { remedy(text) };
                    bad(format!("{cause}: {own}"))
                })?;
                stores.insert(root, made.clone());
                made
            }
        };
        Ok(Target { url: text.clone(), store, path })
    }

    fn open(&self, scheme: &str, root: &str) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let retry = RetryConfig { max_retries: self.config.retries, retry_timeout: RETRY_TIME, ..Default::default() };
        Ok(match scheme {
            "s3" => {
                let builder = AmazonS3Builder::new().with_url(root).with_retry(retry);
                let set = |builder: AmazonS3Builder, key, value: &str| builder.with_config(key, value);
                Arc::new(self.configured("AWS_", builder, AmazonS3ConfigKey::Client, set).build()?)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::new().with_url(root).with_retry(retry);
                let set = |builder: GoogleCloudStorageBuilder, key, value: &str| builder.with_config(key, value);
                Arc::new(self.configured("GOOGLE_", builder, GoogleConfigKey::Client, set).build()?)
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::new().with_url(root).with_retry(retry);
                let set = |builder: MicrosoftAzureBuilder, key, value: &str| builder.with_config(key, value);
                Arc::new(self.configured("AZURE_", builder, AzureConfigKey::Client, set).build()?)
            }
            "http" | "https" => {
                let mut builder = HttpBuilder::new().with_url(root).with_retry(retry);
                for (key, value) in TIMES.into_iter().chain([(ClientConfigKey::AllowHttp, "true")]) {
                    builder = builder.with_config(key, value);
                }
                Arc::new(builder.build()?)
            }
            other => {
                let source = format!("{other}:// is not known").into();
                return Err(object_store::Error::Generic { store: "URL", source });
            }
        })
    }

    /// A cloud's builder with what its environment variables say, and with the times that hold for every client.
    fn configured<B, K: FromStr>(
        &self,
        prefix: &str,
        mut builder: B,
        of_client: fn(ClientConfigKey) -> K,
        set: impl Fn(B, K, &str) -> B,
    ) -> B {
        for (name, value) in self.config.environment.iter().filter(|(name, _)| name.starts_with(prefix)) {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = set(builder, key, value);
            }
        }
        TIMES.into_iter().fold(builder, |builder, (key, value)| set(builder, of_client(key), value))
    }
}
