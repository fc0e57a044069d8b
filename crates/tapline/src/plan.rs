//! What was typed about probing, checked against the listing: which pictures, which protocol.
//!
//! Whatever passed this file needs no more checks before the first fit.

use std::collections::HashMap;

use anyhow::{anyhow, bail};
use tapline_core::StoredListing;
use tapline_probe::{Error, Evaluation, ProtocolConfig, Role, Shuffles, Solver, Splits, Transform, default_grid};

use crate::args::{ComparedArgs, DesignArgs, ProbeArgs, ProtocolArgs, SolverArg, TransformArg};
use crate::classes::Labelled;
use crate::groups::{self, Groups};
use crate::output::{counted, quoted};
use crate::split::{is_present, roles};

/// Principal components kept unless said otherwise.
const COMPONENTS: usize = 128;

/// Pictures and protocol of all probes of a run.
pub struct Plan {
    /// The pictures, their classes, and what each is for.
    pub data: Labelled,
    /// How probes are chosen and scored.
    pub config: ProtocolConfig,
    /// How often and how the pictures are parted at random; none where folds take turns, or the listing has the split.
    pub shuffles: Option<Shuffles>,
    /// Whether a control was asked for.
    control: bool,
}

impl Plan {
    /// The plan as typed, for the pictures of `listing`.
    pub fn of(listing: &StoredListing, args: &ProtocolArgs) -> anyhow::Result<Self> {
        let split = args.split.then(|| roles(listing)).transpose()?;
        let data = grouped(Labelled::of(listing, split.as_deref(), args.min_class)?, listing, args)?;
        if let Some(several) = data.names.iter().find(|name| name.contains('|')) {
            let remedy = "where | parts labels, `tapline probe --multi-label` tells each from the rest";
            eprintln!("tapline: {} is taken for one class; {remedy}", quoted(several));
        }
        if let (None, false, Some(hint)) = (&data.groups, args.split, groups::hint(listing, &data)) {
            eprintln!("tapline: {hint}");
        }
        data.check_folds(args.folds, listing)?;
        let plan = Self { data, config: protocol(args), shuffles: None, control: false };
        if let Some(groups) = &plan.data.groups {
            groups::check(groups, &plan.data, &plan.config)?;
        }
        plan.warned(listing, args)
    }

    /// The plan of `probe` as typed, for pictures of `listing` with targets other than classes, which have no say in it.
    pub fn of_targets(listing: &StoredListing, data: Labelled, args: &ProbeArgs) -> anyhow::Result<Self> {
        let data = grouped(data, listing, &args.protocol)?;
        if let Some(groups) = &data.groups {
            groups::check_whole(groups, &data)?;
        }
        let plan = Self { data, config: protocol(&args.protocol), shuffles: None, control: false };
        plan.warned(listing, &args.protocol)?.designed(&args.design)
    }

    /// The same plan, its numbers checked; what may be amiss with the pictures is said.
    fn warned(self, listing: &StoredListing, args: &ProtocolArgs) -> anyhow::Result<Self> {
        let plan = self;
        plan.fits()?;
        if !args.split && is_present(listing) {
            eprintln!("tapline: the listing has a split column; --split scores its test pictures alone");
        }
        if let Some(warning) = copies(listing, &plan.data.rows, plan.data.groups.as_ref()) {
            eprintln!("tapline: {warning}");
        }
        Ok(plan)
    }

    /// The plan of a comparison, as typed.
    pub fn of_all(listing: &StoredListing, args: &ComparedArgs) -> anyhow::Result<Self> {
        Self::of(listing, &args.protocol)?.with_design(&args.design)
    }

    /// Positions of the pictures that the probes of a fold or shuffle of an evaluation learned from, ascending.
    pub fn learned_from(&self, evaluation: &Evaluation, fold: usize) -> Vec<usize> {
        if self.data.split.is_some() {
            return self.data.with_role(Role::Train);
        }
        let mut learned = vec![true; self.data.rows.len()];
        held_out(evaluation, fold).into_iter().for_each(|row| learned[row] = false);
        (0..learned.len()).filter(|&row| learned[row]).collect()
    }

    /// The same plan with the transform and the shuffles that were asked for.
    pub fn with_design(self, args: &DesignArgs) -> anyhow::Result<Self> {
        let plan = self.designed(args)?;
        // Of groups, whether they can be dealt shows only when they are drawn.
        if let (Some(shuffles), None) = (plan.shuffles, &plan.data.groups) {
            plan.check_shuffles(&shuffles)?;
        }
        Ok(plan)
    }

