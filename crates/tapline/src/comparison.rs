//! Which taps cannot be told from the best, in the structs and words that `compare`, `report` and `advise` share.
//!
//! The statistics are tapline-compare's; here evaluations become its tables.

use ndarray::Array2;
use serde::Serialize;
use tapline_compare::{AgainstLeader, Cost, Outcomes, Resampling, Verdict, behind_best_p, verdict};
use tapline_core::TapInfo;
use tapline_probe::{Evaluation, Role};

use crate::classes::Labelled;
use crate::groups::Groups;
use crate::output::{count, percent};
use crate::plan::Plan;

/// Right and wrong pictures of all taps, and what they say of the best one.
pub struct Comparison {
    /// What the tests say of all taps.
    pub verdict: Verdict,
    /// How resamples are drawn, and the level of the tests.
    pub config: Resampling,
    /// p of always answering the commonest class being as good as the best tap.
    pub guess_p: f64,
    right: Array2<bool>,
    fold_of: Vec<usize>,
    groups: Option<Vec<usize>>,
    costs: Vec<Cost>,
}

/// The verdict as JSON gives it; taps by their positions.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Level of the tests.
    pub level: f64,
    /// Random signs, and resamples of the pictures.
    pub resamples: usize,
    /// Taps not significantly worse than the best.
    pub not_worse: Vec<usize>,
    /// The one of them with the fewest multiply-adds.
    pub cheapest: usize,
    /// The one of them with the fewest features.
    pub smallest: usize,
    /// p of always answering the commonest class being as good as the best tap.
    pub guess_p: f64,
    /// Accuracy that picking the best tap by the pictures that score it would claim, 0 to 1.
    pub naive_maximum: f64,
}

/// How one tap compares with the best, for JSON.
#[derive(Debug, Clone, Serialize)]
pub struct TapComparison {
    /// Whether it is among those not significantly worse than the best.
    pub not_worse: bool,
    /// The tests behind that.
    pub against_best: AgainstLeader,
}

impl Comparison {
    /// Of the evaluations of these taps, in their order; all scored the same pictures.
    pub fn of(evaluations: &[Evaluation], taps: &[&TapInfo], plan: &Plan) -> anyhow::Result<Self> {
        let first = &evaluations[0];
        let right = Array2::from_shape_fn((evaluations.len(), first.labels.len()), |(tap, i)| {
            evaluations[tap].predicted[i] == evaluations[tap].labels[i]
        });
        let group = |groups: &Groups| first.scored_rows.iter().map(|&row| groups.of_row[row]).collect();
        let groups: Option<Vec<usize>> = plan.data.groups.as_ref().map(group);
        let costs: Vec<Cost> =
            taps.iter().map(|tap| Cost { multiply_adds: tap.multiply_adds, features: tap.features }).collect();
        let config = Resampling { seed: plan.config.seed, ..Resampling::default() };
        let commonest = commonest(&plan.data);
        let guess: Vec<bool> = first.labels.iter().map(|&class| class == commonest).collect();
        let fold_of = first.fold_of.clone();
        let outcomes =
            Outcomes { right: right.view(), fold_of: &fold_of, groups: groups.as_deref(), guess: Some(&guess) };
        let verdict = verdict(&config, &outcomes, &costs)?;
        let guess_p = guess_p(&config, &outcomes, &guess)?;
        Ok(Self { verdict, config, guess_p, right, fold_of, groups, costs })
    }

    /// p of `tap` being as good as the best of `among`; none where it is that best one, or the only one.
    ///
    /// For a tap that was named before the pictures were looked at, such as the top layer.
    pub fn behind_p(&self, tap: usize, among: &[usize]) -> anyhow::Result<Option<f64>> {
        let right = |tap: usize| self.verdict.taps[tap].right;
        let others: Vec<usize> = among.iter().copied().filter(|&other| other != tap).collect();
        if others.iter().all(|&other| right(other) <= right(tap)) {
            return Ok(None);
        }
        let rows: Vec<usize> = std::iter::once(tap).chain(others).collect();
        let right = self.right.select(ndarray::Axis(0), &rows);
        let outcomes =
            Outcomes { right: right.view(), fold_of: &self.fold_of, groups: self.groups.as_deref(), guess: None };
        // While nothing is better than a guess, nothing is behind.
        Ok(Some(behind_best_p(&self.config, &outcomes, 0)?.max(self.guess_p)))
    }

