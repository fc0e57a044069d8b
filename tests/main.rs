//! Black-box runs of the `tapline` binary on what `make setup` and `make setup-test` put in place.

mod advising;
mod bad_pictures;
mod bad_stores;
mod baselines;
mod explain;
mod groups;
mod help;
mod int8;
mod joined;
mod layers;
mod models;
mod probing;
mod reference;
mod remote;
mod renderings;
mod report;
mod resume;
mod server;
mod shots;
mod shuffles;
mod signals;
mod sources;
mod split;
mod transform;
mod util;
mod views;
