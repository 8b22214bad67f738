//! What stands between a socket and AS2: the second look at the head of each request, and whom it comes from.
//!
//! Two files of the server's HTTP stand here themselves. One names the bodies of hyper, of which nothing is read here.
//!
//! What must hold: a head that hyper's reader (httparse) takes for one request is ambiguous exactly when fields of framing occur in
//! it more than once, in however small pieces it comes; who is not one of the trusted proxies is who it is, whatever it says; of what
//! those say nothing counts but the last stranger, and nothing that was said before can change who that is.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Waker};
use std::time::Duration;

use dxgate::ground::network::Network;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use body::RequestBody;
use connection::Watched;
use exchange::Exchange;

#[allow(dead_code, reason = "its other half is for sockets")]
#[path = "../../src/http/connection.rs"]
mod connection;
#[allow(dead_code, reason = "its other half is for answers")]
#[path = "../../src/http/exchange.rs"]
mod exchange;

/// Stand for the bodies of the server.
mod body {
    #[derive(Debug)]
    pub struct RequestBody;

    #[derive(Debug)]
    pub struct SendBody;

    impl SendBody {
        pub fn empty() -> SendBody {
            SendBody
        }
    }

    impl From<Vec<u8>> for SendBody {
        fn from(_: Vec<u8>) -> SendBody {
            SendBody
        }
    }
}

/// Bytes from a connection, a head in front. Lines `X-Forwarded-For: …` are what is said about the client, head or not.
pub(super) fn request_head(data: &[u8]) {
    let data = data.get(..4 * LONGEST).unwrap_or(data);
    let whole = is_ambiguous(data, 4 * LONGEST);
    for piece in [1, 7] {
        assert_eq!(is_ambiguous(data, piece), whole, "in pieces of {piece}");
    }
    // Otherwise hyper refuses it, or waits for more of it.
    if let Some(framings) = framings(data) {
        assert_eq!(whole, framings > 1, "{framings} fields of framing");
    }
    client_address(data);
}

/// What the second look says when the bytes come in pieces of this length.
fn is_ambiguous(data: &[u8], piece: usize) -> bool {
    let _guard = RUNTIME.enter();
    let mut context = Context::from_waker(Waker::noop());
    let mut connection = Watched::new(data, Duration::ZERO, LONGEST);
    let framing = connection.framing();
    let mut buffer = vec![0; piece];
    loop {
        let mut read = ReadBuf::new(&mut buffer);
        assert!(Pin::new(&mut connection).poll_read(&mut context, &mut read).is_ready(), "it is in memory");
        if read.filled().is_empty() {
            return framing.is_ambiguous();
        }
    }
}

/// How many fields say where the body ends, in the head that hyper finds. `None`: it finds none.
fn framings(data: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let found = match request.parse(data).ok()? {
        httparse::Status::Complete(len) if len <= LONGEST => request,
        _ => return None,
    };
    // hyper refuses a target like this, which our look takes for a field where a method is called like one.
    if found.path?.starts_with(':') {
        return None;
    }
    let of_framing =
        |name: &str| ["content-length", "transfer-encoding"].iter().any(|one| name.eq_ignore_ascii_case(one));
    Some(found.headers.iter().filter(|field| of_framing(field.name)).count())
}

/// Bytes and fields of one head, as the server has them, but for fewer bytes: a run shall reach the limit.
const LONGEST: usize = 4 * 1024;
const MOST_FIELDS: usize = 128;

/// Timers want one; nothing runs in it.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

fn client_address(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"X-Forwarded-For:"));
    let said: Vec<HeaderValue> =
        lines.filter_map(|said| HeaderValue::from_bytes(said.trim_ascii()).ok()).take(64).collect();
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "2001:db8::/32"].iter().map(|text| text.parse().expect("a network")).collect();
    for stranger in ["203.0.113.7", "2001:db9::7"] {
        assert_eq!(client(stranger, &said, &trusted), Some(address(stranger)));
    }
    assert_eq!(client("127.0.0.1", &said, &trusted), None, "a proxy that nobody named may stand here");
    for proxy in ["10.0.0.5", "::ffff:10.0.0.5", "2001:db8::5"] {
        let Some(found) = client(proxy, &said, &trusted) else { continue };
        assert!(!found.is_loopback() && found == found.to_canonical(), "{found}");
        assert!(!trusted.iter().any(|network| network.contains(found)), "{found} is a proxy");
        let mut before = vec![HeaderValue::from_static("198.51.100.99, unknown, 10.0.0.7")];
        before.extend(said.iter().cloned());
        assert_eq!(client(proxy, &before, &trusted), Some(found), "what the client made up");
    }
}

fn client(peer: &str, said: &[HeaderValue], trusted: &[Network]) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    for value in said {
        headers.append(HeaderName::from_static("x-forwarded-for"), value.clone());
    }
    let exchange = Exchange {
        method: Method::POST,
        uri: Uri::from_static("/"),
        headers,
        body: RequestBody,
        peer: SocketAddr::new(address(peer), 4080),
        client: None,
        client_required: false,
    };
    exchange.client_address(trusted)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
