//! Reads an ONNX file and finds its picture input; nothing downstream touches an unchecked file.
//!
//! A model comes from elsewhere, so it is read whole (it must stay below protobuf's own 2 GiB), decoded with a
//! recursion limit, and refused with the likely reason when it is something else: a web page, a Git LFS pointer,
//! half a download. Weights in side files are read in here, from the model's own folder only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::constants::Constants;
use crate::parts::{MAX_PARTS, Unsound, check_parts};
use crate::proto::{
    EXTERNAL, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto, data_type, entries,
};
use crate::quantised::ByteTensor;

/// The oldest operator set whose arithmetic broadcasts as the added nodes need.
pub const MIN_OPSET: i64 = 7;

/// Protobuf's own limit on one message, in bytes.
const MAX_BYTES: u64 = (1 << 31) - 1;

/// Nodes of a graph, at most: what each tensor needs is looked up for all of them. Large networks have thousands.
const MAX_NODES: usize = 50_000;

/// A checked ONNX model in memory.
#[derive(Debug, Clone)]
pub struct Model {
    /// Where it was read from.
    pub path: PathBuf,
    /// Lower-case hex SHA-256 of the file, followed by its side files in order of name where it has any.
    pub sha256: String,
    /// Version of the standard operator set.
    pub opset: i64,
    /// The input that takes pictures.
    pub input: PictureInput,
    /// The network itself; weights are inline.
    pub(crate) proto: ModelProto,
    /// Tensors that [`crate::quantise`] turned into bytes, by the names that they have in the file.
    pub(crate) bytes: HashMap<String, ByteTensor>,
}

/// The input of a network that takes pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureInput {
    /// The tensor's name.
    pub name: String,
    /// Pictures per pass, if the file fixes it.
    pub batch: Option<usize>,
    /// Colour channels, if the file states them.
    pub channels: Option<usize>,
    /// Rows in pixels, if the file fixes them.
    pub height: Option<u32>,
    /// Columns in pixels, if the file fixes them.
    pub width: Option<u32>,
    /// The order of the axes.
    pub layout: Layout,
    /// The element type's number in the ONNX format.
    pub(crate) elem_type: i32,
}

/// The order of a picture tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

impl PictureInput {
    /// Whether it reads whole numbers 0 to 255, so that only unchanged pixel values fit.
    pub fn reads_bytes(&self) -> bool {
        self.elem_type == data_type::UINT8
    }
}

impl Model {
    /// Reads and checks the model at `path`.
    ///
    /// `layout` overrules what the input's shape suggests; without it, an input whose last axis alone looks like
    /// colour channels (size 1 or 3) is taken as NHWC and every other one as NCHW.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotOnnx`] or [`Error::Unusable`], each with the file's path.
    pub fn read(path: &Path, layout: Option<Layout>) -> Result<Self, Error> {
        let bytes = read_bounded(path)?;
        let mut hasher = Sha256::new();
        hasher.update(&bytes);
        let mut proto = decode(path, bytes)?;
        inline_side_files(path, &mut proto, &mut hasher)?;
        let sha256 = hex(&hasher.finalize());
        let opset = opset(path, &proto)?;
        let input = picture_input(path, graph(&proto), layout)?;
        let input = alone_where_scales_are_of_batches(path, input, graph(&proto))?;
        refuse_training(path, graph(&proto))?;
        Ok(Self { path: path.to_owned(), sha256, opset, input, proto, bytes: HashMap::new() })
    }

    /// The network's graph.
    pub(crate) fn graph(&self) -> &GraphProto {
        graph(&self.proto)
    }
}

