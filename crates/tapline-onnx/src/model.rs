//! Reads an ONNX file and finds its picture input; nothing downstream touches an unchecked file.
//!
//! A model comes from elsewhere, so it is read whole (it must stay below protobuf's own 2 GiB), decoded with a
//! recursion limit, and refused with the likely reason when it is something else: a web page, a Git LFS pointer,
//! half a download. Weights in side files are read in here, from the model's own folder only.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::proto::{EXTERNAL, GraphProto, ModelProto, TensorProto, ValueInfoProto, data_type, entries};

/// The oldest operator set whose arithmetic broadcasts as the added nodes need.
pub const MIN_OPSET: i64 = 7;

/// The most numbers one pass may read: 1 GiB of float32, over 1,700 pictures of 224 × 224.
const MAX_INPUT: u64 = 1 << 28;

/// Protobuf's own limit on one message, in bytes.
const MAX_BYTES: u64 = (1 << 31) - 1;

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
        Ok(Self { path: path.to_owned(), sha256, opset, input, proto })
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
    let proto = match ModelProto::decode(Bytes::from(bytes)) {
        Ok(proto) => proto,
        Err(error) => return refuse(&format!("it is damaged, cut short or another kind of file ({error})")),
    };
    match &proto.graph {
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

fn picture_input(path: &Path, graph: &GraphProto, layout: Option<Layout>) -> Result<PictureInput, Error> {
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).collect();
    let mut pictures = inputs.iter().filter_map(|input| as_picture_input(input, layout));
    let refuse = |what: String| Err(Error::Unusable { path: path.to_owned(), what });
    match (pictures.next(), pictures.next()) {
        (Some(input), None) if fixed_values(&input) > MAX_INPUT => {
            refuse(format!("one pass would read {} numbers, more than the limit of {MAX_INPUT}", fixed_values(&input)))
        }
        (Some(input), None) => Ok(input),
        (Some(a), Some(b)) => refuse(format!("both {:?} and {:?} could take the pictures", a.name, b.name)),
        (None, _) => {
            let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
            refuse(format!("no input is a batch of pictures with 1 or 3 channels (inputs: {})", names.join(", ")))
        }
    }
}

/// Numbers in one pass, free sizes counted as 1.
fn fixed_values(input: &PictureInput) -> u64 {
    let sides = u64::from(input.height.unwrap_or(1)).saturating_mul(input.width.unwrap_or(1).into());
    sides.saturating_mul(input.channels.unwrap_or(1) as u64).saturating_mul(input.batch.unwrap_or(1) as u64)
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

/// Replaces every reference to a side file by its bytes, and adds the side files to the digest.
fn inline_side_files(path: &Path, proto: &mut ModelProto, hasher: &mut Sha256) -> Result<(), Error> {
    let Some(graph) = proto.graph.as_mut() else { return Ok(()) };
    let mut files: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut total = 0;
    for tensor in graph.initializer.iter_mut().filter(|t| t.data_location == Some(EXTERNAL)) {
        let refuse = |what: String| Error::Unusable { path: path.to_owned(), what };
        let fields = entries(&tensor.external_data);
        let location = fields.get("location").copied().unwrap_or_default();
        if !files.contains_key(location) {
            let side = side_file(path, location).map_err(refuse)?;
            let bytes = read_bounded(&side)?;
            total += bytes.len() as u64;
            if total > MAX_BYTES {
                return Err(refuse("its side files hold more than 2 GiB".to_owned()));
            }
            files.insert(location.to_owned(), Bytes::from(bytes));
        }
        let whole = &files[location];
        let number = |key: &str| fields.get(key).map(|v| v.parse::<usize>());
        let (Ok(offset), length) = (number("offset").unwrap_or(Ok(0)), number("length")) else {
            return Err(refuse(format!("tensor {:?} has a bad offset into {location}", tensor.name)));
        };
        let end = match length {
            Some(Ok(length)) => offset.checked_add(length),
            Some(Err(_)) => None,
            None => Some(whole.len()),
        };
        match end.filter(|&end| offset <= end && end <= whole.len()) {
            Some(end) => {
                let slice = whole.slice(offset..end);
                set_raw(tensor, slice);
            }
            None => return Err(refuse(format!("tensor {:?} lies outside its side file {location}", tensor.name))),
        }
    }
    for bytes in files.values() {
        hasher.update(bytes);
    }
    Ok(())
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