    /// Refuses shuffles that leave a class too few pictures to learn from; says of classes that they do not score.
    fn check_shuffles(&self, shuffles: &Shuffles) -> anyhow::Result<()> {
        let mut sizes = vec![0; self.data.names.len()];
        self.data.labels.iter().for_each(|&class| sizes[class] += 1);
        let (share, folds) = (shuffles.test_share, self.config.folds);
        let mut unscored = None;
        for ((name, &pictures), scored) in self.data.names.iter().zip(&sizes).zip(shuffles.scored_of(&sizes)) {
            let learnt = pictures - scored;
            if learnt < folds {
                bail!(
                    "class {} has {}; a shuffle that scores {share} of all leaves {learnt} of them to learn from, fewer than \
                     {folds} folds: add pictures to it, leave it out with --min-class, or use a smaller --test-share or fewer \
                     --folds (at least 3)",
                    quoted(name),
                    counted(pictures, "picture")
                );
            }
            if scored == 0 {
                unscored = unscored.or(Some((name, pictures)));
            }
        }
        if let Some((name, pictures)) = unscored {
            eprintln!(
                "tapline: class {} has {}: shuffles that score {share} of all score none of it",
                quoted(name),
                counted(pictures, "picture")
            );
        }
        Ok(())
    }

    /// An error of probes whose strengths are chosen on so many folds, in the words of the listing.
    pub fn in_words(&self, error: Error, folds: usize) -> anyhow::Error {
        let class = |number: usize| quoted(&self.data.names[number]);
        match (error, &self.data.groups) {
            (Error::ClassInFewFolds { class, found, least }, Some(groups)) => groups::in_few_folds(
                (class, found, least),
                (groups, &self.data),
                (folds, Some("another --seed".to_owned())),
            ),
            (Error::SmallClass { class: number, rows, folds }, _) => anyhow!(
                "class {} has {} to learn from, fewer than {folds} folds: add pictures to it, leave it out with --min-class, or \
                 use fewer --folds (at least 3)",
                class(number),
                counted(rows, "picture")
            ),
            (other, _) => other.into(),
        }
    }

    /// The same without a look at the classes.
    fn designed(mut self, args: &DesignArgs) -> anyhow::Result<Self> {
        self.config.transform = transform(args)?;
        self.config.balanced = args.balanced;
        self.control = args.control;
        if self.config.solver == Solver::LinfaLogistic && (args.balanced || args.transform == TransformArg::Pca) {
            bail!(
                "--solver linfa-logistic knows neither --balanced nor --transform pca: leave them out, or use --solver batched"
            );
        }
        let Some(count) = args.shuffles else { return Ok(self) };
        let share = args.test_share;
        if !(share > 0.0 && share < 1.0) {
            bail!("--test-share {share} is out of range: use a number between 0 and 1, such as 0.25");
        }
        Ok(Self { shuffles: Some(Shuffles { count: count.into(), test_share: share }), ..self })
    }

    /// The plan of folds that take turns over the pictures that a probe to keep learns from.
    pub fn learning(&self) -> Self {
        Self { data: self.data.to_learn_from(), config: self.config.clone(), shuffles: None, control: false }
    }

    /// How the pictures are parted into those learned from and those scored.
    pub fn splits(&self) -> Splits<'_> {
        match (&self.shuffles, &self.data.split) {
            (Some(shuffles), _) => Splits::Shuffles(shuffles),
            (None, Some(split)) => Splits::Fixed(split),
            (None, None) => Splits::Folds,
        }
    }

    /// Number of fits for one tap, its control included.
    pub fn fits(&self) -> anyhow::Result<usize> {
        let fits = match (self.shuffles, &self.data.split) {
            (Some(shuffles), _) => shuffles.count * self.config.holdout_fits()?,
            (None, Some(_)) => self.config.holdout_fits()?,
            (None, None) => self.config.evaluate_fits()?,
        };
        Ok(if self.control { 2 * fits } else { fits })
    }

    /// The same plan with shuffled labels, if a control was asked for.
    pub fn control(&self) -> Option<Self> {
        let config = ProtocolConfig { control: true, ..self.config.clone() };
        self.control.then(|| Self { data: self.data.clone(), config, shuffles: self.shuffles, control: false })
    }
}

/// Positions of the pictures that a fold or shuffle of an evaluation scored, ascending.
pub fn held_out(evaluation: &Evaluation, fold: usize) -> Vec<usize> {
    let scored = evaluation.scored_rows.iter().zip(&evaluation.fold_of);
    scored.filter(|(_, of)| **of == fold).map(|(&row, _)| row).collect()
}

/// A warning where a picture is there more than once: a probe would be scored on what it learnt by heart, or against what it learnt.
/// Copies of one label and one of the `groups` of the `rows` do neither.
pub fn copies(listing: &StoredListing, rows: &[usize], groups: Option<&Groups>) -> Option<String> {
    let group = |position: usize| groups.map(|groups| groups.of_row[position]);
    let label = |position: usize| listing.label.get(rows[position]);
    let contradicts = |&(copy, of): &(usize, usize)| label(copy) != label(of);
    let mut copies = copied(listing, rows);
    copies.retain(|pair| contradicts(pair) || groups.is_none() || group(pair.0) != group(pair.1));
    let number = counted(copies.len(), "picture");
    let path = |position: usize| &listing.path[rows[position]];
    if let Some(&(copy, of)) = copies.iter().find(|&pair| contradicts(pair)) {
        let said = |position: usize| label(position).map_or("no label".to_owned(), quoted);
        return Some(format!(
            "{number} with the bytes of another one, {} of them with another label ({} is {}, {} is {}): correct the labels and \
             keep one of each",
            copies.iter().filter(|&pair| contradicts(pair)).count(),
            path(copy),
            said(copy),
            path(of),
            said(of)
        ));
    }
    let &(copy, of) = copies.first()?;
    Some(format!(
        "{number} with the bytes of another one{} ({} of {}): on both sides of a fold they make accuracies too high; keep one of \
         each",
        if groups.is_some() { " of another group" } else { "" },
        path(copy),
        path(of)
    ))
}

