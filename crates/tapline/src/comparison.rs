//! Which taps cannot be told from the best, in the structs and words that `compare`, `report` and `advise` share.
//!
//! The statistics are tapline-compare's; here evaluations become its tables.

use std::cmp::Ordering;

use ndarray::{Array2, Axis};
use serde::Serialize;
use tapline_compare::{AgainstLeader, Cost, Guess, Outcomes, Resampling, Verdict, behind_best_p, verdict};
use tapline_probe::Evaluation;

use crate::groups::Groups;
use crate::output::{count, counted, percent, points};
use crate::plan::Plan;

/// What a comparison must know of a tap.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What sentences call it: with its pooling and its network where the name alone is not enough.
    pub name: String,
    /// The number of its network.
    pub backbone: usize,
    /// Place among the network's layers in execution order.
    pub position: usize,
    /// Whether it belongs to the network's own classifier.
    pub classifier: bool,
    /// Whether it is several taps joined, and so no stage.
    pub joined: bool,
    /// Share of the network's multiply-adds needed to reach it, 0 to 1.
    pub cost_share: f64,
    /// Views of each picture, each of which takes a pass.
    pub views: usize,
    /// What it costs, all views together.
    pub cost: Cost,
}

impl Compared {
    /// Whether it is one layer below the network's own classifier.
    pub fn is_stage(&self) -> bool {
        !self.classifier && !self.joined
    }
}

/// Right and wrong pictures of all taps, and what they say of the best one.
pub struct Comparison {
    /// What the tests say of all taps.
    pub verdict: Verdict,
    /// How resamples are drawn, and the level of the tests.
    pub config: Resampling,
    /// p of always answering the commonest class being as good as the best tap; with `--balanced` classes weigh the same in it.
    pub guess_p: f64,
    /// The taps.
    pub taps: Vec<Compared>,
    right: Array2<bool>,
    guess: Vec<bool>,
    /// What pictures weigh against the guess; none where all weigh the same.
    weights: Option<Vec<f64>>,
    fold_of: Vec<usize>,
    test_share: Option<f64>,
    /// What is drawn independently: groups, or pictures that shuffles score several times; none where each score is.
    units: Option<Vec<usize>>,
    scored: &'static str,
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
    /// The one with the fewest multiply-adds of those that their own intervals do not call worse either.
    pub cheapest: usize,
    /// The one of these with the fewest features.
    pub smallest: usize,
    /// p of always answering the commonest class being as good as the best tap; with `--balanced` classes weigh the same in it.
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

/// The top layer of a network against the best stage below it; taps by their positions.
#[derive(Debug, Clone, Serialize)]
pub struct TopComparison {
    /// The number of the network.
    pub backbone: usize,
    /// Its deepest tap below its own classifier; of several poolings the best.
    pub top: usize,
    /// The tap below that with most right pictures, the shallowest of equals.
    pub inner: usize,
    /// Accuracy of the inner tap less that of the top, −1 to 1.
    pub ahead: f64,
    /// Pictures right only at the inner tap.
    pub inner_only: usize,
    /// Pictures right only at the top.
    pub top_only: usize,
    /// p of the top being as good as the best of the inner taps; 1 where none is ahead of it.
    pub p: f64,
}

impl Comparison {
    /// Of the evaluations of these taps, in their order; all scored the same pictures.
    ///
    /// Scores of one picture, which shuffles give it, are one draw; so are the pictures of one group.
    pub fn of(evaluations: &[Evaluation], taps: Vec<Compared>, plan: &Plan) -> anyhow::Result<Self> {
        let first = &evaluations[0];
        let right = Array2::from_shape_fn((evaluations.len(), first.labels.len()), |(tap, i)| {
            evaluations[tap].predicted[i] == evaluations[tap].labels[i]
        });
        let group = |groups: &Groups| first.scored_rows.iter().map(|&row| groups.of_row[row]).collect();
        let units: Option<Vec<usize>> = match (&plan.data.groups, plan.shuffles) {
            (Some(groups), _) => Some(group(groups)),
            (None, Some(_)) => Some(first.scored_rows.clone()),
            (None, None) => None,
        };
        let config = Resampling { seed: plan.config.seed, ..Resampling::default() };
        let commonest = plan.data.commonest();
        let guess: Vec<bool> = first.labels.iter().map(|&class| class == commonest).collect();
        let weights = plan.config.balanced.then(|| class_weights(&first.labels, plan.data.names.len()));
        let fold_of = first.fold_of.clone();
        let test_share = plan.shuffles.map(|shuffles| shuffles.test_share);
        let outcomes = Outcomes {
            right: right.view(),
            fold_of: &fold_of,
            test_share,
            groups: units.as_deref(),
            guess: Some(Guess { right: &guess, weights: weights.as_deref() }),
        };
        let costs: Vec<Cost> = taps.iter().map(|tap| tap.cost).collect();
        let verdict = verdict(&config, &outcomes, &costs)?;
        let guess_p = verdict.guess_p.expect("there is a guess");
        let scored = if plan.shuffles.is_some() { "score" } else { "picture" };
        Ok(Self { verdict, config, guess_p, taps, right, guess, weights, fold_of, test_share, units, scored })
    }

