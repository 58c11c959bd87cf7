//! The `hearken` command: verbs, output, exit codes.
//!
//! `up` and `serve` put the services together; every other verb talks to a running server over
//! HTTP, or needs none. Nothing is decided here: this is where text comes in and goes out.

mod args;
mod client;
mod commands;
mod compose;
mod config;
mod data;
mod error;
mod output;
mod past;
mod replay;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Verb};
use error::{EXIT_BUG, Failure};
use output::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.output);
    // A panic is a bug of ours and says so by its exit code; its text is on standard error already.
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(args, &output)));
    match ran {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(failure)) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
        Err(_panic) => ExitCode::from(EXIT_BUG),
    }
}

fn run(args: Args, output: &Output) -> Result<u8, Failure> {
    let context = commands::Context::new(&args, output);
    match args.verb {
        Verb::Up(up) => serve::up(&context, up),
        Verb::Serve(serve) => serve::serve(&context, serve),
        Verb::Bus(bus) => commands::bus::run(&context, bus),
        Verb::Run(run) => commands::run::run(&context, run),
        Verb::Event(event) => commands::event::run(&context, event),
        Verb::Execution(execution) => commands::execution::run(&context, execution),
        Verb::Inquiry(inquiry) => commands::inquiry::run(&context, inquiry),
        Verb::Action(listing) => commands::definition::actions(&context, listing),
        Verb::Rule(rule) => commands::rule::run(&context, rule),
        Verb::Trigger(listing) => commands::definition::triggers(&context, listing),
        Verb::Sensor(listing) => commands::definition::sensors(&context, listing),
        Verb::Pack(pack) => commands::pack::run(&context, pack),
        Verb::Kv(kv) => commands::kv::run(&context, kv),
        Verb::Collect(collect) => commands::collect::run(&context, collect),
        Verb::Log(log) => commands::log::run(&context, log),
        Verb::Config(config) => commands::config::run(&context, config),
        Verb::Doctor => commands::doctor::run(&context),
        Verb::Completion { shell } => commands::completion(shell, output),
    }
}
