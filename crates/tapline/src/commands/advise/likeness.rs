//! The similarity axis: how like the pretraining set's the pictures are, by what each network itself shows.
//!
//! Three readings for each network. The layer curve: does the top fall behind an inner stage, or do the stages of the middle
//! fall behind the top? The network's own classifier: how sure is it of these pictures? Its batch norms: how far are the
//! channels from where they were on the pretraining set?

use ndarray::{ArrayView1, ArrayView2};
use serde::Serialize;
use tapline_compare::{confidence, energy, output_shift};
use tapline_core::{Pooling, TapInfo};
use tapline_onnx::{BatchNorm, Model, batch_norms};

use crate::comparison::{Comparison, TopComparison};
use crate::features::gathered;
use crate::probes::Probes;
use crate::project;
use crate::stores::Stores;

/// Mean confidence of the network's classifier from which pictures pass for similar; the calibration in `docs/advice.md` has
/// 0.43 to 0.51 on photographs of objects.
const SURE: f64 = 0.45;
/// Mean confidence below which they pass for different; the calibration has 0.11 to 0.35 on solar cells and digits.
const UNSURE: f64 = 0.36;
/// Median shift of the channels' means, in standard deviations over the pretraining set, below which pictures pass for
/// similar; the calibration has 0.10 on photographs of objects.
const NEAR: f64 = 0.13;
/// Median shift from which they pass for different; the calibration has 0.25 to 0.39 on solar cells, emoji and digits.
const FAR: f64 = 0.21;
/// Taps that show batch norms it takes for a reading: single ones scatter (0.06 to 0.12 on photographs of objects, 0.12 to 0.37
/// on cut-outs).
const LEAST_NORMS: usize = 3;
/// Rows looked at together.
const BLOCK: usize = 1024;
/// Cost share that the stage of the middle is nearest to.
const MIDDLE: f64 = 0.5;

/// Similar or different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// Like the pretraining set's pictures.
    Similar,
    /// Unlike them.
    Different,
    /// The evidence is weak or does not agree.
    Uncertain,
}

/// The evidence of one network.
#[derive(Debug, Clone, Serialize)]
pub struct Likeness {
    /// The network.
    pub model: String,
    /// What its evidence comes to.
    pub reading: Reading,
    /// What the layer curve says.
    pub curve: Reading,
    /// The top layer against the best stage below it; none for one stage alone.
    pub top: Option<TopComparison>,
    /// The name of that top layer.
    pub top_name: Option<String>,
    /// Whether the top layer is among the network's taps not significantly worse than its best.
    pub top_in_set: bool,
    /// The stage nearest to half of the network's arithmetic; none where that is the top, or there is no other.
    pub middle: Option<String>,
    /// Whether that stage is significantly worse than the network's best.
    pub middle_behind: bool,
    /// What the network's own classifier says.
    pub head: Reading,
    /// How sure it is; none where the store has no tap of it, or none is known.
    pub answers: Option<Answers>,
    /// What the batch norms say.
    pub norms: Reading,
    /// How far the pictures are from what they remember; none where that cannot be seen.
    pub shift: Option<ChannelShift>,
    /// Why there is no shift.
    pub no_shift: Option<String>,
}

/// How sure a network's own classifier is of the pictures.
#[derive(Debug, Clone, Serialize)]
pub struct Answers {
    /// The tap that holds its answers.
    pub tap: String,
    /// Mean over the pictures of the largest probability, 0 to 1.
    pub confidence: f64,
    /// Mean energy of the pictures, −ln Σ exp(logit); for comparisons within one network, its unit is each network's own. None
    /// where the tap holds probabilities.
    pub energy: Option<f64>,
}

/// How far the channels' means are from those over the pretraining set.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelShift {
    /// Median over the taps, in standard deviations over the pretraining set.
    pub median: f64,
    /// The taps that show a batch norm's output, and the median over their channels.
    pub taps: Vec<(String, f64)>,
}

/// The evidence of all networks.
pub fn of_all(stores: &Stores, probes: &Probes) -> anyhow::Result<Vec<Likeness>> {
    let tops = probes.comparison.tops()?;
    let one = |(backbone, model)| Network { stores, probes, backbone }.likeness(model, &tops);
    stores.names().into_iter().enumerate().map(one).collect()
}

/// The shift at each tap that shows a batch norm's output, in standard deviations over the pretraining set; none elsewhere.
pub fn shifts(evidence: &[Likeness], probes: &Probes) -> Vec<Option<f64>> {
    let found = || evidence.iter().filter_map(|network| network.shift.as_ref()).flat_map(|shift| &shift.taps);
    let of_tap = |name: &str| found().find(|(other, _)| other == name).map(|(_, shift)| *shift);
    probes.comparison.taps.iter().map(|tap| of_tap(&tap.name)).collect()
}

