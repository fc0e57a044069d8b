//! A server on loopback that speaks what is needed of HTTP and S3, and fails as it is told to.
//!
//! It checks which key signed a request, not the signature; bytes are cut, slowed, refused and hidden on purpose.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    objects: HashMap<String, Vec<u8>>,
    /// The key that must have signed, if one must.
    key: Option<String>,
    /// What goes wrong with the next requests for a path, last first.
    troubles: Mutex<HashMap<String, Vec<Trouble>>>,
    served: AtomicUsize,
    ranges: AtomicUsize,
}

impl Server {
    /// Serves objects by path, such as `/bucket/a.png`.
    pub fn start(objects: HashMap<String, Vec<u8>>, key: Option<&str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            objects,
            key: key.map(str::to_owned),
            troubles: Mutex::default(),
            served: AtomicUsize::new(0),
            ranges: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = accepting.clone();
                std::thread::spawn(move || shared.answer(stream));
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
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
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
        let target = first.split(' ').nth(1).unwrap_or("/").to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if let Some(key) = &self.key
            && !authorization.contains(&format!("Credential={key}/"))
        {
            let answer = format!(
                "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{authorization}</AWSAccessKeyId></Error>"
            );
            send(&mut stream, 403, "", answer.as_bytes());
        } else if query.contains("list-type=2") {
            let listed = self.listed(path.trim_end_matches('/'), query);
            send(&mut stream, 200, "", listed.as_bytes());
        } else {
            self.object(&mut stream, &first, &path.replace("%20", " "), range);
        }
    }

    fn object(&self, stream: &mut TcpStream, first: &str, path: &str, range: Option<String>) {
        let Some(bytes) = self.objects.get(path) else {
            return send(stream, 404, "", b"<Error><Code>NoSuchKey</Code></Error>");
        };
        let trouble = self.troubles.lock().expect("a lock").get_mut(path).and_then(Vec::pop);
        match trouble {
            Some(Trouble::Status(status)) => return send(stream, status, "", b""),
            Some(Trouble::Silence) => return,
            _ => {}
        }
        let tag =
            format!("ETag: \"{}-{}\"\r\nLast-Modified: Mon, 05 Jan 2026 00:00:00 GMT\r\n", bytes.len(), path.len());
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
        let head = head(status, &more, part.len());
        if stream.write_all(head.as_bytes()).is_err() || first.starts_with("HEAD") {
            return;
        }
        let sent = match trouble {
            Some(Trouble::Cut) => stream.write_all(&part[..part.len() / 2]),
            Some(Trouble::Slow) => part.chunks(part.len() / 3 + 1).try_for_each(|piece| {
                std::thread::sleep(Duration::from_millis(500));
                stream.write_all(piece)
            }),
            _ => stream.write_all(part),
        };
        // A client that left is its own affair.
        let _ = sent.and_then(|()| stream.flush());
    }

    fn listed(&self, bucket: &str, query: &str) -> String {
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
        let prefix = prefix.replace("%2F", "/");
        let mut xml = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
        for (path, bytes) in &self.objects {
            let Some(key) = path.strip_prefix(bucket).and_then(|key| key.strip_prefix('/')) else { continue };
            if key.starts_with(&prefix) {
                write!(
                    xml,
                    "<Contents><Key>{key}</Key><LastModified>2026-01-05T00:00:00.000Z</LastModified><ETag>\"x\"</ETag><Size>{}</Size></Contents>",
                    bytes.len()
                )
                .expect("text");
            }
        }
        xml + "</ListBucketResult>"
    }
}

fn head(status: u16, more: &str, bytes: usize) -> String {
    format!("HTTP/1.1 {status} Status\r\nContent-Length: {bytes}\r\nConnection: close\r\n{more}\r\n")
}

fn send(stream: &mut TcpStream, status: u16, more: &str, body: &[u8]) {
    let _ = stream.write_all(head(status, more, body.len()).as_bytes()).and_then(|()| stream.write_all(body));
}
