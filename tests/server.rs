//! A server on loopback that speaks what is needed of HTTP(S), S3, Google Cloud Storage and Azure Blob Storage, and fails as it is
//! told to.
//!
//! It checks who asks, not the signature; bytes are cut, slowed, refused and hidden on purpose.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What Google's metadata server is asked for on the machines that it serves.
const TOKEN_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// What goes wrong with one request for an object.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// The answer is this status.
    Status(u16),
    /// The connection ends in the middle of the body.
    Cut,
    /// The connection ends without an answer.
    Silence,
    /// The body comes in pieces, half a second apart.
    Slow,
    /// A gibibyte comes in chunks, whatever length the head announces.
    Endless,
    /// All of the object comes, whatever part of it was asked for.
    Whole,
    /// Nothing goes wrong this time.
    Fine,
}

/// A running server; its threads end with the tests.
pub struct Server {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    /// What must stand in the header `Authorization`, if anything must.
    authorized: Option<String>,
    /// What the metadata server gives away.
    token: Option<String>,
    /// What goes wrong with the next requests for a path, last first.
    troubles: Mutex<HashMap<String, Vec<Trouble>>>,
    served: AtomicUsize,
    ranges: AtomicUsize,
    /// Requests for what is known of an object alone.
    heads: AtomicUsize,
}

impl Server {
    /// Serves objects by path, such as `/bucket/a.png`, to whom has these words in the header `Authorization`.
    pub fn start(objects: HashMap<String, Vec<u8>>, authorized: Option<&str>) -> Self {
        Self::spawn(objects, authorized, None, |shared, stream| shared.answer(stream))
    }

    /// Serves objects to whom shows the token `wanted`; its own metadata server gives `given` away.
    pub fn with_token(objects: HashMap<String, Vec<u8>>, given: &str, wanted: &str) -> Self {
        Self::spawn(objects, Some(&format!("Bearer {wanted}")), Some(given), |shared, stream| shared.answer(stream))
    }

    /// Serves objects over TLS, with the certificate that is given back as PEM.
    pub fn secure(objects: HashMap<String, Vec<u8>>) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a configuration");
        let config = Arc::new(config);
        let server = Self::spawn(objects, None, None, move |shared, stream| {
            let connection = ServerConnection::new(config.clone()).expect("a connection");
            shared.answer(StreamOwned::new(connection, stream));
        });
        (server, made.cert.pem())
    }

    fn spawn(
        objects: HashMap<String, Vec<u8>>,
        authorized: Option<&str>,
        token: Option<&str>,
        answer: impl Fn(&Shared, TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            objects: Mutex::new(objects),
            authorized: authorized.map(str::to_owned),
            token: token.map(str::to_owned),
            troubles: Mutex::default(),
            served: AtomicUsize::new(0),
            ranges: AtomicUsize::new(0),
            heads: AtomicUsize::new(0),
        });
        let (accepting, answer) = (shared.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever does not read is dropped, as servers do.
                stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
                let (shared, answer) = (accepting.clone(), answer.clone());
                std::thread::spawn(move || answer(&shared, stream));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn trouble(&self, path: &str, troubles: &[Trouble]) {
        let troubles = troubles.iter().rev().copied().collect();
        self.shared.troubles.lock().expect("a lock").insert(path.to_owned(), troubles);
    }

    /// Objects served so far, and how many of them in part.
    pub fn served(&self) -> (usize, usize) {
        (self.shared.served.load(Ordering::SeqCst), self.shared.ranges.load(Ordering::SeqCst))
    }

    /// How often only the headers of an object were asked for; these count as served, too.
    pub fn heads(&self) -> usize {
        self.shared.heads.load(Ordering::SeqCst)
    }

    /// Puts other bytes in the place of an object.
    pub fn swap(&self, path: &str, bytes: Vec<u8>) {
        self.shared.objects.lock().expect("a lock").insert(path.to_owned(), bytes);
    }
}

