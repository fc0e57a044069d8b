//! How far a cell of a map sees and what it costs: strides, receptive fields, multiply-adds.
//!
//! Works on the shapes of one real pass, so that it holds for any exporter, dynamic or fixed shapes alike.
//! Receptive fields follow Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks"
//! (Distill 2019), eq. 2: r ← r + (k − 1)·d·j, j ← j·s, the maximum over branches.

use std::collections::HashMap;

use crate::graph::Graph;
use crate::model::Layout;
use crate::proto::NodeProto;

/// Sizes of tensors in one pass over one picture, batch axis included.
pub(crate) type Shapes<'a> = HashMap<&'a str, Vec<usize>>;

/// What is known of one tensor that carries the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Geometry {
    /// Whether a rank-4 tensor has its channels last.
    pub channels_last: bool,
    /// Input pixels from one cell to the next, rows and columns; none where there are no cells.
    pub jump: Option<[f64; 2]>,
    /// Input pixels one cell depends on, rows and columns; none for the whole picture.
    pub field: Option<[f64; 2]>,
}

const WHOLE: Geometry = Geometry { channels_last: false, jump: None, field: None };

/// Geometry of every tensor that carries the picture from `input`.
pub(crate) fn trace<'a>(
    graph: &Graph<'a>,
    input: (&'a str, Layout),
    shapes: &Shapes<'a>,
) -> HashMap<&'a str, Geometry> {
    let (name, layout) = input;
    let pixel = Geometry { channels_last: layout == Layout::Nhwc, jump: Some([1.0; 2]), field: Some([1.0; 2]) };
    let mut known = HashMap::from([(name, pixel)]);
    for (index, node) in graph.nodes.iter().enumerate() {
        let sources: Vec<(&str, Geometry)> =
            graph.reads(index).iter().filter_map(|t| Some((*t, *known.get(t)?))).collect();
        if sources.is_empty() {
            continue;
        }
        for output in node.output.iter().filter(|o| shapes.contains_key(o.as_str())) {
            let geometry = after(node, &sources, &shapes[output.as_str()], shapes);
            known.insert(output, geometry);
        }
    }
    known
}

fn after(node: &NodeProto, sources: &[(&str, Geometry)], out: &[usize], shapes: &Shapes) -> Geometry {
    let (first, source) = sources[0];
    let from = shapes.get(first).map_or(&[][..], Vec::as_slice);
    match node.op_type.as_str() {
        "Conv" | "QLinearConv" | "ConvInteger" | "FusedConv" | "MaxPool" | "AveragePool" | "LpPool"
        | "QLinearAveragePool" => windowed(node, source, shapes),
        "ConvTranspose" => scaled(source, from, out),
        "Transpose" => transposed(node, source, out),
        "Reshape" if from.len() >= 3 && out.len() >= 3 && from[from.len() - 2..] == out[out.len() - 2..] => source,
        "Pad" => source,
        "Resize" | "Upsample" | "DepthToSpace" | "SpaceToDepth" | "Slice" => scaled(source, from, out),
        _ => merged(sources, out, shapes),
    }
}

fn windowed(node: &NodeProto, source: Geometry, shapes: &Shapes) -> Geometry {
    let weight = node.input.get(if node.op_type == "QLinearConv" { 3 } else { 1 });
    let weight = weight.and_then(|name| shapes.get(name.as_str())).filter(|dims| dims.len() == 4);
    let of_weight: Option<[i64; 2]> = weight.map(|dims| [dims[2] as i64, dims[3] as i64]);
    let pair = |values: Option<&[i64]>| values.and_then(|v| <[i64; 2]>::try_from(v).ok());
    let Some(kernel) = pair(node.ints("kernel_shape")).or(of_weight) else {
        return Geometry { field: None, ..source };
    };
    let stride = pair(node.ints("strides")).unwrap_or([1; 2]);
    let dilation = pair(node.ints("dilations")).unwrap_or([1; 2]);
    let jump = source.jump.map(|j| [j[0] * stride[0] as f64, j[1] * stride[1] as f64]);
    let field = source.field.zip(source.jump).map(|(field, jump)| {
        let grown = |i: usize| field[i] + (kernel[i] as f64 - 1.0) * dilation[i] as f64 * jump[i];
        [grown(0), grown(1)]
    });
    Geometry { channels_last: false, jump, field }
}

