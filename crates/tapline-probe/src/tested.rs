//! Test folds with their rows scored, and the evaluation they make together.

use ndarray::{Array2, ArrayView1, Axis, concatenate};

use crate::evaluation::{Choice, Evaluation, NotConverged, TestFold};
use crate::loss::{log_odds, predicted_class, row_loss};
use crate::ranking::{auroc, average_precision, classes_ahead};
use crate::{Dataset, FinalFit, Probe, Score};

/// Top-5 accuracy says nothing of fewer classes than this.
const TOP_FIVE_CLASSES: usize = 6;

/// What was fitted for test folds, before their rows are scored.
pub(crate) struct Outer {
    pub(crate) folds: Vec<OuterFold>,
    pub(crate) fits: usize,
    pub(crate) not_converged: Vec<NotConverged>,
}

/// A test fold: how its strength was chosen, the probe fitted without it, and its rows.
pub(crate) struct OuterFold {
    pub(crate) choice: Choice,
    pub(crate) probe: Probe,
    pub(crate) rows: Vec<usize>,
}

impl Outer {
    /// Probes each chosen on rows of its own, with the rows `[folds][rows]` that each scores.
    pub(crate) fn of_chosen(chosen: Vec<FinalFit>, tests: Vec<Vec<usize>>) -> Self {
        let fits = chosen.iter().map(|chosen| chosen.fits).sum();
        let not_converged = chosen.iter().flat_map(|chosen| chosen.not_converged.clone()).collect();
        let fold =
            |(chosen, rows): (FinalFit, Vec<usize>)| OuterFold { choice: chosen.choice, probe: chosen.fit.probe, rows };
        Self { folds: chosen.into_iter().zip(tests).map(fold).collect(), fits, not_converged }
    }
}

/// A test fold with its rows scored.
struct Tested {
    choice: Choice,
    rows: Predicted,
}

/// What a probe says of rows.
struct Predicted {
    rows: Vec<RowResult>,
    /// What ranks the rows by class `[rows, outputs]`: the log-odds of class 1 of two, else those of each class against all
    /// others. They stay apart where probabilities are all 0 or 1; in f32, at half the memory.
    ranked: Array2<f32>,
}

struct RowResult {
    row: usize,
    predicted: usize,
    true_loss: f64,
    predicted_loss: f64,
    ahead: usize,
    /// The first output: of two classes the log-odds of class 1.
    first: f64,
}

/// What `probe` says of the rows numbered in `rows`.
fn predict(probe: &Probe, data: &Dataset<'_>, rows: &[usize]) -> Predicted {
    let scores = probe.scores_in(data, rows);
    let result = |(&row, scores): (&usize, ArrayView1<'_, f64>)| {
        let (predicted, label) = (predicted_class(scores), data.labels[row]);
        RowResult {
            row,
            predicted,
            true_loss: row_loss(scores, label),
            predicted_loss: row_loss(scores, predicted),
            ahead: classes_ahead(scores, label),
            first: scores[0],
        }
    };
    let results = rows.iter().zip(scores.outer_iter()).map(result).collect();
    let ranked = match scores.ncols() {
        1 => scores.mapv(|score| score as f32),
        _ => log_odds(scores.view()).mapv(|odds| odds as f32),
    };
    Predicted { rows: results, ranked }
}

/// All that was found on the test folds, in the order of the rows.
pub(crate) fn evaluation(data: &Dataset<'_>, outer: Outer) -> Evaluation {
    let Outer { folds, fits, not_converged } = outer;
    let score = |fold: OuterFold| Tested { rows: predict(&fold.probe, data, &fold.rows), choice: fold.choice };
    let tested: Vec<Tested> = folds.into_iter().map(score).collect();
    let in_folds = tested.iter().enumerate();
    let mut rows: Vec<(usize, &RowResult)> =
        in_folds.flat_map(|(fold, tested)| tested.rows.rows.iter().map(move |row| (fold, row))).collect();
    rows.sort_by_key(|(_, result)| result.row);
    let (scored_rows, labels) = rows.iter().map(|(_, result)| (result.row, data.labels[result.row])).unzip();
    let (true_probability, predicted_probability) =
        rows.iter().map(|(_, result)| ((-result.true_loss).exp(), (-result.predicted_loss).exp())).unzip();
    let top_five = || Score { correct: rows.iter().filter(|(_, row)| row.ahead < 5).count(), total: rows.len() };
    let (auroc, average_precision) = pooled_ranking(data, &tested);
    Evaluation {
        classes: data.classes,
        scored_rows,
        labels,
        fold_of: rows.iter().map(|&(fold, _)| fold).collect(),
        predicted: rows.iter().map(|(_, result)| result.predicted).collect(),
        true_probability,
        predicted_probability,
        log_odds: (data.classes == 2).then(|| rows.iter().map(|(_, result)| result.first).collect()),
        log_loss: rows.iter().map(|(_, result)| result.true_loss).sum::<f64>() / rows.len() as f64,
        top_five: (data.classes >= TOP_FIVE_CLASSES).then(top_five),
        auroc,
        average_precision,
        folds: tested.iter().map(|tested| test_fold(data, tested)).collect(),
        fits,
        not_converged,
    }
}

/// How well the scores of all folds together rank the rows: AUROC and average precision.
fn pooled_ranking(data: &Dataset<'_>, tested: &[Tested]) -> (Option<f64>, Option<f64>) {
    let parts: Vec<_> = tested.iter().map(|tested| tested.rows.ranked.view()).collect();
    let ranked = concatenate(Axis(0), &parts).expect("one number of outputs");
    let labels: Vec<usize> =
        tested.iter().flat_map(|tested| tested.rows.rows.iter().map(|row| data.labels[row.row])).collect();
    (auroc(ranked.view(), &labels), average_precision(ranked.view(), &labels))
}

fn test_fold(data: &Dataset<'_>, tested: &Tested) -> TestFold {
    let rows = &tested.rows.rows;
    let correct = rows.iter().filter(|result| result.predicted == data.labels[result.row]).count();
    TestFold { choice: tested.choice.clone(), test: Score { correct, total: rows.len() } }
}
