//! What was typed about probing, checked against the listing: which pictures, which protocol.
//!
//! Whatever passed this file needs no more checks before the first fit.

use tapline_core::StoredListing;
use tapline_probe::ProtocolConfig;

use crate::args::ProtocolArgs;
use crate::classes::Labelled;
use crate::groups::{self, Groups};
use crate::split::{is_present, roles};

/// Pictures and protocol of all probes of a run.
pub struct Plan {
    /// The pictures, their classes, and what each is for.
    pub data: Labelled,
    /// How probes are chosen and scored.
    pub config: ProtocolConfig,
    /// Whether a control was asked for.
    control: bool,
}

impl Plan {
    /// The plan as typed, for the pictures of `listing`.
    pub fn of(listing: &StoredListing, args: &ProtocolArgs) -> anyhow::Result<Self> {
        let split = args.split.then(|| roles(listing)).transpose()?;
        let mut data = Labelled::of(listing, split.as_deref())?;
        data.groups = args.group.as_deref().map(|column| Groups::of(listing, column, &data.rows)).transpose()?;
        data.check_folds(args.folds)?;
        let plan = Self { data, config: protocol(args), control: args.control };
        if let Some(groups) = &plan.data.groups {
            groups::check(groups, &plan.data, &plan.config)?;
        }
        plan.fits()?;
        if !args.split && is_present(listing) {
            eprintln!("tapline: the listing has a split column; --split scores its test pictures alone");
        }
        Ok(plan)
    }

    /// Number of fits for one tap, its control included.
    pub fn fits(&self) -> anyhow::Result<usize> {
        let split = self.data.split.is_some();
        let fits = if split { self.config.holdout_fits()? } else { self.config.evaluate_fits()? };
        Ok(if self.control { 2 * fits } else { fits })
    }

    /// The same plan with shuffled labels, if a control was asked for.
    pub fn control(&self) -> Option<Self> {
        let config = ProtocolConfig { control: true, ..self.config.clone() };
        self.control.then(|| Self { data: self.data.clone(), config, control: false })
    }
}

fn protocol(args: &ProtocolArgs) -> ProtocolConfig {
    ProtocolConfig {
        folds: args.folds,
        seed: args.seed,
        grid: args.strengths.clone(),
        solver: args.solver.into(),
        ..ProtocolConfig::default()
    }
}
