//! How a connection begins: what the listener says of itself, and what the client says.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hearken_proto::permission::Identity;
use serde::{Deserialize, Serialize};

/// The release of nats-server whose protocol this is; clients look at it to know what they can
/// use.
const COMPATIBLE_VERSION: &str = "2.9.10";
/// Name of this server towards clients.
const SERVER_NAME: &str = "hearken";
/// Version of the client protocol: one, which knows of later `INFO` lines.
const PROTOCOL: i64 = 1;

/// `INFO`: the first line of every connection.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Info {
    /// This run of the listener.
    pub(super) server_id: String,
    server_name: &'static str,
    version: &'static str,
    proto: i64,
    /// Where it listens.
    pub(super) host: String,
    /// The port it listens on.
    pub(super) port: u16,
    headers: bool,
    /// The largest body.
    pub(super) max_payload: usize,
    jetstream: bool,
    /// Whether there is a token. Clients send theirs only when it says so, and those that have
    /// none connect anyway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) auth_required: bool,
    /// The number of this connection.
    pub(super) client_id: u64,
    /// Where the client comes from.
    pub(super) client_ip: String,
}

impl Info {
    /// What is the same for every connection.
    pub(super) fn new(server_id: String, local: SocketAddr) -> Self {
        Self {
            server_id,
            server_name: SERVER_NAME,
            version: COMPATIBLE_VERSION,
            proto: PROTOCOL,
            host: local.ip().to_string(),
            port: local.port(),
            headers: true,
            max_payload: 0,
            jetstream: false,
            auth_required: false,
            client_id: 0,
            client_ip: String::new(),
        }
    }

    /// The line for one connection.
    pub(super) fn line(&self, client_id: u64, client: IpAddr) -> Bytes {
        let info = Self { client_id, client_ip: client.to_string(), ..self.clone() };
        let mut line = b"INFO ".to_vec();
        // Text, numbers and truths only: there is nothing that JSON cannot say.
        line.extend(serde_json::to_vec(&info).unwrap_or_default());
        line.extend(b" \r\n");
        Bytes::from(line)
    }
}

/// `CONNECT`: what a client wants. Absent fields have nats-server's defaults.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Connect {
    verbose: Option<bool>,
    pedantic: Option<bool>,
    echo: Option<bool>,
    headers: Option<bool>,
    no_responders: Option<bool>,
    protocol: Option<i64>,
    auth_token: Option<String>,
    user: Option<String>,
    pass: Option<String>,
    jwt: Option<String>,
    nkey: Option<String>,
}

/// Why a `CONNECT` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// It is not JSON, or a field has the wrong type.
    Malformed,
    /// A protocol version that does not exist.
    Protocol,
    /// It wants to hear of missing responders and cannot read the headers that say so.
    NoResponders,
    /// Wrong credentials, or none where some are needed.
    Credentials,
}

impl ConnectError {
    /// What the client is told.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "Parser Error",
            Self::Protocol => "invalid client protocol",
            Self::NoResponders => "no responders requires headers support",
            Self::Credentials => "Authorization Violation",
        }
    }
}

impl Connect {
    /// Reads the argument of `CONNECT`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, ConnectError> {
        let connect: Self = serde_json::from_slice(json).map_err(|_| ConnectError::Malformed)?;
        if !(0..=PROTOCOL).contains(&connect.protocol.unwrap_or(0)) {
            return Err(ConnectError::Protocol);
        }
        if connect.wants_no_responders() && !connect.reads_headers() {
            return Err(ConnectError::NoResponders);
        }
        Ok(connect)
    }

    /// Whether every operation is answered with `+OK`: yes, unless the client says no.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose.unwrap_or(true)
    }

    /// Whether a subject that is none is told in the words of the protocol.
    pub(super) fn is_pedantic(&self) -> bool {
        self.pedantic.unwrap_or(true)
    }

    /// Whether the client wants to hear its own messages.
    pub(super) fn hears_itself(&self) -> bool {
        self.echo.unwrap_or(true)
    }

    /// Whether it reads and writes headers.
    pub(super) fn reads_headers(&self) -> bool {
        self.headers.unwrap_or(false)
    }

    /// Whether it wants to hear that nobody answers.
    pub(super) fn wants_no_responders(&self) -> bool {
        self.no_responders.unwrap_or(false)
    }

    /// Who the client is. Wrong credentials are an error even where none would have been enough:
    /// somebody who says who they are wants to be believed.
    pub(super) fn identify(&self, token: &str, peer: IpAddr) -> Result<Identity, ConnectError> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        // A URL with one word before the host gives it as token in one client, as user in another.
        let claimed =
            given(&self.auth_token).or_else(|| given(&self.pass)).or_else(|| given(&self.user));
        match claimed {
            Some(claimed) if is_token(&claimed, token) => Ok(Identity::Token),
            Some(_) => Err(ConnectError::Credentials),
            None if given(&self.jwt).is_some() || given(&self.nkey).is_some() => {
                Err(ConnectError::Credentials)
            }
            None => match without_credentials(peer) {
                Identity::Remote => Err(ConnectError::Credentials),
                identity @ (Identity::Anonymous | Identity::Token | Identity::Service) => {
                    Ok(identity)
                }
            },
        }
    }
}

