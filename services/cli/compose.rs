//! Putting an installation together: the runtime, the log, the bus, logging.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearken_kit::Clock;
use hearken_kit::bus::{
    Bus, Credentials, Embedded, EmbeddedOptions, Nats, NatsOptions, StreamPlan,
};
use hearken_kit::router::Router;
use hearken_log::{Durability, Full, Log, Options, StreamOptions};
use hearken_proto::Stream;
use tokio::signal::unix::{SignalKind, signal};

use crate::args;
use crate::config::{Settings, parse_span};
use crate::error::{Failure, chain};

/// The largest body taken by the bus in the process: what a nats-server takes by default.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The largest size of SAMPLES: the oldest go.
const SAMPLES_BYTES_MAX: u64 = 256 << 20;

/// How often, and with which pauses, a log is tried that another process holds: two seconds.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Threads that run tasks. The work is waiting; two keep one busy service from delaying others.
const WORKERS: usize = 2;

/// A runtime for a server.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))
}

/// Runs one future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(runtime()?.block_on(future))
}

/// Waits until somebody asks this process to end: SIGTERM, or Ctrl-C. For ever where that cannot be
/// heard: the signal ends the process then.
pub(crate) async fn asked_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Log lines go to standard error: warnings, and more with `HEARKEN_LOG=debug` and the like.
pub(crate) fn log_lines() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env("HEARKEN_LOG")
        .unwrap_or_else(|_unset| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Opens the log in the data folder. With `copies` it is a ledger's copy of another bus.
pub(crate) fn open_log(settings: &Settings, data: &Path, copies: bool) -> Result<Log, Failure> {
    let streams = Stream::ALL.map(|stream| {
        let mut options = StreamOptions::new(stream.name());
        options.dedup_window = settings.bus.duplicate_window;
        options.subjects_age = settings.bus.log_age;
        options.one_per_subject = stream == Stream::State;
        if stream == Stream::Samples {
            options.age_max = Some(settings.log.samples_age);
            options.bytes_max = Some(SAMPLES_BYTES_MAX);
            options.full = Full::DropOldest;
        }
        options
    });
    let clock = Clock::System;
    let mut options = Options::new(Arc::new(move || clock.now()), streams.to_vec());
    options.durability = durability(&settings.bus.durability)?;
    let folder = data.join(if copies { "ledger" } else { "log" });
    // A process that was just killed may take a moment to let go.
    let mut opened = Log::open(&folder, options.clone());
    for _try in 0..LOCK_TRIES {
        if !matches!(opened, Err(hearken_log::Error::Locked(_))) {
            break;
        }
        std::thread::sleep(LOCK_PAUSE);
        opened = Log::open(&folder, options.clone());
    }
    opened.map_err(|error| {
        let failure = Failure::usage(format!("cannot open the log: {}", chain(&error)));
        if matches!(error, hearken_log::Error::Locked(_)) {
            return failure
                .hint("another hearken uses this data folder: stop it, or choose one with --data");
        }
        failure.at(folder.display().to_string())
    })
}

fn durability(text: &str) -> Result<Durability, Failure> {
    if text == "flush" {
        return Ok(Durability::Flush);
    }
    text.strip_prefix("interval:")
        .and_then(parse_span)
        .filter(|span| !span.is_zero() && *span <= Duration::from_secs(60))
        .map(Durability::Interval)
        .ok_or_else(|| {
            Failure::usage(format!("{text:?} is no durability"))
                .hint("write flush, or interval:100ms")
        })
}

/// The bus in this process.
pub(crate) fn embedded(settings: &Settings, log: Log, data: &Path) -> Result<Embedded, Failure> {
    let options = EmbeddedOptions {
        prefix: settings.bus.prefix.clone(),
        data: data.to_owned(),
        payload_max: PAYLOAD_BYTES_MAX,
    };
    Ok(Embedded::new(log, Router::default(), options)?)
}

/// The bus on a NATS server.
pub(crate) async fn nats(settings: &Settings, nats: &args::Nats) -> Result<Bus, Failure> {
    Ok(Bus::Nats(Nats::connect(nats_options(settings, nats)).await?))
}

/// What the server is told about us, and how streams should be.
pub(crate) fn nats_options(settings: &Settings, nats: &args::Nats) -> NatsOptions {
    let (servers, user) = without_user(&settings.bus.nats);
    let credentials = Credentials {
        creds_file: nats.creds.clone(),
        nkey_file: nats.nkey.clone(),
        token: nats.nats_token.clone(),
        user,
        ca_file: nats.nats_ca.clone(),
        certificate: nats.nats_cert.clone().zip(nats.nats_key.clone()),
        tls: nats.nats_tls || nats.nats_ca.is_some(),
    };
    NatsOptions {
        prefix: settings.bus.prefix.clone(),
        servers,
        credentials,
        plan: StreamPlan {
            replicas: settings.bus.replicas,
            events_age: settings.bus.events_age,
            log_age: settings.bus.log_age,
            bytes_max: i64::try_from(settings.bus.bytes_max).unwrap_or(i64::MAX),
            duplicate_window: settings.bus.duplicate_window,
            ..StreamPlan::default()
        },
    }
}

/// Addresses without `user:password@`, and the first of those.
fn without_user(servers: &str) -> (String, Option<(String, String)>) {
    let mut user = None;
    let addresses: Vec<String> = servers
        .split(',')
        .map(|server| {
            let (scheme, rest) = server.split_once("://").unwrap_or(("nats", server));
            let (info, host) = rest.rsplit_once('@').unwrap_or(("", rest));
            if let Some((name, password)) = info.split_once(':') {
                user.get_or_insert((name.to_owned(), password.to_owned()));
            }
            format!("{}://{}", scheme.trim(), host.trim())
        })
        .collect();
    (addresses.join(","), user)
}

/// The name of this host.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