    /// Whether a tap is not significantly worse than the best.
    pub fn is_in_set(&self, tap: usize) -> bool {
        self.verdict.set.contains(&tap)
    }

    /// What JSON says of one tap.
    pub fn of_tap(&self, tap: usize) -> TapComparison {
        TapComparison { not_worse: self.is_in_set(tap), against_best: self.verdict.taps[tap].clone() }
    }

    /// What JSON says of all of them.
    pub fn summary(&self) -> Summary {
        Summary {
            level: self.config.level,
            resamples: self.config.resamples,
            not_worse: self.verdict.set.clone(),
            cheapest: self.verdict.cheapest,
            smallest: self.verdict.smallest,
            guess_p: self.guess_p,
            naive_maximum: self.accuracy(self.verdict.leader),
        }
    }

    /// Share right of a tap, 0 to 1.
    pub fn accuracy(&self, tap: usize) -> f64 {
        self.verdict.taps[tap].right as f64 / self.right.ncols() as f64
    }

    /// How many taps are as good, and the cheapest and smallest of them; `name` calls a tap, `share` is its part of the
    /// network's arithmetic.
    pub fn sentence(&self, name: &dyn Fn(usize) -> String, share: &dyn Fn(usize) -> f64) -> String {
        let Verdict { leader, set, cheapest, smallest, taps } = &self.verdict;
        let level = 100.0 * self.config.level;
        if self.guess_p >= self.config.level {
            return format!(
                "No tap is significantly better than always answering the commonest class (p = {}), so none is called \
                 worse than another.\n",
                p_text(self.guess_p)
            );
        }
        if taps.len() == 1 {
            return String::new();
        }
        if set.len() == 1 {
            return format!(
                "Each of the other {} is significantly worse (level {level} %).\n",
                taps_text(taps.len() - 1)
            );
        }
        let all = match set.len() == taps.len() {
            true => format!("No tap is significantly worse (level {level} %)"),
            false => format!(
                "{} of {} are not significantly worse (=, level {level} %)",
                count(set.len()),
                taps_text(taps.len())
            ),
        };
        let described = |tap: usize, also: &str| {
            format!(
                "{}{also}, with {} % of the network's arithmetic, {} features and {} % right",
                name(tap),
                percent(share(tap)),
                count(self.costs[tap].features),
                percent(self.accuracy(tap))
            )
        };
        let itself = |tap: usize| if tap == *leader { " itself" } else { "" };
        match cheapest == smallest {
            true => format!(
                "{all}: the cheapest, and the one with fewest features, is {}.\n",
                described(*cheapest, itself(*cheapest))
            ),
            false => format!(
                "{all}: the cheapest is {}; the one with fewest features is {}.\n",
                described(*cheapest, itself(*cheapest)),
                described(*smallest, itself(*smallest))
            ),
        }
    }

    /// Whether a tap named beforehand is behind, in the words that follow "it is".
    pub fn behind_text(&self, p: f64, others: usize) -> String {
        let significantly = if p < self.config.level { "significantly" } else { "not significantly" };
        format!("{significantly} behind the best of {} (p = {})", taps_text(others), p_text(p))
    }
}

/// The class with most pictures to learn from, the first of equals.
fn commonest(data: &Labelled) -> usize {
    let rows = if data.split.is_some() { data.with_role(Role::Train) } else { (0..data.labels.len()).collect() };
    let mut sizes = vec![0_usize; data.names.len()];
    rows.into_iter().for_each(|row| sizes[data.labels[row]] += 1);
    (1..sizes.len()).fold(0, |best, class| if sizes[class] > sizes[best] { class } else { best })
}

fn guess_p(config: &Resampling, outcomes: &Outcomes<'_>, guess: &[bool]) -> anyhow::Result<f64> {
    let (taps, pictures) = outcomes.right.dim();
    let with_guess =
        Array2::from_shape_fn(
            (taps + 1, pictures),
            |(tap, i)| {
                if tap == taps { guess[i] } else { outcomes.right[[tap, i]] }
            },
        );
    let with_guess = Outcomes { right: with_guess.view(), guess: None, ..*outcomes };
    Ok(behind_best_p(config, &with_guess, taps)?)
}

fn taps_text(taps: usize) -> String {
    crate::output::counted(taps, "tap")
}

/// A p value with the digits that its draws carry: `0.12`, `0.0014`.
pub fn p_text(p: f64) -> String {
    if p < 0.01 { format!("{p:.4}") } else { format!("{p:.2}") }
}