/// A map whose number of cells changes without a window: cells move closer together or further apart.
fn scaled(source: Geometry, from: &[usize], out: &[usize]) -> Geometry {
    match (cells(source, from), cells(source, out)) {
        (Some(from), Some(out)) => {
            let ratio = |i: usize| match from[i] as f64 / out[i] as f64 {
                // A crop keeps the cells where they are.
                ratio if (0.7..1.5).contains(&ratio) => 1.0,
                ratio => ratio,
            };
            let jump = source.jump.map(|j| [j[0] * ratio(0), j[1] * ratio(1)]);
            let field = source.field.zip(source.jump).zip(jump).map(|((field, old), new)| {
                let grown = |i: usize| field[i] + (new[i] - old[i]).max(0.0);
                [grown(0), grown(1)]
            });
            Geometry { jump, field, ..source }
        }
        _ => WHOLE,
    }
}

fn transposed(node: &NodeProto, source: Geometry, out: &[usize]) -> Geometry {
    match (out.len(), node.ints("perm")) {
        (4, Some([0, 3, 1, 2])) => Geometry { channels_last: false, ..source },
        (4, Some([0, 2, 3, 1])) => Geometry { channels_last: true, ..source },
        (rank, Some(perm))
            if rank >= 4 && perm.iter().rev().zip((0..rank as i64).rev()).take(2).all(|(p, i)| *p == i) =>
        {
            source
        }
        _ => WHOLE,
    }
}

/// Any other operator: cell by cell where the cells of a source and of the result agree, else over the whole picture.
fn merged(sources: &[(&str, Geometry)], out: &[usize], shapes: &Shapes) -> Geometry {
    let channels_last = sources[0].1.channels_last;
    let wanted = cells(sources[0].1, out);
    let aligned: Vec<Geometry> = sources
        .iter()
        .filter(|(name, g)| wanted.is_some() && cells(*g, &shapes[name]) == wanted)
        .map(|(_, g)| *g)
        .filter(|g| g.jump.is_some())
        .collect();
    if aligned.is_empty() {
        return Geometry { channels_last, ..WHOLE };
    }
    let larger = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
    let jump = aligned.iter().filter_map(|g| g.jump).reduce(larger);
    let whole = sources.iter().any(|(_, g)| g.field.is_none());
    let field = sources.iter().filter_map(|(_, g)| g.field).reduce(larger).filter(|_| !whole);
    Geometry { channels_last, jump, field }
}

fn cells(geometry: Geometry, shape: &[usize]) -> Option<[usize; 2]> {
    match (shape, geometry.channels_last) {
        ([_, h, w, _], true) => Some([*h, *w]),
        ([_, .., h, w], _) if shape.len() >= 4 => Some([*h, *w]),
        _ => None,
    }
}

