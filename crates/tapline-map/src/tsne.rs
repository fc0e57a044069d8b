//! t-SNE that comes out the same every time.
//!
//! The crate bhtsne does the descent. It adds in the order its threads finish, and searches neighbours in a random tree;
//! so it is given one thread, exact neighbours and a start from the principal components. Such a start also keeps the
//! large-scale order of the data (Kobak and Berens, "The art of using t-SNE for single-cell transcriptomics", 2019).

use bhtsne::{Neighbor, tSNE};
use ndarray::{ArrayView1, ArrayView2, Axis, s};

use crate::principal::unit_of;
use crate::sample::next;
use crate::{Error, Principal};

/// The fewest rows that have neighbours to speak of.
pub const FEWEST_ROWS: usize = 16;

/// Effective number of neighbours of each row, fewer for less than 100 rows.
const PERPLEXITY: f32 = 30.0;
const EPOCHS: usize = 750;
/// How far a cell may be seen as one point, the usual compromise between speed and accuracy.
const THETA: f32 = 0.5;

/// A point of the plane for each row (the origin for all where no column varies), by Barnes–Hut t-SNE (van der Maaten, "Accelerating t-SNE using tree-based
/// algorithms", 2014) on the components given, Euclidean distances, perplexity min(30, (rows − 1) / 3 − 1), 750 epochs.
///
/// # Errors
/// For fewer than [`FEWEST_ROWS`] rows.
pub fn tsne(pca: &Principal) -> Result<Vec<[f32; 2]>, Error> {
    let unit = unit_of(&pca.scores);
    let scores = pca.scores.mapv(|x| x / unit);
    let rows = scores.view();
    if rows.nrows() < FEWEST_ROWS {
        return Err(Error::TooFewRows { found: rows.nrows(), least: FEWEST_ROWS });
    }
    if pca.explained.first().is_none_or(|&share| share == 0.0) {
        return Ok(vec![[0.0; 2]; rows.nrows()]);
    }
    let perplexity = PERPLEXITY.min((rows.nrows() - 1) as f32 / 3.0 - 1.0);
    let neighbours = neighbours(rows, (3.0 * perplexity) as usize);
    let samples: Vec<ArrayView1<'_, f32>> = rows.outer_iter().collect();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let flat = alone.install(|| {
        let mut descent: tSNE<'_, f32, ArrayView1<'_, f32>, 2> = tSNE::new(&samples);
        descent.perplexity(perplexity).epochs(EPOCHS).initial_embedding(start(rows));
        descent.barnes_hut_with_neighbors(THETA, &neighbours).embedding()
    });
    Ok(flat.as_chunks::<2>().0.to_vec())
}

/// The first two components, scaled to a standard deviation of 1e-4 along the first, as scikit-learn does it; and a
/// thousandth of that at random, from a fixed seed, for rows that are exact copies would never part.
fn start(scores: ArrayView2<'_, f32>) -> Vec<f32> {
    let n = scores.nrows();
    let first = scores.column(0);
    let deviation = (first.dot(&first) / n as f32).sqrt();
    let factor = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    let second = |row: usize| if scores.ncols() > 1 { scores[[row, 1]] } else { 0.0 };
    let mut state = 0;
    let mut jitter = || 1e-7 * ((next(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0);
    (0..n).flat_map(|row| [first[row] * factor + jitter(), second(row) * factor + jitter()]).collect()
}

/// The `k` nearest other rows of each row, nearest first, the earlier of equals first.
fn neighbours(rows: ArrayView2<'_, f32>, k: usize) -> Vec<Vec<Neighbor<f32>>> {
    let squares: Vec<f32> = rows.outer_iter().map(|row| row.dot(&row)).collect();
    let mut found = Vec::with_capacity(rows.nrows());
    // In blocks, so that memory for distances stays small.
    for (block, first) in rows.axis_chunks_iter(Axis(0), 256).zip((0..).step_by(256)) {
        let products = block.dot(&rows.t());
        for (i, products) in products.outer_iter().enumerate() {
            let this = first + i;
            let squared = |j: usize| (squares[this] + squares[j] - 2.0 * products[j]).max(0.0);
            let others = (0..rows.nrows()).filter(|&j| j != this);
            let mut near: Vec<(f32, usize)> = others.map(|j| (squared(j), j)).collect();
            near.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            near.truncate(k);
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            found.push(
                near.into_iter().map(|(_, index)| Neighbor { index, distance: distance(rows, this, index) }).collect(),
            );
        }
    }
    found
}

/// The distance of two rows, without the cancellation of the squares' difference that found them.
fn distance(rows: ArrayView2<'_, f32>, a: usize, b: usize) -> f32 {
    let difference = &rows.slice(s![a, ..]) - &rows.slice(s![b, ..]);
    difference.dot(&difference).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::principal;

    fn groups(rows: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, 6), |(r, c)| {
            let noise = ((r * 7919 + c * 104_729) % 1_000) as f32 / 1_000.0;
            noise + if r % 3 == c { 20.0 } else { 0.0 }
        })
    }

    #[test]
    fn groups_far_apart_stay_apart() {
        let rows = groups(150);
        let points = tsne(&principal(rows.view(), 6).unwrap()).unwrap();
        let squared = |a: usize, b: usize| (0..2).map(|c| (points[a][c] - points[b][c]).powi(2)).sum::<f32>();
        for this in 0..150 {
            let others = (0..150).filter(|&other| other != this);
            let nearest = others.min_by(|&a, &b| squared(this, a).total_cmp(&squared(this, b))).unwrap();
            assert_eq!(this % 3, nearest % 3, "{this} {nearest}");
        }
    }

    #[test]
    fn the_features_unit_changes_nothing() {
        let points = |unit: i32| tsne(&principal((groups(60) * 2.0_f32.powi(unit)).view(), 6).unwrap()).unwrap();
        let expected = points(0);
        assert_eq!((points(80), points(-80)), (expected.clone(), expected));
    }

    #[test]
    fn points_do_not_depend_on_the_number_of_threads() {
        let pca = principal(groups(700).view(), 6).unwrap();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tsne(&pca).unwrap())
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(2), on(5));
    }

    #[test]
    fn few_rows_and_rows_that_are_alike_are_no_trouble() {
        let few = principal(groups(FEWEST_ROWS - 1).view(), 2).unwrap();
        assert_eq!(tsne(&few), Err(Error::TooFewRows { found: FEWEST_ROWS - 1, least: FEWEST_ROWS }));
        let least = tsne(&principal(groups(FEWEST_ROWS).view(), 2).unwrap()).unwrap();
        assert!(least.iter().flatten().all(|x| x.is_finite()));
        let alike = tsne(&principal(Array2::ones((20, 3)).view(), 2).unwrap()).unwrap();
        assert_eq!(alike, [[0.0; 2]; 20]);
        let copies = groups(200).select(Axis(0), &(0..200).map(|row| row / 20).collect::<Vec<_>>());
        let points = tsne(&principal(copies.view(), 6).unwrap()).unwrap();
        assert!(points.iter().flatten().all(|x| x.is_finite()));
    }
}