fn graph(proto: &ModelProto) -> &GraphProto {
    proto.graph.as_ref().expect("decode() refuses a model without a graph")
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(read)?.len();
    if size > MAX_BYTES {
        let what = format!("it has {size} bytes, more than the format's 2 GiB; store its weights in a side file");
        return Err(Error::Unusable { path: path.to_owned(), what });
    }
    fs::read(path).map_err(read)
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<ModelProto, Error> {
    let refuse = |what: &str| Err(Error::NotOnnx { path: path.to_owned(), what: what.to_owned() });
    if bytes.is_empty() {
        return refuse("the file is empty");
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return refuse("it is a Git LFS pointer, not the file it points to; fetch it with `git lfs pull`");
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return refuse("it looks like a web page saved under this name; download the file itself");
    }
    match check_parts(&bytes) {
        Ok(()) => {}
        Err(Unsound::Damaged) => return refuse("it is damaged, cut short or another kind of file"),
        Err(Unsound::TooMany) => {
            let what = format!("it has more than {MAX_PARTS} nodes, attributes and names; no network has so many");
            return refuse(&what);
        }
    }
    let proto = match ModelProto::decode(Bytes::from(bytes)) {
        Ok(proto) => proto,
        Err(error) => return refuse(&format!("it is damaged, cut short or another kind of file ({error})")),
    };
    match &proto.graph {
        Some(graph) if graph.node.len() > MAX_NODES => {
            refuse(&format!("it has {} nodes, and {MAX_NODES} are the most that are read", graph.node.len()))
        }
        Some(graph) if !graph.node.is_empty() => Ok(proto),
        _ => refuse("it holds no graph"),
    }
}

fn opset(path: &Path, proto: &ModelProto) -> Result<i64, Error> {
    let standard = |domain: &Option<String>| matches!(domain.as_deref(), None | Some("" | "ai.onnx"));
    let version = proto.opset_import.iter().filter(|o| standard(&o.domain)).filter_map(|o| o.version).max();
    match version {
        Some(version) if version >= MIN_OPSET => Ok(version),
        found => {
            let found = found.map_or("none".to_owned(), |v| v.to_string());
            let what = format!(
                "its operator set is {found}, {MIN_OPSET} or newer is needed; convert it with onnx.version_converter"
            );
            Err(Error::Unusable { path: path.to_owned(), what })
        }
    }
}

/// A network in training mode takes its norms over the batch, so that a picture's features would be those of its neighbours, too, and
/// drops what chance says, so that they would be others each time.
fn refuse_training(path: &Path, graph: &GraphProto) -> Result<(), Error> {
    let constants = Constants::of(graph);
    let fault = |node: &NodeProto| {
        let (kind, effect) = match node.op_type.as_str() {
            "BatchNormalization" if node.int("training_mode").is_some_and(|mode| mode != 0) => {
                ("batch norm", "pictures change each other's features")
            }
            "Dropout" if !node.input.get(2).is_none_or(|mode| mode.is_empty() || is_false(&constants, mode)) => {
                ("dropout", "features come out differently each time")
            }
            _ => return None,
        };
        let output = node.output.first().map_or("", String::as_str);
        Some(format!(
            "its {kind} {output:?} is in training mode, so that {effect}; export the network in evaluation mode (in PyTorch \
             model.eval() first)"
        ))
    };
    match graph.node.iter().find_map(fault) {
        Some(what) => Err(Error::Unusable { path: path.to_owned(), what }),
        None => Ok(()),
    }
}

/// Whether the tensor called `name` is known to be false.
fn is_false(constants: &Constants<'_>, name: &str) -> bool {
    constants.get(name).is_some_and(|tensor| match &tensor.raw_data {
        Some(raw) => **raw == [0],
        None => tensor.int32_data == [0],
    })
}

/// A network that takes the scale of its activations from the whole batch gets one picture at a time: its features would hang on
/// its neighbours.
fn alone_where_scales_are_of_batches(
    path: &Path,
    input: PictureInput,
    graph: &GraphProto,
) -> Result<PictureInput, Error> {
    if graph.node.iter().all(|node| node.op_type != "DynamicQuantizeLinear") {
        return Ok(input);
    }
    match input.batch {
        None | Some(1) => Ok(PictureInput { batch: Some(1), ..input }),
        Some(batch) => {
            let what = format!(
                "it is quantised dynamically with a fixed batch of {batch}, so that pictures change each other's features; export it \
                 with a batch of 1 or quantise it statically"
            );
            Err(Error::Unusable { path: path.to_owned(), what })
        }
    }
}

fn picture_input(path: &Path, graph: &GraphProto, layout: Option<Layout>) -> Result<PictureInput, Error> {
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).collect();
    let mut pictures = inputs.iter().filter_map(|input| as_picture_input(input, layout));
    let refuse = |what: String| Err(Error::Unusable { path: path.to_owned(), what });
    match (pictures.next(), pictures.next()) {
        (Some(input), None) => Ok(input),
        (Some(a), Some(b)) => refuse(format!("both {:?} and {:?} could take the pictures", a.name, b.name)),
        (None, _) => {
            let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
            refuse(format!("no input is a batch of pictures with 1 or 3 channels (inputs: {})", names.join(", ")))
        }
    }
}

fn as_picture_input(input: &ValueInfoProto, layout: Option<Layout>) -> Option<PictureInput> {
    let (elem_type, dims) = input.tensor_type()?;
    let usable = [data_type::FLOAT, data_type::FLOAT16, data_type::DOUBLE, data_type::UINT8, data_type::BFLOAT16];
    let [n, a, b, c] = dims[..] else { return None };
    if !usable.contains(&elem_type) {
        return None;
    }
    let colour = |size: Option<i64>| matches!(size, Some(1 | 3));
    let layout = layout.unwrap_or(if colour(c) && !colour(a) { Layout::Nhwc } else { Layout::Nchw });
    let (channels, height, width) = match layout {
        Layout::Nchw => (a, b, c),
        Layout::Nhwc => (c, a, b),
    };
    if channels.is_some() && !colour(channels) {
        return None;
    }
    let side = |size: Option<i64>| size.and_then(|v| u32::try_from(v).ok());
    Some(PictureInput {
        name: input.name.clone(),
        batch: n.and_then(|v| usize::try_from(v).ok()),
        channels: channels.and_then(|v| usize::try_from(v).ok()),
        height: side(height),
        width: side(width),
        layout,
        elem_type,
    })
}

