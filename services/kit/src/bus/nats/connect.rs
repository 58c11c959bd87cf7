//! Connecting to a NATS server: addresses, credentials, TLS, reconnecting for ever.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Error, REQUEST_WAIT, StreamPlan, chain};

/// Publishes that may wait for their acknowledgement at a time. Whoever sends without waiting has
/// to stay well below it: only waiting makes room.
const UNACKNOWLEDGED_MAX: usize = 4096;
/// The longest pause between two attempts to reconnect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(4);

/// Who we are to the server.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// A `.creds` file: user JWT and seed.
    pub creds_file: Option<PathBuf>,
    /// A file with an nkey seed.
    pub nkey_file: Option<PathBuf>,
    /// A token.
    pub token: Option<String>,
    /// User and password.
    pub user: Option<(String, String)>,
    /// Certificates of the authority to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and key, PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the connection must be encrypted.
    pub tls: bool,
}

/// Where the server is and how its streams should be.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Prefix of all subjects and streams.
    pub prefix: String,
    /// Addresses, `nats://host:4222`, separated by commas.
    pub servers: String,
    /// Who we are.
    pub credentials: Credentials,
    /// How missing streams are made.
    pub plan: StreamPlan,
}

/// Counts connections to the server: a pull that was made on an earlier one is answered by nobody.
pub(super) type Connections = watch::Receiver<u64>;

/// Connects once; later losses are mended in the background.
pub(super) async fn connect(options: &NatsOptions) -> Result<(Client, Connections), Error> {
    let servers: Vec<&str> = options.servers.split(',').map(str::trim).collect();
    let addresses = servers
        .iter()
        .map(|server| server.parse::<async_nats::ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Configuration(format!("{:?}: {error}", options.servers)))?;
    let (told, connections) = watch::channel(0);
    let connect = with_credentials(&options.credentials).await?.event_callback(move |event| {
        if matches!(event, Event::Connected) {
            told.send_modify(|count| *count += 1);
        }
        async move { tell(&event) }
    });
    let client = connect.connect(addresses).await.map_err(|error| {
        let text = format!("{}: {}", options.servers, chain(&error));
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                Error::Denied(text)
            }
            ConnectErrorKind::ServerParse | ConnectErrorKind::Tls => Error::Configuration(text),
            ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => Error::Unreachable(text),
        }
    })?;
    Ok((client, connections))
}

/// JetStream over a connection, with our bounds.
pub(super) fn context(client: Client) -> Context {
    ContextBuilder::new()
        .timeout(REQUEST_WAIT)
        .ack_timeout(REQUEST_WAIT)
        .max_ack_inflight(UNACKNOWLEDGED_MAX)
        .backpressure_on_inflight(true)
        .build(client)
}

async fn with_credentials(credentials: &Credentials) -> Result<ConnectOptions, Error> {
    let mut connect = ConnectOptions::new()
        .name("hearken")
        .connection_timeout(REQUEST_WAIT)
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempt| {
            let step = u32::try_from(attempt.min(6)).unwrap_or(6);
            (Duration::from_millis(50) * 2_u32.pow(step)).min(RECONNECT_PAUSE_MAX)
        });
    if let Some(file) = &credentials.creds_file {
        connect = connect
            .credentials_file(file)
            .await
            .map_err(|source| unreadable("credentials", file, source))?;
    }
    if let Some(file) = &credentials.nkey_file {
        let seed = tokio::fs::read_to_string(file)
            .await
            .map_err(|source| unreadable("nkey seed", file, source))?;
        connect = connect.nkey(seed.trim().to_owned());
    }
    if let Some(token) = &credentials.token {
        connect = connect.token(token.clone());
    }
    if let Some((user, password)) = &credentials.user {
        connect = connect.user_and_password(user.clone(), password.clone());
    }
    if let Some(file) = &credentials.ca_file {
        connect = connect.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &credentials.certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect.require_tls(credentials.tls))
}

fn unreadable(what: &str, file: &std::path::Path, source: std::io::Error) -> Error {
    Error::Storage { action: format!("read the {what} {}", file.display()), source }
}

fn tell(event: &Event) {
    match event {
        Event::Connected => info!("connected to the NATS server"),
        Event::Disconnected => warn!("connection to the NATS server lost, reconnecting"),
        Event::LameDuckMode
        | Event::Draining
        | Event::Closed
        | Event::SlowConsumer(_)
        | Event::ServerError(_)
        | Event::ClientError(_) => warn!(%event, "the NATS connection reports"),
    }
}
