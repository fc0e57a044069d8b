//! What depends on what in a network: execution order, ancestors, and which tensors carry the picture.
//!
//! ONNX promises that nodes come in execution order, but the file comes from elsewhere: the order is made here, and
//! a graph with a cycle or a tensor written twice is refused.

use std::collections::{HashMap, HashSet};

use crate::proto::{GraphProto, NodeProto};

/// An index over a graph that borrows it; nodes are in execution order.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub nodes: Vec<&'a NodeProto>,
    /// For each node, the tensors it reads, those captured by its sub-graphs included.
    reads: Vec<Vec<&'a str>>,
    /// For each node, those that write what it reads.
    sources: Vec<Vec<usize>>,
    producer: HashMap<&'a str, usize>,
}

/// Operators whose result depends on the size of what they read, never on its numbers.
const SHAPE_ONLY: [&str; 3] = ["Shape", "Size", "ConstantOfShape"];

impl<'a> Graph<'a> {
    /// Sorts the nodes; the error says what is wrong with the graph.
    pub fn new(graph: &'a GraphProto) -> Result<Self, String> {
        let mut written: HashMap<&str, usize> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if written.insert(output, index).is_some() {
                    return Err(format!("tensor {output:?} is written by two nodes"));
                }
            }
        }
        let reads: Vec<Vec<&str>> = graph.node.iter().map(reads).collect();
        let order = topological(&reads, &written)?;
        let mut position = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            position[old] = new;
        }
        let source = |tensor: &&str| written.get(tensor).map(|&old| position[old]);
        Ok(Self {
            nodes: order.iter().map(|&i| &graph.node[i]).collect(),
            sources: order.iter().map(|&i| reads[i].iter().filter_map(source).collect()).collect(),
            reads: order.iter().map(|&i| reads[i].clone()).collect(),
            producer: written.into_iter().map(|(name, old)| (name, position[old])).collect(),
        })
    }

    /// The node that writes a tensor, if any does.
    pub fn producer(&self, tensor: &str) -> Option<usize> {
        self.producer.get(tensor).copied()
    }

    /// The tensors a node reads.
    pub fn reads(&self, node: usize) -> &[&'a str] {
        &self.reads[node]
    }

    /// For each tensor the nodes that read it, sub-graphs included.
    pub fn readers(&self) -> HashMap<&'a str, Vec<usize>> {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (node, reads) in self.reads.iter().enumerate() {
            reads.iter().for_each(|tensor| readers.entry(tensor).or_default().push(node));
        }
        readers
    }

    /// For each node, whether any of `tensors` depends on it.
    pub fn needed_for<'t>(&self, tensors: impl IntoIterator<Item = &'t str>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for node in tensors.into_iter().filter_map(|t| self.producer(t)) {
            needed[node] = true;
        }
        for node in (0..self.nodes.len()).rev() {
            if needed[node] {
                self.sources[node].iter().for_each(|&source| needed[source] = true);
            }
        }
        needed
    }

    /// The tensors whose numbers depend on the tensor `input`, `input` included.
    pub fn carried_from(&self, input: &'a str) -> HashSet<&'a str> {
        let mut carried = HashSet::from([input]);
        for (node, reads) in self.nodes.iter().zip(&self.reads) {
            if SHAPE_ONLY.contains(&node.op_type.as_str()) || !reads.iter().any(|t| carried.contains(t)) {
                continue;
            }
            carried.extend(node.output.iter().filter(|o| !o.is_empty()).map(String::as_str));
        }
        carried
    }
}

/// Kahn's algorithm, taking ready nodes in file order so that a sorted file stays as it is.
fn topological(reads: &[Vec<&str>], written: &HashMap<&str, usize>) -> Result<Vec<usize>, String> {
    let mut waiting: Vec<usize> = vec![0; reads.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); reads.len()];
    for (node, reads) in reads.iter().enumerate() {
        let sources: HashSet<usize> = reads.iter().filter_map(|t| written.get(t).copied()).collect();
        waiting[node] = sources.len();
        for source in sources {
            readers[source].push(node);
        }
    }
    let mut ready: std::collections::BTreeSet<usize> = (0..reads.len()).filter(|&n| waiting[n] == 0).collect();
    let mut order = Vec::with_capacity(reads.len());
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for &reader in &readers[node] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if order.len() == reads.len() { Ok(order) } else { Err("its nodes depend on each other in a circle".to_owned()) }
}

/// What a node reads: its inputs, and what its sub-graphs take from outside themselves.
fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    for attribute in &node.attribute {
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            names.extend(captured(graph));
        }
    }
    names
}

fn captured(graph: &GraphProto) -> Vec<&str> {
    let own: HashSet<&str> = graph
        .node
        .iter()
        .flat_map(|n| &n.output)
        .chain(graph.input.iter().map(|i| &i.name))
        .chain(graph.initializer.iter().map(|t| &t.name))
        .map(String::as_str)
        .collect();
    let read = graph.node.iter().flat_map(reads);
    read.chain(graph.output.iter().map(|o| o.name.as_str())).filter(|name| !own.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: &[(&str, &[&str], &str)]) -> GraphProto {
        let node = nodes.iter().map(|(op, inputs, output)| NodeProto::new(op, inputs, output)).collect();
        GraphProto { node, ..GraphProto::default() }
    }

    #[test]
    fn nodes_out_of_order_are_sorted() {
        let proto = graph(&[("Relu", &["b"], "c"), ("Relu", &["a"], "b")]);
        let graph = Graph::new(&proto).expect("sorts");
        assert_eq!(graph.nodes.iter().map(|n| n.output[0].as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(graph.producer("c"), Some(1));
    }

    #[test]
    fn a_circle_and_a_tensor_written_twice_are_refused() {
        let circle = graph(&[("Relu", &["a"], "b"), ("Relu", &["b"], "a")]);
        assert!(Graph::new(&circle).expect_err("circle").contains("circle"));
        let twice = graph(&[("Relu", &["x"], "a"), ("Relu", &["x"], "a")]);
        assert!(Graph::new(&twice).expect_err("twice").contains("two nodes"));
    }

    #[test]
    fn only_ancestors_are_needed_and_only_the_picture_is_carried() {
        let proto = graph(&[
            ("Conv", &["x", "w"], "a"),
            ("Shape", &["a"], "s"),
            ("ConstantOfShape", &["s"], "k"),
            ("Add", &["k", "k"], "kk"),
            ("Relu", &["a"], "b"),
            ("Relu", &["b"], "c"),
        ]);
        let graph = Graph::new(&proto).expect("sorts");
        assert_eq!(graph.needed_for(["b"]), [true, false, false, false, true, false]);
        let mut carried: Vec<_> = graph.carried_from("x").into_iter().collect();
        carried.sort_unstable();
        assert_eq!(carried, ["a", "b", "c", "x"]);
    }
}
