//! From what was typed to layers and poolings: stage names, tensor names, globs.

use globset::Glob;
use tapline_core::Pooling;

use crate::{Error, Layer, TapRequest, features};

/// What a list of requests comes to.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    /// The taps, in execution order, each once.
    pub taps: Vec<TapRequest<'a>>,
    /// Layers a glob matched that the pooling does not fit, with the reason.
    pub passed_over: Vec<(String, String)>,
}

/// The word for every stage the card names.
const STAGES: &str = "stages";

/// Resolves `requests` against a network's layers. Each request is a stage or tensor name, a glob or `stages`, and
/// may end in `@POOLING`; those that do not are pooled by each of `poolings`. Vectors are taken whole whatever the
/// pooling: they have no cells to pool over.
///
/// # Errors
/// [`Error::UnknownTap`] with the nearest names, [`Error::Pooling`] where a layer asked for by name does not fit.
pub fn select_taps<'a>(layers: &'a [Layer], requests: &[String], poolings: &[Pooling]) -> Result<Selection<'a>, Error> {
    let mut chosen: Vec<(usize, Pooling)> = Vec::new();
    let mut passed_over = Vec::new();
    for request in requests {
        let (name, own) = split(layers, request)?;
        let (found, by_name) = find(layers, name)?;
        for index in found {
            for &pooling in own.as_ref().map_or(poolings, std::slice::from_ref) {
                let layer = &layers[index];
                let pooling = if layer.shape.len() == 1 { Pooling::Flatten } else { pooling };
                match features(&TapRequest { layer, pooling }) {
                    Ok(_) if chosen.contains(&(index, pooling)) => {}
                    Ok(_) => chosen.push((index, pooling)),
                    Err(error) if by_name => return Err(error),
                    Err(error) => passed_over.push((layer.name.clone(), error.to_string())),
                }
            }
        }
    }
    chosen.sort_by_key(|(index, _)| *index);
    let taps = chosen.into_iter().map(|(index, pooling)| TapRequest { layer: &layers[index], pooling }).collect();
    Ok(Selection { taps, passed_over })
}

/// Splits `NAME@POOLING`; a layer whose own name holds an `@` wins.
fn split<'r>(layers: &[Layer], request: &'r str) -> Result<(&'r str, Option<Pooling>), Error> {
    if layers.iter().any(|l| is_called(l, request)) {
        return Ok((request, None));
    }
    match request.rsplit_once('@') {
        Some((name, pooling)) => Ok((name, Some(pooling.parse()?))),
        None => Ok((request, None)),
    }
}

/// The layers a name or glob stands for, and whether it was one layer's own name.
fn find(layers: &[Layer], name: &str) -> Result<(Vec<usize>, bool), Error> {
    let all = |wanted: &dyn Fn(&Layer) -> bool| -> Vec<usize> {
        layers.iter().enumerate().filter(|(_, l)| wanted(l)).map(|(i, _)| i).collect()
    };
    // Stage names come first: a card's word for a depth outranks a tensor that happens to be called the same.
    for one in [all(&|l| l.stage.as_deref() == Some(name)), all(&|l| l.name == name)] {
        if !one.is_empty() {
            return Ok((one, true));
        }
    }
    let many = if name == STAGES {
        all(&|l| l.stage.is_some())
    } else if let Some(glob) = Glob::new(name).ok().filter(|_| name.contains(['*', '?', '[', '{'])) {
        let matcher = glob.compile_matcher();
        all(&|l| matcher.is_match(&l.name) || l.stage.as_ref().is_some_and(|s| matcher.is_match(s)))
    } else {
        Vec::new()
    };
    if many.is_empty() && name == STAGES {
        return Err(Error::NoStages);
    }
    if many.is_empty() {
        return Err(Error::UnknownTap { asked: name.to_owned(), nearest: nearest(layers, name) });
    }
    Ok((many, false))
}

fn is_called(layer: &Layer, name: &str) -> bool {
    layer.name == name || layer.stage.as_deref() == Some(name)
}

fn nearest(layers: &[Layer], asked: &str) -> Vec<String> {
    let names = layers.iter().flat_map(|l| l.stage.iter().chain(std::iter::once(&l.name)));
    let mut scored: Vec<(f64, &String)> =
        names.map(|name| (strsim::jaro_winkler(asked, name), name)).filter(|(score, _)| *score > 0.7).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    let nearest: Vec<String> = scored.into_iter().take(3).map(|(_, name)| name.clone()).collect();
    // A glob looks like no name: show what names look like.
    if nearest.is_empty() { layers.iter().take(3).map(|layer| layer.name.clone()).collect() } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<Layer> {
        let layer = |name: &str, stage: Option<&str>, shape: &[usize]| Layer {
            position: 0,
            name: name.to_owned(),
            operator: "Relu".to_owned(),
            dtype: "f32".to_owned(),
            shape: shape.to_vec(),
            reduction: None,
            receptive_field: None,
            multiply_adds: 0,
            cost_share: 0.0,
            stage: stage.map(str::to_owned),
            classifier: false,
            channels_last: false,
            quantisation: None,
        };
        vec![
            layer("conv1", Some("stem"), &[8, 4, 4]),
            layer("conv2", None, &[8, 4, 4]),
            layer("conv3", Some("block.1"), &[8, 2, 2]),
            layer("logits", Some("logits"), &[10]),
        ]
    }

    fn check(requests: &[&str], expected: &[&str]) {
        let layers = layers();
        let requests: Vec<String> = requests.iter().map(|r| (*r).to_owned()).collect();
        let found = match select_taps(&layers, &requests, &[Pooling::Mean]) {
            Ok(selection) => selection.taps.iter().map(|t| format!("{}@{}", t.layer.name, t.pooling)).collect(),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn stages_names_and_globs_come_in_execution_order_each_once() {
        check(&["stages"], &["conv1@mean", "conv3@mean", "logits@flatten"]);
        check(&["block.1", "conv*"], &["conv1@mean", "conv2@mean", "conv3@mean"]);
        check(&["conv2@max", "conv2", "conv2@mean"], &["conv2@max", "conv2@mean"]);
    }

    #[test]
    fn an_unknown_name_brings_the_nearest() {
        let message =
            r#"no layer is called "conv9" (did you mean conv1, conv2, conv3?); `tapline layers` lists them all"#;
        check(&["conv9"], &[message]);
    }

    #[test]
    fn a_pooling_that_does_not_fit_is_an_error_by_name_and_passed_over_by_glob() {
        let layers = layers();
        let by_glob = select_taps(&layers, &["*@grid:3".to_owned()], &[]).expect("by glob");
        assert_eq!(by_glob.taps.len(), 3);
        assert_eq!(by_glob.passed_over.len(), 1);
        select_taps(&layers, &["block.1@grid:3".to_owned()], &[]).expect_err("by name");
    }
}
