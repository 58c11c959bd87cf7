//! Parameters of a request: rendered, cast, filled up, checked.
//!
//! Two stages, as in StackStorm. [`live`] is the request: the given values rendered (they are all
//! templates) and cast, plus defaults that are templates. [`finish`] is the run: the rest of the
//! defaults. [`resolve()`] is both, for those who want the outcome at once, and [`again`] is a
//! request that takes over values of another.
//!
//! Invariants: a value that was rendered is data and never a template; what is made with a secret,
//! however it is transformed, is known to be secret.

mod cast;
mod given;
pub mod mask;
pub mod payload;
mod plan;
mod resolve;
pub mod schema;
mod text;

pub use given::{Given, Wanted};
pub use plan::Plan;
pub(crate) use resolve::check;
pub use resolve::{Done, Resolved, Surroundings, again, finish, live, resolve};
pub use text::from_text;

/// Why a request has no parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A template names something that is not there.
    #[error("Dependency unsatisfied in variable \"{name}\"")]
    Unsatisfied {
        /// The name.
        name: String,
    },
    /// Templates need each other.
    #[error(
        "Cyclic dependency found in the following variables: {names}. Likely the variable is \
         referencing itself"
    )]
    Cycle {
        /// Those in the circle.
        names: String,
    },
    /// A template could not be rendered.
    #[error("Failed to render parameter \"{parameter}\": {reason}")]
    Render {
        /// The parameter.
        parameter: String,
        /// What the template met.
        reason: String,
    },
    /// A value is not what its parameter is declared to be, and cannot be made so.
    #[error("parameter \"{parameter}\" cannot be made {kind}: {reason}")]
    Cast {
        /// The parameter.
        parameter: String,
        /// The declared type.
        kind: &'static str,
        /// What stood in the way.
        reason: String,
    },
    /// The schema refuses the values.
    #[error("{reason}")]
    Schema {
        /// The parameter, unless the fault is of the whole.
        parameter: Option<String>,
        /// Why.
        reason: String,
    },
    /// A value was given that may not be.
    #[error("Override of immutable parameter(s) {names} is unsupported.")]
    Immutable {
        /// The parameters.
        names: String,
    },
    /// The action is switched off.
    #[error("Unable to execute. Action \"{action}\" is disabled.")]
    Disabled {
        /// The action.
        action: String,
    },
    /// The text of a command line cannot be read.
    #[error("{argument:?} cannot be read: {reason}")]
    Text {
        /// The text.
        argument: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether StackStorm would leave a failed execution behind, provided that the parameters as
    /// they were written pass the schema: true for what fails before anything is cast.
    #[must_use]
    pub const fn leaves_execution(&self) -> bool {
        match self {
            Self::Unsatisfied { .. } | Self::Cycle { .. } | Self::Render { .. } => true,
            Self::Cast { .. }
            | Self::Schema { .. }
            | Self::Immutable { .. }
            | Self::Disabled { .. }
            | Self::Text { .. } => false,
        }
    }
}
