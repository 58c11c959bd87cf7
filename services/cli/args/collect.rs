//! `hearken collect …`: its part of the table. The doc comments are the help text.

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand, ValueEnum};

/// `hearken collect`
#[derive(Debug, Arguments)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Collect {
    #[command(subcommand)]
    pub verb: Option<CollectVerb>,
    #[command(flatten)]
    pub gather: Gather,
}

/// What is done with an archive that is there.
#[derive(Debug, Subcommand)]
pub(crate) enum CollectVerb {
    /// Say what is in an archive, and what is missing
    Show {
        /// The archive
        archive: PathBuf,
    },
    /// Compare every member of an archive with its manifest
    Verify {
        /// The archive
        archive: PathBuf,
    },
}

/// How a machine's state is gathered.
#[derive(Debug, Arguments)]
pub(crate) struct Gather {
    /// What to gather: CaLink's INI or JSON, or YAML; without one CaLink's usual file if it is
    /// there, else a set of ours
    pub file: Option<PathBuf>,
    /// Where the paths of CaLink's files begin
    #[arg(long, value_name = "FOLDER", env = "CALINK_PREFIX", default_value = "/")]
    pub prefix: PathBuf,
    /// Where the archive goes
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    /// Say what would be gathered and how much that is, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How much may be gathered and how long it may take
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// How the archive is compressed
    #[arg(long, value_enum)]
    pub compress: Option<Compress>,
    /// Leave secrets as they are
    #[arg(long)]
    pub no_mask: bool,
}

/// Sets of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Ten seconds, 16 MiB
    Quick,
    /// Ten minutes, 2 GiB
    Normal,
    /// One hour, 20 GiB
    Full,
}

/// Kinds of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compress {
    /// .tar.gz
    Gzip,
    /// .tar.zst: four times as fast
    Zstd,
}