    /// Taps of a network not significantly worse than the best of that network, ascending.
    pub fn set_within(&self, backbone: usize) -> anyhow::Result<Vec<usize>> {
        let members: Vec<usize> = (0..self.taps.len()).filter(|&tap| self.taps[tap].backbone == backbone).collect();
        let right = self.right.select(Axis(0), &members);
        let costs: Vec<Cost> = members.iter().map(|&tap| self.taps[tap].cost).collect();
        let guess = Some(Guess { right: &self.guess, weights: self.weights.as_deref() });
        let found = verdict(&self.config, &Outcomes { guess, ..self.outcomes(&right) }, &costs)?;
        Ok(found.set.into_iter().map(|member| members[member]).collect())
    }

    fn outcomes<'a>(&'a self, right: &'a Array2<bool>) -> Outcomes<'a> {
        Outcomes {
            test_share: self.test_share,
            groups: self.units.as_deref(),
            ..Outcomes::of(right.view(), &self.fold_of)
        }
    }

    /// The top layer of each network against the stages below it; nothing for a network with one stage alone.
    pub fn tops(&self) -> anyhow::Result<Vec<TopComparison>> {
        let backbones = self.taps.iter().map(|tap| tap.backbone).max().map_or(0, |last| last + 1);
        let tops = (0..backbones).map(|backbone| self.top_of(backbone)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(tops.into_iter().flatten().collect())
    }

    /// The top layer of a network; of several poolings the best speaks for it, so that falling behind is no fault of a pooling.
    pub fn top(&self, backbone: usize) -> Option<usize> {
        let deepest = self.stages(backbone).map(|tap| self.taps[tap].position).max()?;
        self.stages(backbone).filter(|&tap| self.taps[tap].position == deepest).max_by(|&a, &b| self.better(a, b))
    }

    fn stages(&self, backbone: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.taps.len()).filter(move |&tap| self.taps[tap].backbone == backbone && self.taps[tap].is_stage())
    }

    fn top_of(&self, backbone: usize) -> anyhow::Result<Option<TopComparison>> {
        let Some(top) = self.top(backbone) else { return Ok(None) };
        let is_inner = |&tap: &usize| self.taps[tap].position < self.taps[top].position;
        let inner: Vec<usize> = self.stages(backbone).filter(is_inner).collect();
        let Some(best) = inner.iter().copied().max_by(|&a, &b| self.better(a, b)) else { return Ok(None) };
        let (inner_only, top_only) = self.disagreement(best, top);
        Ok(Some(TopComparison {
            backbone,
            top,
            inner: best,
            ahead: self.accuracy(best) - self.accuracy(top),
            inner_only,
            top_only,
            p: self.behind_p(top, &inner)?,
        }))
    }

