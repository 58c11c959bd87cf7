//! The command line, as a table. The doc comments are the help text.

mod collect;
mod kv;
mod pack;

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand, ValueEnum};

pub(crate) use collect::{Collect, CollectVerb, Compress, Gather, Profile};
pub(crate) use kv::{Kv, Whose};
pub(crate) use pack::{Fetch, Pack, Trial};

/// Events in, actions out, nothing forgotten
#[derive(Debug, Parser)]
#[command(name = "hearken", version, args_override_self = true, max_term_width = 100)]
#[command(after_help = "Start here: hearken up")]
pub(crate) struct Args {
    /// How to print what was asked for
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    pub output: Format,
    /// Data folder [default: HEARKEN_DATA, ./.hearken, or ~/.local/state/hearken]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: hearken.toml in the data folder, or in /etc/hearken]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For eyes.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run everything in one process
    Up(Up),
    /// Run chosen services of a bigger installation
    Serve(Serve),
    /// Look at or set up the streams of a NATS server
    #[command(subcommand)]
    Bus(Bus),
    /// Run an action, print its output, and exit by its status
    Run(Run),
    /// Publish, watch, list, show or repeat events
    #[command(subcommand)]
    Event(Event),
    /// List, show, watch, cancel or repeat executions
    #[command(subcommand, visible_alias = "executions")]
    Execution(Execution),
    /// List, show or answer questions that actions put to people
    #[command(subcommand, visible_alias = "inquiries")]
    Inquiry(crate::commands::inquiry::Inquiry),
    /// List or show actions
    #[command(subcommand)]
    Action(Listing),
    /// List, show, try or switch rules, and see what they did
    #[command(subcommand)]
    Rule(Rule),
    /// List or show trigger types
    #[command(subcommand)]
    Trigger(Listing),
    /// List or show sensors
    #[command(subcommand)]
    Sensor(Listing),
    /// Install, load, remove, list, check, try or begin packs
    #[command(subcommand)]
    Pack(Pack),
    /// Read and write keys of the datastore
    #[command(subcommand)]
    Kv(Kv),
    /// Gather the state of this machine into one archive
    Collect(Collect),
    /// Read, explain and verify the log
    #[command(subcommand)]
    Log(Log),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(Config),
    /// Say what this installation is and what is wrong with it
    Doctor,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Where the bus is.
#[derive(Clone, Debug, Default, Arguments)]
pub(crate) struct Nats {
    /// NATS server with JetStream, nats://host:4222[,…]; without it the bus is in the process
    #[arg(long, env = "HEARKEN_NATS", value_name = "URL")]
    pub nats: Option<String>,
    /// File with NATS credentials (user JWT and seed)
    #[arg(long, env = "HEARKEN_NATS_CREDS", value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// File with an nkey seed
    #[arg(long, env = "HEARKEN_NATS_NKEY", value_name = "FILE")]
    pub nkey: Option<PathBuf>,
    /// Token of the NATS server
    #[arg(long, env = "HEARKEN_NATS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub nats_token: Option<String>,
    /// Certificates of the authority to trust, PEM; implies TLS
    #[arg(long, env = "HEARKEN_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Our certificate for the NATS server, PEM
    #[arg(long, env = "HEARKEN_NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// Key of our certificate, PEM
    #[arg(long, env = "HEARKEN_NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
    /// Insist on TLS to the NATS server
    #[arg(long, env = "HEARKEN_NATS_TLS")]
    pub nats_tls: bool,
}

/// `hearken up`
#[derive(Debug, Arguments)]
pub(crate) struct Up {
    #[command(flatten)]
    pub nats: Nats,
    /// Folder of packs, or one pack; may be given several times, the last one wins by name
    #[arg(long, value_name = "FOLDER")]
    pub packs: Vec<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:9101, or the next free port]
    #[arg(long, env = "HEARKEN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address for NATS clients, or off [default: 127.0.0.1:4222, or the next free port]
    #[arg(long, env = "HEARKEN_GATEWAY", value_name = "ADDRESS")]
    pub gateway: Option<String>,
    /// When an entry is acknowledged: flush, or interval:100ms
    #[arg(long, env = "HEARKEN_DURABILITY", value_name = "WHEN")]
    pub durability: Option<String>,
    /// Match, fold and record, but run and send nothing
    #[arg(long)]
    pub shadow: bool,
}

