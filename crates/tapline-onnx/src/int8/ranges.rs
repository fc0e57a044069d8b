//! Measuring ranges: an extraction whose taps are the tensors that become bytes, pooled to maxima and negated minima.

use tapline_core::{Pooling, Tap, TapInfo, TensorRange};

use super::plan::Plan;
use crate::edit::{OWN, cut, encode, feed_input};
use crate::graph::Graph;
use crate::proto::{NodeProto, ValueInfoProto, data_type};
use crate::{Error, InputSize, Layer, Model, TappedModel};

/// What is measured, and what was found so far.
#[derive(Debug, Clone)]
pub struct RangeProbe {
    /// The network to run: for each tensor a row of maxima and, where it can fall below zero, one of negated minima.
    pub model: TappedModel,
    /// The ranges; infinite the wrong way round before the first picture.
    ranges: Vec<TensorRange>,
    /// For each row the range that it widens, and whether at the lower end.
    ends: Vec<(usize, bool)>,
}

impl RangeProbe {
    /// For all tensors of `model` that become bytes; `layers` are its layers at `size`.
    ///
    /// # Errors
    /// [`Error::Unusable`] where the network is quantised already, or nothing in it can be.
    pub fn new(model: &Model, layers: &[Layer], size: InputSize) -> Result<Self, Error> {
        let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
        let graph = Graph::new(model.graph()).map_err(unusable)?;
        let plan = Plan::of(model, &graph)?;
        let tensors: Vec<&str> = plan.measured().collect();
        let batch = model.input.batch;
        let mut kept = cut(model, &tensors).map_err(unusable)?;
        let input = feed_input(&mut kept, &model.input, size, batch);
        let (mut taps, mut ends) = (Vec::new(), Vec::new());
        for (index, tensor) in tensors.iter().enumerate() {
            let Some((features, is_map)) = row_of(model, layers, size, tensor) else {
                return Err(unusable(format!("its tensor {tensor:?} has no shape to be measured")));
            };
            let mut sources = vec![((*tensor).to_owned(), false)];
            if !plan.positive.contains(tensor) {
                let negated = format!("{OWN}negated.{index}");
                kept.node.push(NodeProto::new("Neg", &[tensor], &negated));
                sources.push((negated, true));
            }
            for (source, is_lower) in &sources {
                let output = format!("{OWN}row.{}", taps.len());
                let map = if is_map { format!("{output}.pooled") } else { source.clone() };
                if is_map {
                    kept.node.push(NodeProto::new("GlobalMaxPool", &[source], &map));
                }
                kept.node.push(NodeProto::new("Flatten", &[&map], &output));
                let sizes = [batch.map_or(-1, |b| b as i64), features as i64];
                kept.output.push(ValueInfoProto::tensor(&output, data_type::FLOAT, &sizes));
                taps.push(tap(tensor, features));
                ends.push((index, *is_lower));
            }
        }
        let bytes = encode(model, kept)?;
        let range = |tensor: &&str| TensorRange {
            tensor: (*tensor).to_owned(),
            min: if plan.positive.contains(tensor) { 0.0 } else { f32::INFINITY },
            max: f32::NEG_INFINITY,
        };
        Ok(Self {
            ranges: tensors.iter().map(range).collect(),
            ends,
            model: TappedModel { taps, size, batch, source: model.path.clone(), input, bytes },
        })
    }

    /// Widens the ranges by one picture's rows, as [`crate::Extractor::run`] gives them, unless a number in them is not finite: such a
    /// picture has no features either, and must not cost the others theirs. Gives whether it did.
    ///
    /// # Panics
    /// If there is not a row for each tap of `model`.
    #[must_use = "a picture that did not count is none of the calibration"]
    pub fn widen(&mut self, rows: &[Vec<f32>]) -> bool {
        assert_eq!(rows.len(), self.ends.len(), "a row for each tap of the probe");
        if rows.iter().flatten().any(|value| !value.is_finite()) {
            return false;
        }
        let largest = |row: &[f32]| row.iter().fold(f32::NEG_INFINITY, |largest, &value| largest.max(value));
        for (&(index, is_lower), row) in self.ends.iter().zip(rows) {
            let range = &mut self.ranges[index];
            match is_lower {
                true => range.min = range.min.min(-largest(row)),
                false => range.max = range.max.max(largest(row)),
            }
        }
        true
    }

    /// What was found.
    ///
    /// # Errors
    /// [`Error::Range`] where no picture was measured.
    pub fn finish(self) -> Result<Vec<TensorRange>, Error> {
        match self.ranges.iter().find(|range| !(range.min.is_finite() && range.max.is_finite())) {
            Some(TensorRange { tensor, min, max }) => {
                Err(Error::Range { tensor: tensor.clone(), min: *min, max: *max })
            }
            None => Ok(self.ranges),
        }
    }
}

/// Numbers in a tensor's row, and whether it must be pooled to get there.
fn row_of(model: &Model, layers: &[Layer], size: InputSize, tensor: &str) -> Option<(usize, bool)> {
    if tensor == model.input.name {
        let is_last = model.input.layout == crate::Layout::Nhwc;
        return Some((if is_last { size.height as usize } else { size.channels }, true));
    }
    let layer = layers.iter().find(|layer| layer.name == tensor)?;
    match layer.shape.as_slice() {
        [length] => Some((*length, false)),
        // The pool takes whatever axis comes second for channels; a maximum is none the worse for that.
        [_, rows, _] if layer.channels_last => Some((*rows, true)),
        [first, _, ..] => Some((*first, true)),
        [] => None,
    }
}

fn tap(tensor: &str, features: usize) -> TapInfo {
    TapInfo {
        position: 0,
        name: tensor.to_owned(),
        tap: Tap { tensor: tensor.to_owned(), pooling: Pooling::Max },
        features,
        shape: vec![features],
        reduction: None,
        multiply_adds: 0,
        cost_share: 0.0,
        classifier: false,
    }
}
