//! Precision in the words of reports; where it is float32 nothing is said.

use tapline_core::Precision;

/// What follows a network's name: ` in int8 (ranges of 128 pictures)`.
pub fn inside(precision: &Precision) -> String {
    match precision {
        Precision::Float32 => String::new(),
        Precision::Float16 => " in float16".to_owned(),
        Precision::Int8(calibration) => {
            format!(" in int8 (ranges of {})", crate::output::counted(calibration.pictures, "picture"))
        }
    }
}
