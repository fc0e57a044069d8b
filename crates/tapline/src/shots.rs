//! `--shots`: how well probes do that learn from few pictures of each class.

use anyhow::bail;
use serde::Serialize;
use tapline_core::Store;
use tapline_probe::{FEW_SHOT_STRENGTH, Score, ShotScores, Shots, few_shot, few_shot_fits};

use crate::args::ProbeArgs;
use crate::features::Features;
use crate::output::{self, counted, percent, quoted};
use crate::plan::Plan;
use crate::progress;

/// Probes that learned from few pictures, and what all draws found.
#[derive(Debug, Serialize)]
pub struct FewShots {
    /// Draws of each number of pictures.
    repeats: usize,
    /// The strength C where there are too few pictures for folds to choose one.
    fixed_strength: f64,
    counts: Vec<FewShot>,
}

/// Probes that learned from one number of pictures.
#[derive(Debug, Serialize)]
struct FewShot {
    #[serde(flatten)]
    found: ShotScores,
    /// Mean accuracy over the draws, 0 to 1.
    mean: f64,
    /// Standard deviation of the accuracy from draw to draw; none for one draw.
    deviation: Option<f64>,
    /// Lowest accuracy.
    min: f64,
    /// Highest accuracy.
    max: f64,
    /// Mean over the draws of the mean recall of the classes, 0 to 1.
    balanced_accuracy: f64,
}

/// What was typed, if it can be done with these pictures.
pub fn check(args: &ProbeArgs, plan: &Plan) -> anyhow::Result<Option<Shots>> {
    if args.shots.is_empty() {
        return Ok(None);
    }
    let counts: Vec<usize> = args.shots.iter().map(|&count| usize::from(count)).collect();
    let most = counts.iter().copied().max().unwrap_or_default();
    if let Some(class) = plan.data.classes().into_iter().find(|class| class.pictures <= most) {
        bail!(
            "class {} has {} picture(s), and --shots {most} leaves none of it to score: use fewer shots, add pictures to \
             it, or leave it out",
            quoted(&class.name),
            class.pictures
        );
    }
    Ok(Some(Shots { counts, repeats: args.repeats.into() }))
}

impl FewShots {
    /// The probes of the joined features of `taps`.
    pub fn of(store: &Store, taps: &[usize], (shots, plan): (&Shots, &Plan)) -> anyhow::Result<Self> {
        let features = Features::of(store, taps, (&plan.data, plan.config.max_bytes))?;
        let bar = progress::bar("probing few shots", few_shot_fits(&plan.config, shots)?, "fits");
        let found = features.with(|rows| few_shot(&plan.config, shots, rows, &|| bar.inc(1)))?;
        bar.finish_and_clear();
        let counts = found.into_iter().map(FewShot::of).collect();
        Ok(Self { repeats: shots.repeats, fixed_strength: FEW_SHOT_STRENGTH, counts })
    }

    /// The table and what there is to say of it.
    pub fn text(&self) -> String {
        let rows = self.counts.iter().map(|count| {
            vec![
                count.found.shots.to_string(),
                percent(count.mean),
                count.deviation.map_or(String::new(), percent),
                percent(count.min),
                percent(count.max),
                percent(count.balanced_accuracy),
            ]
        });
        let headers = [">shots", ">accuracy %", ">deviation", ">lowest", ">highest", ">balanced %"];
        let mut text = format!("\n{}", output::table(&headers, rows));
        text += &format!(
            "Shots are pictures of each class to learn from; all others are scored, over {}.\n",
            counted(self.repeats, "draw")
        );
        if self.counts.iter().any(|count| count.found.folds == 0) {
            text +=
                &format!("Fewer than 3 leave no folds to choose a strength on: it is {} there.\n", self.fixed_strength);
        }
        for FewShot { found, .. } in self.counts.iter().filter(|count| count.found.not_converged > 0) {
            let (failed, fits, shots) = (found.not_converged, found.fits, counted(found.shots, "shot"));
            text += &format!("warning: {failed} of {fits} fits on {shots} did not converge.\n");
        }
        text
    }
}

impl FewShot {
    fn of(found: ShotScores) -> Self {
        let accuracies: Vec<f64> = found.scores.iter().map(Score::accuracy).collect();
        let count = accuracies.len() as f64;
        let mean = accuracies.iter().sum::<f64>() / count;
        let squares = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>();
        Self {
            mean,
            deviation: (accuracies.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            min: accuracies.iter().copied().fold(1.0, f64::min),
            max: accuracies.iter().copied().fold(0.0, f64::max),
            balanced_accuracy: found.balanced.iter().sum::<f64>() / count,
            found,
        }
    }
}
