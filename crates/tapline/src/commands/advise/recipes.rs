//! What the table says to do, which layer to do it with, and what to type.

use serde::Serialize;
use tapline_compare::Cost;

use super::amount::{self, Amount, Slope};
use super::likeness;
use crate::args::ComparedArgs;
use crate::comparison::Comparison;
use crate::stores::Stores;
use crate::typing::{extraction, protocol_flags, word, word_of};

/// One of the table's four recipes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Recipe {
    /// Little or a lot of data.
    pub data: amount::Reading,
    /// Similar or different pictures.
    pub similarity: likeness::Reading,
    /// What to do.
    pub text: &'static str,
    /// Whether Tapline does it today.
    pub supported: bool,
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        data: amount::Reading::Little,
        similarity: likeness::Reading::Similar,
        text: "a linear classifier on the top layer",
        supported: true,
    },
    Recipe {
        data: amount::Reading::Little,
        similarity: likeness::Reading::Different,
        text: "linear classifiers on different stages, of which the best is kept",
        supported: true,
    },
    Recipe {
        data: amount::Reading::ALot,
        similarity: likeness::Reading::Similar,
        text: "finetune a few layers, with a learning rate about a tenth of the original",
        supported: false,
    },
    Recipe {
        data: amount::Reading::ALot,
        similarity: likeness::Reading::Different,
        text: "finetune more layers, with a learning rate about a tenth of the original",
        supported: false,
    },
];

/// The recipe of the cell; where an axis is uncertain, of all cells that it may be.
pub fn of_cell(data: amount::Reading, similarity: likeness::Reading) -> Vec<Recipe> {
    let may_be = |recipe: &Recipe| {
        [amount::Reading::Uncertain, recipe.data].contains(&data)
            && [likeness::Reading::Uncertain, recipe.similarity].contains(&similarity)
    };
    RECIPES.into_iter().filter(may_be).collect()
}

/// The layer to use, what it costs and what it would lose.
#[derive(Debug, Clone, Serialize)]
pub struct Recommended {
    /// Its position among the taps.
    #[serde(skip)]
    pub tap: usize,
    /// Its name, with pooling and network where it takes them.
    pub name: String,
    /// Whether it belongs to the network's own classifier.
    pub classifier: bool,
    /// The store it is in.
    pub store: String,
    /// Share of its network's multiply-adds, 0 to 1.
    pub cost_share: f64,
    /// Multiply-adds for one picture, all its views together.
    pub multiply_adds: u64,
    /// Features of one picture.
    pub features: usize,
    /// Share of the pictures right, 0 to 1.
    pub accuracy: f64,
    /// The tap with most right pictures.
    pub best: String,
    /// Its accuracy, 0 to 1.
    pub best_accuracy: f64,
    /// What the recommended layer loses against it, −1 to 1.
    pub loss: f64,
    /// 95 % interval of that, by a bootstrap of the pictures.
    pub loss_interval: (f64, f64),
    /// The end that interval had to have at most, 0 to 1.
    pub max_loss: f64,
    /// The cheapest tap that is not called worse, where that is cheaper: it may lose more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheaper: Option<Cheaper>,
}

/// A tap that is not called worse than the best and may lose more than the one that is recommended.
#[derive(Debug, Clone, Serialize)]
pub struct Cheaper {
    /// Its name, with pooling and network where it takes them.
    pub name: String,
    /// Share of its network's multiply-adds, 0 to 1.
    pub cost_share: f64,
    /// Multiply-adds for one picture, all its views together.
    pub multiply_adds: u64,
    /// What it loses against the best, −1 to 1.
    pub loss: f64,
    /// 95 % interval of that, by a bootstrap of the pictures.
    pub loss_interval: (f64, f64),
}

