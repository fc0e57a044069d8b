//! Counts the parts of an ONNX file before it is decoded: two bytes on disk may take more than a kilobyte in memory.

/// Names, texts, nodes, attributes, tensors and types of a network, at most: a node has some ten to thirty, and the largest networks have
/// tens of thousands of nodes.
pub(crate) const MAX_PARTS: usize = 2_000_000;

/// Levels of messages within messages, at most, as `prost` has it.
const MAX_DEPTH: usize = 100;

/// Why a file is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsound {
    /// It has more than [`MAX_PARTS`].
    TooMany,
    /// It is no message.
    Damaged,
}

/// The messages of the format that hold others.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    ElementType,
    MapType,
    Shape,
}

impl Kind {
    /// What the field with this number holds, if that is a message with parts (`crate::proto` has all fields).
    fn inside(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::ValueInfo,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::ValueInfo, 2) | (Self::Attribute, 14 | 15) | (Self::ElementType, 1) | (Self::MapType, 2) => {
                Self::Type
            }
            (Self::Type, 1 | 8) => Self::TensorType,
            (Self::Type, 4 | 9) => Self::ElementType,
            (Self::Type, 5) => Self::MapType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return None,
        })
    }
}

/// Checks that a serialised model has no more parts than [`MAX_PARTS`].
pub(crate) fn check_parts(model: &[u8]) -> Result<(), Unsound> {
    let mut left = MAX_PARTS;
    spend(model, Kind::Model, MAX_DEPTH, &mut left)
}

fn spend(mut bytes: &[u8], kind: Kind, depth: usize, left: &mut usize) -> Result<(), Unsound> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..).ok_or(Unsound::Damaged)?,
            2 => {
                let len = usize::try_from(varint(&mut bytes)?).map_err(|_| Unsound::Damaged)?;
                let (part, rest) = bytes.split_at_checked(len).ok_or(Unsound::Damaged)?;
                bytes = rest;
                *left = left.checked_sub(1).ok_or(Unsound::TooMany)?;
                // What lies deeper is refused when it is decoded.
                if let (Some(kind), Some(depth)) = (kind.inside(key >> 3), depth.checked_sub(1)) {
                    spend(part, kind, depth, left)?;
                }
            }
            5 => bytes = bytes.get(4..).ok_or(Unsound::Damaged)?,
            _ => return Err(Unsound::Damaged),
        }
    }
    Ok(())
}

/// Takes a number of seven bits for each byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, Unsound> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or(Unsound::Damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Unsound::Damaged)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};

    fn model(attributes: usize) -> Vec<u8> {
        let attribute = vec![AttributeProto::default(); attributes];
        let node = NodeProto { attribute, ..NodeProto::new("Relu", &["x"], "y") };
        let input = vec![ValueInfoProto::tensor("x", 1, &[1, 3, 8, 8])];
        let graph = GraphProto { node: vec![node], input, ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    #[test]
    fn parts_are_counted_wherever_they_lie() {
        let count = |bytes: &[u8]| {
            let mut left = 100;
            spend(bytes, Kind::Model, MAX_DEPTH, &mut left).map(|()| 100 - left)
        };
        // The graph, its node, four texts of that, the input, its name, its type, tensor type, shape and four sizes.
        let plain = count(&model(0)).expect("a model");
        assert_eq!(plain, 15);
        assert_eq!(count(&model(7)), Ok(plain + 7));
        assert_eq!(count(&model(100)), Err(Unsound::TooMany));
    }

    #[test]
    fn a_small_file_of_many_parts_is_refused_before_it_is_decoded() {
        let message = |field: u8, inside: &[u8]| {
            let mut bytes = vec![field << 3 | 2];
            prost::encoding::encode_varint(inside.len() as u64, &mut bytes);
            [&bytes[..], inside].concat()
        };
        // Two megabytes of empty attributes of one node.
        let node = message(5, &[]).repeat(MAX_PARTS);
        let bytes = message(7, &message(1, &node));
        assert_eq!(check_parts(&bytes), Err(Unsound::TooMany));
        assert_eq!(check_parts(&bytes[..bytes.len() / 2]), Err(Unsound::Damaged));
    }
}