/// `hearken serve`
#[derive(Debug, Arguments)]
pub(crate) struct Serve {
    /// Services, separated by commas: rules, actions, sensors, ledger, web
    #[arg(value_name = "SERVICES", value_delimiter = ',', required = true)]
    pub services: Vec<Service>,
    #[command(flatten)]
    pub nats: Nats,
    /// Watch the folders of packs and put them in force for every host
    #[arg(long)]
    pub pack_source: bool,
    /// Folder of packs, or one pack; may be given several times, the last one wins by name
    #[arg(long, value_name = "FOLDER", requires = "pack_source")]
    pub packs: Vec<PathBuf>,
    /// Address of the HTTP API, for the service web
    #[arg(long, env = "HEARKEN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Pools whose requests are run here, beside any
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub pools: Vec<String>,
    /// Match, fold and record, but run and send nothing
    #[arg(long)]
    pub shadow: bool,
}

/// A service that can run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Events in, requests out.
    Rules,
    /// Requests in, outcomes out.
    Actions,
    /// Timers.
    Sensors,
    /// Keeps the streams for ever.
    Ledger,
    /// The HTTP API.
    Web,
}

/// `hearken bus`
#[derive(Debug, Subcommand)]
pub(crate) enum Bus {
    /// Compare the server's streams with the configuration
    Status {
        #[command(flatten)]
        nats: Nats,
    },
    /// Make missing streams and change those that differ
    Apply {
        #[command(flatten)]
        nats: Nats,
        /// Also where that deletes entries
        #[arg(long)]
        yes: bool,
    },
}

/// `hearken run`
#[derive(Debug, Arguments)]
pub(crate) struct Run {
    /// The action, pack.name
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// Its parameters, name=value; values are read as the action declares them
    #[arg(value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// Do not wait for it; print its id
    #[arg(short = 'a', long = "async")]
    pub is_async: bool,
    /// Two runs with the same key are one
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// `hearken event`
#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// Publish an event
    Send {
        /// Its trigger, pack.name
        trigger: String,
        /// Its payload, a JSON object
        #[arg(default_value = "{}")]
        payload: String,
        /// Its name: two events with the same id are one
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Print messages as they come
    Tail {
        /// Subject without prefix, wildcards allowed
        #[arg(default_value = "event.>")]
        filter: String,
    },
    /// The newest events
    List {
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// Only of this trigger, pack.name
        #[arg(long)]
        trigger: Option<String>,
    },
    /// One event
    Get {
        /// Its id
        id: String,
    },
    /// Tell it once more, as a new event
    #[command(visible_alias = "re-emit")]
    Resend {
        /// Its id
        id: String,
    },
}

/// `hearken execution`
#[derive(Debug, Subcommand)]
pub(crate) enum Execution {
    /// The newest executions
    List {
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// Only in this state
        #[arg(long)]
        status: Option<String>,
        /// Only of this action
        #[arg(long)]
        action: Option<String>,
        /// Only asked for by this rule
        #[arg(long)]
        rule: Option<String>,
        /// Only caused by this event
        #[arg(long, value_name = "ID")]
        trigger_instance: Option<String>,
    },
    /// One execution, with what caused it
    Get {
        /// Its id
        id: String,
    },
    /// Print its output until it has ended
    Tail {
        /// Its id
        id: String,
    },
    /// End it before its time
    Cancel {
        /// Its id
        id: String,
    },
    /// Run it again
    #[command(visible_alias = "re-run")]
    Rerun {
        /// Its id
        id: String,
        /// Parameters to change, name=value
        #[arg(value_name = "NAME=VALUE")]
        parameters: Vec<String>,
    },
}

/// Lists of definitions.
#[derive(Debug, Subcommand)]
pub(crate) enum Listing {
    /// All that are in force
    List {
        /// Only of this pack
        #[arg(short, long)]
        pack: Option<String>,
    },
    /// One of them
    Get {
        /// Its reference, pack.name
        reference: String,
    },
}

/// `hearken rule`
#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// All that are in force
    List {
        /// Only of this pack
        #[arg(short, long)]
        pack: Option<String>,
    },
    /// One of them
    Get {
        /// Its reference, pack.name
        reference: String,
    },
    /// Would it match, and why not
    ///
    /// A rule in force and past events need a server. A rule file with an event file is judged by
    /// the server when one runs, which knows the keys of the datastore and the action, and without
    /// it else.
    ///
    /// With --batch each line of standard input has its answer, in order and without a server; a
    /// line that cannot be read is answered by {"line": N, "error": …}. Exit code: 0 when all lines
    /// could be read, 1 otherwise.
    ///
    /// Example: hearken rule test rules/large.yaml event.json
    #[command(verbatim_doc_comment)]
    Test {
        /// A rule file, or the reference of a rule in force
        #[arg(required_unless_present = "batch")]
        rule: Option<String>,
        /// A file with {"trigger": …, "payload": {…}}
        file: Option<PathBuf>,
        /// A past event
        #[arg(long, value_name = "ID", conflicts_with_all = ["file", "last"])]
        event: Option<String>,
        /// The last events of its trigger, one at least
        #[arg(long, value_name = "N", conflicts_with = "file", value_parser = at_least_one)]
        last: Option<usize>,
        /// Read lines {"rule": {…}, "event": {…}} and answer a line each
        #[arg(long, conflicts_with_all = ["rule", "file", "event", "last"])]
        batch: bool,
    },
    /// The newest matches, and what came of them
    Enforcements {
        /// Only of this rule, pack.name
        rule: Option<String>,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        /// Only of this event
        #[arg(long, value_name = "ID")]
        trigger_instance: Option<String>,
    },
    /// Switch it on, whatever its file says
    Enable {
        /// Its reference
        reference: String,
    },
    /// Switch it off, whatever its file says
    Disable {
        /// Its reference
        reference: String,
    },
}