/// Positions in `rows` of the pictures that are copies, ascending, each with that of the picture they are copies of: of all with the
/// same bytes the first whose label most of them have.
fn copied(listing: &StoredListing, rows: &[usize]) -> Vec<(usize, usize)> {
    let digest = |position: &usize| listing.sha256[rows[*position]];
    let mut order: Vec<usize> = (0..rows.len()).filter(|position| digest(position).is_some()).collect();
    order.sort_by_key(digest);
    let mut copies = Vec::new();
    for same in order.chunk_by(|a, b| digest(a) == digest(b)).filter(|same| same.len() > 1) {
        let label = |position: usize| listing.label.get(rows[position]);
        let mut pictures: HashMap<Option<&str>, usize> = HashMap::new();
        same.iter().for_each(|&position| *pictures.entry(label(position)).or_default() += 1);
        let most = pictures.values().max();
        let first = same.iter().copied().find(|&position| pictures.get(&label(position)) == most);
        let first = first.expect("one of the most frequent label");
        copies.extend(same.iter().filter(|&&copy| copy != first).map(|&copy| (copy, first)));
    }
    copies.sort_unstable();
    copies
}

/// The pictures with their groups, if there are to be any.
fn grouped(data: Labelled, listing: &StoredListing, args: &ProtocolArgs) -> anyhow::Result<Labelled> {
    let groups = args.group.as_deref().map(|column| Groups::of(listing, column, &data.rows)).transpose()?;
    Ok(Labelled { groups, ..data })
}

fn protocol(args: &ProtocolArgs) -> ProtocolConfig {
    ProtocolConfig {
        folds: args.folds,
        seed: args.seed,
        grid: grid(args),
        solver: args.solver.into(),
        max_bytes: args.memory.saturating_mul(1 << 20),
        ..ProtocolConfig::default()
    }
}

fn transform(args: &DesignArgs) -> anyhow::Result<Transform> {
    if args.components.is_some() && args.transform != TransformArg::Pca {
        bail!("--components is for --transform pca alone: leave it out, or add --transform pca");
    }
    Ok(match args.transform {
        TransformArg::Standardise => Transform::Standardise,
        TransformArg::None => Transform::None,
        TransformArg::L2 => Transform::L2,
        TransformArg::Sqrt => Transform::Sqrt,
        TransformArg::Pca => Transform::Pca(args.components.map_or(COMPONENTS, usize::from)),
    })
}

/// What was typed, or the solver's default: linfa-logistic would take hours for the whole grid.
fn grid(args: &ProtocolArgs) -> Vec<f64> {
    match (args.strengths.as_slice(), args.solver) {
        ([], SolverArg::Batched) => default_grid(),
        ([], SolverArg::LinfaLogistic) => vec![0.001, 0.01, 0.1, 1.0],
        (typed, _) => typed.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use tapline_core::Digest;

    use super::*;

    /// What is said of pictures with these labels and bytes, the first called 0.
    fn said(pictures: &[(&str, u8)]) -> String {
        let listing = StoredListing {
            path: (0..pictures.len()).map(|row| row.to_string()).collect(),
            label: pictures.iter().map(|(label, _)| Some(label)).collect(),
            sha256: pictures.iter().map(|(_, bytes)| Some(Digest::of(&[*bytes]))).collect(),
            ..StoredListing::default()
        };
        copies(&listing, &(0..pictures.len()).collect::<Vec<_>>(), None).unwrap_or_default()
    }

    #[test]
    fn copies_are_counted_from_the_picture_whose_label_most_of_them_have() {
        let check =
            |pictures: &[(&str, u8)], words: &str| assert!(said(pictures).starts_with(words), "{}", said(pictures));
        let one =
            "2 pictures with the bytes of another one, 1 of them with another label (0 is \"bad\", 1 is \"good\")";
        check(&[("bad", 7), ("good", 7), ("good", 7), ("good", 8)], one);
        let one =
            "2 pictures with the bytes of another one, 1 of them with another label (2 is \"bad\", 0 is \"good\")";
        check(&[("good", 7), ("good", 7), ("bad", 7)], one);
        let one = "1 picture with the bytes of another one, 1 of them with another label (1 is \"bad\", 0 is \"good\")";
        check(&[("good", 7), ("bad", 7)], one);
        check(&[("good", 7), ("bad", 8), ("good", 7)], "1 picture with the bytes of another one (2 of 0)");
        assert_eq!(said(&[("good", 7), ("bad", 8)]), "");
    }
}
