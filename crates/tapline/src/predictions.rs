//! `--predictions`: what the probes said of each picture, as a CSV file.

use anyhow::Context;
use tapline_core::Store;
use tapline_probe::Evaluation;

use crate::plan::Plan;
use crate::replacement::Replacement;

/// Writes a line for each picture scored, in the order of the listing; folds are numbered from 1, as in the table.
pub fn write(file: &Replacement, store: &Store, plan: &Plan, evaluation: &Evaluation) -> anyhow::Result<()> {
    lines(csv::Writer::from_writer(&file.file), store, plan, evaluation)
        .with_context(|| format!("{} cannot be written", file.beside.display()))
}

fn lines<W: std::io::Write>(
    mut writer: csv::Writer<W>,
    store: &Store,
    plan: &Plan,
    evaluation: &Evaluation,
) -> anyhow::Result<()> {
    writer.write_record(["path", "label", "fold", "predicted", "predicted_probability", "true_probability"])?;
    for (i, &row) in evaluation.scored_rows.iter().enumerate() {
        let fold = (evaluation.fold_of[i] + 1).to_string();
        writer.write_record([
            store.listing().path[plan.data.rows[row]].as_str(),
            &plan.data.names[evaluation.labels[i]],
            if plan.data.split.is_some() { "test" } else { &fold },
            &plan.data.names[evaluation.predicted[i]],
            &evaluation.predicted_probability[i].to_string(),
            &evaluation.true_probability[i].to_string(),
        ])?;
    }
    Ok(writer.flush()?)
}