    /// Which of two taps has more right; of equals the shallower, then the first by name: no order of stores decides.
    pub fn better(&self, a: usize, b: usize) -> Ordering {
        let right = |tap: usize| self.verdict.taps[tap].right;
        let place = |tap: usize| (self.taps[tap].position, &self.taps[tap].name);
        right(a).cmp(&right(b)).then_with(|| place(b).cmp(&place(a)))
    }

    /// p of `tap` being as good as the best of `among`; 1 where none of them is ahead of it.
    ///
    /// For a tap that was named before the pictures were looked at, such as the top layer; that the best of its poolings is
    /// taken favours it, so that p is rather too large.
    pub fn behind_p(&self, tap: usize, among: &[usize]) -> anyhow::Result<f64> {
        let rows: Vec<usize> = std::iter::once(tap).chain(among.iter().copied()).collect();
        let right = self.right.select(Axis(0), &rows);
        let found = behind_best_p(&self.config, &self.outcomes(&right), 0)?;
        // While nothing is better than a guess, nothing is behind.
        Ok(found.max(self.guess_p))
    }

    /// Scores right only at `a`, and only at `b`.
    pub fn disagreement(&self, a: usize, b: usize) -> (usize, usize) {
        let only = |a: usize, b: usize| {
            self.right.row(a).iter().zip(self.right.row(b)).filter(|&(&here, &there)| here && !there).count()
        };
        (only(a, b), only(b, a))
    }

    /// Whether a tap is not significantly worse than the best.
    pub fn is_in_set(&self, tap: usize) -> bool {
        self.verdict.set.contains(&tap)
    }

    /// Whether even the best tap is not significantly better than always answering the commonest class.
    pub fn is_no_better_than_guess(&self) -> bool {
        self.guess_p >= self.config.level
    }

    /// What taps are held against before they are held against each other.
    pub fn guess_words(&self) -> &'static str {
        match self.weights {
            Some(_) => "always answering one class, with all classes weighing the same",
            None => "always answering the commonest class",
        }
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

    /// How many taps are as good, the cheapest and smallest of them, and what these lose.
    pub fn set_sentence(&self) -> String {
        let Verdict { set, cheapest, smallest, taps, .. } = &self.verdict;
        let level = 100.0 * self.config.level;
        if self.is_no_better_than_guess() {
            return format!(
                "No tap is significantly better than {} (p = {}), so none is called worse than another.",
                self.guess_words(),
                p_text(self.guess_p)
            );
        }
        if taps.len() == 1 {
            return String::new();
        }
        if set.len() == 1 {
            let others = counted(taps.len() - 1, "other tap");
            return format!("It is significantly better than the {others} (level {level} %).");
        }
        let all = match set.len() == taps.len() {
            true => format!("No other tap is significantly worse (level {level} %, allowing for all pairs)"),
            false => format!(
                "{} of {} are not significantly worse (=, level {level} %, allowing for all pairs)",
                count(set.len()),
                counted(taps.len(), "tap")
            ),
        };
        // What allows for all pairs keeps taps that a test of one pair would not.
        let own = ". Of those that their own intervals do not call worse either";
        match cheapest == smallest {
            true => {
                format!(
                    "{all}{own}, the cheapest, which has the fewest features too, is {}.",
                    self.described(*cheapest)
                )
            }
            false => format!(
                "{all}{own}, the cheapest is {}; the one with the fewest features is {}.",
                self.described(*cheapest),
                self.described(*smallest)
            ),
        }
    }