/// What all networks together say: those that are certain must agree.
pub fn together(evidence: &[Likeness]) -> Reading {
    agreed(&evidence.iter().map(|network| network.reading).collect::<Vec<_>>())
}

/// The reading that all certain ones share.
fn agreed(readings: &[Reading]) -> Reading {
    let mut certain = readings.iter().copied().filter(|reading| *reading != Reading::Uncertain);
    let Some(first) = certain.next() else { return Reading::Uncertain };
    if certain.all(|reading| reading == first) { first } else { Reading::Uncertain }
}

/// A top that is significantly behind an inner stage settles it: whatever the pictures look like, other stages suit them
/// better. Else what is certain must agree.
fn weighed(curve: Reading, head: Reading, norms: Reading) -> Reading {
    if curve == Reading::Different { Reading::Different } else { agreed(&[curve, head, norms]) }
}

fn between(value: f64, similar: bool, different: bool) -> Reading {
    match (similar, different) {
        _ if !value.is_finite() => Reading::Uncertain,
        (true, _) => Reading::Similar,
        (_, true) => Reading::Different,
        _ => Reading::Uncertain,
    }
}

/// One network of the stores.
struct Network<'a> {
    stores: &'a Stores,
    probes: &'a Probes,
    backbone: usize,
}

impl Network<'_> {
    fn likeness(&self, model: String, tops: &[TopComparison]) -> anyhow::Result<Likeness> {
        let comparison = &self.probes.comparison;
        let top = tops.iter().find(|top| top.backbone == self.backbone).cloned();
        let set = comparison.set_within(self.backbone)?;
        let middle = top.as_ref().and_then(|top| self.middle(comparison, top.top));
        let top_in_set = top.as_ref().is_some_and(|top| set.contains(&top.top));
        let middle_behind = middle.is_some_and(|middle| !set.contains(&middle));
        let curve = match &top {
            Some(top) if top.p < comparison.config.level => Reading::Different,
            Some(_) if top_in_set && middle_behind => Reading::Similar,
            _ => Reading::Uncertain,
        };
        let answers = self.answers()?;
        let head = answers.as_ref().map_or(Reading::Uncertain, |found| {
            between(found.confidence, found.confidence >= SURE, found.confidence < UNSURE)
        });
        let (shift, no_shift) = match self.shift()? {
            Ok(shift) => (Some(shift), None),
            Err(reason) => (None, Some(reason)),
        };
        let enough = shift.as_ref().filter(|found| found.taps.len() >= LEAST_NORMS);
        let norms =
            enough.map_or(Reading::Uncertain, |found| between(found.median, found.median < NEAR, found.median >= FAR));
        Ok(Likeness {
            model,
            reading: weighed(curve, head, norms),
            curve,
            top_name: top.as_ref().map(|top| comparison.taps[top.top].name.clone()),
            top,
            top_in_set,
            middle: middle.map(|tap| comparison.taps[tap].name.clone()),
            middle_behind,
            head,
            answers,
            norms,
            shift,
            no_shift,
        })
    }

    /// The stage below the top that is nearest to half of the arithmetic.
    fn middle(&self, comparison: &Comparison, top: usize) -> Option<usize> {
        let taps = &comparison.taps;
        let below = self.taps().filter(|&tap| !taps[tap].classifier && taps[tap].position < taps[top].position);
        let distance = |tap: usize| (taps[tap].cost_share - MIDDLE).abs();
        let as_near = |a: usize, b: usize| distance(a).total_cmp(&distance(b));
        below.min_by(|&a, &b| as_near(a, b).then_with(|| comparison.better(b, a)))
    }

    /// The network's taps, those that are joined left out: they show no more than the taps they are made of.
    fn taps(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        let taps = &self.probes.comparison.taps;
        (0..self.stores.taps.len()).filter(|&tap| taps[tap].backbone == self.backbone && !taps[tap].joined)
    }

    fn info(&self, tap: usize) -> &TapInfo {
        self.stores.info(tap).expect("taps() leaves out those that are joined")
    }

    /// Gives the features of the pictures to `see`, some rows at a time.
    fn rows(&self, tap: usize, mut see: impl FnMut(ArrayView2<'_, f32>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        for rows in self.probes.plan.data.rows.chunks(BLOCK) {
            let values = gathered(self.stores.store_of(tap), &self.stores.taps[tap].taps, rows)?;
            see(ArrayView2::from_shape((rows.len(), values.len() / rows.len()), &values)?)?;
        }
        Ok(())
    }

    /// How sure the network's own classifier is, where its deepest tap has one number for each class.
    fn answers(&self) -> anyhow::Result<Option<Answers>> {
        let is_answer = |&tap: &usize| {
            let info = self.info(tap);
            info.classifier
                && (info.features == info.shape.iter().product::<usize>() || info.tap.pooling == Pooling::Mean)
        };
        let Some(tap) = self.taps().rev().find(is_answer) else { return Ok(None) };
        let sums_to_one = |row: ArrayView1<'_, f32>| {
            row.iter().all(|value| (0.0..=1.0).contains(value)) && (row.sum() - 1.0).abs() < 1e-3
        };
        // Sums over the pictures: of the largest numbers, of the largest probabilities, of the energies.
        let (mut are_probabilities, mut largest, mut sure, mut energies) = (true, 0.0, 0.0, 0.0);
        self.rows(tap, |logits| {
            are_probabilities &= logits.outer_iter().all(sums_to_one);
            let of_row = |row: ArrayView1<'_, f32>| f64::from(row.iter().copied().fold(0.0, f32::max));
            largest += logits.outer_iter().map(of_row).sum::<f64>();
            sure += confidence(logits)?.iter().sum::<f64>();
            energies += energy(logits, 1.0)?.iter().sum::<f64>();
            Ok(())
        })?;
        let pictures = self.probes.plan.data.rows.len() as f64;
        let tap = self.probes.comparison.taps[tap].name.clone();
        Ok(Some(match are_probabilities {
            true => Answers { tap, confidence: largest / pictures, energy: None },
            false => Answers { tap, confidence: sure / pictures, energy: Some(energies / pictures) },
        }))
    }

    /// How far the means of taps that show a batch norm's output are from what it remembers, or why that cannot be seen.
    fn shift(&self) -> anyhow::Result<Result<ChannelShift, String>> {
        let Some(first) = self.taps().next() else { return Ok(Err("the store has no tap".to_owned())) };
        let manifest = self.stores.store_of(first).manifest();
        let name = &manifest.space.model.name;
        let Some(model) = model_with(&manifest.space.model.sha256.to_string()) else {
            return Ok(Err(format!(
                "the file of {name} is not among the model cards, so its batch norms cannot be read"
            )));
        };
        let norms = batch_norms(&model);
        if norms.is_empty() {
            return Ok(Err(format!(
                "the file of {name} keeps no batch norm (it has none, or they were folded at export)"
            )));
        }
        let mut taps = Vec::new();
        for tap in self.taps() {
            let info = self.info(tap);
            let shown = norms.iter().find(|norm| norm.output == info.tap.tensor && info.tap.pooling == Pooling::Mean);
            if let Some(shift) = shown.map(|norm| self.shift_at(tap, norm)).transpose()?.flatten() {
                taps.push((self.probes.comparison.taps[tap].name.clone(), shift));
            }
        }
        let mut shifts: Vec<f64> = taps.iter().map(|(_, shift)| *shift).collect();
        shifts.sort_by(f64::total_cmp);
        let middle = (shifts.get(shifts.len().saturating_sub(1) / 2), shifts.get(shifts.len() / 2));
        match middle {
            (Some(below), Some(above)) => Ok(Ok(ChannelShift { median: 0.5 * (below + above), taps })),
            _ => Ok(Err(format!(
                "no mean-pooled tap of the store is the output of one of the {} batch norms of {name}",
                norms.len()
            ))),
        }
    }

    fn shift_at(&self, tap: usize, norm: &BatchNorm) -> anyhow::Result<Option<f64>> {
        if self.info(tap).features != norm.bias.len() {
            return Ok(None);
        }
        let mut means = vec![0.0; norm.bias.len()];
        self.rows(tap, |rows| {
            for row in rows.outer_iter() {
                means.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value));
            }
            Ok(())
        })?;
        means.iter_mut().for_each(|mean| *mean /= self.probes.plan.data.rows.len() as f64);
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        Ok(output_shift(&means, &wide(&norm.bias), &wide(&norm.scale)).ok())
    }
}

/// The model of a card with this digest, where its file is there.
fn model_with(sha256: &str) -> Option<Model> {
    let card = project::cards().ok()?.into_iter().find(|card| card.sha256 == sha256)?;
    card.read_model().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    use Reading::{Different, Similar, Uncertain};

    #[test]
    fn certain_readings_must_agree() {
        let check = |readings: &[Reading], expected| assert_eq!(agreed(readings), expected, "{readings:?}");
        check(&[], Uncertain);
        check(&[Uncertain, Uncertain], Uncertain);
        check(&[Uncertain, Similar], Similar);
        check(&[Different, Uncertain, Different], Different);
        check(&[Different, Similar], Uncertain);
    }

    #[test]
    fn a_top_that_falls_behind_settles_it() {
        assert_eq!(weighed(Different, Similar, Similar), Different);
        assert_eq!(weighed(Similar, Different, Different), Uncertain);
        assert_eq!(weighed(Similar, Uncertain, Similar), Similar);
        assert_eq!(weighed(Uncertain, Different, Different), Different);
    }
}
