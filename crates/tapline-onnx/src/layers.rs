//! Lists what can be tapped: every tensor that carries the picture, with its shape, geometry and cost.
//!
//! Shapes come from one real pass in which a `Shape` node looks at every tensor, so the list holds whatever the exporter
//! did (fixed or free sizes, any operator set, float16 or quantised inside) and no more than the pass itself is in memory.

use std::collections::HashMap;

use ort::session::Session;
use ort::value::{TensorElementType, TensorRef, ValueType};
use serde::Serialize;

use crate::edit::{OWN, cut, encode, feed_input};
use crate::geometry::{self, Geometry, Shapes};
use crate::graph::Graph;
use crate::model::Model;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::quantised::{Quantisation, quantisation};
use crate::{Error, Runtime, Stage};

/// The size of a network's input, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InputSize {
    /// Colour channels.
    pub channels: usize,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// The most numbers one pass may read: 1 GiB of float32, over 1,700 pictures of 224 × 224.
pub const MAX_INPUT: u64 = 1 << 28;

/// One tensor that can be tapped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Its place in execution order, from 0.
    pub position: usize,
    /// The tensor's name in the graph.
    pub name: String,
    /// The operator that writes it.
    pub operator: String,
    /// The element type inside the network; rows are float32 whatever it is.
    pub dtype: String,
    /// Sizes without the batch axis: `[c, h, w]` for a map, `[c]` for a vector, whatever the network's own axis order.
    pub shape: Vec<usize>,
    /// Input pixels from one cell to the next (the larger of rows and columns); none where there are no cells.
    pub reduction: Option<f64>,
    /// Input pixels one cell depends on (the larger of rows and columns); none for the whole picture.
    pub receptive_field: Option<f64>,
    /// Multiply-adds of one picture up to and including this tensor.
    pub multiply_adds: u64,
    /// The same as a share of the whole network's, 0 to 1.
    pub cost_share: f64,
    /// The card's name for it.
    pub stage: Option<String>,
    /// Whether the card counts it to the network's own classifier.
    pub classifier: bool,
    /// Whether the network's own axis order is `[h, w, c]`.
    #[serde(skip)]
    pub(crate) channels_last: bool,
    /// Scale and zero point, where the numbers are stored as bytes.
    #[serde(skip)]
    pub(crate) quantisation: Option<Quantisation>,
}

/// Lists every tensor of `model` that can be tapped, in execution order; `stages` are the card's, if there is one.
///
/// # Errors
/// [`Error::Unusable`] where the graph is unsound or nothing can be tapped, [`Error::Load`] or [`Error::Run`] where
/// the runtime refuses it.
pub fn list_layers(model: &Model, size: InputSize, stages: &[Stage], runtime: &Runtime) -> Result<Vec<Layer>, Error> {
    let unusable = |what: String| Error::Unusable { path: model.path.clone(), what };
    check_pass(model, size, model.input.batch.unwrap_or(1))?;
    let graph = Graph::new(model.graph()).map_err(unusable)?;
    let candidates = candidates(model, &graph);
    let names: Vec<&str> = candidates.iter().map(|(_, name)| *name).collect();
    let measured = measure(model, size, &names, runtime)?;
    let layers = layers_of((model, &graph), (size, stages), &candidates, &measured);
    if layers.is_empty() {
        return Err(unusable("none of its tensors depends on the picture".to_owned()));
    }
    Ok(layers)
}

