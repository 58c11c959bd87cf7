//! Addresses: taken early, opened late.
//!
//! A socket is bound before anything is started, so that a taken port is an early error, and
//! listens only when everything behind it is ready, so that "accepts" means "ready".

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use crate::error::Failure;

/// Ports tried after the default one.
const TRIES: u16 = 100;
/// How often, and with which pauses, an address that is taken is tried again: one second.
const BUSY_TRIES: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A bound address that does not listen yet.
#[derive(Debug)]
pub(super) struct Door {
    socket: TcpSocket,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The default port, when that was taken.
    pub instead_of: Option<u16>,
}

impl Door {
    /// Binds `given`, or the default port or the next free one when nothing was given.
    pub(super) fn bind(
        what: &str,
        given: Option<&str>,
        default: SocketAddr,
    ) -> Result<Self, Failure> {
        if let Some(given) = given {
            return Self::explicit(what, given);
        }
        for port in default.port()..=default.port().saturating_add(TRIES) {
            let address = SocketAddr::new(default.ip(), port);
            match bind(address) {
                Ok((socket, address)) => {
                    let instead_of = (port != default.port()).then_some(default.port());
                    return Ok(Self { socket, address, instead_of });
                }
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(cannot(what, &address.to_string(), &error)),
            }
        }
        Err(Failure::usage(format!("no free port for {what} from {default} on")))
    }

    fn explicit(what: &str, given: &str) -> Result<Self, Failure> {
        // A bare port means this machine alone.
        let text =
            if given.contains(':') { given.to_owned() } else { format!("127.0.0.1:{given}") };
        let mut found = text.to_socket_addrs().map_err(|error| cannot(what, given, &error))?;
        let address = found.next().ok_or_else(|| {
            Failure::usage(format!("{given:?} is no address to listen on for {what}"))
        })?;
        let (socket, address) = patiently(address).map_err(|error| {
            let failure = cannot(what, given, &error);
            if error.kind() == ErrorKind::AddrInUse {
                return failure.hint("somebody listens there already: choose another port");
            }
            failure
        })?;
        Ok(Self { socket, address, instead_of: None })
    }

    /// Listens from now on.
    pub(super) fn open(self) -> Result<TcpListener, Failure> {
        let address = self.address.to_string();
        self.socket.listen(BACKLOG).map_err(|error| cannot("clients", &address, &error))
    }
}

/// Binds; a process that was just killed, or a child it was starting, may take a moment to let go.
fn patiently(address: SocketAddr) -> std::io::Result<(TcpSocket, SocketAddr)> {
    for _try in 0..BUSY_TRIES {
        match bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => std::thread::sleep(BUSY_PAUSE),
            done => return done,
        }
    }
    bind(address)
}

/// With SO_REUSEADDR a port in TIME_WAIT can be bound again; one that somebody listens on cannot.
fn bind(address: SocketAddr) -> std::io::Result<(TcpSocket, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn cannot(what: &str, given: &str, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot listen on {given} for {what}: {error}"))
}
