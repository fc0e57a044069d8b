//! Runs pictures through a tapped network and gives back rows.

use std::ops::{Deref, DerefMut};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{Tensor, TensorRef};
use tapline_core::Sharing;

use crate::edit::TappedModel;
use crate::layers::InputSize;
use crate::{Device, Error, Runtime};

/// A tapped network, loaded on a device.
#[derive(Debug)]
pub struct Extractor {
    size: InputSize,
    batch: usize,
    device: Device,
    session: Session,
    input: String,
    /// For each output: the tapped tensor's name and its features per row.
    outputs: Vec<(String, usize)>,
    padding: Vec<f32>,
}

impl Extractor {
    /// Loads a tapped network on a device, with the threads of `sharing`. Every pass is of as many pictures as it says, empty ones
    /// if need be: which algorithm runs, and so a row's last bits, may depend on their number.
    ///
    /// # Errors
    /// [`Error::Load`] with the runtime's reason.
    pub fn load(model: &TappedModel, runtime: &Runtime, device: Device, sharing: &Sharing) -> Result<Self, Error> {
        let load = |source| Error::Load { path: model.source.clone(), source };
        let session = runtime
            .builder(device, sharing.threads)
            .and_then(|mut b| b.commit_from_memory(&model.bytes))
            .map_err(load)?;
        let batch = model.batch.unwrap_or(sharing.batch).max(1);
        Ok(Self {
            size: model.size,
            batch,
            device,
            session,
            input: model.input.clone(),
            outputs: model.taps.iter().map(|t| (t.tap.tensor.clone(), t.features)).collect(),
            padding: Vec::new(),
        })
    }

    /// Numbers in one picture `[channels, height, width]`.
    pub fn picture_values(&self) -> usize {
        self.size.channels * self.size.height as usize * self.size.width as usize
    }

    /// Memory for `count` pictures, all 0; from page-locked memory, which `is_locked` allows, they reach a GPU fastest.
    pub fn memory_for(&self, count: usize, is_locked: bool) -> PictureMemory {
        let values = count * self.picture_values();
        let locked = match self.device {
            Device::Cuda(index) if values > 0 && is_locked => page_locked(&self.session, index, values).ok(),
            _ => None,
        };
        // Where the system locks no more pages, copies from ordinary memory do.
        PictureMemory(
            locked.map_or_else(|| Memory::Ordinary(vec![0.0; values]), |tensor| Memory::Locked { tensor, values }),
        )
    }

    /// Appends to `rows[t]` the features `[count, features]` of tap t for `pictures`, `[count, channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Run`] where the runtime fails, [`Error::Memory`] where it has none for so many pictures, [`Error::Output`] where a tap gives
    /// another shape than it promised. `rows` is then as it was.
    ///
    /// # Panics
    /// If `pictures` is not a whole number of pictures, or `rows` has not one vector for each tap.
    pub fn run(&mut self, pictures: &[f32], rows: &mut [Vec<f32>]) -> Result<(), Error> {
        let values = self.picture_values();
        assert_eq!(pictures.len() % values, 0, "a whole number of pictures");
        assert_eq!(rows.len(), self.outputs.len(), "one vector of rows for each tap");
        let before: Vec<usize> = rows.iter().map(Vec::len).collect();
        let done = pictures.chunks(self.batch * values).try_for_each(|chunk| self.run_one(chunk, rows));
        if done.is_err() {
            rows.iter_mut().zip(before).for_each(|(rows, before)| rows.truncate(before));
        }
        done
    }

    fn run_one(&mut self, pictures: &[f32], rows: &mut [Vec<f32>]) -> Result<(), Error> {
        let (values, batch) = (self.picture_values(), self.batch);
        let count = pictures.len() / values;
        let failed = |source: ort::Error| {
            // The runtime has no code for it.
            let is_memory =
                ["Failed to allocate memory", "out of memory"].iter().any(|words| source.message().contains(words));
            if is_memory { Error::Memory { count: batch, source } } else { Error::Run { count, source } }
        };
        let pictures = if count < batch {
            self.padding.clear();
            self.padding.extend_from_slice(pictures);
            self.padding.resize(batch * values, 0.0);
            &self.padding
        } else {
            pictures
        };
        let shape = [batch, self.size.channels, self.size.height as usize, self.size.width as usize];
        let tensor = TensorRef::from_array_view((shape, pictures)).map_err(failed)?;
        let outputs = self.session.run(vec![(self.input.as_str(), tensor)]).map_err(failed)?;
        for (index, ((tensor, features), rows)) in self.outputs.iter().zip(rows).enumerate() {
            let (shape, data) = outputs[index].try_extract_tensor::<f32>().map_err(failed)?;
            if shape[..] != [batch as i64, *features as i64] {
                let expected = vec![batch as i64, *features as i64];
                return Err(Error::Output { tensor: tensor.clone(), found: shape.to_vec(), expected });
            }
            rows.extend_from_slice(&data[..count * features]);
        }
        Ok(())
    }
}

/// Memory for pictures `[count, channels, height, width]`, page-locked where the network runs on a GPU.
///
/// From page-locked memory a GPU copies by itself, without the driver's staging: 54 instead of 7 GB/s on an H100.
#[derive(Debug)]
pub struct PictureMemory(Memory);

#[derive(Debug)]
enum Memory {
    Ordinary(Vec<f32>),
    Locked { tensor: Tensor<f32>, values: usize },
}

/// A tensor of zeros in host memory that the GPU `index` can read.
///
/// It is only the memory that is wanted of it: given as an input, ONNX Runtime takes page-locked tensors for tensors of the GPU, and
/// every kernel reads them over the bus. Seen as a slice, it is memory as any other, which is copied once.
fn page_locked(session: &Session, index: u32, values: usize) -> ort::Result<Tensor<f32>> {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    let info = MemoryInfo::new(AllocationDevice::CUDA_PINNED, index, AllocatorType::Device, MemoryType::CPUInput)?;
    let mut tensor = Tensor::<f32>::new(&Allocator::new(session, info)?, [values])?;
    let start = tensor.data_ptr_mut().cast::<f32>();
    // SAFETY: the allocator gave host memory for this many numbers; zero bytes are the number 0.
    unsafe { start.write_bytes(0, values) };
    Ok(tensor)
}

impl Deref for PictureMemory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Ordinary(values) => values,
            // SAFETY: host memory of this many numbers, initialised when it was made, that the tensor owns and lends nobody else.
            Memory::Locked { tensor, values } => unsafe {
                std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), *values)
            },
        }
    }
}

impl DerefMut for PictureMemory {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Memory::Ordinary(values) => values,
            // SAFETY: as above, and borrowed for this slice alone.
            Memory::Locked { tensor, values } => unsafe {
                std::slice::from_raw_parts_mut(tensor.data_ptr_mut().cast::<f32>(), *values)
            },
        }
    }
}
