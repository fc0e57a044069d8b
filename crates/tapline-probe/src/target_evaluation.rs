//! The honest protocol for targets other than classes: the same folds within folds, other losses.
//!
//! Strengths are chosen by the held-out loss alone.

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::evaluation::{Choice, NotConverged};
use crate::goal::Goal;
use crate::protocol::{Folds, fit_chosen, nested, rows_of_split, setting};
use crate::shuffles::{chosen_of, drawn_tests};
use crate::standardise::standardisation;
use crate::strength::Setting;
use crate::targets::{check_config, check_targeted, check_varied, deal_targets};
use crate::tested::{Outer, OuterFold};
use crate::transform::RowWise;
use crate::{Dataset, Error, FinalFit, Probe, ProtocolConfig, Splits, Standardisation, Targeted, Targets};

/// Scores of one layer's features for targets other than classes: every row predicted by a probe that never saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetEvaluation {
    /// The rows scored, by position among the rows given, ascending `[scored]`; shuffles score a row as often as it is drawn.
    pub scored_rows: Vec<usize>,
    /// The test fold each belongs to `[scored]`: a position in `folds`.
    pub fold_of: Vec<usize>,
    /// Their targets `[scored, outputs]`.
    pub truth: Array2<f64>,
    /// What was predicted `[scored, outputs]`: log-odds of labels, numbers in their targets' unit.
    pub predicted: Array2<f64>,
    /// What was chosen for each test fold.
    pub folds: Vec<TargetChoice>,
    /// Number of probes fitted.
    pub fits: usize,
    /// The fits among them that did not converge.
    pub not_converged: Vec<NotConverged>,
}

/// A regularisation strength chosen from a grid by held-out loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetChoice {
    /// The chosen strength C; of numbers 1 over the `alpha` of scikit-learn's `Ridge`.
    pub c: f64,
    /// Whether it is the first or last of a grid of several: a wider grid may do better.
    pub at_edge: bool,
    /// Each strength tried, ascending in C, with its held-out loss, a mean over rows and outputs: `−ln p` of what a row has, in nats,
    /// or the squared error in units of the target's variance over the rows learned from.
    pub inner: Vec<HeldOut>,
}

impl TargetChoice {
    /// How the chosen strength did on rows held out.
    pub fn chosen(&self) -> HeldOut {
        *self.inner.iter().find(|held_out| held_out.c == self.c).expect("the chosen one was tried")
    }
}

/// How a strength did on rows held out from its fits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// The strength C.
    pub c: f64,
    /// Its loss.
    pub loss: f64,
}

/// The probe for new pictures, fitted on all rows: its [scores](Probe::scores) are log-odds of labels, or numbers in their targets'
/// unit.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetFit {
    /// The probe.
    pub probe: Probe,
    /// How its strength was chosen.
    pub choice: TargetChoice,
    /// Whether its objective is proven to be near the minimum.
    pub converged: bool,
}

/// Scores rows by probes that never saw them, as [`evaluate`](crate::evaluate()), [`holdout`](crate::holdout()) and
/// [`repeated_holdout`](crate::repeated_holdout) do for classes; `progress` is called after each fit.
///
/// Labels are fitted by logistic regressions, each label against the rest (scikit-learn's `OneVsRestClassifier`), all of one
/// strength; numbers by ridge regression (`Ridge` with `alpha = 1 / C`), all targets with one strength, whose held-out squared error
/// counts each target in units of its standard deviation over the rows learned from. For the fits numbers are centred and scaled
/// by the rows to learn from (all that take turns in folds): that changes no ridge solution, whose strengths mean the same in any
/// unit, but lets single precision and one tolerance serve all targets. Folds are dealt evenly in both sides of each label,
/// or in rows; shuffles part the combinations of labels alike.
///
/// # Errors
/// For bad input, targets that do not vary over the rows to learn from, folds that cannot be dealt or that leave a side of a label out
/// of a training set, and what is for classes alone: a control, balanced classes, linfa-logistic.
pub fn evaluate_targets(
    config: &ProtocolConfig,
    splits: Splits<'_>,
    data: &Targeted<'_>,
    progress: &(dyn Fn() + Sync),
) -> Result<TargetEvaluation, Error> {
    check_config(config)?;
    check_targeted(data)?;
    let (labels, classes) = data.targets.combinations();
    let plain = Dataset { rows: data.rows, labels: &labels, classes, groups: data.groups };
    let all: Vec<usize> = (0..labels.len()).collect();
    let (learned, way) = match splits {
        // Two folds are left out at a time.
        Splits::Folds => (all.clone(), Way::Nested(deal_targets(config, data, (&all, 3))?)),
        Splits::Fixed(split) => {
            let (train, test) = rows_of_split(&plain, split)?;
            let folds = deal_targets(config, data, (&train, 2))?;
            (train.clone(), Way::Chosen { list: (folds, train), test })
        }
        Splits::Shuffles(shuffles) => {
            check_varied(data.targets, &all)?;
            (all, Way::Shuffled(drawn_tests(config.seed, shuffles, (&plain, true))?))
        }
    };
    in_setting(config, (data.targets, &plain), (&learned, progress), |setting, unit| {
        let outer = match way {
            Way::Nested(folds) => nested(setting, &folds)?,
            Way::Chosen { list, test } => Outer::of_chosen(fit_chosen(setting, &[list])?, vec![test]),
            Way::Shuffled(tests) => {
                let deal = |config: &ProtocolConfig, train: &[usize]| deal_targets(config, data, (train, 2));
                Outer::of_chosen(chosen_of(config, &tests, setting, deal)?, tests)
            }
        };
        Ok(evaluation(data.targets, outer, |fold| in_unit(&fold.probe, unit).scores_in(setting.data, &fold.rows)))
    })
}