/// Replaces every reference to a side file by its bytes, wherever in the network it stands, and adds the side files to
/// the digest.
fn inline_side_files(path: &Path, proto: &mut ModelProto, hasher: &mut Sha256) -> Result<(), Error> {
    let mut files = SideFiles { model: path, read: BTreeMap::new(), total: 0 };
    let mut nodes = proto.functions.iter_mut().flat_map(|function| &mut function.node);
    nodes.try_for_each(|node| in_node(node, &mut files))?;
    if let Some(graph) = proto.graph.as_mut() {
        in_graph(graph, &mut files)?;
    }
    files.read.values().for_each(|bytes| hasher.update(bytes));
    Ok(())
}

fn in_graph(graph: &mut GraphProto, files: &mut SideFiles) -> Result<(), Error> {
    graph.initializer.iter_mut().try_for_each(|tensor| files.inline(tensor))?;
    graph.sparse_initializer.iter_mut().try_for_each(|sparse| in_sparse(sparse, files))?;
    graph.node.iter_mut().try_for_each(|node| in_node(node, files))
}

fn in_node(node: &mut NodeProto, files: &mut SideFiles) -> Result<(), Error> {
    for attribute in &mut node.attribute {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| files.inline(tensor))?;
        let mut sparse = attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors);
        sparse.try_for_each(|sparse| in_sparse(sparse, files))?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|graph| in_graph(graph, files))?;
    }
    Ok(())
}

fn in_sparse(sparse: &mut SparseTensorProto, files: &mut SideFiles) -> Result<(), Error> {
    sparse.values.iter_mut().chain(&mut sparse.indices).try_for_each(|tensor| files.inline(tensor))
}

/// The side files of a model, each read once.
struct SideFiles<'a> {
    model: &'a Path,
    read: BTreeMap<String, Bytes>,
    total: u64,
}

impl SideFiles<'_> {
    /// Gives a tensor its bytes, if they lie in a side file.
    fn inline(&mut self, tensor: &mut TensorProto) -> Result<(), Error> {
        if tensor.data_location != Some(EXTERNAL) {
            return Ok(());
        }
        let path = self.model.to_owned();
        let refuse = |what: String| Error::Unusable { path, what };
        let fields = entries(&tensor.external_data);
        let location = fields.get("location").copied().unwrap_or_default();
        let whole = self.bytes_of(location)?;
        let number = |key: &str| fields.get(key).map(|v| v.parse::<usize>()).transpose();
        let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
            return Err(refuse(format!("tensor {:?} has a bad offset into {location}", tensor.name)));
        };
        let offset = offset.unwrap_or(0);
        let end = length.map_or(Some(whole.len()), |length| offset.checked_add(length));
        match end.filter(|&end| offset <= end && end <= whole.len()) {
            Some(end) => {
                let slice = whole.slice(offset..end);
                set_raw(tensor, slice);
                Ok(())
            }
            None => Err(refuse(format!("tensor {:?} lies outside its side file {location}", tensor.name))),
        }
    }

    fn bytes_of(&mut self, location: &str) -> Result<Bytes, Error> {
        if let Some(bytes) = self.read.get(location) {
            return Ok(bytes.clone());
        }
        let refuse = |what: String| Error::Unusable { path: self.model.to_owned(), what };
        let bytes = Bytes::from(read_bounded(&side_file(self.model, location).map_err(refuse)?)?);
        self.total += bytes.len() as u64;
        if self.total > MAX_BYTES {
            return Err(refuse("its side files hold more than 2 GiB".to_owned()));
        }
        self.read.insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

fn set_raw(tensor: &mut TensorProto, bytes: Bytes) {
    tensor.raw_data = Some(bytes);
    tensor.data_location = None;
    tensor.external_data.clear();
}

/// The side file's path, which must lie in the model's own folder.
fn side_file(model: &Path, location: &str) -> Result<PathBuf, String> {
    let relative = Path::new(location);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !plain {
        return Err(format!("its side file {location:?} is not inside the model's own folder"));
    }
    let folder = model.parent().unwrap_or(Path::new(""));
    let side = folder.join(relative);
    let inside = match (side.canonicalize(), folder.join(".").canonicalize()) {
        (Ok(side), Ok(folder)) => side.starts_with(folder),
        (Err(_), _) => return Err(format!("its side file {location:?} is missing; it belongs beside the model")),
        (_, Err(_)) => false,
    };
    if inside { Ok(side) } else { Err(format!("its side file {location:?} is not inside the model's own folder")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
