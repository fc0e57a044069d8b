//! How cores share an extraction: a session with one thread on each, or one session over all of them.
//!
//! Which is faster depends on the machine's caches and memory, on the network and on what else runs. Where the pictures are
//! many, a second or two of trials decides, and the answer is kept for the next run. Rows are the same either way but for their last bits,
//! which the batch may move.

use std::path::{Path, PathBuf};
use std::thread::{Builder, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tapline_core::{Digest, Sharing, SharingBy};
use tapline_onnx::{Device, Extractor, Runtime, TappedModel};

use crate::args::ExtractArgs;
use crate::output::counted;
use crate::project;

/// Pictures, or views of them, below which trials cost more than they can bring.
const MANY: usize = 2000;
/// How long one trial runs, warm.
const TRIAL: Duration = Duration::from_millis(300);
/// A way whose passes would take longer than this is not tried.
const LONG_PASS: f64 = 0.5;
/// What another way has to bring over a session for each core, which takes pictures from file to rows without a hand-off.
const WORTH: f64 = 1.05;
/// The most pictures of a pass that is tried, where the network leaves it free.
const LARGEST_BATCH: usize = 32;
/// The most answers that are kept.
const KEPT: usize = 100;

/// What trials depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Case {
    processor: String,
    cores: usize,
    runtime: String,
    /// The network that ends at the taps.
    graph_sha256: Digest,
}

/// An answer, and the way that won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answer {
    case: Case,
    sessions: usize,
    threads: usize,
    batch: usize,
}

/// How `args` want the work shared, or where they say nothing what suits the device.
pub fn usual(args: &ExtractArgs, device: Device, fixed_batch: Option<usize>) -> Sharing {
    let cores = cores();
    let (sessions, threads, batch) = match device {
        Device::Cpu => (cores, 1, 1),
        // While one copies, the other computes; a session's threads are the runtime's choice.
        Device::Cuda(_) => (2, 0, 64),
    };
    let is_asked = args.workers.is_some() || args.batch.is_some() || args.threads.is_some();
    Sharing {
        sessions: args.workers.map_or(sessions, usize::from),
        threads: args.threads.map_or(threads, usize::from),
        batch: fixed_batch.unwrap_or(args.batch.map_or(batch, usize::from)),
        by: if is_asked { SharingBy::Asked } else { SharingBy::Usual },
    }
}

/// The faster way for `model` on this processor, kept or found by trials; the usual one where trials do not pay, or where it
/// cannot be tried.
pub fn fastest(usual: Sharing, model: &TappedModel, runtime: &Runtime, images: usize) -> Sharing {
    let cores = cores();
    if usual.by == SharingBy::Asked || cores == 1 || images < MANY {
        return usual;
    }
    let case = Case {
        processor: processor(),
        cores,
        runtime: runtime.version.clone(),
        graph_sha256: Digest::of(model.onnx()),
    };
    let file = project::cache().map(|folder| folder.join("sharing.json"));
    let kept = file.as_deref().map(read).unwrap_or_default();
    let fits = |batch: usize| model.batch.map_or(batch <= LARGEST_BATCH, |fixed| batch == fixed);
    if let Some(answer) = kept.iter().find(|answer| answer.case == case && fits(answer.batch)) {
        return measured(answer.sessions, answer.threads, answer.batch);
    }
    let ways = [(cores, 1, 1), (cores, 1, 8), (1, cores, LARGEST_BATCH)].map(|(sessions, threads, batch)| {
        let batch = model.batch.unwrap_or(batch);
        measured(sessions, threads, batch)
    });
    // What goes wrong with the usual way comes up where pictures run.
    let Ok(first) = trial(&ways[0], model, runtime) else { return usual };
    let other = |way: &Sharing| {
        let pass = (way.batch * cores) as f64 / (first * way.threads as f64);
        // A way that this machine or network does not take is no way.
        if pass > LONG_PASS { 0.0 } else { trial(way, model, runtime).unwrap_or(0.0) }
    };
    // Where the network fixes the batch, the second way is the first.
    let second = if model.batch.is_none() { other(&ways[1]) } else { 0.0 };
    let rates = [first, second, other(&ways[2])];
    let best = best(&rates);
    if let Some(file) = file {
        let Sharing { sessions, threads, batch, .. } = ways[best];
        // Without it the next run tries again.
        let _ = write(&file, kept, Answer { case, sessions, threads, batch });
    }
    ways[best]
}