/// The layers among the tensors `candidates`, each with the node that writes it, once their shapes are known.
pub(crate) fn layers_of(
    (model, graph): (&Model, &Graph),
    (size, stages): (InputSize, &[Stage]),
    candidates: &[(usize, &str)],
    measured: &Measured,
) -> Vec<Layer> {
    let names = candidates.iter().map(|(_, name)| *name);
    let mut shapes: Shapes = model
        .graph()
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t.dims.iter().map(|&d| d.max(0) as usize).collect()))
        .collect();
    shapes.insert(&model.input.name, input_dims(model, size));
    shapes.extend(names.filter_map(|name| Some((name, measured.get(name)?.1.clone()))));

    let geometry = geometry::trace(graph, (&model.input.name, model.input.layout), &shapes);
    let costs: Vec<u64> = graph.nodes.iter().map(|node| geometry::multiply_adds(node, &shapes)).collect();
    let batch = model.input.batch.unwrap_or(1) as u64;
    let spent = |needed: &[bool]| {
        costs.iter().zip(needed).filter(|(_, n)| **n).fold(0, |sum: u64, (c, _)| sum.saturating_add(*c)) / batch
    };
    let outputs = model.graph().output.iter().map(|o| o.name.as_str());
    let total = spent(&graph.needed_for(outputs));

    let mut layers = Vec::new();
    for &(node, name) in candidates {
        let (Some((dtype, dims)), Some(geometry)) = (measured.get(name), geometry.get(name)) else { continue };
        let is_bytes = matches!(dtype, TensorElementType::Uint8 | TensorElementType::Int8);
        let quantisation =
            if is_bytes { quantisation(graph, name).filter(|q| is_scalar(&shapes, &q.scale)) } else { None };
        if !(is_float(*dtype) || quantisation.is_some()) || dims.len() < 2 || dims[0] as u64 != batch {
            continue;
        }
        let multiply_adds = spent(&graph.needed_for([name]));
        let stage = stages.iter().find(|s| s.tensor == name);
        layers.push(Layer {
            position: layers.len(),
            name: name.to_owned(),
            operator: graph.nodes[node].op_type.clone(),
            dtype: numpy_name(*dtype).to_owned(),
            shape: channels_first(&dims[1..], *geometry),
            reduction: geometry.jump.filter(|_| dims.len() == 4).map(|j| j[0].max(j[1])),
            receptive_field: geometry.field.map(|f| f[0].max(f[1])),
            multiply_adds,
            cost_share: if total == 0 { 1.0 } else { (multiply_adds as f64 / total as f64).min(1.0) },
            stage: stage.map(|s| s.name.clone()),
            classifier: stage.is_some_and(|s| s.classifier),
            channels_last: geometry.channels_last && dims.len() == 4,
            quantisation,
        });
    }
    mark_classifier(&mut layers);
    layers
}

/// The tensors that carry the picture, each with the node that writes it, in execution order.
pub(crate) fn candidates<'a>(model: &'a Model, graph: &Graph<'a>) -> Vec<(usize, &'a str)> {
    let carried = graph.carried_from(&model.input.name);
    let written = |(index, node): (usize, &&'a NodeProto)| node.output.iter().map(move |o| (index, o.as_str()));
    graph.nodes.iter().enumerate().flat_map(written).filter(|(_, name)| carried.contains(name)).collect()
}

/// Extends the card's classifier stages to every layer that costs more than the deepest stage below them.
fn mark_classifier(layers: &mut [Layer]) {
    if !layers.iter().any(|layer| layer.classifier) {
        return;
    }
    let below = layers.iter().filter(|layer| layer.stage.is_some() && !layer.classifier);
    let cost = below.map(|layer| layer.multiply_adds).max().unwrap_or(u64::MAX);
    for layer in layers {
        layer.classifier |= layer.multiply_adds > cost;
    }
}

/// Refuses a pass that would read more numbers than [`MAX_INPUT`].
///
/// # Errors
/// [`Error::Unusable`] with the number.
pub fn check_pass(model: &Model, size: InputSize, batch: usize) -> Result<(), Error> {
    let values = (size.channels as u64)
        .saturating_mul(size.height.into())
        .saturating_mul(size.width.into())
        .saturating_mul(batch as u64);
    if values <= MAX_INPUT {
        return Ok(());
    }
    let what = format!(
        "one pass over {batch} picture(s) of {} × {} pixels reads {values} numbers, more than {MAX_INPUT}; use a smaller \
         batch or size",
        size.height, size.width
    );
    Err(Error::Unusable { path: model.path.clone(), what })
}

/// Whether a scale is one number for the whole tensor; a scale per channel cannot be undone after the axes have moved.
fn is_scalar(shapes: &Shapes, tensor: &str) -> bool {
    shapes.get(tensor).is_none_or(|dims| dims.iter().all(|&side| side == 1))
}

fn is_float(dtype: TensorElementType) -> bool {
    use TensorElementType::{Bfloat16, Float16, Float32, Float64};
    matches!(dtype, Float32 | Float16 | Float64 | Bfloat16)
}

/// The element type in NumPy's words.
fn numpy_name(dtype: TensorElementType) -> &'static str {
    match dtype {
        TensorElementType::Float16 => "float16",
        TensorElementType::Bfloat16 => "bfloat16",
        TensorElementType::Float64 => "float64",
        TensorElementType::Uint8 => "uint8",
        TensorElementType::Int8 => "int8",
        _ => "float32",
    }
}

