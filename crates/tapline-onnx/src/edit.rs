//! Edits the graph in memory: cuts what no tap needs, pools inside, and makes the rows its only outputs.
//!
//! ONNX Runtime runs every node of the graph it is given, wanted or not, so a shallow tap is cheap only in a graph
//! that ends there. Nodes added here use operators as they have been since operator set 7 (10 for byte tensors).

use std::collections::HashSet;

use prost::Message;
use tapline_core::{Pooling, TapInfo};

use crate::Error;
use crate::graph::Graph;
use crate::layers::{InputSize, Layer};
use crate::model::{Layout, Model, PictureInput};
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, data_type};
use crate::quantised::{ByteTensor, Quantisation};

/// A network that ends at its taps: float32 pictures in, one matrix of float32 rows out for each tap.
#[derive(Debug, Clone)]
pub struct TappedModel {
    /// The taps, in the order of the outputs.
    pub taps: Vec<TapInfo>,
    /// The size of the pictures it takes.
    pub size: InputSize,
    /// Pictures per pass where the network fixes it.
    pub batch: Option<usize>,
    /// The file it was made from.
    pub(crate) source: std::path::PathBuf,
    /// The input's name.
    pub(crate) input: String,
    /// The serialised network.
    pub(crate) bytes: Vec<u8>,
}

impl TappedModel {
    /// The network as an ONNX file.
    pub fn onnx(&self) -> &[u8] {
        &self.bytes
    }
}

/// What to tap: a layer and its pooling.
#[derive(Debug, Clone, Copy)]
pub struct TapRequest<'a> {
    /// The layer.
    pub layer: &'a Layer,
    /// How its map becomes a row.
    pub pooling: Pooling,
}

/// The prefix of every tensor name that Tapline adds.
pub(crate) const OWN: &str = "tapline/";

/// Makes the network that ends at `taps`; how many pictures a pass takes is free, unless the model's input fixes it.
///
/// # Errors
/// [`Error::Pooling`] where a pooling does not fit its layer, [`Error::Unusable`] where the graph is unsound.
pub fn tap_model(model: &Model, taps: &[TapRequest], size: InputSize) -> Result<TappedModel, Error> {
    let batch = model.input.batch;
    let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
    let sources: Vec<Source> = taps.iter().map(|tap| Source::of(model, tap)).collect();
    let wanted: Vec<&str> = sources.iter().flat_map(Source::names).collect();
    let mut kept = cut(model, &wanted).map_err(unusable)?;
    let input = feed_input(&mut kept, &model.input, size, batch);
    let mut infos = Vec::with_capacity(taps.len());
    for (index, (tap, source)) in taps.iter().zip(&sources).enumerate() {
        let features = features(tap)?;
        let output = format!("{OWN}row.{index}");
        pool(&mut kept, (tap, source), &output);
        let sizes = [batch.map_or(-1, |b| b as i64), features as i64];
        kept.output.push(ValueInfoProto::tensor(&output, data_type::FLOAT, &sizes));
        infos.push(info(tap, features));
    }
    let bytes = encode(model, kept)?;
    Ok(TappedModel { taps: infos, size, batch, source: model.path.clone(), input, bytes })
}

/// Where a tap's numbers are found in the graph.
enum Source<'a> {
    /// In a tensor as it is.
    Real(&'a str),
    /// In a tensor of bytes in the file, and what turns them into real numbers.
    Quantised(&'a str, &'a Quantisation),
    /// In bytes that Tapline made, to be summed as they are.
    Summed(&'a ByteTensor),
}

impl<'a> Source<'a> {
    fn of(model: &'a Model, tap: &TapRequest<'a>) -> Self {
        let TapRequest { layer, pooling } = *tap;
        let is_summed = pooling == Pooling::Mean && !layer.channels_last;
        match (model.bytes.get(&layer.name), &layer.quantisation) {
            (Some(bytes), _) if is_summed && layer.shape.len() == 3 => Self::Summed(bytes),
            (Some(bytes), _) => Self::Real(&bytes.real),
            (None, Some(quantisation)) => Self::Quantised(&layer.name, quantisation),
            (None, None) => Self::Real(&layer.name),
        }
    }

    /// The tensors that must stay in the graph.
    fn names(&self) -> Vec<&'a str> {
        match *self {
            Self::Real(tensor) => vec![tensor],
            Self::Quantised(tensor, quantisation) => std::iter::once(tensor).chain(quantisation.names()).collect(),
            Self::Summed(bytes) => vec![&bytes.bytes, &bytes.zero],
        }
    }
}

