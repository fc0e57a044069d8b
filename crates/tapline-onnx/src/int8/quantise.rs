//! The network in bytes: QuantizeLinear and DequantizeLinear nodes around what computes, weights in bytes.
//!
//! Activations are `(byte − zero point) · scale` with `scale = (max − min) / 255`, the range widened to hold 0; weights are
//! symmetric with a scale for each output. Bytes saturate, which does the work of Relu and Clip.

use std::collections::{HashMap, HashSet};

use tapline_core::TensorRange;

use super::INT8;
use super::plan::{Chain, Plan};
use super::weights::ByteWeights;
use crate::constants::Constants;
use crate::folding::Weights;
use crate::graph::Graph;
use crate::proto::{NodeProto, OperatorSetIdProto, TensorProto, data_type};
use crate::quantised::ByteTensor;
use crate::{Error, Model};

/// ONNX Runtime's own operator set, whose QuantizeLinear knows scales for each channel whatever the standard one does.
const CONTRIB: &str = "com.microsoft";
/// The standard operator set whose QuantizeLinear does.
const PER_CHANNEL: i64 = 13;

/// The network `model` with its trunk in bytes; its taps, names and digest are those of the original.
///
/// # Errors
/// [`Error::Unusable`] where it is quantised already, nothing in it can be, or `ranges` are those of another network.
pub fn quantise(model: &Model, ranges: &[TensorRange]) -> Result<Model, Error> {
    let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
    let graph = Graph::new(model.graph()).map_err(unusable)?;
    let plan = Plan::of(model, &graph)?;
    let constants = Constants::of(model.graph());
    let steps = steps(&plan, ranges).map_err(unusable)?;
    let mut edit = Edit {
        domain: if model.opset >= PER_CHANNEL { "" } else { CONTRIB },
        tensors: plan.tensors.iter().copied().collect(),
        same_as: &plan.same_as,
        steps,
        nodes: Vec::new(),
        weights: Vec::new(),
    };
    let unsound = || unusable("the sizes of its weights do not fit each other".to_owned());
    let mut fused = HashSet::new();
    for chain in &plan.chains {
        edit.chain(chain, &graph, &constants).ok_or_else(unsound)?;
        fused.insert(chain.output);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let reading = edit.reading_bytes(node);
        let node = match plan.dense.contains(&index) {
            true => edit.dense(node, reading, &constants).ok_or_else(unsound)?,
            false => reading,
        };
        edit.nodes.push(node);
    }
    for tensor in &plan.tensors {
        edit.bytes_of(tensor, fused.contains(tensor));
    }
    Ok(edit.into_model(model))
}

/// Step and zero point of a tensor in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    scale: f32,
    zero: u8,
}

impl Step {
    /// Those of a range, widened to hold 0.
    fn of(range: &TensorRange) -> Self {
        let (min, max) = (range.min.min(0.0), range.max.max(0.0));
        let scale = ((f64::from(max) - f64::from(min)) / 255.0) as f32;
        if scale < f32::MIN_POSITIVE {
            return Self { scale: 1.0, zero: 0 };
        }
        Self { scale, zero: (-min / scale).round_ties_even().clamp(0.0, 255.0) as u8 }
    }
}

fn steps<'a>(plan: &Plan<'a>, ranges: &[TensorRange]) -> Result<HashMap<&'a str, Step>, String> {
    let known: HashMap<&str, &TensorRange> = ranges.iter().map(|range| (range.tensor.as_str(), range)).collect();
    let step = |tensor: &'a str| match known.get(tensor) {
        Some(range) if range.min.is_finite() && range.max.is_finite() => Ok((tensor, Step::of(range))),
        _ => Err(format!("the stored ranges do not cover its tensor {tensor:?}; use another --store")),
    };
    plan.measured().map(step).collect()
}

/// The graph while it is made.
struct Edit<'p, 'a> {
    domain: &'static str,
    tensors: HashSet<&'a str>,
    same_as: &'p HashMap<&'a str, &'a str>,
    steps: HashMap<&'a str, Step>,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

fn own(part: &str, tensor: &str) -> String {
    format!("{INT8}{part}/{tensor}")
}

impl Edit<'_, '_> {
    fn step(&self, tensor: &str) -> Step {
        self.steps[self.same_as.get(tensor).copied().unwrap_or(tensor)]
    }

    /// The node, with numbers made from bytes for every input that has them.
    fn reading_bytes(&self, node: &NodeProto) -> NodeProto {
        let mut node = node.clone();
        for input in node.input.iter_mut().filter(|input| self.tensors.contains(input.as_str())) {
            *input = own("real", input);
        }
        node
    }

    /// A convolution or addition between bytes, with what was fused into it.
    fn chain(&mut self, chain: &Chain, graph: &Graph, constants: &Constants) -> Option<()> {
        let head = graph.nodes[chain.head];
        let mut node = self.reading_bytes(head);
        node.name = own("node", chain.output);
        node.output = vec![own("sum", chain.output)];
        if head.op_type == "Conv" {
            let mut weights = Weights::of(head, 0, constants)?;
            if let Some(normalisation) = chain.normalisation {
                weights = weights.normalised(graph.nodes[normalisation], constants)?;
            }
            self.weigh(&mut node, &weights, (&head.input[0], chain.output));
        }
        self.nodes.push(node);
        Some(())
    }

