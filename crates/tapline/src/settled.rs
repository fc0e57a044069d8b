//! What an extraction settles before the first picture is read: network, preprocessing, device, layout of the work.

use std::thread::available_parallelism;

use tapline_core::{Decode, Preprocess, Views};
use tapline_image::Limits;
use tapline_onnx::{Chosen, Device, InputSize, Layer, Layout, Runtime, TappedModel, check_pass};

use crate::args::ExtractArgs;
use crate::interrupt::Interrupt;
use crate::network::Network;
use crate::pipeline::Pass;
use crate::project;
use crate::reading::Sources;

/// Everything about the network and the machine that is settled before the first picture is read.
pub struct Settled {
    /// The network.
    pub network: Network,
    /// What is done to each picture.
    pub preprocess: Preprocess,
    /// Where the preprocessing is stated.
    pub origin: String,
    /// The size of the network's input.
    pub size: InputSize,
    /// All its layers.
    pub layers: Vec<Layer>,
    /// What runs it.
    pub runtime: Runtime,
    /// Where it runs, and why there.
    pub chosen: Chosen,
    limits: Limits,
    decode: Decode,
    /// What reads pictures.
    pub sources: Sources,
    views: Views,
    workers: usize,
    /// Pictures, or views of them, per pass.
    pub batch: usize,
}

/// Settles it, or says what does not fit.
pub fn settle(args: &ExtractArgs, sources: Sources) -> anyhow::Result<Settled> {
    let network = Network::open(&args.model, args.preprocessing.layout.map(Layout::from))?;
    let (preprocess, origin) = network.preprocessing(&args.preprocessing)?;
    args.views.check(&preprocess)?;
    let runtime = project::runtime(args.device)?;
    let chosen = runtime.choose(args.device)?;
    let size = InputSize { channels: preprocess.channels.count(), height: preprocess.height, width: preprocess.width };
    let on_processor = chosen.device == Device::Cpu;
    let batch = args.batch.map_or(if on_processor { 1 } else { 32 }, usize::from);
    let batch = network.model.input.batch.unwrap_or(batch);
    // The views of a picture are in memory together, even where they are more than a pass.
    check_pass(&network.model, size, batch.max(args.views.count()))?;
    // A few more workers than one keep a GPU busy while the others decode.
    let workers = if on_processor { available_parallelism().map_or(1, usize::from) } else { 3 };
    Ok(Settled {
        layers: network.layers(size, &runtime)?,
        views: args.views,
        sources,
        limits: Limits::megapixels(args.max_megapixels),
        decode: args.decode.into(),
        workers: args.workers.map_or(workers, usize::from),
        network,
        preprocess,
        origin,
        size,
        runtime,
        chosen,
        batch,
    })
}

impl Settled {
    /// A pass of `model` over pictures.
    pub fn pass<'a>(&'a self, model: &'a TappedModel, interrupt: &'a Interrupt) -> Pass<'a> {
        Pass {
            runtime: &self.runtime,
            device: self.chosen.device,
            model,
            preprocess: &self.preprocess,
            views: self.views,
            limits: &self.limits,
            decode: self.decode,
            sources: &self.sources,
            workers: self.workers,
            batch: self.batch,
            interrupt,
        }
    }
}
