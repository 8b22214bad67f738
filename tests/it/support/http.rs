//! A few lines of HTTP/1.1 over a plain socket, so that a test can also say what no client would.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer: status, head (status line and fields) and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `GET path`, with a bearer token or without.
pub fn get(address: SocketAddr, path: &str, token: Option<&str>) -> io::Result<Answer> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}\r\n");
    exchange(address, head.as_bytes())
}

/// `POST path` with the given header lines (each ending in CRLF).
pub fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    exchange(address, &[head.as_bytes(), body].concat())
}

/// Sends bytes as they are and reads until the other side closes. A reset after an answer is still an answer.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    over(&mut socket, bytes)
}

/// The same over a connection that is there.
pub fn over(socket: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<Answer> {
    let sent = socket.write_all(bytes);
    let mut raw = Vec::new();
    let read = socket.read_to_end(&mut raw);
    parse(&raw).ok_or_else(|| sent.err().or(read.err()).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut body = raw[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunk(&body);
    }
    Some(Answer { status, head, body })
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..end]).trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < end + 2 + size {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    body
}
