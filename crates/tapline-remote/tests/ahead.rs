//! What is held ahead of the work stays within its bound, from a server on loopback.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapline_remote::{Config, Fault, Order, Remote, Wanted};

#[path = "../../../tests/server.rs"]
#[allow(dead_code, reason = "the black-box tests use the rest")]
mod server;

use server::{Server, Trouble};

fn serve(count: usize, bytes: usize) -> (Server, Vec<Wanted>) {
    let objects: HashMap<String, Vec<u8>> = (0..count).map(|i| (format!("/{i}"), vec![i as u8; bytes])).collect();
    let server = Server::start(objects, None);
    let urls = (0..count).map(|i| Wanted::from(Arc::from(server.url(&format!("/{i}"))))).collect();
    (server, urls)
}

fn remote(retries: usize) -> Remote {
    Remote::new(Config { environment: Vec::new(), retries }).expect("a runtime")
}

#[test]
fn the_bound_holds_and_objects_come_by_position() {
    let (_server, urls) = serve(100, 1000);
    for (bytes_in_flight, most) in [(10_000, 10_000), (2500, 2500), (1, 1000)] {
        let order = Order { objects: urls.clone(), bytes_in_flight, max_bytes: 1000 };
        let remote = remote(0);
        let ahead = remote.fetch(order).expect("URLs");
        // Nearly in order, as several workers take them.
        for position in (0..100).map(|i| i ^ 1) {
            assert_eq!(ahead.take(position, &|| false).expect("bytes").bytes, vec![position as u8; 1000]);
        }
        // The one that is waited for is let in whatever else is held.
        assert!(ahead.peak() <= most + 1000 && ahead.peak() >= most.min(1000), "{} of {most}", ahead.peak());
    }
}

#[test]
fn whoever_waits_for_the_last_object_gets_it_first() {
    let (_server, urls) = serve(100, 1000);
    let remote = remote(0);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 1, max_bytes: 1000 }).expect("URLs");
    for position in (0..100).rev() {
        assert_eq!(ahead.take(position, &|| false).expect("bytes").bytes[0], position as u8);
    }
}

#[test]
fn a_slow_object_holds_up_no_other() {
    let (server, urls) = serve(20, 3000);
    server.trouble("/0", &[Trouble::Slow]);
    let remote = remote(0);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 1 << 20, max_bytes: 1 << 20 }).expect("URLs");
    let start = Instant::now();
    for position in 1..20 {
        ahead.take(position, &|| false).expect("bytes");
    }
    assert!(start.elapsed() < Duration::from_secs(1), "the others took {:?}", start.elapsed());
    ahead.take(0, &|| false).expect("the slow one");
}

#[test]
fn what_is_forgotten_makes_room() {
    let (server, urls) = serve(200, 1000);
    server.trouble("/3", &[Trouble::Slow]);
    let remote = remote(0);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 2000, max_bytes: 1000 }).expect("URLs");
    ahead.take(0, &|| false).expect("bytes");
    // What has come, what is on its way, and what is not yet asked for.
    ahead.forget(1..150);
    for position in 150..200 {
        assert_eq!(ahead.take(position, &|| false).expect("bytes").bytes[0], position as u8);
    }
    assert!(ahead.peak() <= 3000, "{}", ahead.peak());
    assert!(server.served().0 < 150, "{} were asked for", server.served().0);
}

#[test]
fn what_concerns_one_object_is_told_from_what_concerns_the_source() {
    let (server, mut urls) = serve(3, 3000);
    urls.push(Wanted::from(Arc::from(server.url("/none"))));
    server.trouble("/1", &[Trouble::Silence; 9]);
    let remote = remote(1);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 1 << 20, max_bytes: 1 << 20 }).expect("URLs");
    ahead.take(0, &|| false).expect("bytes");
    let dead = ahead.take(1, &|| false).expect_err("silence");
    assert!(matches!(dead, Fault::Dead { .. }) && !dead.concerns_one_picture(), "{dead}");
    let missing = ahead.take(3, &|| false).expect_err("nothing there");
    assert!(matches!(missing, Fault::Missing { .. }) && missing.concerns_one_picture(), "{missing}");
    assert!(matches!(ahead.take(0, &|| true), Err(Fault::GivenUp)), "taken once, then waited for in vain");
}

#[test]
fn an_object_over_the_limit_is_not_read() {
    let (_server, urls) = serve(2, 3000);
    let remote = remote(0);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 1 << 20, max_bytes: 2999 }).expect("URLs");
    let fault = ahead.take(1, &|| false).expect_err("too large");
    assert_eq!(fault.to_string(), "has 3000 bytes, more than the limit of 2999");
}

#[test]
fn a_server_that_drops_whoever_does_not_read_is_asked_again_once_there_is_room() {
    // More than the system's buffers hold, and nothing that a retry could go on with.
    let objects: HashMap<String, Vec<u8>> =
        (0..4).map(|i| (format!("/untagged{i}"), vec![i as u8; 16 << 20])).collect();
    let server = Server::start(objects, None);
    let urls = (0..4).map(|i| Wanted::from(Arc::from(server.url(&format!("/untagged{i}"))))).collect();
    let remote = remote(0);
    let ahead = remote.fetch(Order { objects: urls, bytes_in_flight: 1, max_bytes: 16 << 20 }).expect("URLs");
    std::thread::sleep(Duration::from_secs(4));
    for position in 0..4 {
        let fetched = ahead.take(position, &|| false).expect("bytes");
        assert_eq!((fetched.bytes.len(), fetched.bytes[0], fetched.version), (16 << 20, position as u8, None));
    }
}