/// Fits the probe for new pictures: on all rows, with the strength that plain cross-validation over them chooses.
///
/// # Errors
/// As [`evaluate_targets`].
pub fn fit_final_targets(
    config: &ProtocolConfig,
    data: &Targeted<'_>,
    progress: &(dyn Fn() + Sync),
) -> Result<TargetFit, Error> {
    check_config(config)?;
    check_targeted(data)?;
    let (labels, classes) = data.targets.combinations();
    let plain = Dataset { rows: data.rows, labels: &labels, classes, groups: data.groups };
    let all: Vec<usize> = (0..labels.len()).collect();
    let folds = deal_targets(config, data, (&all, 2))?;
    in_setting(config, (data.targets, &plain), (&all, progress), |setting, unit| {
        let FinalFit { fit, choice, .. } = fit_chosen(setting, &[(folds, all.clone())])?.pop().expect("one fit");
        Ok(TargetFit { probe: in_unit(&fit.probe, unit), choice: target_choice(choice), converged: fit.converged })
    })
}

/// How the test folds come about.
enum Way {
    /// They take turns.
    Nested(Folds),
    /// There is one, and rows to learn from with the folds that choose its strength.
    Chosen { list: (Folds, Vec<usize>), test: Vec<usize> },
    /// They are drawn.
    Shuffled(Vec<Vec<usize>>),
}

/// What `work` makes of the setting of fits to `targets`, and of the unit that numbers have in it.
fn in_setting<T>(
    config: &ProtocolConfig,
    (targets, plain): (Targets<'_>, &Dataset<'_>),
    (learned, progress): (&[usize], &(dyn Fn() + Sync)),
    work: impl FnOnce(&Setting<'_, '_>, Option<&Standardisation>) -> Result<T, Error>,
) -> Result<T, Error> {
    let changed = RowWise::of(config.transform, plain.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(plain.rows, |rows| rows), ..*plain };
    let setting = setting(config, data, progress)?;
    match targets {
        Targets::Labels(values) => work(&Setting { goal: Goal::Labels(values), ..setting }, None),
        Targets::Numbers(values) => {
            let unit = standardisation(values.view(), learned);
            let scaled = (values - &unit.mean) / &unit.scale;
            work(&Setting { goal: Goal::Numbers(&scaled), ..setting }, Some(&unit))
        }
    }
}

/// A probe of numbers in `unit` as one in their own.
fn in_unit(probe: &Probe, unit: Option<&Standardisation>) -> Probe {
    let Some(Standardisation { mean, scale }) = unit else { return probe.clone() };
    Probe { weights: &probe.weights * scale, intercept: &probe.intercept * scale + mean, ..probe.clone() }
}

/// All that was found on the test folds, in the order of the rows; `predict` gives what a fold's probe says of its rows.
fn evaluation(targets: Targets<'_>, outer: Outer, predict: impl Fn(&OuterFold) -> Array2<f64>) -> TargetEvaluation {
    let predicted: Vec<Array2<f64>> = outer.folds.iter().map(predict).collect();
    let mut order: Vec<(usize, usize, usize)> = Vec::new();
    for (fold, OuterFold { rows, .. }) in outer.folds.iter().enumerate() {
        order.extend(rows.iter().enumerate().map(|(position, &row)| (row, fold, position)));
    }
    order.sort_by_key(|&(row, ..)| row);
    let scored_rows: Vec<usize> = order.iter().map(|&(row, ..)| row).collect();
    let shape = (order.len(), targets.values().ncols());
    TargetEvaluation {
        truth: targets.values().select(Axis(0), &scored_rows),
        predicted: Array2::from_shape_fn(shape, |(i, output)| predicted[order[i].1][[order[i].2, output]]),
        scored_rows,
        fold_of: order.iter().map(|&(_, fold, _)| fold).collect(),
        folds: outer.folds.into_iter().map(|fold| target_choice(fold.choice)).collect(),
        fits: outer.fits,
        not_converged: outer.not_converged,
    }
}

fn target_choice(choice: Choice) -> TargetChoice {
    let inner = choice.inner.iter().map(|validation| HeldOut { c: validation.c, loss: validation.log_loss }).collect();
    TargetChoice { c: choice.c, at_edge: choice.at_edge, inner }
}