impl Recommended {
    /// The cheapest tap that neither the set of all taps nor its own paired bootstrap calls worse than the best and whose
    /// interval ends at `max_loss` or below; none while nothing is better than always answering the commonest class.
    ///
    /// That a tap is not called worse proves little where pictures are few, so that most often it is the best one there.
    pub fn of(stores: &Stores, comparison: &Comparison, max_loss: f64) -> Option<Self> {
        if comparison.is_no_better_than_guess() {
            return None;
        }
        let verdict = &comparison.verdict;
        let costs: Vec<Cost> = comparison.taps.iter().map(|tap| tap.cost).collect();
        let tap = verdict.cheapest_within(max_loss, &costs);
        let is_cheaper = costs[verdict.cheapest].multiply_adds < costs[tap].multiply_adds;
        let (this, found) = (&comparison.taps[tap], &verdict.taps[tap].bootstrap);
        Some(Self {
            tap,
            name: this.name.clone(),
            classifier: this.classifier,
            store: stores.store_of(tap).dir().display().to_string(),
            cost_share: this.cost_share,
            multiply_adds: this.cost.multiply_adds,
            features: this.cost.features,
            accuracy: comparison.accuracy(tap),
            best: comparison.taps[verdict.leader].name.clone(),
            best_accuracy: comparison.accuracy(verdict.leader),
            loss: found.difference,
            loss_interval: (found.low, found.high),
            max_loss,
            cheaper: is_cheaper.then(|| Cheaper::of(comparison, verdict.cheapest)),
        })
    }
}

impl Cheaper {
    fn of(comparison: &Comparison, tap: usize) -> Self {
        let (this, found) = (&comparison.taps[tap], &comparison.verdict.taps[tap].bootstrap);
        Self {
            name: this.name.clone(),
            cost_share: this.cost_share,
            multiply_adds: this.cost.multiply_adds,
            loss: found.difference,
            loss_interval: (found.low, found.high),
        }
    }
}

/// Commands to type next, by the protocol that was typed.
pub fn next(
    (stores, args): (&Stores, &ComparedArgs),
    comparison: &Comparison,
    (recommended, recipes, data): (Option<&Recommended>, &[Recipe], &Amount),
) -> Vec<String> {
    let dir = |store: usize| word_of(stores.stores[store].dir());
    let protocol = protocol_flags(args);
    let mut commands = Vec::new();
    if let Some(found) = recommended {
        let store = stores.taps[found.tap].store;
        commands.push(format!(
            "tapline probe {} --tap {}{protocol} --save probe.json",
            dir(store),
            word(&stores.typed(found.tap))
        ));
        let leader = comparison.verdict.leader;
        let different = recipes.iter().any(|recipe| recipe.similarity == likeness::Reading::Different);
        let both = [found.tap, leader].map(|tap| &stores.taps[tap]);
        let overlap = both[0].taps.iter().any(|tap| both[1].taps.contains(tap));
        if different && both[1].store == store && !overlap {
            let joined = format!("{}+{}", stores.typed(found.tap), stores.typed(leader));
            commands.push(format!("tapline probe {} --tap {}{protocol}", dir(store), word(&joined)));
        }
    }
    let all: Vec<String> = (0..stores.stores.len()).map(dir).collect();
    if data.slope == Some(Slope::Steep) {
        // All of them, for they are compared over the same pictures.
        commands.extend(stores.stores.iter().map(|store| extraction("OLD-AND-NEW-PICTURES", store)));
    }
    let joined: String = args.join.iter().map(|taps| format!(" --join {}", word(taps))).collect();
    commands.push(format!("tapline report {}{joined}{protocol} --pictures PICTURES --out report.html", all.join(" ")));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uncertain_axis_leaves_the_cells_that_it_may_be() {
        let check = |data, similarity, expected: usize| assert_eq!(of_cell(data, similarity).len(), expected);
        check(amount::Reading::Little, likeness::Reading::Different, 1);
        check(amount::Reading::Uncertain, likeness::Reading::Similar, 2);
        check(amount::Reading::ALot, likeness::Reading::Uncertain, 2);
        check(amount::Reading::Uncertain, likeness::Reading::Uncertain, 4);
    }
}