    /// A tap with its cost, its accuracy and what it loses against the best.
    fn described(&self, tap: usize) -> String {
        let Compared { name, cost_share, cost, views, .. } = &self.taps[tap];
        let each = if *views > 1 { format!(" for each of {views} views") } else { String::new() };
        let itself = if tap == self.verdict.leader { " itself" } else { "" };
        format!(
            "{name}{itself} ({} % of the arithmetic{each}, {}, {} % right{})",
            percent(*cost_share),
            counted(cost.features, "feature"),
            percent(self.accuracy(tap)),
            self.loss_text(tap)
        )
    }

    /// What a tap loses against the best, such as `, 1.0 points less (95 % interval -0.3 to 2.1)`; nothing for the best itself.
    pub fn loss_text(&self, tap: usize) -> String {
        if tap == self.verdict.leader {
            return String::new();
        }
        let found = &self.verdict.taps[tap].bootstrap;
        format!(
            ", {} points less (95 % interval {} to {})",
            points(found.difference),
            points(found.low),
            points(found.high)
        )
    }

    /// Whether the top layers fall behind an inner stage of their networks, one sentence for each.
    pub fn top_sentences(&self, tops: &[TopComparison]) -> Vec<String> {
        tops.iter().map(|top| self.top_sentence(top)).collect()
    }

    fn top_sentence(&self, found: &TopComparison) -> String {
        let [top, inner] = [found.top, found.inner].map(|tap| self.taps[tap].name.as_str());
        let of_network = |tap: &Compared| tap.backbone == found.backbone;
        // Only a card says where the network's own classifier begins; without one the deepest tap may belong to it.
        let known = self.taps.iter().any(|tap| of_network(tap) && tap.classifier);
        let which = if known { "top layer" } else { "deepest layer probed" };
        let points = format!("{:.1} points", 100.0 * found.ahead.abs());
        if found.inner_only == found.top_only {
            return format!("The {which}, {top}, has as many right as the best stage below it, {inner}.");
        }
        if found.ahead < 0.0 {
            // That a tap is worse than the best is what the set of all pairs tests.
            let significant = match (found.top == self.verdict.leader, self.is_in_set(found.inner)) {
                (true, true) => " That is not significant.",
                (true, false) => " That is significant.",
                (false, _) => "",
            };
            return format!("The {which}, {top}, is {points} ahead of the best stage below it, {inner}.{significant}");
        }
        let significant = if found.p < self.config.level { "significant" } else { "not significant" };
        let stages = self
            .taps
            .iter()
            .filter(|tap| of_network(tap) && tap.is_stage() && tap.position < self.taps[found.top].position)
            .count();
        let but = match found.p < self.config.level && self.is_in_set(found.top) {
            true => " That it is not called worse above allows for all pairs of taps, and so asks for more.",
            false => "",
        };
        format!(
            "The {which}, {top}, is {points} behind the best stage below it, {inner}: {} right only there, {} only at \
             {top}. That is {significant} (p = {}, allowing for the choice among {}).{but}",
            verb(found.inner_only, self.scored),
            count(found.top_only),
            p_text(found.p),
            counted(stages, "stage")
        )
    }
}

/// `1 picture is`, `133 pictures are`.
fn verb(number: usize, noun: &str) -> String {
    format!("{} {}", counted(number, noun), if number == 1 { "is" } else { "are" })
}

/// What each score weighs where all classes weigh the same.
fn class_weights(labels: &[usize], classes: usize) -> Vec<f64> {
    let mut sizes = vec![0.0_f64; classes];
    labels.iter().for_each(|&class| sizes[class] += 1.0);
    labels.iter().map(|&class| 1.0 / sizes[class]).collect()
}

/// A p value with the digits that its draws carry: `0.12`, `0.0014`.
pub fn p_text(p: f64) -> String {
    match p {
        p if p < 0.01 => format!("{p:.4}"),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_have_the_digits_their_draws_carry() {
        let check = |p, text: &str| assert_eq!(p_text(p), text);
        check(0.0002, "0.0002");
        check(0.0491, "0.049");
        check(1.0, "1.00");
    }
}