/// How many features a tap gives.
///
/// # Errors
/// [`Error::Pooling`] where the pooling does not fit the layer's shape.
pub fn features(tap: &TapRequest) -> Result<usize, Error> {
    let refuse = |what: String| {
        let (tensor, pooling) = (tap.layer.name.clone(), tap.pooling.to_string());
        Err(Error::Pooling { tensor, pooling, what })
    };
    match (tap.pooling, tap.layer.shape.as_slice()) {
        (Pooling::Flatten, shape) => Ok(shape.iter().product()),
        (Pooling::Grid { k }, [c, h, w]) => {
            let cells = k as usize;
            if cells > *h || cells > *w {
                return refuse(format!("its map has only {h} × {w} cells; use a smaller grid"));
            }
            Ok(c * cells * cells)
        }
        (Pooling::MeanMax, [c, _, _]) => Ok(2 * c),
        (Pooling::Mean | Pooling::Max | Pooling::Gem { .. }, [c, _, _]) => Ok(*c),
        (_, shape) => refuse(format!("its shape {shape:?} has no rows and columns to pool over; use flatten")),
    }
}

fn info(tap: &TapRequest, features: usize) -> TapInfo {
    TapInfo {
        position: tap.layer.position,
        name: tap.layer.stage.clone().unwrap_or_else(|| tap.layer.name.clone()),
        tap: tapline_core::Tap { tensor: tap.layer.name.clone(), pooling: tap.pooling },
        features,
        shape: tap.layer.shape.clone(),
        reduction: tap.layer.reduction,
        multiply_adds: tap.layer.multiply_adds,
        cost_share: tap.layer.cost_share,
        classifier: tap.layer.classifier,
    }
}

/// The nodes and weights that the tensors `wanted` depend on, without inputs and outputs.
pub(crate) fn cut(model: &Model, wanted: &[&str]) -> Result<GraphProto, String> {
    let original = model.graph();
    let graph = Graph::new(original)?;
    let needed = graph.needed_for(wanted.iter().copied());
    let kept = || (0..graph.nodes.len()).filter(|&n| needed[n]);
    let read: HashSet<&str> =
        kept().flat_map(|n| graph.reads(n).iter().copied()).chain(wanted.iter().copied()).collect();
    let own = |name: &str| name.starts_with(OWN);
    if original.node.iter().flat_map(|n| &n.output).any(|o| own(o)) || read.iter().any(|name| own(name)) {
        return Err(format!("it already holds tensors named {OWN}…; it was made by Tapline, use the original"));
    }
    let weights: HashSet<&str> = original.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut other = original.input.iter().map(|i| i.name.as_str());
    if let Some(name) = other.find(|name| *name != model.input.name && read.contains(name) && !weights.contains(name)) {
        return Err(format!("it needs a second input, {name:?}, besides the picture"));
    }
    Ok(GraphProto {
        name: Some("tapline".to_owned()),
        node: kept().map(|n| graph.nodes[n].clone()).collect(),
        initializer: original.initializer.iter().filter(|t| read.contains(t.name.as_str())).cloned().collect(),
        sparse_initializer: original.sparse_initializer.clone(),
        ..GraphProto::default()
    })
}

/// The model as bytes for the runtime, with `graph` in place of its own.
pub(crate) fn encode(model: &Model, graph: GraphProto) -> Result<Vec<u8>, Error> {
    let proto = ModelProto {
        // From IR version 4 on, weights need not be inputs: as constants they can be folded.
        ir_version: model.proto.ir_version.map(|v| v.max(4)),
        opset_import: model.proto.opset_import.clone(),
        producer_name: model.proto.producer_name.clone(),
        functions: model.proto.functions.clone(),
        graph: Some(graph),
    };
    if proto.encoded_len() > i32::MAX as usize {
        let what = "with its side files it is larger than the format's 2 GiB".to_owned();
        return Err(Error::Unusable { path: model.path.clone(), what });
    }
    Ok(proto.encode_to_vec())
}