/// In words: how many sessions, of what, and who says so.
pub fn said(sharing: &Sharing) -> String {
    let sessions = match sharing.sessions {
        0 => "sessions".to_owned(),
        count => counted(count, "session"),
    };
    let threads = match sharing.threads {
        0 => String::new(),
        count => format!(" of {}", counted(count, "thread")),
    };
    let by = match sharing.by {
        SharingBy::Usual => "",
        SharingBy::Asked => ", as asked",
        SharingBy::Measured => ", fastest of three ways tried",
    };
    format!("{sessions}{threads}, batches of {}{by}", sharing.batch)
}

/// The place of the fastest, the first unless another is worth it.
fn best(rates: &[f64]) -> usize {
    (1..rates.len())
        .filter(|&way| rates[way] > WORTH * rates[0])
        .max_by(|&a, &b| rates[a].total_cmp(&rates[b]))
        .unwrap_or(0)
}

fn measured(sessions: usize, threads: usize, batch: usize) -> Sharing {
    Sharing { sessions, threads, batch, by: SharingBy::Measured }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Inputs per second of the bare network, all sessions at work.
fn trial(way: &Sharing, model: &TappedModel, runtime: &Runtime) -> anyhow::Result<f64> {
    // All are loaded and warm before the first is timed.
    let load = |_| -> anyhow::Result<_> {
        let mut extractor = Extractor::load(model, runtime, Device::Cpu, way)?;
        let inputs = vec![0.5; way.batch * extractor.picture_values()];
        extractor.run(&inputs, &mut vec![Vec::new(); model.taps.len()])?;
        Ok((extractor, inputs))
    };
    let sessions = (0..way.sessions).into_par_iter().map(load).collect::<anyhow::Result<Vec<_>>>()?;
    let work = |(mut extractor, inputs): (Extractor, Vec<f32>)| -> anyhow::Result<f64> {
        let mut rows = vec![Vec::new(); model.taps.len()];
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < TRIAL {
            rows.iter_mut().for_each(Vec::clear);
            extractor.run(&inputs, &mut rows)?;
            done += way.batch;
        }
        Ok(done as f64 / start.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let spawn = |session| Builder::new().spawn_scoped(scope, move || work(session));
        let threads = sessions.into_iter().map(spawn).collect::<Result<Vec<_>, _>>()?;
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a trial panicked"))).sum()
    })
}

/// The processor's name, as Linux has it, else its architecture.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned()
}

/// The answers in a file; those that no machine can have given are passed over, and so is a damaged file.
fn read(file: &Path) -> Vec<Answer> {
    const MOST: u64 = 1 << 20;
    let is_small = file.metadata().is_ok_and(|found| found.is_file() && found.len() <= MOST);
    let text = if is_small { std::fs::read(file).unwrap_or_default() } else { Vec::new() };
    let answers: Vec<Answer> = serde_json::from_slice(&text).unwrap_or_default();
    let is_sound = |answer: &Answer| {
        let parts = [answer.sessions, answer.threads];
        parts.iter().all(|&part| (1..=answer.case.cores).contains(&part)) && answer.batch > 0
    };
    answers.into_iter().filter(is_sound).collect()
}

/// Adds an answer; the oldest goes where there are too many.
fn write(file: &Path, mut answers: Vec<Answer>, answer: Answer) -> anyhow::Result<()> {
    answers.push(answer);
    let first = answers.len().saturating_sub(KEPT);
    let folder = file.parent().context("a file in a folder")?;
    std::fs::create_dir_all(folder)?;
    let beside: PathBuf = file.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&beside, serde_json::to_vec_pretty(&answers[first..])?)?;
    Ok(std::fs::rename(&beside, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cores: usize, sessions: usize) -> Answer {
        let case = Case {
            processor: "a processor".to_owned(),
            cores,
            runtime: "1.32.0".to_owned(),
            graph_sha256: Digest::of(b"a graph"),
        };
        Answer { case, sessions, threads: 1, batch: 1 }
    }

    #[test]
    fn a_session_for_each_core_wins_unless_another_way_is_clearly_faster() {
        for (rates, place) in [([1.0, 1.0, 1.0], 0), ([1.0, 1.04, 1.0], 0), ([1.0, 1.06, 1.2], 2), ([1.0, 1.3, 1.2], 1)]
        {
            assert_eq!(best(&rates), place);
        }
    }

    #[test]
    fn answers_are_kept_and_what_no_machine_can_have_given_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tapline/sharing.json");
        assert_eq!(read(&file), []);
        write(&file, Vec::new(), answer(4, 4)).expect("a folder that can be written");
        write(&file, read(&file), answer(8, 1)).expect("a folder that can be written");
        assert_eq!(read(&file), [answer(4, 4), answer(8, 1)]);
        write(&file, read(&file), answer(4, 1_000_000)).expect("a folder that can be written");
        assert_eq!(read(&file).len(), 2);
        std::fs::write(&file, "[{").expect("a folder that can be written");
        assert_eq!(read(&file), []);
    }
}