/// `hearken log`
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Entries of a stream, newest last
    Show(LogShow),
    /// Entries as they come
    Tail {
        /// Subject without prefix, wildcards allowed
        #[arg(default_value = ">")]
        filter: String,
    },
    /// From fact to outcome: why did this happen
    Explain {
        /// Id of an event or of an execution
        id: String,
    },
    /// Check that nothing was changed or lost
    Verify,
    /// Every entry of a stream, a JSON object a line
    Export {
        /// EVENTS, LOG or STATE
        stream: String,
    },
    /// Entries, bytes and times of each stream
    Stats,
    /// Decide history again without acting, and show what differs
    Replay {
        /// Packs in the place of those of then: a folder of packs, or one pack
        #[arg(long)]
        packs: Vec<PathBuf>,
        /// From this moment on, or from so long ago (12h)
        #[arg(long)]
        since: Option<String>,
        /// Until this moment, or until so long ago
        #[arg(long)]
        until: Option<String>,
        /// Only this rule
        #[arg(long)]
        rule: Option<String>,
    },
}

/// `hearken log show`
#[derive(Debug, Arguments)]
pub(crate) struct LogShow {
    /// EVENTS, LOG, STATE or SAMPLES
    #[arg(default_value = "LOG")]
    pub stream: String,
    /// Subject without prefix, wildcards allowed
    #[arg(long, default_value = "")]
    pub subject: String,
    /// Only the entry with this id
    #[arg(long)]
    pub id: Option<String>,
    /// Only what this id caused
    #[arg(long)]
    pub cause: Option<String>,
    /// From this sequence on
    #[arg(long)]
    pub from: Option<u64>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 20)]
    pub limit: usize,
}

/// `hearken config`
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// The values in use and where they come from
    Show,
    /// Whether the configuration can be used
    Check,
    /// The default configuration, with comments
    Default,
}

/// A number of things to look at.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("nothing to look at: give 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("this is no whole number".to_owned()),
    }
}
