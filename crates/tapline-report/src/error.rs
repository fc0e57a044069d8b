//! Why something cannot be rendered.

/// What went wrong while rendering.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A drawing of ours that the PNG renderer refuses.
    #[error("figure {name} cannot be drawn as PNG")]
    Png {
        /// The figure.
        name: &'static str,
        /// What the renderer says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The table cannot be written as CSV.
    #[error("the table cannot be written as CSV")]
    Csv(#[from] csv::Error),
}
