//! The honest accuracy of "the best layer": the layer, too, is chosen without the rows it is scored on.

use serde::{Deserialize, Serialize};

use crate::score::score;
use crate::{Error, Evaluation, Score};

/// A layer chosen for each test fold, and how these choices did together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerChoice {
    /// The layer chosen for each test fold `[folds]`: a position among the evaluations.
    pub chosen: Vec<usize>,
    /// Right rows out of all scored rows, each by the layer chosen for its fold.
    pub score: Score,
    /// Predicted class of each scored row `[scored]`, by the layer chosen for its fold.
    pub predicted: Vec<usize>,
}

/// Chooses a layer for each test fold by its inner validation alone, and pools the test folds.
///
/// For each test fold the evaluation with most right rows in validation (at its own chosen strength) is taken, the earlier
/// one of equals. What a single layer scores at best is a maximum over layers, too high as a promise; this is not.
///
/// # Errors
/// For no evaluation, and for evaluations that did not hold out the same rows.
pub fn select_layer(evaluations: &[Evaluation]) -> Result<LayerChoice, Error> {
    let first = evaluations.first().ok_or(Error::NoLayer)?;
    if let Some(index) = evaluations.iter().position(|evaluation| !same_folds(evaluation, first)) {
        return Err(Error::FoldsDiffer { index });
    }
    let chosen: Vec<usize> = (0..first.folds.len()).map(|fold| best_layer(evaluations, fold)).collect();
    let predicted: Vec<usize> =
        first.fold_of.iter().enumerate().map(|(i, &fold)| evaluations[chosen[fold]].predicted[i]).collect();
    Ok(LayerChoice { score: score(&first.labels, &predicted), chosen, predicted })
}

fn same_folds(this: &Evaluation, first: &Evaluation) -> bool {
    this.scored_rows == first.scored_rows
        && this.labels == first.labels
        && this.fold_of == first.fold_of
        && this.folds.len() == first.folds.len()
}

fn best_layer(evaluations: &[Evaluation], fold: usize) -> usize {
    let right = |layer: usize| evaluations[layer].folds[fold].choice.validation().score.correct;
    (1..evaluations.len()).fold(0, |best, layer| if right(layer) > right(best) { layer } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Choice, TestFold, Validation};

    fn evaluation(inner: [usize; 2], predicted: &[usize]) -> Evaluation {
        let fold = |correct| {
            let validation = Validation { c: 0.1, score: Score { correct, total: 9 }, log_loss: 0.5 };
            let choice = Choice { index: 0, c: 0.1, at_edge: false, inner: vec![validation] };
            TestFold { choice, test: Score { correct: 1, total: 2 } }
        };
        Evaluation {
            classes: 2,
            scored_rows: vec![0, 1, 2, 3],
            labels: vec![0, 1, 0, 1],
            fold_of: vec![0, 0, 1, 1],
            predicted: predicted.to_vec(),
            true_probability: vec![0.5; 4],
            predicted_probability: vec![0.5; 4],
            log_odds: Some(vec![0.0; 4]),
            log_loss: 0.7,
            top_five: None,
            auroc: None,
            average_precision: None,
            folds: inner.map(fold).to_vec(),
            fits: 1,
            not_converged: Vec::new(),
        }
    }

    #[test]
    fn each_fold_takes_the_layer_that_validated_best_and_the_earlier_of_equals() {
        let layers = [evaluation([5, 7], &[0, 1, 1, 1]), evaluation([6, 7], &[1, 1, 0, 1])];
        let found = select_layer(&layers).unwrap();
        assert_eq!(found.chosen, [1, 0]);
        assert_eq!(found.predicted, [1, 1, 1, 1]);
        assert_eq!(found.score, Score { correct: 2, total: 4 });
    }

    #[test]
    fn no_layer_is_refused() {
        assert_eq!(select_layer(&[]), Err(Error::NoLayer));
    }

    #[test]
    fn layers_scored_on_other_folds_are_refused() {
        let mut other = evaluation([5, 7], &[0, 1, 1, 1]);
        other.fold_of = vec![0, 1, 0, 1];
        let error = select_layer(&[evaluation([5, 7], &[0, 1, 1, 1]), other]).unwrap_err();
        let expected =
            "evaluation 1 held out other rows than the first: use the same rows, labels, folds and seed for all";
        assert_eq!(error.to_string(), expected);
    }
}
