//! Nested subsets of rows for a learning curve: each half of the next, alike in their classes.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::random::stream;
use crate::units::numbered;

/// How subsets are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NestedConfig {
    /// Times the rows are put into another order.
    pub repeats: usize,
    /// Rows of each class that the smallest subset has at least, in every repeat.
    pub least: usize,
    /// Seed of the orders.
    pub seed: u64,
}

/// Subsets of rows, nested within each repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nested {
    /// Rows of each subset, ascending: all rows, half of them, a quarter, …
    pub sizes: Vec<usize>,
    /// The order of the rows in each repeat `[repeats][rows]`; the first `sizes[i]` are subset i.
    pub orders: Vec<Vec<usize>>,
}

impl Nested {
    /// The rows of subset `size` (a position in `sizes`) of a repeat, ascending.
    pub fn rows(&self, repeat: usize, size: usize) -> Vec<usize> {
        let mut rows = self.orders[repeat][..self.sizes[size]].to_vec();
        rows.sort_unstable();
        rows
    }
}

/// Nested subsets of the rows with these classes `[rows]`, their sizes doubling up to all rows.
///
/// The rows of each class are shuffled and spread evenly over the order, each class from a phase of its own, the phases
/// spread evenly over the classes: so every subset has of each class about its share. Rows that belong together are not
/// kept together.
///
/// # Errors
/// For no rows, no repeats, and fewer than three sizes with `least` rows of each class.
pub fn nested_subsets(labels: &[usize], config: &NestedConfig) -> Result<Nested, Error> {
    if labels.is_empty() {
        return Err(Error::Empty { what: "rows" });
    }
    if config.repeats == 0 {
        return Err(Error::Empty { what: "repeats" });
    }
    let classes = numbered(labels);
    let orders: Vec<Vec<usize>> =
        (0..config.repeats).map(|repeat| even_order(&classes, &mut stream(config.seed, repeat))).collect();
    let smallest = orders.iter().map(|order| rows_needed(order, &classes, config.least)).max().unwrap_or(1);
    let mut sizes: Vec<usize> =
        (0..).map(|halvings| labels.len() >> halvings).take_while(|&size| size >= smallest.max(1)).collect();
    sizes.reverse();
    if sizes.len() < 3 { Err(Error::FewSizes { sizes: sizes.len() }) } else { Ok(Nested { sizes, orders }) }
}

/// Rows so that each class is spread evenly.
fn even_order(classes: &[usize], random: &mut ChaCha8Rng) -> Vec<usize> {
    let count = classes.iter().max().map_or(0, |&last| last + 1);
    let mut rows_of = vec![Vec::new(); count];
    classes.iter().enumerate().for_each(|(row, &class)| rows_of[class].push(row));
    let mut phases: Vec<f64> = (0..count).map(|place| (place as f64 + 0.5) / count as f64).collect();
    phases.shuffle(random);
    let mut placed = Vec::with_capacity(classes.len());
    for (rows, phase) in rows_of.iter_mut().zip(phases) {
        rows.shuffle(random);
        let size = rows.len() as f64;
        placed
            .extend(rows.iter().enumerate().map(|(j, &row)| ((j as f64 + phase) / size, random.random::<u64>(), row)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    placed.into_iter().map(|(_, _, row)| row).collect()
}

/// Rows from the front of an order until there are `least` of each class; more than there are where a class has fewer.
fn rows_needed(order: &[usize], classes: &[usize], least: usize) -> usize {
    let mut missing = vec![least; classes.iter().max().map_or(0, |&last| last + 1)];
    let mut open = if least == 0 { 0 } else { missing.len() };
    for (before, &row) in order.iter().enumerate() {
        if open == 0 {
            return before;
        }
        let missing = &mut missing[classes[row]];
        if *missing > 0 {
            *missing -= 1;
            open -= usize::from(*missing == 0);
        }
    }
    if open == 0 { order.len() } else { order.len() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unequal() -> Vec<usize> {
        (0..1200).map(|row| if row < 1000 { 0 } else { 1 + row % 20 }).collect()
    }

    #[test]
    fn subsets_are_nested_and_hold_of_each_class_its_share() {
        let labels = unequal();
        let nested = nested_subsets(&labels, &NestedConfig { repeats: 3, least: 1, seed: 5 }).unwrap();
        assert_eq!(*nested.sizes.last().unwrap(), 1200);
        for repeat in 0..3 {
            for size in 0..nested.sizes.len() {
                let rows = nested.rows(repeat, size);
                assert!(rows.is_sorted_by(|a, b| a < b) && rows.len() == nested.sizes[size]);
                if size > 0 {
                    assert!(nested.rows(repeat, size - 1).iter().all(|row| rows.binary_search(row).is_ok()));
                }
                for class in 0..21 {
                    let count =
                        |rows: &mut dyn Iterator<Item = usize>| rows.filter(|&row| labels[row] == class).count();
                    let share = count(&mut (0..1200)) as f64 * rows.len() as f64 / 1200.0;
                    let found = count(&mut rows.iter().copied()) as f64;
                    assert!((found - share).abs() <= 2.0 && found >= 1.0, "{class}: {found} of {share}");
                }
            }
        }
    }

    #[test]
    fn the_seed_alone_sets_the_order() {
        let nested = |seed| nested_subsets(&unequal(), &NestedConfig { repeats: 2, least: 1, seed }).unwrap();
        assert_eq!(nested(1), nested(1));
        assert_ne!(nested(1).orders, nested(2).orders);
        assert_ne!(nested(1).orders[0], nested(1).orders[1]);
    }

    #[test]
    fn too_few_rows_for_three_sizes_are_refused() {
        let check = |labels: &[usize], least, repeats, expected: &str| {
            let config = NestedConfig { repeats, least, seed: 0 };
            assert_eq!(nested_subsets(labels, &config).unwrap_err().to_string(), expected);
        };
        let few = "a learning curve needs at least 3 sizes, found 2: use more rows or a smaller first size";
        check(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1], 2, 1, few);
        check(&[0, 0, 0, 1], 2, 1, &few.replace("found 2", "found 0"));
        check(&[], 1, 1, "there are no rows: give at least one");
        check(&[0, 1], 1, 0, "there are no repeats: give at least one");
    }
}
