//! The streams an installation needs on a server: made when missing, otherwise only compared.
//!
//! Only `hearken bus apply` changes a stream that exists, because a smaller limit deletes entries.

use std::time::Duration;

use async_nats::jetstream::context::{Context, GetStreamErrorKind, ObjectStoreErrorKind};
use async_nats::jetstream::object_store::{self, ObjectStore};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use hearken_proto::Stream;
use serde::Serialize;

use super::{Error, NatsOptions, chain};

/// A stream of the server, without its cached state.
pub(super) type Handle = async_nats::jetstream::stream::Stream<()>;

/// How missing streams are made, and what existing ones are compared with.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Copies kept by a cluster: 1, 3 or 5.
    pub replicas: usize,
    /// How long facts are kept.
    pub events_age: Duration,
    /// How long requests and transitions are kept.
    pub log_age: Duration,
    /// The largest size of EVENTS and of LOG, in bytes each.
    pub bytes_max: i64,
    /// The largest size of SAMPLES, in bytes.
    pub samples_bytes_max: i64,
    /// How long the server remembers message ids.
    pub duplicate_window: Duration,
}

impl Default for StreamPlan {
    fn default() -> Self {
        Self {
            replicas: 1,
            events_age: Duration::from_secs(72 * 3600),
            log_age: Duration::from_secs(72 * 3600),
            bytes_max: 8 << 30,
            samples_bytes_max: 256 << 20,
            duplicate_window: Duration::from_secs(120),
        }
    }
}

/// One difference between a stream as it is and as it is wanted.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the stream on the server.
    pub stream: String,
    /// What differs: `missing`, or the name of a setting.
    pub setting: String,
    /// As it is.
    pub is: String,
    /// As it is wanted.
    pub wanted: String,
    /// Whether taking over the wanted value deletes entries.
    pub shrinks: bool,
    /// Whether it was changed now.
    pub applied: bool,
}

/// The streams of one installation.
#[derive(Debug)]
pub(super) struct Handles {
    events: Handle,
    log: Handle,
    state: Handle,
    samples: Handle,
}

impl Handles {
    /// The server's stream for `stream`.
    pub(super) const fn of(&self, stream: Stream) -> &Handle {
        match stream {
            Stream::Events => &self.events,
            Stream::Log => &self.log,
            Stream::State => &self.state,
            Stream::Samples => &self.samples,
        }
    }
}

fn wanted(stream: Stream, options: &NatsOptions) -> Config {
    let plan = &options.plan;
    let common = Config {
        name: stream.under(&options.prefix),
        subjects: stream
            .families()
            .iter()
            .map(|family| format!("{}.{family}", options.prefix))
            .collect(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: plan.replicas,
        duplicate_window: plan.duplicate_window,
        discard: DiscardPolicy::New,
        allow_direct: true,
        max_bytes: plan.bytes_max,
        ..Config::default()
    };
    match stream {
        Stream::Events => Config { max_age: plan.events_age, ..common },
        Stream::Log => Config { max_age: plan.log_age, ..common },
        Stream::State => Config { max_messages_per_subject: 1, max_bytes: -1, ..common },
        Stream::Samples => Config {
            discard: DiscardPolicy::Old,
            max_bytes: plan.samples_bytes_max,
            max_age: plan.log_age,
            ..common
        },
    }
}

/// Opens the streams; makes those that are missing.
pub(super) async fn ensure(context: &Context, options: &NatsOptions) -> Result<Handles, Error> {
    Ok(Handles {
        events: ensure_one(context, wanted(Stream::Events, options)).await?,
        log: ensure_one(context, wanted(Stream::Log, options)).await?,
        state: ensure_one(context, wanted(Stream::State, options)).await?,
        samples: ensure_one(context, wanted(Stream::Samples, options)).await?,
    })
}

async fn ensure_one(context: &Context, config: Config) -> Result<Handle, Error> {
    let name = config.name.clone();
    if exists(context, &name).await?.is_none() {
        // Two hosts may start at the same moment: the loser finds the winner's stream.
        if let Err(error) = context.create_stream(config).await
            && exists(context, &name).await?.is_none()
        {
            return Err(Error::Configuration(format!("cannot make {name}: {}", chain(&error))));
        }
    }
    context
        .get_stream_no_info(&name)
        .await
        .map_err(|error| Error::Unreachable(format!("{name}: {}", chain(&error))))
}

async fn exists(context: &Context, name: &str) -> Result<Option<Config>, Error> {
    use async_nats::jetstream::ErrorCode;
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(inner)
                if inner.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(inner)
                if inner.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED =>
            {
                Err(Error::Configuration(
                    "JetStream is off on this server; start it with -js".to_owned(),
                ))
            }
            GetStreamErrorKind::JetStream(_)
            | GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::InvalidStreamName
            | GetStreamErrorKind::Request => {
                Err(Error::Unreachable(format!("stream {name}: {}", chain(&error))))
            }
        },
    }
}

