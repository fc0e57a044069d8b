//! LogME, H-score and CKA of each tap: what needs no probe, and how well it agrees with the probes.
//!
//! They are kept in the store as evaluations are, under a digest of all they depend on.

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use tapline_compare::{h_score, linear_cka, log_me, spearman, subsample};
use tapline_core::Digest;

use crate::classes::Labelled;
use crate::features::{Features, gathered};
use crate::probes::Probes;
use crate::scores::{keep, kept_as, read_kept};
use crate::stores::Stores;

/// Pictures that are ranked by at most: more change a ranking little and take long.
const PICTURES: usize = 4096;
/// Raised by hand whenever the same features come to other figures.
const VERSION: u32 = 2;

/// The figures for one tap; none where the features do not allow one (all constant).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// LogME, in nats for each picture.
    pub log_me: Option<f64>,
    /// H-score, 0 to the number of classes less one.
    pub h_score: Option<f64>,
    /// Linear CKA with the tap that probes do best on, 0 to 1.
    pub cka: Option<f64>,
}

/// Spearman's rank correlation of each ranking with the accuracy of the probes, −1 to 1; none for too few taps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Agreement {
    /// Of LogME.
    pub log_me: Option<f64>,
    /// Of the H-score.
    pub h_score: Option<f64>,
    /// Of the CKA with the best tap, that tap left out.
    pub cka: Option<f64>,
    /// Pictures the rankings were made from: those to learn from, or a sample of them.
    pub pictures: usize,
}

/// Everything a ranking depends on.
#[derive(Serialize)]
struct Key<'a> {
    ranking: u32,
    /// The tap's features and those of the best tap.
    features: [Digest; 2],
    labels: &'a [usize],
    chosen: &'a [usize],
}

/// The features of the chosen pictures at one tap, and the digest of them all.
struct Shown {
    rows: Array2<f32>,
    digest: Digest,
}

/// The rankings of all taps, from the pictures to learn from.
pub fn of_all(stores: &Stores, probes: &Probes) -> anyhow::Result<Vec<Ranking>> {
    let data = &probes.plan.data;
    let chosen = chosen(data, probes.plan.config.seed);
    let shown = |tap: usize| {
        let (store, taps) = (stores.store_of(tap), &stores.taps[tap].taps);
        let digest = Features::of(store, taps, (data, probes.plan.config.max_bytes))?.digest()?;
        let which: Vec<usize> = chosen.iter().map(|&row| data.rows[row]).collect();
        let values = gathered(store, taps, &which)?;
        let shape = (which.len(), values.len() / which.len());
        anyhow::Ok(Shown { rows: Array2::from_shape_vec(shape, values).expect("whole rows"), digest })
    };
    let best = shown(probes.comparison.verdict.leader)?;
    let one = |tap: usize| {
        let this = shown(tap)?;
        let key = Key { ranking: VERSION, features: [this.digest, best.digest], labels: &data.labels, chosen: &chosen };
        let kept = kept_as(stores.store_of(tap), &key)?;
        if let Some(ranking) = read_kept(&kept) {
            return Ok(ranking);
        }
        let labels: Vec<usize> = chosen.iter().map(|&position| data.labels[position]).collect();
        let ranking = rank(&this, &best, &labels);
        if let Err(error) = keep(&kept, &ranking) {
            eprintln!("tapline: the rankings cannot be kept for the next time: {error}");
        }
        Ok(ranking)
    };
    (0..stores.taps.len()).map(one).collect()
}

fn rank(this: &Shown, best: &Shown, labels: &[usize]) -> Ranking {
    let ((log_me, h_score), cka) = rayon::join(
        || rayon::join(|| log_me(this.rows.view(), labels).ok(), || h_score(this.rows.view(), labels).ok()),
        || linear_cka(&[this.rows.view(), best.rows.view()]).ok().map(|alike| alike[[0, 1]]),
    );
    Ranking { log_me, h_score, cka }
}

impl Agreement {
    /// Of the rankings of all taps with their accuracies.
    pub fn of(rankings: &[Ranking], probes: &Probes) -> Self {
        let comparison = &probes.comparison;
        let with = |taps: &dyn Fn(usize) -> bool, of: fn(&Ranking) -> Option<f64>| {
            let taps = (0..rankings.len()).filter(|&tap| taps(tap));
            let pairs = taps.filter_map(|tap| Some((of(&rankings[tap])?, comparison.accuracy(tap))));
            let (scores, accuracies): (Vec<f64>, Vec<f64>) = pairs.unzip();
            spearman(&scores, &accuracies).ok()
        };
        Self {
            log_me: with(&|_| true, |ranking| ranking.log_me),
            h_score: with(&|_| true, |ranking| ranking.h_score),
            cka: with(&|tap| tap != comparison.verdict.leader, |ranking| ranking.cka),
            pictures: chosen(&probes.plan.data, probes.plan.config.seed).len(),
        }
    }

    /// What it says, as a line.
    pub fn sentence(&self) -> String {
        let text = |found: Option<f64>| found.map_or("unknown".to_owned(), |rho| format!("{rho:.2}"));
        format!(
            "Without training, from {}: Spearman's rank correlation with the probes' accuracy is {} for LogME, {} for the \
             H-score, {} for CKA with the best tap.\n",
            crate::output::counted(self.pictures, "picture"),
            text(self.log_me),
            text(self.h_score),
            text(self.cka)
        )
    }
}

/// Positions of the pictures that rankings are made from: those to learn from, a sample where there are very many.
fn chosen(data: &Labelled, seed: u64) -> Vec<usize> {
    let folded = data.folded();
    subsample(folded.len(), PICTURES, seed).into_iter().map(|position| folded[position]).collect()
}