/// Multiply-adds of one node for one picture: output numbers times the length of each one's sum.
pub(crate) fn multiply_adds(node: &NodeProto, shapes: &Shapes) -> u64 {
    let shape = |index: usize| node.input.get(index).and_then(|name| shapes.get(name.as_str()));
    let Some(out) = node.output.first().and_then(|name| shapes.get(name.as_str())) else { return 0 };
    // Saturating: sizes of weights are those that the file states.
    let product = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(1, u64::saturating_mul);
    let numbers = |dims: &[usize]| product(&mut dims.iter().map(|&d| d as u64));
    let group = node.int("group").and_then(|g| u64::try_from(g).ok()).filter(|&g| g > 0).unwrap_or(1);
    let kernel = |weight: usize| match (node.ints("kernel_shape"), shape(weight)) {
        (Some(kernel), _) => product(&mut kernel.iter().map(|&k| k.max(1) as u64)),
        (None, Some(dims)) if dims.len() > 2 => numbers(&dims[2..]),
        _ => 1,
    };
    let channels = |dims: Option<&Vec<usize>>| dims.and_then(|d| d.get(1)).map_or(0, |&c| c as u64);
    match node.op_type.as_str() {
        "Conv" | "ConvInteger" | "FusedConv" => {
            (numbers(out).saturating_mul(channels(shape(0))) / group).saturating_mul(kernel(1))
        }
        "QLinearConv" => (numbers(out).saturating_mul(channels(shape(0))) / group).saturating_mul(kernel(3)),
        "ConvTranspose" => {
            let read = shape(0).map_or(0, |s| numbers(s));
            (read.saturating_mul(channels(Some(out))) / group).saturating_mul(kernel(1))
        }
        "Gemm" | "QGemm" => {
            let axis = if node.int("transA") == Some(1) { 0 } else { 1 };
            numbers(out).saturating_mul(shape(0).and_then(|d| d.get(axis)).map_or(0, |&k| k as u64))
        }
        "MatMul" | "QLinearMatMul" | "MatMulInteger" | "FusedMatMul" => {
            numbers(out).saturating_mul(shape(0).and_then(|d| d.last()).map_or(0, |&k| k as u64))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::GraphProto;

    fn check(nodes: Vec<NodeProto>, shapes: &[(&'static str, &[usize])], last: &str, expected: Geometry) {
        let proto = GraphProto { node: nodes, ..GraphProto::default() };
        let graph = Graph::new(&proto).expect("sorts");
        let shapes = shapes.iter().map(|(name, dims)| (*name, dims.to_vec())).collect();
        assert_eq!(trace(&graph, ("x", Layout::Nchw), &shapes)[last], expected);
    }

    fn geometry(jump: f64, field: f64) -> Geometry {
        Geometry { channels_last: false, jump: Some([jump; 2]), field: Some([field; 2]) }
    }

    #[test]
    fn windows_grow_the_receptive_field_and_strides_the_reduction() {
        let conv = |from, to| {
            NodeProto::new("Conv", &[from, "w"], to).with_ints("kernel_shape", &[3, 3]).with_ints("strides", &[2, 2])
        };
        let shapes: [(&str, &[usize]); 3] = [("x", &[1, 3, 9, 9]), ("a", &[1, 4, 4, 4]), ("b", &[1, 4, 1, 1])];
        check(vec![conv("x", "a"), conv("a", "b")], &shapes, "b", geometry(4.0, 7.0));
    }

    #[test]
    fn a_branch_takes_the_larger_field_and_a_gate_sees_the_whole_picture() {
        let conv = NodeProto::new("Conv", &["x", "w"], "a").with_ints("kernel_shape", &[3, 3]);
        let shapes: [(&str, &[usize]); 4] =
            [("x", &[1, 3, 9, 9]), ("a", &[1, 3, 9, 9]), ("b", &[1, 3, 9, 9]), ("g", &[1, 3, 1, 1])];
        check(vec![conv.clone(), NodeProto::new("Add", &["x", "a"], "b")], &shapes, "b", geometry(1.0, 3.0));
        let gate = NodeProto::new("GlobalAveragePool", &["a"], "g");
        let gated = NodeProto::new("Mul", &["a", "g"], "b");
        check(vec![conv, gate, gated], &shapes, "b", Geometry { field: None, ..geometry(1.0, 0.0) });
    }

    #[test]
    fn a_channel_shuffle_keeps_the_cells() {
        let nodes = vec![
            NodeProto::new("Reshape", &["x", "s"], "a"),
            NodeProto::new("Transpose", &["a"], "b").with_ints("perm", &[0, 2, 1, 3, 4]),
            NodeProto::new("Reshape", &["b", "s"], "c"),
        ];
        let shapes: [(&str, &[usize]); 4] =
            [("x", &[1, 6, 5, 5]), ("a", &[1, 2, 3, 5, 5]), ("b", &[1, 3, 2, 5, 5]), ("c", &[1, 6, 5, 5])];
        check(nodes, &shapes, "c", geometry(1.0, 1.0));
    }

    #[test]
    fn multiply_adds_count_groups_and_matrix_products() {
        let shapes: Shapes =
            HashMap::from([("x", vec![1, 8, 4, 4]), ("a", vec![1, 8, 4, 4]), ("v", vec![1, 8]), ("y", vec![1, 10])]);
        let conv = NodeProto::new("Conv", &["x", "w"], "a").with_ints("kernel_shape", &[3, 3]);
        assert_eq!(multiply_adds(&conv, &shapes), 8 * 16 * 8 * 9);
        assert_eq!(multiply_adds(&conv.with_int("group", 8), &shapes), 8 * 16 * 9);
        assert_eq!(multiply_adds(&NodeProto::new("Gemm", &["v", "w"], "y"), &shapes), 80);
        assert_eq!(multiply_adds(&NodeProto::new("MatMul", &["v", "w"], "y"), &shapes), 80);
    }
}