/// Opens the object store for blobs; makes it when missing.
pub(super) async fn ensure_blobs(
    context: &Context,
    options: &NatsOptions,
) -> Result<ObjectStore, Error> {
    let bucket = format!("{}-blobs", options.prefix.replace('.', "_"));
    match context.get_object_store(&bucket).await {
        Ok(store) => return Ok(store),
        Err(error) if error.kind() == ObjectStoreErrorKind::GetStore => {}
        Err(error) => return Err(Error::Unreachable(chain(&error))),
    }
    let config = object_store::Config {
        bucket: bucket.clone(),
        num_replicas: options.plan.replicas,
        ..object_store::Config::default()
    };
    match context.create_object_store(config).await {
        Ok(store) => Ok(store),
        Err(error) => context.get_object_store(&bucket).await.map_err(|_missing| {
            Error::Configuration(format!("cannot make {bucket}: {}", chain(&error)))
        }),
    }
}

/// Compares every stream with the plan; with `apply`, makes and changes them.
pub(super) async fn compare(
    context: &Context,
    options: &NatsOptions,
    apply: bool,
) -> Result<Vec<Comparison>, Error> {
    let mut found = Vec::new();
    for stream in Stream::ALL {
        let wanted = wanted(stream, options);
        let Some(is) = exists(context, &wanted.name).await? else {
            found.push(missing(&wanted.name, apply));
            if apply {
                drop(ensure_one(context, wanted).await?);
            }
            continue;
        };
        let mut differences = differences(&is, &wanted);
        if apply && !differences.is_empty() {
            let changed = Config {
                max_age: wanted.max_age,
                max_bytes: wanted.max_bytes,
                num_replicas: wanted.num_replicas,
                duplicate_window: wanted.duplicate_window,
                ..is
            };
            context.update_stream(changed).await.map_err(|error| {
                Error::Configuration(format!("cannot change {}: {}", wanted.name, chain(&error)))
            })?;
            for difference in &mut differences {
                difference.applied = true;
            }
        }
        found.extend(differences);
    }
    Ok(found)
}

fn missing(stream: &str, applied: bool) -> Comparison {
    Comparison {
        stream: stream.to_owned(),
        setting: "missing".to_owned(),
        is: "not there".to_owned(),
        wanted: "there".to_owned(),
        shrinks: false,
        applied,
    }
}

fn differences(is: &Config, wanted: &Config) -> Vec<Comparison> {
    let row = |setting: &str, a: String, b: String, shrinks: bool| {
        (a != b).then(|| Comparison {
            stream: wanted.name.clone(),
            setting: setting.to_owned(),
            is: a,
            wanted: b,
            shrinks,
            applied: false,
        })
    };
    let seconds = |age: Duration| format!("{}s", age.as_secs_f64());
    let smaller = |is: i64, wanted: i64| wanted > 0 && (is <= 0 || wanted < is);
    let shorter =
        |is: Duration, wanted: Duration| !wanted.is_zero() && (is.is_zero() || wanted < is);
    [
        row(
            "max_age",
            seconds(is.max_age),
            seconds(wanted.max_age),
            shorter(is.max_age, wanted.max_age),
        ),
        row(
            "max_bytes",
            is.max_bytes.to_string(),
            wanted.max_bytes.to_string(),
            smaller(is.max_bytes, wanted.max_bytes),
        ),
        row("replicas", is.num_replicas.to_string(), wanted.num_replicas.to_string(), false),
        row(
            "duplicate_window",
            seconds(is.duplicate_window),
            seconds(wanted.duplicate_window),
            false,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