    /// A matrix product that reads bytes.
    fn dense(&mut self, original: &NodeProto, mut node: NodeProto, constants: &Constants) -> Option<NodeProto> {
        let axis = if original.int("transB").unwrap_or(0) == 0 { 1 } else { 0 };
        let weights = Weights::of(original, axis, constants)?;
        self.weigh(&mut node, &weights, (&original.input[0], &original.output[0]));
        Some(node)
    }

    /// Gives `node` weights and bias in bytes; `input` is what it reads, `name` what they are called after.
    fn weigh(&mut self, node: &mut NodeProto, weights: &Weights, (input, name): (&str, &str)) {
        let ByteWeights { values, scales, bias, bias_scales } = weights.quantised(self.step(input).scale);
        let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
        let tensor = TensorProto::raw(&own("weights", name), (&weights.dims, data_type::INT8), bytes);
        node.input.truncate(1);
        node.input.push(self.constant(tensor, scales, weights.axis));
        if let Some(bias) = bias {
            let bytes: Vec<u8> = bias.iter().flat_map(|value| value.to_le_bytes()).collect();
            let tensor = TensorProto::raw(&own("bias", name), (&[bias.len() as i64], data_type::INT32), bytes);
            node.input.push(self.constant(tensor, bias_scales, 0));
        }
    }

    /// A constant of whole numbers with a step for each place along `axis`; gives the name of the real numbers.
    fn constant(&mut self, tensor: TensorProto, scales: Vec<f32>, axis: usize) -> String {
        let (whole, real) = (tensor.name.clone(), format!("{}.real", tensor.name));
        let (scale, zero) = (format!("{whole}.scale"), format!("{whole}.zero"));
        let count = scales.len();
        let width = if tensor.data_type == data_type::INT32 { 4 } else { 1 };
        let zeros = TensorProto::raw(&zero, (&[count as i64], tensor.data_type), vec![0; count * width]);
        self.weights.extend([tensor, TensorProto::floats(&scale, &[count as i64], scales), zeros]);
        let mut node =
            NodeProto::new("DequantizeLinear", &[&whole, &scale, &zero], &real).with_int("axis", axis as i64);
        node.domain = self.domain.to_owned();
        self.nodes.push(node);
        real
    }

    /// The bytes of a tensor, and the real numbers made from them.
    fn bytes_of(&mut self, tensor: &str, is_fused: bool) {
        let (scale, zero) = (own("scale", tensor), own("zero", tensor));
        let Step { scale: step, zero: point } = self.step(tensor);
        self.weights.push(TensorProto::floats(&scale, &[], vec![step]));
        self.weights.push(TensorProto::raw(&zero, (&[], data_type::UINT8), vec![point]));
        let (source, bytes) = (if is_fused { own("sum", tensor) } else { tensor.to_owned() }, own("bytes", tensor));
        for (op, input, output) in
            [("QuantizeLinear", &source, bytes.clone()), ("DequantizeLinear", &bytes, own("real", tensor))]
        {
            let mut node = NodeProto::new(op, &[input, &scale, &zero], &output);
            node.domain = self.domain.to_owned();
            self.nodes.push(node);
        }
    }

    fn into_model(mut self, original: &Model) -> Model {
        let mut model = original.clone();
        let byte_tensor = |tensor: &&str| {
            let bytes = ByteTensor {
                bytes: own("bytes", tensor),
                zero: own("zero", tensor),
                step: self.step(tensor).scale,
                real: own("real", tensor),
            };
            ((*tensor).to_owned(), bytes)
        };
        model.bytes = self.tensors.iter().map(byte_tensor).collect();
        let graph = model.proto.graph.as_mut().expect("a read model has a graph");
        graph.node = std::mem::take(&mut self.nodes);
        graph.initializer.append(&mut self.weights);
        let has_domain = model.proto.opset_import.iter().any(|set| set.domain.as_deref() == Some(self.domain));
        if self.domain == CONTRIB && !has_domain {
            model.proto.opset_import.push(OperatorSetIdProto { domain: Some(CONTRIB.to_owned()), version: Some(1) });
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_widened_to_hold_zero_and_zero_is_a_byte() {
        let check = |min, max, scale, zero| {
            let step = Step::of(&TensorRange { tensor: String::new(), min, max });
            assert_eq!(step, Step { scale, zero }, "{min} to {max}");
        };
        check(0.0, 255.0, 1.0, 0);
        check(1.0, 255.0, 1.0, 0);
        check(-255.0, -1.0, 1.0, 255);
        check(-1.0, 3.0, 4.0 / 255.0, 64);
        check(0.0, 0.0, 1.0, 0);
    }
}
