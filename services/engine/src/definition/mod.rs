//! What the files of a pack mean: actions, rules, trigger types, sensors, the manifest.
//!
//! Each type reads itself from a JSON value (parsing YAML is another crate's work) and says
//! everything that is wrong with it at once. Old names and old habits of StackStorm are accepted;
//! unknown fields are notices with a suggestion, never the loss of a file.

pub mod action;
pub mod check;
pub mod pack;
pub mod parameter;
pub mod period;
pub mod policy;
pub mod problem;
mod reader;
pub mod remember;
pub mod rule;
pub mod runner;
pub mod sensor;
pub mod trigger;

pub use action::Action;
pub use check::{Check, CheckFile};
pub use pack::PackManifest;
pub use parameter::{Parameter, ParameterKind, Parameters};
pub use policy::{Policy, PolicyKind};
pub use problem::Problem;
pub use remember::Remember;
pub use rule::{Rule, RuleKind};
pub use runner::RunnerKind;
pub use sensor::Sensor;
pub use trigger::TriggerType;
