//! LogME and H-score of each tap: rankings that need no probe, and how well they agree with the probes.
//!
//! They are kept in the store as evaluations are, under a digest of all they depend on.

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use tapline_compare::{h_score, log_me, spearman, subsample};
use tapline_core::{Digest, Store};

use crate::classes::Labelled;
use crate::plan::Plan;
use crate::scores::{features, keep, kept_as, read_kept};

/// Pictures that are ranked by at most: more change a ranking little and take long.
const PICTURES: usize = 4096;
/// Raised by hand whenever the same features come to other figures.
const VERSION: u32 = 1;

/// The rankings' figures for one tap; none where the features do not allow one (all constant).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// LogME, in nats for each picture.
    pub log_me: Option<f64>,
    /// H-score, 0 to the number of classes less one.
    pub h_score: Option<f64>,
}

/// Spearman's rank correlation of each ranking with the accuracy of the probes, −1 to 1; none for too few taps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Agreement {
    /// Of LogME.
    pub log_me: Option<f64>,
    /// Of the H-score.
    pub h_score: Option<f64>,
    /// Pictures the rankings were made from: those to learn from, or a sample of them.
    pub pictures: usize,
}

/// Everything a ranking depends on.
#[derive(Serialize)]
struct Key<'a> {
    ranking: u32,
    features: Digest,
    labels: &'a [usize],
    chosen: &'a [usize],
}

impl Ranking {
    /// Of the tap at `tap_index`, from the pictures to learn from.
    pub fn of(store: &Store, tap_index: usize, plan: &Plan) -> anyhow::Result<Self> {
        let data = &plan.data;
        let values = features(store, &[tap_index], data)?;
        let chosen = chosen(data, plan.config.seed);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let key = Key { ranking: VERSION, features: Digest::of(&bytes), labels: &data.labels, chosen: &chosen };
        let kept = kept_as(store, &key)?;
        if let Some(ranking) = read_kept(&kept) {
            return Ok(ranking);
        }
        let shape = (data.rows.len(), values.len() / data.rows.len());
        let rows = ArrayView2::from_shape(shape, &values).expect("whole rows").select(Axis(0), &chosen);
        let labels: Vec<usize> = chosen.iter().map(|&position| data.labels[position]).collect();
        let (log_me, h_score) =
            rayon::join(|| log_me(rows.view(), &labels).ok(), || h_score(rows.view(), &labels).ok());
        let ranking = Self { log_me, h_score };
        if let Err(error) = keep(&kept, &ranking) {
            eprintln!("tapline: the rankings cannot be kept for the next time: {error}");
        }
        Ok(ranking)
    }
}

impl Agreement {
    /// Of the rankings of all taps with their accuracies.
    pub fn of(rankings: &[Ranking], accuracies: &[f64], plan: &Plan) -> Self {
        let with = |of: fn(&Ranking) -> Option<f64>| {
            let pairs =
                rankings.iter().zip(accuracies).filter_map(|(ranking, &accuracy)| Some((of(ranking)?, accuracy)));
            let (scores, accuracies): (Vec<f64>, Vec<f64>) = pairs.unzip();
            spearman(&scores, &accuracies).ok()
        };
        Self {
            log_me: with(|ranking| ranking.log_me),
            h_score: with(|ranking| ranking.h_score),
            pictures: chosen(&plan.data, plan.config.seed).len(),
        }
    }

    /// What it says, as a line.
    pub fn sentence(&self) -> String {
        let text = |found: Option<f64>| found.map_or("unknown".to_owned(), |rho| format!("{rho:.2}"));
        format!(
            "Rankings without training, from {}: their order agrees with the probes' accuracy by {} (LogME) and {} \
             (H-score), Spearman's rank correlation.\n",
            crate::output::counted(self.pictures, "picture"),
            text(self.log_me),
            text(self.h_score)
        )
    }
}

/// Positions of the pictures that rankings are made from: those to learn from, a sample where there are very many.
fn chosen(data: &Labelled, seed: u64) -> Vec<usize> {
    let folded = data.folded();
    subsample(folded.len(), PICTURES, seed).into_iter().map(|position| folded[position]).collect()
}
