//! Views of pictures in the words of reports; where it is the centre alone nothing is said.

use tapline_core::Views;

/// What follows the number of pictures: ` (4 views each: flips)`.
pub fn each(views: Views) -> String {
    if views.is_centre() { String::new() } else { format!(" ({} each: {views})", counted(views)) }
}

/// What comes before the number of pictures: `the mean of 4 views (flips) of each of `.
pub fn mean_of(views: Views) -> String {
    if views.is_centre() { String::new() } else { format!("the mean of {} ({views}) of each of ", counted(views)) }
}

/// What follows a pooling: `, mean of 4 views: flips`.
pub fn averaged(views: Views) -> String {
    if views.is_centre() { String::new() } else { format!(", mean of {}: {views}", counted(views)) }
}

fn counted(views: Views) -> String {
    crate::output::counted(views.count(), "view")
}
