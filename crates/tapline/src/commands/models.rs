//! `tapline models`: the networks that come with a card.

use serde::Serialize;

use crate::args::ModelsArgs;
use crate::{Outcome, output, project};

#[derive(Serialize)]
struct Row {
    name: String,
    installed: bool,
    stages: usize,
    licence: String,
    description: String,
    file: String,
    sha256: String,
}

pub fn run(args: &ModelsArgs) -> anyhow::Result<Outcome> {
    let rows: Vec<Row> = project::cards()?
        .into_iter()
        .map(|card| Row {
            installed: card.model_path().is_file(),
            file: card.model_path().display().to_string(),
            name: card.name,
            stages: card.stages.len(),
            licence: card.licence,
            description: card.description,
            sha256: card.sha256,
        })
        .collect();
    if args.json {
        output::json(&rows)?;
    } else if rows.is_empty() {
        output::text(&format!("No model cards were found: {}.", project::no_cards()))?;
    } else {
        let cells = rows.iter().map(|row| {
            let installed = if row.installed { "yes" } else { "no: make setup" };
            vec![
                row.name.clone(),
                installed.to_owned(),
                row.stages.to_string(),
                row.licence.clone(),
                row.description.clone(),
            ]
        });
        output::text(&output::table(&["model", "installed", ">stages", "licence", "what it is"], cells))?;
    }
    Ok(Outcome::Done)
}
