//! `hearken pack …`: its part of the table. The doc comments are the help text.

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

/// `hearken pack`
#[derive(Debug, Subcommand)]
pub(crate) enum Pack {
    /// All that are in force
    List,
    /// One of them
    Get {
        /// Its name
        name: String,
    },
    /// Look through the files of a pack; needs no server
    Check {
        /// Its folder
        folder: PathBuf,
    },
    /// Fetch packs and put them in force; rules only with --register rules
    Install {
        #[command(flatten)]
        fetch: Fetch,
        /// What is to be in force: rules or all for its rules as well
        #[arg(long, value_name = "KINDS", default_value = "actions")]
        register: String,
        /// Leave out the packs that they need
        #[arg(long)]
        skip_dependencies: bool,
        #[command(flatten)]
        python: Python,
    },
    /// Fetch packs and leave them out of force
    Download {
        #[command(flatten)]
        fetch: Fetch,
    },
    /// Put installed packs in force; rules only with --register rules
    Load {
        /// Their names
        #[arg(value_name = "PACK", required = true)]
        names: Vec<String>,
        /// What is to be in force: rules or all for its rules as well
        #[arg(long, value_name = "KINDS", default_value = "actions")]
        register: String,
        #[command(flatten)]
        python: Python,
    },
    /// Take installed packs out of force and leave them where they are
    Unload {
        /// Their names
        #[arg(value_name = "PACK", required = true)]
        names: Vec<String>,
    },
    /// Take installed packs away, with their virtual environments
    #[command(visible_alias = "uninstall")]
    Remove {
        /// Their names
        #[arg(value_name = "PACK", required = true)]
        names: Vec<String>,
    },
    /// Build the Python that all packs stand on, and that of the packs named
    Setup {
        /// Names of installed packs, or folders of packs
        #[arg(value_name = "PACK")]
        packs: Vec<String>,
        #[command(flatten)]
        python: Python,
    },
    /// Begin a pack: a folder with an action, a rule and a case, ready to run
    New {
        /// Its folder; the last part is its name
        folder: PathBuf,
    },
    /// Run the cases of a pack, event in and requests out, and its Python tests; needs no server
    ///
    /// Example: hearken pack test ./shop --only test_prices
    Test {
        /// Its folder, or the name of an installed pack
        pack: String,
        #[command(flatten)]
        how: Trial,
    },
}

/// What is to be fetched.
#[derive(Debug, Arguments)]
pub(crate) struct Fetch {
    /// A folder, a tar.gz file, a git URL, owner/repo, or a name of the index; each with
    /// =VERSION, a branch, tag or commit, if need be
    #[arg(value_name = "SPEC", required = true)]
    pub specs: Vec<String>,
    /// Only this pack of a repository of many; may be given several times
    #[arg(long = "pack", value_name = "NAME")]
    pub packs: Vec<String>,
    /// Also what is made for another StackStorm or Python
    #[arg(long)]
    pub force: bool,
}

/// How the Python tests of a pack are run.
#[derive(Debug, Arguments)]
pub(crate) struct Trial {
    /// Only tests with this in their place: tests/FILE.py: Class.method
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Install nothing of requirements.txt and requirements-tests.txt: run with what is there
    #[arg(long)]
    pub no_requirements: bool,
    /// Seconds that all tests together may take
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    pub timeout: u64,
    #[command(flatten)]
    pub python: Python,
}

/// Which Python.
#[derive(Debug, Arguments)]
pub(crate) struct Python {
    /// The Python that virtual environments are built with [default: the first new enough on PATH]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
}
