//! `--predictions`: what the probes said of each picture, as a CSV file.

use anyhow::Context;
use tapline_core::Store;
use tapline_probe::Evaluation;

use crate::plan::Plan;
use crate::replacement::Replacement;

/// Writes a line for each picture scored, in the order of the listing; folds are numbered from 1, as in the table. `called` are the
/// classes predicted, where these are not the more probable ones of two.
pub fn write(
    file: &Replacement,
    (store, plan): (&Store, &Plan),
    (evaluation, called): (&Evaluation, Option<&[usize]>),
) -> anyhow::Result<()> {
    lines(csv::Writer::from_writer(&file.file), (store, plan), (evaluation, called))
        .with_context(|| format!("{} cannot be written", file.beside.display()))
}

fn lines<W: std::io::Write>(
    mut writer: csv::Writer<W>,
    (store, plan): (&Store, &Plan),
    (evaluation, called): (&Evaluation, Option<&[usize]>),
) -> anyhow::Result<()> {
    writer.write_record(["path", "label", "fold", "predicted", "predicted_probability", "true_probability"])?;
    for (i, &row) in evaluation.scored_rows.iter().enumerate() {
        let likely = evaluation.predicted[i];
        let predicted = called.map_or(likely, |called| called[i]);
        let probability = match predicted {
            class if class == likely => evaluation.predicted_probability[i],
            class if class == evaluation.labels[i] => evaluation.true_probability[i],
            _ => 1.0 - evaluation.true_probability[i],
        };
        let fold = (evaluation.fold_of[i] + 1).to_string();
        writer.write_record([
            &store.listing().path[plan.data.rows[row]],
            &plan.data.names[evaluation.labels[i]],
            if plan.data.split.is_some() { "test" } else { &fold },
            &plan.data.names[predicted],
            &probability.to_string(),
            &evaluation.true_probability[i].to_string(),
        ])?;
    }
    Ok(writer.flush()?)
}