impl Shared {
    fn answer(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let (mut first, mut range, mut authorization) = (String::new(), None, String::new());
        if reader.read_line(&mut first).is_err() {
            return;
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            let Some((name, value)) = line.trim().split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "range" => range = value.strip_prefix("bytes=").map(str::to_owned),
                "authorization" => authorization = value.to_owned(),
                _ => {}
            }
        }
        let stream = reader.get_mut();
        let target = first.split(' ').nth(1).unwrap_or("/").to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if let Some(token) = self.token.as_ref().filter(|_| path == TOKEN_PATH) {
            let answer = format!("{{\"access_token\": \"{token}\", \"expires_in\": 3600, \"token_type\": \"Bearer\"}}");
            send(stream, 200, "", answer.as_bytes());
        } else if self.authorized.as_ref().is_some_and(|words| !authorization.contains(words)) {
            let answer = format!(
                "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{authorization}</AWSAccessKeyId></Error>"
            );
            send(stream, 403, "", answer.as_bytes());
        } else if query.contains("list-type=2") {
            send(stream, 200, "", self.listed(path, query).as_bytes());
        } else if query.contains("comp=list") {
            send(stream, 200, "", self.listed_blobs(path, query).as_bytes());
        } else {
            self.object(stream, &first, &decoded(path), range);
        }
        // A client that left is its own affair.
        let _ = stream.flush();
    }

    fn object(&self, stream: &mut impl Write, first: &str, path: &str, range: Option<String>) {
        let Some(bytes) = self.objects.lock().expect("a lock").get(path).cloned() else {
            return send(stream, 404, "", b"<Error><Code>NoSuchKey</Code></Error>");
        };
        let trouble = self.troubles.lock().expect("a lock").get_mut(path).and_then(Vec::pop);
        match trouble {
            Some(Trouble::Status(status)) => return send(stream, status, "", b""),
            Some(Trouble::Silence) => return,
            _ => {}
        }
        let time = "Last-Modified: Mon, 05 Jan 2026 00:00:00 GMT\r\n";
        let tag = if path.starts_with("/untagged") { String::new() } else { format!("ETag: \"{}\"\r\n", tag(&bytes)) };
        let tag = tag + time;
        let range = range.filter(|_| !matches!(trouble, Some(Trouble::Whole)));
        let (status, part, more) = match range.as_deref().and_then(|range| range.split_once('-')) {
            Some((from, to)) => {
                self.ranges.fetch_add(1, Ordering::SeqCst);
                let from: usize = from.parse().expect("a number");
                let to = to.parse().map_or(bytes.len(), |to: usize| (to + 1).min(bytes.len()));
                (206, &bytes[from..to], format!("{tag}Content-Range: bytes {from}-{}/{}\r\n", to - 1, bytes.len()))
            }
            None => (200, &bytes[..], tag),
        };
        self.served.fetch_add(1, Ordering::SeqCst);
        let more =
            if matches!(trouble, Some(Trouble::Endless)) { more + "Transfer-Encoding: chunked\r\n" } else { more };
        let head = head(status, &more, part.len());
        let is_head = first.starts_with("HEAD");
        self.heads.fetch_add(is_head.into(), Ordering::SeqCst);
        if stream.write_all(head.as_bytes()).is_err() || is_head {
            return;
        }
        let sent = match trouble {
            Some(Trouble::Cut) => stream.write_all(&part[..part.len() / 2]),
            Some(Trouble::Endless) => {
                let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
                (0..1024).try_for_each(|_| stream.write_all(&chunk))
            }
            Some(Trouble::Slow) => part.chunks(part.len() / 3 + 1).try_for_each(|piece| {
                std::thread::sleep(Duration::from_millis(500));
                stream.write_all(piece)
            }),
            _ => stream.write_all(part),
        };
        // A client that left is its own affair.
        let _ = sent.and_then(|()| stream.flush());
    }

    /// Keys of a bucket that begin with a query's prefix, how many bytes each has, and its entity tag.
    fn below(&self, bucket: &str, query: &str) -> Vec<(String, usize, String)> {
        let bucket = bucket.trim_end_matches('/');
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
        let prefix = decoded(prefix);
        let objects = self.objects.lock().expect("a lock");
        let below = objects.iter().filter_map(|(path, bytes)| {
            let key = path.strip_prefix(bucket)?.strip_prefix('/')?;
            key.starts_with(&prefix).then(|| (key.to_owned(), bytes.len(), tag(bytes)))
        });
        below.collect()
    }

    /// What S3 and Google Cloud Storage answer.
    fn listed(&self, bucket: &str, query: &str) -> String {
        let mut xml = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
        for (key, bytes, tag) in self.below(bucket, query) {
            write!(
                xml,
                "<Contents><Key>{key}</Key><LastModified>2026-01-05T00:00:00.000Z</LastModified><ETag>\"{tag}\"</ETag><Size>{bytes}</Size></Contents>"
            )
            .expect("text");
        }
        xml + "</ListBucketResult>"
    }

    /// What Azure answers.
    fn listed_blobs(&self, container: &str, query: &str) -> String {
        let mut xml = "<EnumerationResults><Blobs>".to_owned();
        for (name, bytes, tag) in self.below(container, query) {
            write!(
                xml,
                "<Blob><Name>{name}</Name><Properties><Last-Modified>Mon, 05 Jan 2026 00:00:00 GMT</Last-Modified><Etag>{tag}</Etag><Content-Length>{bytes}</Content-Length><Content-Type>image/png</Content-Type></Properties></Blob>"
            )
            .expect("text");
        }
        xml + "</Blobs><NextMarker /></EnumerationResults>"
    }
}

/// The entity tag of an object.
fn tag(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{sum:x}-{}", bytes.len())
}

/// A part of a URL with `%2F` and the like as the characters that they stand for.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |decoded, part| {
        let code = u8::from_str_radix(&part[..2], 16).expect("two digits");
        decoded + &char::from(code).to_string() + &part[2..]
    })
}

fn head(status: u16, more: &str, bytes: usize) -> String {
    format!("HTTP/1.1 {status} Status\r\nContent-Length: {bytes}\r\nConnection: close\r\n{more}\r\n")
}

fn send(stream: &mut impl Write, status: u16, more: &str, body: &[u8]) {
    let _ = stream.write_all(head(status, more, body.len()).as_bytes()).and_then(|()| stream.write_all(body));
}
