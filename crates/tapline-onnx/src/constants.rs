//! Constant tensors of a graph, and their numbers.

use std::collections::HashMap;

use crate::proto::{GraphProto, NodeProto, TensorProto, data_type};

/// The constant tensors of a graph by name, initialisers and `Constant` nodes alike.
#[derive(Debug)]
pub(crate) struct Constants<'a>(HashMap<&'a str, &'a TensorProto>);

impl<'a> Constants<'a> {
    /// Those of a graph.
    pub fn of(graph: &'a GraphProto) -> Self {
        let stored = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let nodes = graph.node.iter().filter(|node| node.op_type == "Constant");
        let value = |node: &'a NodeProto| {
            let value = node.attribute.iter().find(|attribute| attribute.name == "value")?;
            Some((node.output.first()?.as_str(), value.t.as_ref()?))
        };
        Self(stored.chain(nodes.filter_map(value)).collect())
    }

    /// The constant called `name`.
    pub fn get(&self, name: &str) -> Option<&'a TensorProto> {
        self.0.get(name).copied()
    }
}

/// The numbers of a float32 tensor; none where it is not [one](is_floats).
pub(crate) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    is_floats(tensor).then(|| match &tensor.raw_data {
        Some(raw) => raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        None => tensor.float_data.clone(),
    })
}

/// Whether a tensor is of float32, and has as many numbers as its sizes say.
pub(crate) fn is_floats(tensor: &TensorProto) -> bool {
    let mut sizes = tensor.dims.iter();
    let count = sizes.try_fold(1usize, |all, &size| all.checked_mul(usize::try_from(size).ok()?));
    let found = tensor.raw_data.as_ref().map_or(tensor.float_data.len(), |raw| raw.len() / 4);
    tensor.data_type == data_type::FLOAT && count == Some(found)
}