/// Makes float32 NCHW pictures the graph's only input, and turns them into what the network reads; gives its name.
pub(crate) fn feed_input(
    graph: &mut GraphProto,
    input: &PictureInput,
    size: InputSize,
    batch: Option<usize>,
) -> String {
    let dims = [batch.map_or(-1, |b| b as i64), size.channels as i64, size.height.into(), size.width.into()];
    let casts = input.elem_type != data_type::FLOAT;
    let turns = input.layout == Layout::Nhwc;
    let name = if casts || turns { format!("{OWN}pictures") } else { input.name.clone() };
    graph.input = vec![ValueInfoProto::tensor(&name, data_type::FLOAT, &dims)];
    let mut adapters = Vec::new();
    let turned = if casts { format!("{OWN}turned") } else { input.name.clone() };
    if turns {
        adapters.push(NodeProto::new("Transpose", &[&name], &turned).with_ints("perm", &[0, 2, 3, 1]));
    }
    if casts {
        let from = if turns { &turned } else { &name };
        adapters.push(NodeProto::new("Cast", &[from], &input.name).with_int("to", input.elem_type.into()));
    }
    graph.node.splice(0..0, adapters);
    name
}

/// Adds the nodes that turn a tap's tensor into rows called `output`.
fn pool(graph: &mut GraphProto, (tap, source): (&TapRequest, &Source), output: &str) {
    let name = |part: &str| format!("{output}.{part}");
    if let Source::Summed(bytes) = source {
        return mean_of_bytes(graph, bytes, &tap.layer.shape, output);
    }
    let map = as_float_map(graph, (tap, source), output);
    let mut add = |op: &str, inputs: &[&str], to: String| {
        graph.node.push(NodeProto::new(op, inputs, &to));
        to
    };
    match tap.pooling {
        Pooling::Flatten => {
            add("Flatten", &[&map], output.to_owned());
        }
        Pooling::Mean | Pooling::Max => {
            let op = if tap.pooling == Pooling::Max { "GlobalMaxPool" } else { "GlobalAveragePool" };
            let pooled = add(op, &[&map], name("pooled"));
            add("Flatten", &[&pooled], output.to_owned());
        }
        Pooling::MeanMax => {
            let mean = add("GlobalAveragePool", &[&map], name("mean"));
            let max = add("GlobalMaxPool", &[&map], name("max"));
            let both = NodeProto::new("Concat", &[&mean, &max], &name("both")).with_int("axis", 1);
            graph.node.push(both);
            graph.node.push(NodeProto::new("Flatten", &[&name("both")], output));
        }
        Pooling::Gem { p } => gem(graph, &map, p, output),
        Pooling::Grid { k } => grid(graph, (&map, &tap.layer.shape), k as usize, output),
    }
}

/// The tap's tensor as float32 with its channels first.
fn as_float_map(graph: &mut GraphProto, (tap, source): (&TapRequest, &Source), output: &str) -> String {
    let map = match source {
        Source::Quantised(tensor, quantisation) => {
            let real = format!("{output}.real");
            let inputs: Vec<&str> = std::iter::once(*tensor).chain(quantisation.names()).collect();
            graph.node.push(NodeProto::new("DequantizeLinear", &inputs, &real));
            real
        }
        Source::Real(tensor) => (*tensor).to_owned(),
        Source::Summed(bytes) => bytes.real.clone(),
    };
    let float = format!("{output}.float");
    graph.node.push(NodeProto::new("Cast", &[&map], &float).with_int("to", data_type::FLOAT.into()));
    if !tap.layer.channels_last {
        return float;
    }
    let turned = format!("{output}.turned");
    graph.node.push(NodeProto::new("Transpose", &[&float], &turned).with_ints("perm", &[0, 3, 1, 2]));
    turned
}

