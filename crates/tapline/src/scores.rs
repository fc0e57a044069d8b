//! Probes a tap of a store, or takes the evaluation kept from the last time nothing had changed.
//!
//! An evaluation is kept under a digest of all it depends on: the features themselves, the labels, the protocol, and
//! what computes it. It can be deleted at any time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tapline_core::{Digest, Store};
use tapline_probe::{Evaluation, ProtocolConfig, Role, Shuffles, evaluate, holdout, repeated_holdout};

use crate::features::Features;
use crate::plan::Plan;

/// An evaluation of one tap and how long it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scored {
    /// What was found.
    pub evaluation: Evaluation,
    /// Seconds the fits took when they were made.
    pub seconds: f64,
}

/// Evaluates `taps` of a store, their features joined, or takes the kept evaluation; `progress` is called after each fit.
pub fn score_taps(store: &Store, taps: &[usize], plan: &Plan, progress: &(dyn Fn() + Sync)) -> anyhow::Result<Scored> {
    let features = Features::of(store, taps, (&plan.data, plan.config.max_bytes))?;
    let kept = kept_file(store, features.digest()?, plan)?;
    if let Some(scored) = read_kept(&kept).filter(|scored: &Scored| fits(&scored.evaluation, plan)) {
        return Ok(scored);
    }
    let start = Instant::now();
    let evaluation = features.with(|rows| match (&plan.shuffles, &plan.data.split) {
        (Some(shuffles), _) => repeated_holdout(&plan.config, shuffles, rows, progress),
        (None, Some(split)) => holdout(&plan.config, rows, split, progress),
        (None, None) => evaluate(&plan.config, rows, progress),
    });
    let evaluation = evaluation.map_err(|error| plan.in_words(error, plan.config.folds)).with_context(|| {
        let names: Vec<&str> = taps.iter().map(|&tap| store.taps()[tap].info.name.as_str()).collect();
        format!("tap {}", names.join("+"))
    })?;
    let scored = Scored { evaluation, seconds: start.elapsed().as_secs_f64() };
    if let Err(error) = keep(&kept, &scored) {
        eprintln!("tapline: the scores cannot be kept for the next time: {error}");
    }
    Ok(scored)
}

/// Raised by hand whenever an evaluation of the same input comes out differently, or is written differently.
const EVALUATION_VERSION: u32 = 9;

/// Everything an evaluation depends on.
#[derive(Serialize)]
struct Key<'a> {
    version: u32,
    features: Digest,
    labels: Vec<&'a str>,
    split: Option<&'a [Role]>,
    groups: Option<&'a [usize]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shuffles: Option<Shuffles>,
    config: &'a ProtocolConfig,
}

fn kept_file(store: &Store, features: Digest, plan: &Plan) -> anyhow::Result<PathBuf> {
    let data = &plan.data;
    let key = Key {
        version: EVALUATION_VERSION,
        features,
        labels: data.labels.iter().map(|&class| data.names[class].as_str()).collect(),
        split: data.split.as_deref(),
        groups: data.groups.as_ref().map(|groups| groups.of_row.as_slice()),
        shuffles: plan.shuffles,
        config: &plan.config,
    };
    kept_as(store, &key)
}

/// Where what depends on `key` alone is kept.
pub fn kept_as<K: Serialize>(store: &Store, key: &K) -> anyhow::Result<PathBuf> {
    let digest = Digest::of(&serde_json::to_vec(key)?);
    Ok(store.dir().join("scores").join(format!("{digest}.json")))
}

/// What was kept, none where it is not there or of another form.
pub fn read_kept<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Whether a kept evaluation has the shape that everything downstream relies on; a file could have been edited.
fn fits(evaluation: &Evaluation, plan: &Plan) -> bool {
    let data = &plan.data;
    let (scored, folds) = match (plan.shuffles, &data.split) {
        // Which rows shuffles score is theirs to draw; that they are rows is all that is relied on.
        (Some(shuffles), _) => (evaluation.scored_rows.clone(), shuffles.count),
        (None, Some(_)) => (data.with_role(Role::Test), 1),
        (None, None) => ((0..data.rows.len()).collect(), plan.config.folds),
    };
    if scored.is_empty() || scored.iter().any(|&row| row >= data.rows.len()) {
        return false;
    }
    let classes = data.names.len();
    let mut strengths = plan.config.grid.clone();
    strengths.sort_by(f64::total_cmp);
    strengths.dedup();
    let as_given = || evaluation.labels.iter().copied().eq(scored.iter().map(|&row| data.labels[row]));
    let in_range = || evaluation.labels.len() == scored.len() && evaluation.labels.iter().all(|&class| class < classes);
    (if plan.config.control { in_range() } else { as_given() })
        && evaluation.classes == classes
        && evaluation.folds.len() == folds
        && evaluation.scored_rows == scored
        && [evaluation.predicted.len(), evaluation.fold_of.len()] == [scored.len(); 2]
        && [evaluation.true_probability.len(), evaluation.predicted_probability.len()] == [scored.len(); 2]
        && evaluation.log_odds.as_ref().map(Vec::len) == (classes == 2).then_some(scored.len())
        && evaluation.predicted.iter().all(|&class| class < classes)
        && evaluation.fold_of.iter().all(|&fold| fold < folds)
        && evaluation
            .folds
            .iter()
            .map(|fold| &fold.choice)
            .all(|choice| choice.index < choice.inner.len() && choice.inner.len() <= strengths.len())
}

/// Keeps it for the next time; a half-written file cannot be read, nor one that another thread was writing.
pub fn keep<T: Serialize>(file: &Path, scored: &T) -> anyhow::Result<()> {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let folder = file.parent().expect("kept_file() names a folder");
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{}.{}.tmp", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    fs::write(&beside, serde_json::to_vec(scored)?)?;
    Ok(fs::rename(&beside, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_keep_at_the_same_time_is_not_mixed_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |number: usize| folder.path().join(format!("scores/{number}.json"));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope
                    .spawn(move || (0..50).for_each(|n| keep(&file(8 * n + thread), &(8 * n + thread)).expect("kept")));
            }
        });
        for number in 0..400 {
            assert_eq!(read_kept::<usize>(&file(number)), Some(number));
        }
    }
}
