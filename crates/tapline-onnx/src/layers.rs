//! Lists what can be tapped: every tensor that carries the picture, with its shape, geometry and cost.
//!
//! Shapes come from one real pass with every tensor as an output, so the list holds whatever the exporter did:
//! fixed or free sizes, any operator set, float16 or quantised inside.

use std::collections::HashMap;

use ort::session::SessionOutputs;
use ort::value::{TensorElementType, TensorRef, ValueType};
use serde::Serialize;

use crate::edit::{cut, encode, feed_input};
use crate::geometry::{self, Geometry, Shapes};
use crate::graph::Graph;
use crate::model::Model;
use crate::proto::ValueInfoProto;
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

/// One tensor that can be tapped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
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
    let graph = Graph::new(model.graph()).map_err(unusable)?;
    let carried = graph.carried_from(&model.input.name);
    let candidates: Vec<(usize, &str)> = graph
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |o| (index, o.as_str())))
        .filter(|(_, name)| carried.contains(name))
        .collect();
    let names: Vec<&str> = candidates.iter().map(|(_, name)| *name).collect();
    let measured = measure(model, size, &names, runtime)?;

    let mut shapes: Shapes = model
        .graph()
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t.dims.iter().map(|&d| d.max(0) as usize).collect()))
        .collect();
    shapes.insert(&model.input.name, input_dims(model, size));
    shapes.extend(names.iter().filter_map(|&name| Some((name, measured.get(name)?.1.clone()))));

    let geometry = geometry::trace(&graph, (&model.input.name, model.input.layout), &shapes);
    let costs: Vec<u64> = graph.nodes.iter().map(|node| geometry::multiply_adds(node, &shapes)).collect();
    let batch = model.input.batch.unwrap_or(1) as u64;
    let spent = |needed: &[bool]| costs.iter().zip(needed).filter(|(_, n)| **n).map(|(c, _)| c).sum::<u64>() / batch;
    let outputs = model.graph().output.iter().map(|o| o.name.as_str());
    let total = spent(&graph.needed_for(outputs));

    let mut layers = Vec::new();
    for (node, name) in candidates {
        let (Some((dtype, dims)), Some(geometry)) = (measured.get(name), geometry.get(name)) else { continue };
        let is_bytes = matches!(dtype, TensorElementType::Uint8 | TensorElementType::Int8);
        let quantisation = if is_bytes { quantisation(&graph, name) } else { None };
        if !(is_float(*dtype) || quantisation.is_some()) || dims.len() < 2 || dims[0] as u64 != batch {
            continue;
        }
        let multiply_adds = spent(&graph.needed_for([name]));
        let stage = stages.iter().find(|s| s.tensor == name);
        layers.push(Layer {
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
    if layers.is_empty() {
        return Err(unusable("none of its tensors depends on the picture".to_owned()));
    }
    Ok(layers)
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

/// Element type and shape of each tensor that the runtime returns as a tensor, from one pass over grey noise.
fn measure(
    model: &Model,
    size: InputSize,
    names: &[&str],
    runtime: &Runtime,
) -> Result<HashMap<String, (TensorElementType, Vec<usize>)>, Error> {
    let batch = model.input.batch.unwrap_or(1);
    let mut graph = cut(model, names).map_err(|what| Error::Unusable { path: model.path.clone(), what })?;
    graph.output = names.iter().map(|name| ValueInfoProto::untyped(name)).collect();
    let input = feed_input(&mut graph, &model.input, size, Some(batch));
    let load = |source| Error::Load { path: model.path.clone(), source };
    let bytes = encode(model, graph)?;
    let mut session = runtime.plain_builder().and_then(|mut b| b.commit_from_memory(&bytes)).map_err(load)?;
    let shape = [batch, size.channels, size.height as usize, size.width as usize];
    let picture: Vec<f32> = (0..shape.iter().product::<usize>()).map(|i| ((i * 7919) % 255) as f32).collect();
    let run = |source| Error::Run { count: batch, source };
    let tensor = TensorRef::from_array_view((shape, &picture[..])).map_err(run)?;
    let outputs = session.run(vec![(input, tensor)]).map_err(run)?;
    Ok(shapes_of(&outputs))
}

fn shapes_of(outputs: &SessionOutputs) -> HashMap<String, (TensorElementType, Vec<usize>)> {
    let mut shapes = HashMap::new();
    for (name, value) in outputs.iter() {
        if let ValueType::Tensor { ty, shape, .. } = value.dtype() {
            let dims = shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
            shapes.insert(name.to_owned(), (*ty, dims));
        }
    }
    shapes
}
