//! Bodies of requests: read whole, within a size and a time, before anything is done.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::fault::Fault;
use crate::seat::Seat;

/// The largest body of our own API: a message of the bus takes 1 MiB, JSON may be a little longer.
pub(crate) const API_BYTES_MAX: usize = 2 << 20;
/// The largest body of a webhook: what comes of it has to fit into one message of the bus.
pub(crate) const WEBHOOK_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// The whole body of `request`. From here on its connection is at work.
pub(crate) async fn whole(request: Request, bytes_max: usize) -> Result<(Request, Bytes), Fault> {
    let (mut parts, body) = request.into_parts();
    let large = || {
        let reason = format!("the body is larger than {bytes_max} bytes");
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
            .hint("put large content elsewhere and send where it is")
    };
    if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > bytes_max) {
        return Err(large());
    }
    let read = tokio::time::timeout(WAIT, axum::body::to_bytes(body, bytes_max)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let error = error.into_inner();
            let is_large = error.source().is_some_and(|cause| cause.to_string().contains("limit"))
                || error.to_string().contains("limit");
            if is_large {
                return Err(large());
            }
            return Err(Fault::bad(format!("the body cannot be read: {error}")));
        }
        Err(_late) => {
            let reason = format!("the body was not there after {} s", WAIT.as_secs());
            return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, reason));
        }
    };
    if let Some(seat) = parts.extensions.remove::<Seat>()
        && !seat.work()
    {
        return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections"));
    }
    Ok((Request::from_parts(parts, Body::empty()), bytes))
}

/// Reads the body before the handler runs.
pub(crate) async fn first(request: Request, next: Next) -> Result<Response, Fault> {
    let (request, bytes) = whole(request, API_BYTES_MAX).await?;
    let (parts, _empty) = request.into_parts();
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(body: Body, expected: Result<usize, &str>) {
        let read = whole(Request::new(body), 10).await.map(|(_, bytes)| bytes.len());
        assert_eq!(read.map_err(|fault| fault.reason), expected.map_err(ToOwned::to_owned));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_a_size_and_a_time() {
        let large = Err("the body is larger than 10 bytes");
        check(Body::from("0123456789"), Ok(10)).await;
        check(Body::from("0123456789a"), large).await;
        // A length that nobody announced.
        let parts = ["01234", "56789", "a"].map(|part| Ok::<_, Infallible>(Bytes::from(part)));
        check(Body::from_stream(futures_util::stream::iter(parts)), large).await;
        let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        check(Body::from_stream(never), Err("the body was not there after 30 s")).await;
    }

    use std::convert::Infallible;
}
