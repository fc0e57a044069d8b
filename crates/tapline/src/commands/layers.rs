//! `tapline layers`: everything of a network that can be tapped.

use serde::Serialize;
use tapline_onnx::{Device, DeviceRequest, InputSize, Layer, Layout};

use crate::args::LayersArgs;
use crate::network::Network;
use crate::{Outcome, output, project};

#[derive(Serialize)]
struct Report {
    model: String,
    file: String,
    sha256: String,
    opset: i64,
    input: InputSize,
    layers: Vec<Layer>,
}

pub fn run(args: &LayersArgs) -> anyhow::Result<Outcome> {
    let runtime = project::runtime(DeviceRequest::Only(Device::Cpu))?;
    let network = Network::open(&args.model, args.layout.map(Layout::from))?;
    let (size, remark) = network.listing_size(args.size)?;
    let mut layers = network.layers(size, &runtime)?;
    if args.stages {
        anyhow::ensure!(
            network.card.is_some(),
            "{} was named by its file, which has no named stages: name a model card (`tapline models` lists them), or leave out --stages",
            args.model
        );
        layers.retain(|layer| layer.stage.is_some());
    }
    if let Some(remark) = remark {
        eprintln!("tapline: {remark}");
    }
    let report = Report {
        model: network.name,
        file: network.model.path.display().to_string(),
        sha256: network.model.sha256,
        opset: network.model.opset,
        input: size,
        layers,
    };
    output::either(args.json, &report, render)?;
    Ok(Outcome::Done)
}

fn render(report: &Report) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{}", (v * 100.0).round() / 100.0));
    let rows = report.layers.iter().map(|layer| {
        let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
        vec![
            layer.name.clone(),
            layer.operator.clone(),
            shape.join("×"),
            layer.dtype.clone(),
            number(layer.reduction),
            layer.receptive_field.map_or("whole".to_owned(), |_| number(layer.receptive_field)),
            format!("{} %", output::percent(layer.cost_share)),
            layer.stage.clone().unwrap_or_default(),
        ]
    });
    let headers = ["layer", "operator", "shape", "dtype", ">reduction", ">field", ">cost", "stage"];
    let input = report.input;
    format!(
        "{}\n{}: {} layers at an input of {}×{}×{}, operator set {}\n",
        output::table(&headers, rows),
        report.model,
        report.layers.len(),
        input.channels,
        input.height,
        input.width,
        report.opset
    )
}