/// Who a client is that has said nothing of itself.
pub(super) fn without_credentials(peer: IpAddr) -> Identity {
    if peer.to_canonical().is_loopback() { Identity::Anonymous } else { Identity::Remote }
}

/// Compares digests, in constant time: neither length nor content of the token shows in how long
/// it takes. An installation without a token has nobody who holds it.
fn is_token(claimed: &str, token: &str) -> bool {
    !token.is_empty() && blake3::hash(claimed.as_bytes()) == blake3::hash(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(json: &str, peer: &str) -> Result<Identity, ConnectError> {
        Connect::parse(json.as_bytes())?.identify("secret", peer.parse().unwrap())
    }

    #[test]
    fn credentials() {
        let (here, there) = ("127.0.0.1", "192.0.2.1");
        let wrong = Err(ConnectError::Credentials);
        let rows = [
            ("{}", here, Ok(Identity::Anonymous)),
            ("{}", "::1", Ok(Identity::Anonymous)),
            ("{}", "::ffff:127.0.0.1", Ok(Identity::Anonymous)),
            ("{}", there, wrong),
            (r#"{"auth_token":"","user":null,"jwt":""}"#, here, Ok(Identity::Anonymous)),
            (r#"{"auth_token":"secret"}"#, there, Ok(Identity::Token)),
            (r#"{"user":"anybody","pass":"secret"}"#, there, Ok(Identity::Token)),
            (r#"{"user":"secret"}"#, there, Ok(Identity::Token)),
            (r#"{"auth_token":"secre"}"#, here, wrong),
            (r#"{"user":"secret","pass":"x"}"#, here, wrong),
            (r#"{"nkey":"UA","sig":"x"}"#, here, wrong),
            (r#"{"jwt":"ey"}"#, here, wrong),
        ];
        for (json, peer, expected) in rows {
            assert_eq!(identify(json, peer), expected, "{json} from {peer}");
        }
    }

    #[test]
    fn without_a_token_nobody_holds_it() {
        let connect = Connect::parse(br#"{"user":"","pass":"x"}"#).unwrap();
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(connect.identify("", peer), Err(ConnectError::Credentials));
        assert!(!is_token("", ""));
    }

    #[test]
    fn options_have_the_defaults_of_nats_server() {
        let connect = Connect::parse(b"{}").unwrap();
        assert!(connect.is_verbose() && connect.is_pedantic() && connect.hears_itself());
        assert!(!connect.reads_headers() && !connect.wants_no_responders());
        let rows = [
            ("", ConnectError::Malformed),
            ("{", ConnectError::Malformed),
            (r#"{"verbose":"yes"}"#, ConnectError::Malformed),
            (r#"{"protocol":2}"#, ConnectError::Protocol),
            (r#"{"no_responders":true}"#, ConnectError::NoResponders),
        ];
        for (json, error) in rows {
            assert_eq!(Connect::parse(json.as_bytes()).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn info_says_what_clients_look_for() {
        let local = "127.0.0.1:4222".parse().unwrap();
        let mut info = Info::new("ID".into(), local);
        info.max_payload = 1_048_576;
        info.auth_required = true;
        assert_eq!(
            info.line(3, local.ip()),
            "INFO {\"server_id\":\"ID\",\"server_name\":\"hearken\",\"version\":\"2.9.10\",\
             \"proto\":1,\"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\
             \"max_payload\":1048576,\"jetstream\":false,\"auth_required\":true,\
             \"client_id\":3,\"client_ip\":\"127.0.0.1\"} \r\n"
        );
    }
}