/// `step / (h · w) · Σ (byte − zero point)`: the sum is exact, and no map of float32 is ever made.
///
/// Channels are turned last first, which costs nothing where ONNX Runtime holds the bytes in that order.
fn mean_of_bytes(graph: &mut GraphProto, source: &ByteTensor, shape: &[usize], output: &str) {
    let name = |part: &str| format!("{output}.{part}");
    let cells = shape[1] * shape[2];
    let sizes = [0, cells as i64, shape[0] as i64].iter().flat_map(|size| size.to_le_bytes()).collect();
    graph.initializer.extend([
        TensorProto::raw(&name("sizes"), (&[3], data_type::INT64), sizes),
        TensorProto::raw(&name("ones"), (&[1, cells as i64], data_type::UINT8), vec![1; cells]),
        TensorProto::raw(&name("nothing"), (&[], data_type::UINT8), vec![0]),
        TensorProto::floats(&name("share"), &[], vec![(f64::from(source.step) / cells as f64) as f32]),
    ]);
    graph.node.extend([
        NodeProto::new("Transpose", &[&source.bytes], &name("turned")).with_ints("perm", &[0, 2, 3, 1]),
        NodeProto::new("Reshape", &[&name("turned"), &name("sizes")], &name("table")),
        NodeProto::new("MatMulInteger", &[&name("ones"), &name("table"), &name("nothing"), &source.zero], &name("sum")),
        NodeProto::new("Cast", &[&name("sum")], &name("real")).with_int("to", data_type::FLOAT.into()),
        NodeProto::new("Mul", &[&name("real"), &name("share")], &name("mean")),
        NodeProto::new("Flatten", &[&name("mean")], output),
    ]);
}

/// `m · (mean((x₊ / m)^p))^(1/p)` with m the channel's maximum, which is the generalised mean without its overflow.
fn gem(graph: &mut GraphProto, map: &str, p: f32, output: &str) {
    let name = |part: &str| format!("{output}.{part}");
    for (part, value) in [("tiny", 1e-12), ("p", p), ("1/p", 1.0 / p)] {
        graph.initializer.push(TensorProto::floats(&name(part), &[], vec![value]));
    }
    let steps: [(&str, &[&str], &str); 8] = [
        ("Relu", &[map], "positive"),
        ("GlobalMaxPool", &[&name("positive")], "peak"),
        ("Add", &[&name("peak"), &name("tiny")], "m"),
        ("Div", &[&name("positive"), &name("m")], "scaled"),
        ("Pow", &[&name("scaled"), &name("p")], "powers"),
        ("GlobalAveragePool", &[&name("powers")], "mean"),
        ("Pow", &[&name("mean"), &name("1/p")], "root"),
        ("Mul", &[&name("root"), &name("m")], "pooled"),
    ];
    for (op, inputs, part) in steps {
        graph.node.push(NodeProto::new(op, inputs, &name(part)));
    }
    graph.node.push(NodeProto::new("Flatten", &[&name("pooled")], output));
}

/// `A_h · X · A_w` for each channel, where A averages each grid cell's rows and columns.
fn grid(graph: &mut GraphProto, map: (&str, &[usize]), k: usize, output: &str) {
    let (map, shape) = map;
    let name = |part: &str| format!("{output}.{part}");
    let (h, w) = (shape[1], shape[2]);
    let down = averages(h, k);
    let across: Vec<f32> = {
        let rows = averages(w, k);
        (0..w).flat_map(|x| (0..k).map(move |cell| (x, cell))).map(|(x, cell)| rows[cell * w + x]).collect()
    };
    graph.initializer.push(TensorProto::floats(&name("down"), &[k as i64, h as i64], down));
    graph.initializer.push(TensorProto::floats(&name("across"), &[w as i64, k as i64], across));
    graph.node.push(NodeProto::new("MatMul", &[map, &name("across")], &name("columns")));
    graph.node.push(NodeProto::new("MatMul", &[&name("down"), &name("columns")], &name("cells")));
    graph.node.push(NodeProto::new("Flatten", &[&name("cells")], output));
}

/// A k × n matrix whose row i averages positions ⌊i·n/k⌋ to ⌈(i+1)·n/k⌉.
fn averages(n: usize, k: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; k * n];
    for cell in 0..k {
        let range = cell * n / k..((cell + 1) * n).div_ceil(k);
        let share = 1.0 / range.len() as f32;
        matrix[cell * n..][range].fill(share);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_cells_cover_every_position_and_each_sums_to_one() {
        for (n, k) in [(7, 2), (7, 3), (4, 4), (5, 1), (9, 4)] {
            let matrix = averages(n, k);
            for row in matrix.chunks(n) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
            assert!((0..n).all(|x| (0..k).any(|cell| matrix[cell * n + x] > 0.0)));
        }
        assert_eq!(averages(3, 2), [0.5, 0.5, 0.0, 0.0, 0.5, 0.5]);
    }
}
