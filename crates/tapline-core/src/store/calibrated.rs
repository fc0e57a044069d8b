//! The calibration that a store was begun with, so that a later run over it computes the same rows.

use std::path::Path;

use super::building::BuildPlan;
use super::manifest::Manifest;
use super::{BUILDING, MANIFEST, disk};
use crate::{Calibration, Error, FeatureSpace, Precision};

/// The calibration of the int8 features in `dir`, finished or not; `asked` is the space wanted but for its precision.
///
/// # Errors
/// [`Error::OtherSpace`] where the store holds other features, those of float32 among them, so that no picture is measured
/// in vain.
pub fn stored_calibration(dir: &Path, asked: &FeatureSpace) -> Result<Option<Calibration>, Error> {
    let path = dir.join(MANIFEST);
    if path.exists() {
        let ours = Manifest::from_bytes(&path, &disk::read(&path)?)?.space;
        return match fitting(&ours, asked) {
            Ok(calibration) => Ok(Some(calibration)),
            Err(what) => Err(Error::OtherSpace { dir: dir.to_owned(), what }),
        };
    }
    let begun = BuildPlan::read(&dir.join(BUILDING))?;
    Ok(begun.and_then(|plan| fitting(&plan.space, asked).ok()))
}

fn fitting(ours: &FeatureSpace, asked: &FeatureSpace) -> Result<Calibration, String> {
    let asked = FeatureSpace { precision: ours.precision.clone(), ..asked.clone() };
    match (ours.difference(&asked), &ours.precision) {
        (Some(what), _) => Err(what),
        (None, Precision::Int8(calibration)) => Ok(calibration.clone()),
        (None, other) => Err(format!("--precision: {other}, asked int8")),
    }
}
