//! How fast pictures become inputs of a network: `time_pictures STORE THREADS SECONDS < PATHS`, prints JSON.
//!
//! Each thread takes the next path of standard input, reads, decodes and preprocesses it as STORE's pictures were, and begins
//! again at the end of the list until the seconds are over.

use std::io::stdin;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tapline_core::Store;
use tapline_image::{Limits, Scratch, decode, preprocess};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, threads, seconds] = &arguments[..] else { return Err("STORE THREADS SECONDS < PATHS".into()) };
    let how = Store::open(Path::new(store))?.manifest().space.preprocess.clone();
    let (threads, duration) = (threads.parse::<usize>()?, Duration::from_secs_f64(seconds.parse()?));
    let paths: Vec<String> = stdin().lines().collect::<Result<_, _>>()?;
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let work = || -> Result<usize, String> {
        let (mut scratch, mut input, mut done) = (Scratch::default(), vec![0.0; how.values()], 0);
        while start.elapsed() < duration {
            let path = &paths[next.fetch_add(1, Ordering::Relaxed) % paths.len()];
            let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
            let picture = decode(&bytes, &Limits::default()).map_err(|e| format!("{path}: {e}"))?;
            preprocess(&picture, &how, &mut scratch, &mut input);
            done += 1;
        }
        Ok(done)
    };
    let done: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let done: usize = done.into_iter().sum::<Result<_, _>>()?;
    println!("{{\"pictures_per_second\": {}}}", done as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
