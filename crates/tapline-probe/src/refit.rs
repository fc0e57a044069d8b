//! The probes of an evaluation, fitted again: an evaluation keeps what they said, not their weights.
//!
//! Who wants to know why a row was scored as it was (a class-activation map, for one) needs the probe that scored it, which
//! never saw the row; the probe fitted on all rows did.

use crate::labelled::{check_dataset, check_every_class};
use crate::protocol::setting;
use crate::strength::{Refit, fit_again};
use crate::transform::RowWise;
use crate::{Dataset, Error, Fit, ProtocolConfig};

/// A probe to fit: the rows it learns from, ascending, and the position of its strength in the grid, as
/// [`Choice::index`](crate::Choice) has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Rows to learn from.
    pub rows: Vec<usize>,
    /// Position among the strengths of the grid, ascending in C, each counted once.
    pub strength: usize,
}

/// Fits the probes `wanted`, all in one batch; `progress` is called after each.
///
/// They agree with those of the evaluation within the tolerance of `config`, not to the bit: another batch rounds otherwise.
///
/// # Errors
/// For bad input, rows that leave a class out, and a grid that cannot be used. A fit that did not converge is no error.
///
/// # Panics
/// If a row or a strength is none of those given.
pub fn refit<'a>(
    config: &ProtocolConfig,
    data: impl Into<Dataset<'a>>,
    wanted: &[Chosen],
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Fit>, Error> {
    let data = &data.into();
    check_dataset(data)?;
    for chosen in wanted {
        check_every_class(chosen.rows.iter().map(|&row| data.labels[row]), data.classes)?;
    }
    let changed = RowWise::of(config.transform, data.rows);
    let data = &Dataset { rows: changed.as_ref().map_or(data.rows, |rows| rows), ..*data };
    let setting = setting(config, data, progress)?;
    let refits: Vec<Refit<'_>> = wanted
        .iter()
        .map(|chosen| Refit { train: chosen.rows.clone(), config: &setting.grid[chosen.strength] })
        .collect();
    fit_again(&setting, &refits)
}
