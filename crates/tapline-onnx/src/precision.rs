//! The network that computes features of a precision.

use tapline_core::Precision;

use crate::half::halve;
use crate::{Error, Model, quantise};

/// The network `model` as `precision` has it run: itself, in halves, or in bytes of the ranges measured before.
///
/// # Errors
/// [`Error::Unusable`] where the network does not allow it.
pub fn in_precision(model: &Model, precision: &Precision) -> Result<Model, Error> {
    match precision {
        Precision::Float32 => Ok(model.clone()),
        Precision::Float16 => halve(model),
        Precision::Int8(calibration) => quantise(model, &calibration.ranges),
    }
}
