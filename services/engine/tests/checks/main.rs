//! Checks, incidents and notices, one story at a time: what is told, what is held back and why.
//!
//! The stories are short and named after what they show; that everything holds whatever happens is
//! the business of `check_model.rs`.

mod definitions;
mod incidents;
mod muted;
mod pacing;
mod scene;
mod states;
mod together;
mod verdicts;
