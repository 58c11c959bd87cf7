//! Facts, files and command output of a machine in one archive.
//!
//! A configuration (CaLink's INI, its later JSON, or ours) becomes a [`plan::Plan`]; [`run()`]
//! gathers what it says and streams it into one compressed tar with a manifest as its last member.
//! What cannot be had is a gap that the manifest tells, and stops nothing. Secrets are masked
//! before anything is written, and nothing is written anywhere but where the archive goes.
//!
//! Invariants: memory does not grow with what is gathered, but for 16 bytes a file; every file is
//! opened by single names from an open folder, and nothing but regular files is read; the archive
//! has its name only when it is whole; every member's digest is in the manifest.
//!
//! Not here: facts themselves (`hearken-facts`), starting programs (`kit::process`), reading YAML
//! (the caller), words for people but for the lines that CaLink wrote ([`step::Step`]).

mod archive;
mod commands;
pub mod estimate;
pub mod glob;
pub mod ini;
pub mod key;
pub mod limits;
pub mod manifest;
pub mod mask;
mod names;
mod packer;
pub mod plan;
mod run;
pub mod show;
pub mod step;
mod tarball;
mod walk;

pub use run::{Failed, Means, Report, run};
