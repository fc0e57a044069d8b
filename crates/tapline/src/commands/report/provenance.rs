//! How a report was made, and the commands that make it again.

use tapline_core::Store;
use tapline_probe::{ProtocolConfig, Solver, Transform, default_grid};
use tapline_report::{Provenance, Skipped};

use super::probed::Probed;
use crate::args::ReportArgs;
use crate::commands::compare::SplitSizes;
use crate::groups::Groups;
use crate::output::{count, counted, percent, strength};
use crate::stores::Stores;
use crate::typing::{extraction, protocol_flags, word, word_of};

/// Everything but the counts of missing files, which are given.
pub fn provenance(stores: &Stores, probed: &Probed, args: &ReportArgs, without_file: usize) -> Provenance {
    let listing = stores.listing();
    let skipped = listing.skipped_pictures().map(|one| Skipped { path: one.path, reason: one.reason });
    let mut commands: Vec<String> = stores.stores.iter().map(|store| extract(store, args)).collect();
    commands.push(report(args));
    Provenance {
        program: format!("tapline {}", env!("CARGO_PKG_VERSION")),
        protocol: protocol(probed),
        listed: listing.rows(),
        skipped: skipped.collect(),
        without_file,
        commands,
    }
}

fn protocol(probed: &Probed) -> Vec<String> {
    let Probed::Scored(scored) = probed else { return Vec::new() };
    let (data, config) = (&scored.plan.data, &scored.plan.config);
    let how = match SplitSizes::of(data) {
        Some(split) => format!(
            "Scored on {} test pictures by probes that learnt from {} training pictures; {} folds of these choose the strength.",
            count(split.test),
            count(split.train),
            config.folds
        ),
        None => match scored.plan.shuffles {
            Some(shuffles) => format!(
                "{}, drawn with seed {}: each scores {} % of the pictures by probes that learnt from the others; {} folds of \
                 these choose the strength.",
                counted(shuffles.count, "shuffle"),
                config.seed,
                percent(shuffles.test_share),
                config.folds
            ),
            None => format!(
                "{} folds, dealt with seed {}; every picture is scored by a probe that never saw its fold.",
                config.folds, config.seed
            ),
        },
    };
    let mut lines = vec![how];
    if let Some(groups) = data.groups.as_ref().map(Groups::sizes) {
        lines.push(format!(
            "No group of column {} is on both sides of a fold ({} groups).",
            groups.column,
            count(groups.groups)
        ));
    }
    lines.push(match config.transform {
        Transform::Standardise => "Features are standardised on training rows alone.".to_owned(),
        Transform::None => "Features stay as they are.".to_owned(),
        Transform::L2 => "Rows are brought to length 1, then standardised on training rows alone.".to_owned(),
        Transform::Sqrt => "Signed square roots of features are standardised on training rows alone.".to_owned(),
        Transform::Pca(components) => format!(
            "Features are standardised and projected on {components} principal components at most, on training rows alone."
        ),
    });
    if config.balanced {
        lines.push("Each class weighs as much as any other in the fits.".to_owned());
    }
    lines.push(format!("The regularisation strength is chosen on inner folds, from {}.", strengths(config)));
    lines.push(format!("Accuracies come with a 95 % {}.", interval_name(probed)));
    lines.push(match config.solver {
        Solver::Batched => "All fits of a layer ran together in Tapline's own solver.".to_owned(),
        Solver::LinfaLogistic => "Fits ran one after the other in linfa-logistic.".to_owned(),
    });
    lines
}

fn interval_name(probed: &Probed) -> &'static str {
    match probed {
        Probed::Scored(scored) => crate::accuracy::Interval::of(&scored.plan).name(),
        Probed::Not(_) => "interval",
    }
}

fn strengths(config: &ProtocolConfig) -> String {
    match config.grid == default_grid() {
        true => "45 from 1e-6 to 1e5, four per decade".to_owned(),
        false => config.grid.iter().map(|&c| strength(c)).collect::<Vec<_>>().join(", "),
    }
}

/// The extraction, as far as the store knows it; the pictures' place only if it was typed.
fn extract(store: &Store, args: &ReportArgs) -> String {
    extraction(&args.pictures.as_deref().map_or("PICTURES".to_owned(), word_of), store)
}

fn report(args: &ReportArgs) -> String {
    let mut command = "tapline report".to_owned();
    args.compared.stores.iter().for_each(|store| command += &format!(" {}", word_of(store)));
    let paths = [("--out", &args.out), ("--figures", &args.figures), ("--pictures", &args.pictures)];
    for (flag, path) in paths {
        path.iter().for_each(|path| command += &format!(" {flag} {}", word_of(path)));
    }
    args.model.iter().for_each(|model| command += &format!(" --model {}", word(model)));
    args.title.iter().for_each(|title| command += &format!(" --title {}", word(title)));
    args.compared.join.iter().for_each(|taps| command += &format!(" --join {}", word(taps)));
    command + &protocol_flags(&args.compared)
}
