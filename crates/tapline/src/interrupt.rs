//! SIGINT and SIGTERM during an extraction: the first lets the pictures in flight finish, a second ends at once.
//!
//! What was computed lies in the store either way; the first leaves room to write all of it down and to say how to go on.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A signal that asked for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C in a terminal.
    Int,
    /// What `kill`, batch systems and container engines send.
    Term,
}

impl Signal {
    const ALL: [Self; 2] = [Self::Int, Self::Term];

    /// The name people know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
        }
    }

    /// The exit code of a program that a signal ended, by the shells' convention: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Int => 130,
            Self::Term => 143,
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Int => SIGINT,
            Self::Term => SIGTERM,
        }
    }
}

/// Tells whether a signal has come since it was made.
#[derive(Debug, Clone)]
pub struct Interrupt {
    caught: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Watches for both signals from now on.
    ///
    /// # Errors
    /// Where the system refuses to.
    pub fn watch() -> anyhow::Result<Self> {
        let (armed, caught) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in Signal::ALL {
            let number = signal.number();
            // In this order: the first signal finds nothing armed, the second ends the program.
            flag::register_conditional_shutdown(number, signal.exit_code().into(), armed.clone())
                .and_then(|_| flag::register(number, armed.clone()))
                .and_then(|_| flag::register_usize(number, caught.clone(), number as usize))
                .with_context(|| format!("{} cannot be watched for", signal.name()))?;
        }
        Ok(Self { caught })
    }

    /// The last signal that came, if any did.
    pub fn caught(&self) -> Option<Signal> {
        let caught = self.caught.load(Ordering::SeqCst);
        Signal::ALL.into_iter().find(|signal| signal.number() as usize == caught)
    }

    /// Whether to go on with work in pieces.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.caught().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
