//! `hearken kv …`: its part of the table. The doc comments are the help text.

use clap::{Args as Arguments, Subcommand};

/// `hearken kv`
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Print the value of a key
    Get {
        /// Its name
        name: String,
        /// Open it when it is secret
        #[arg(long)]
        decrypt: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Write a key
    Set {
        /// Its name
        name: String,
        /// Its text; - reads it from standard input, where no list of processes shows it
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Seal it: only with the installation's key it can be read
        #[arg(long)]
        encrypt: bool,
        /// The text is sealed already, as get prints it without --decrypt
        #[arg(long, conflicts_with = "encrypt")]
        encrypted: bool,
        /// Take it away after so many seconds
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        /// Only if it is at this revision, as kv list or -o json kv get tells it; 0: only if it is
        /// not there
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Add to the whole number in a key, which is 0 when it is not there
    Increment {
        /// Its name
        name: String,
        /// How much to add
        #[arg(long, value_name = "N", default_value_t = 1, allow_hyphen_values = true)]
        by: i64,
        /// Take it away after so many seconds
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u64>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Keys by name, secrets sealed
    List {
        /// Only names that begin so
        #[arg(long, default_value = "")]
        prefix: String,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 1000)]
        limit: usize,
        /// Open secrets
        #[arg(long)]
        decrypt: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Take a key away
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        whose: Whose,
    },
}

/// Whose keys.
#[derive(Debug, Arguments)]
pub(crate) struct Whose {
    /// system: everybody's; user: one user's own; all: both, for list
    #[arg(long, default_value = "system")]
    pub scope: String,
    /// The user of the scope user [default: stanley, for whom rules act]
    #[arg(long)]
    pub user: Option<String>,
}