fn channels_first(dims: &[usize], geometry: Geometry) -> Vec<usize> {
    match dims {
        [h, w, c] if geometry.channels_last => vec![*c, *h, *w],
        _ => dims.to_vec(),
    }
}

fn input_dims(model: &Model, size: InputSize) -> Vec<usize> {
    let (n, c, h, w) = (model.input.batch.unwrap_or(1), size.channels, size.height as usize, size.width as usize);
    match model.input.layout {
        crate::Layout::Nchw => vec![n, c, h, w],
        crate::Layout::Nhwc => vec![n, h, w, c],
    }
}

pub(crate) type Measured = HashMap<String, (TensorElementType, Vec<usize>)>;

/// Element type and shape of each of `names` that is a tensor, from one pass over grey noise.
fn measure(model: &Model, size: InputSize, names: &[&str], runtime: &Runtime) -> Result<Measured, Error> {
    let types = element_types(model, size, names, runtime)?;
    let tensors: Vec<&str> = names.iter().copied().filter(|name| types.contains_key(*name)).collect();
    let shape_of = |index: usize| format!("{OWN}shape.{index}");
    let (mut session, input) = look_at(model, size, runtime, |graph| {
        for (index, tensor) in tensors.iter().enumerate() {
            graph.node.push(NodeProto::new("Shape", &[tensor], &shape_of(index)));
            graph.output.push(ValueInfoProto::untyped(&shape_of(index)));
        }
        tensors.clone()
    })?;
    let batch = model.input.batch.unwrap_or(1);
    let run = |source| Error::Run { count: batch, source };
    let dims = [batch, size.channels, size.height as usize, size.width as usize];
    let picture: Vec<f32> = (0..dims.iter().product::<usize>()).map(|i| ((i * 7919) % 255) as f32).collect();
    let tensor = TensorRef::from_array_view((dims, &picture[..])).map_err(run)?;
    let outputs = session.run(vec![(input, tensor)]).map_err(run)?;
    let mut measured = Measured::new();
    for (index, name) in tensors.iter().enumerate() {
        let (_, dims) = outputs[index].try_extract_tensor::<i64>().map_err(run)?;
        let dims = dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        measured.insert((*name).to_owned(), (types[*name], dims));
    }
    Ok(measured)
}

/// The element types that the runtime infers when it loads the network; sequences and the like have none.
fn element_types(
    model: &Model,
    size: InputSize,
    names: &[&str],
    runtime: &Runtime,
) -> Result<HashMap<String, TensorElementType>, Error> {
    let (session, _) = look_at(model, size, runtime, |graph| {
        graph.output = names.iter().map(|name| ValueInfoProto::untyped(name)).collect();
        names.to_vec()
    })?;
    let typed = session.outputs().iter().filter_map(|output| match output.dtype() {
        ValueType::Tensor { ty, .. } => Some((output.name().to_owned(), *ty)),
        _ => None,
    });
    Ok(typed.collect())
}

/// A session over the whole network without optimisation, after `edit` has added outputs; `edit` names what they need.
fn look_at<'n>(
    model: &Model,
    size: InputSize,
    runtime: &Runtime,
    edit: impl FnOnce(&mut GraphProto) -> Vec<&'n str>,
) -> Result<(Session, String), Error> {
    let mut added = GraphProto::default();
    let wanted = edit(&mut added);
    let mut graph = cut(model, &wanted).map_err(|what| Error::Unusable { path: model.path.clone(), what })?;
    graph.node.append(&mut added.node);
    graph.output = added.output;
    let input = feed_input(&mut graph, &model.input, size, Some(model.input.batch.unwrap_or(1)));
    let bytes = encode(model, graph)?;
    let session = runtime.plain_builder().and_then(|mut b| b.commit_from_memory(&bytes));
    Ok((session.map_err(|source| Error::Load { path: model.path.clone(), source })?, input))
}
