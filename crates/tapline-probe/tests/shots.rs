//! Few shots: what is learned from is not scored, and more pictures help.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::Task;
use tapline_probe::{
    Error, FEW_SHOT_STRENGTH, Labelled, ProtocolConfig, Score, Shots, Solver, few_shot, few_shot_fits,
};

fn config() -> ProtocolConfig {
    ProtocolConfig { folds: 4, seed: 3, grid: vec![0.01, 0.1, 1.0], tolerance: 1e-8, ..ProtocolConfig::default() }
}

fn shots(counts: &[usize]) -> Shots {
    Shots { counts: counts.to_vec(), repeats: 6 }
}

#[test]
fn more_shots_score_better_on_all_other_rows() {
    let task = Task::new(400, 6, 3);
    let made = AtomicUsize::new(0);
    let progress = || {
        made.fetch_add(1, Ordering::Relaxed);
    };
    let found = few_shot(&config(), &shots(&[30, 1, 3, 3]), &task.data(), &progress).unwrap();
    let plan: Vec<_> =
        found.iter().map(|found| (found.shots, found.folds, found.scores[0].total, found.fits)).collect();
    assert_eq!(plan, [(1, 0, 397, 6), (3, 3, 391, 60), (30, 4, 310, 78)]);
    assert_eq!(made.into_inner(), 144);
    assert_eq!(few_shot_fits(&config(), &shots(&[30, 1, 3, 3])), Ok(144));
    assert!(found[0].strengths.iter().all(|&c| c == FEW_SHOT_STRENGTH));
    let mean = |scores: &[Score]| scores.iter().map(Score::accuracy).sum::<f64>() / scores.len() as f64;
    let means: Vec<f64> = found.iter().map(|found| mean(&found.scores)).collect();
    assert!(means[0] < means[1] && means[1] < means[2], "{means:?}");
    assert!(found.iter().all(|found| found.not_converged == 0));
    // The same with fewer counts, and by the other solver.
    let linfa = ProtocolConfig { solver: Solver::LinfaLogistic, ..config() };
    let other = few_shot(&linfa, &shots(&[3]), &task.data(), &|| {}).unwrap();
    assert_eq!((&other[0].scores, &other[0].strengths), (&found[1].scores, &found[1].strengths));
}

#[test]
fn features_that_only_the_rows_learned_from_share_are_not_rewarded() {
    // Labels at random: nothing to learn, so that rows scored by probes that saw them would stand out.
    let task = Task::new(300, 40, 2);
    let labels: Vec<usize> = (0..300).map(|row| row * 7 % 300 % 2).collect();
    let data = Labelled { labels: &labels, ..task.data() };
    let found = few_shot(&config(), &shots(&[60]), &data, &|| {}).unwrap();
    let mean = found[0].balanced.iter().sum::<f64>() / 6.0;
    assert!((mean - 0.5).abs() < 0.06, "{mean}");
}

#[test]
fn shots_that_cannot_be_drawn_are_refused() {
    let task = Task::new(60, 4, 2);
    let check = |shots: Shots, data: Labelled<'_, f32>, expected: Error| {
        assert_eq!(few_shot(&config(), &shots, &data, &|| {}).unwrap_err(), expected);
    };
    check(shots(&[]), task.data(), Error::NoShots);
    check(shots(&[0, 3]), task.data(), Error::NoShots);
    check(Shots { repeats: 0, ..shots(&[3]) }, task.data(), Error::NoShots);
    let groups: Vec<usize> = (0..60).collect();
    check(shots(&[3]), Labelled { groups: Some(&groups), ..task.data() }, Error::ShotsOfGroups);
    let labels: Vec<usize> = (0..60).map(|row| usize::from(row < 7)).collect();
    let data = Labelled { labels: &labels, ..task.data() };
    check(shots(&[2, 7]), data, Error::FewForShots { class: 1, rows: 7, shots: 7 });
}
