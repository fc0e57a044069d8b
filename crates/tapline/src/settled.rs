//! What an extraction settles before the first picture is read: network, preprocessing, device, layout of the work.

use anyhow::bail;
use tapline_core::{Bits, Decode, Preprocess, Sharing, Views};
use tapline_image::Limits;
use tapline_onnx::{Chosen, Device, DeviceRequest, InputSize, Layer, Layout, Runtime, TappedModel, check_pass};

use crate::args::{ExtractArgs, PrecisionArg};
use crate::interrupt::Interrupt;
use crate::network::Network;
use crate::pipeline::Pass;
use crate::project;
use crate::reading::Sources;
use crate::sharing;

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
    bits: Bits,
    /// What reads pictures.
    pub sources: Sources,
    views: Views,
    /// How the work is shared.
    pub sharing: Sharing,
}

/// Settles it, or says what does not fit.
pub fn settle(args: &ExtractArgs, sources: Sources) -> anyhow::Result<Settled> {
    let network = Network::open(&args.model, args.preprocessing.layout.map(Layout::from))?;
    let stated = network.preprocessing(&args.preprocessing)?;
    settle_with(args, sources, (network, stated))
}

/// As [`settle`], with the network and what is done to each picture, and where that is stated.
pub fn settle_with(
    args: &ExtractArgs,
    sources: Sources,
    (network, (preprocess, origin)): (Network, (Preprocess, String)),
) -> anyhow::Result<Settled> {
    args.views.check(&preprocess)?;
    let (device, why) = device(args)?;
    let runtime = project::runtime(device)?;
    let chosen = runtime.choose(device)?;
    let chosen = Chosen { why: why.unwrap_or(chosen.why), ..chosen };
    let size = InputSize { channels: preprocess.channels.count(), height: preprocess.height, width: preprocess.width };
    if args.threads.is_some() && chosen.device != Device::Cpu {
        bail!(
            "--threads is of the processor's sessions, and {} was chosen ({}): leave it out, or add --device cpu",
            chosen.device,
            chosen.why
        );
    }
    let sharing = sharing::usual(args, chosen.device, network.model.input.batch);
    // The views of a picture are in memory together, even where they are more than a pass.
    check_pass(&network.model, size, sharing.batch.max(args.views.count()))?;
    Ok(Settled {
        layers: network.layers(size, &runtime)?,
        views: args.views,
        sources,
        limits: Limits::megapixels(args.max_megapixels),
        decode: args.decode.into(),
        bits: args.bits,
        network,
        preprocess,
        origin,
        size,
        runtime,
        chosen,
        sharing,
    })
}

/// The device to look for, and why where that is settled by more than the device that was typed.
fn device(args: &ExtractArgs) -> anyhow::Result<(DeviceRequest, Option<String>)> {
    match (args.precision, args.device) {
        (PrecisionArg::Int8, DeviceRequest::Auto) => {
            Ok((DeviceRequest::Only(Device::Cpu), Some("int8 runs on the processor alone".to_owned())))
        }
        (PrecisionArg::Int8, DeviceRequest::Only(device @ Device::Cuda(_))) => {
            bail!("--precision int8 runs on the processor alone: leave out --device {device}, or --precision")
        }
        (_, device) => Ok((device, None)),
    }
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
            bits: self.bits,
            sources: &self.sources,
            sharing: self.sharing,
            interrupt,
        }
    }
}
