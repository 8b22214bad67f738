//! An HTTP server that answers as a test tells it and keeps what it was sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dxgate::ground::limits::Limits;
use dxgate::mime::Headers;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Posted {
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Posted {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing in {:?}", self.headers))
    }
}

/// What to answer to the request with this number, from 0; `None` closes the connection without a word.
type Script = Box<dyn FnMut(usize, &Posted) -> Option<Vec<u8>> + Send>;

/// A running server; it ends when dropped.
pub struct Scripted {
    pub address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    stop: Arc<AtomicBool>,
}

impl Scripted {
    pub fn start(script: impl FnMut(usize, &Posted) -> Option<Vec<u8>> + Send + 'static) -> Scripted {
        Scripted::start_at(0, script)
    }

    /// On this port of the loopback address.
    pub fn start_at(port: u16, script: impl FnMut(usize, &Posted) -> Option<Vec<u8>> + Send + 'static) -> Scripted {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let (posted, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (kept, stopped) = (posted.clone(), stop.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (script, kept) = (script.clone(), kept.clone());
                std::thread::spawn(move || {
                    // A peer that goes away in the middle is part of some tests.
                    let _ = socket.and_then(|socket| serve(socket, &script, &kept));
                });
            }
        });
        Scripted { address, posted, stop }
    }

    pub fn url(&self) -> String {
        format!("http://{}/as2", self.address)
    }

    /// What arrived so far, in order.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(socket: TcpStream, script: &Mutex<Script>, kept: &Mutex<Vec<Posted>>) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let posted = read(&socket)?;
    // One lock for both: numbers and order agree.
    let mut script = script.lock().unwrap();
    let number = kept.lock().unwrap().len();
    kept.lock().unwrap().push(posted.clone());
    let answer = script(number, &posted);
    drop(script);
    match answer {
        Some(answer) => (&socket).write_all(&answer),
        None => socket.shutdown(std::net::Shutdown::Both),
    }
}

fn read(socket: &TcpStream) -> io::Result<Posted> {
    let (_, block, body) = request(socket)?;
    let headers = Headers::parse(&block, &Limits::default()).map_err(io::Error::other)?;
    Ok(Posted { headers, body })
}

/// A whole request as it travelled.
pub fn raw_request(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let (line, block, body) = request(socket)?;
    Ok([line.as_slice(), &block, b"\r\n", &body].concat())
}

/// The first request in what a connection carried, if it is whole.
pub fn first_request(carried: &[u8]) -> Option<Vec<u8>> {
    let (line, block, body) = request(carried).ok()?;
    Some([line.as_slice(), &block, b"\r\n", &body].concat())
}

/// Request line, header block, body.
fn request(source: impl Read) -> io::Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let mut reader = BufReader::new(source);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let mut block = Vec::new();
    loop {
        let start = block.len();
        if reader.read_until(b'\n', &mut block)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if block[start..].trim_ascii().is_empty() {
            block.truncate(start);
            break;
        }
    }
    let headers = Headers::parse(&block, &Limits::default()).map_err(io::Error::other)?;
    let length = headers.get("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((line, block, body))
}

/// An answer with a status, header lines (each ending in CRLF) and a body.
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}
