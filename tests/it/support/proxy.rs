//! A TCP proxy that loses things: what a network between two gateways may do to a connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bend::Bend;
use super::scripted;

/// What happens to one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Closed at once, nothing read: the client sees a reset or an end.
    Refuse,
    /// Both sides are cut off when so many bytes of the request have passed.
    CutRequest(usize),
    /// Both sides are cut off when so many bytes of the answer have passed; the other side has done its work.
    CutAnswer(usize),
    /// The request is read and never answered, nor passed on.
    HalfOpen,
    /// Answered with this status; not passed on.
    Status(u16),
    /// Passed on, but answered with this status instead of the true answer.
    StatusAfter(u16),
    /// The answer comes in small pieces with pauses.
    Drip,
    /// The request comes in small pieces with pauses.
    SlowRequest,
    /// Passed on, but answered with something that is not HTTP.
    Garbage,
    /// Something else is passed on.
    Bent(Bend),
}

type Choose = Box<dyn FnMut(usize) -> Fault + Send>;

/// A running proxy; it ends when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    /// What clients sent, one entry a connection.
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of `upstream`; `choose` is asked for each connection, by its number from 0.
    pub fn start(upstream: SocketAddr, choose: impl FnMut(usize) -> Fault + Send + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (requests.clone(), stop.clone());
        let mut choose: Choose = Box::new(choose);
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (fault, kept, stopped) = (choose(number), kept.clone(), stopped.clone());
                // A connection that breaks is what this is for.
                std::thread::spawn(move || client.and_then(|client| carry(client, upstream, fault, &kept, &stopped)));
            }
        });
        Proxy { address, requests, stop }
    }

    pub fn url(&self) -> String {
        self.instead_of("http://upstream/as2")
    }

    /// The same path on the way through here.
    pub fn instead_of(&self, url: &str) -> String {
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        format!("http://{}/{path}", self.address)
    }

    /// What clients sent so far, one entry a connection that carried something; a connection may carry more than one
    /// request.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let mut carried = self.requests.lock().unwrap().clone();
        carried.retain(|carried| !carried.is_empty());
        carried
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(
    client: TcpStream,
    upstream: SocketAddr,
    fault: Fault,
    kept: &Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: &AtomicBool,
) -> std::io::Result<()> {
    match fault {
        Fault::Refuse => return Ok(()),
        Fault::Status(code) => {
            keep(kept, scripted::raw_request(&client)?);
            return (&client).write_all(&scripted::answer(code, "", b"a word from the middle"));
        }
        Fault::HalfOpen => {
            keep(kept, scripted::raw_request(&client)?);
            client.set_read_timeout(Some(Duration::from_millis(50)))?;
            // Until the client gives up.
            while !stopped.load(Ordering::Relaxed) {
                match (&client).read(&mut [0; 16]) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        Fault::Bent(bend) => {
            let request = scripted::raw_request(&client)?;
            keep(kept, request.clone());
            let mut answer = Vec::new();
            for bent in bend.of(&request) {
                let mut server = TcpStream::connect(upstream)?;
                server.write_all(&bent)?;
                answer.clear();
                server.read_to_end(&mut answer)?;
            }
            return (&client).write_all(&answer);
        }
        Fault::StatusAfter(_) | Fault::Garbage => {
            let request = scripted::raw_request(&client)?;
            keep(kept, request.clone());
            let mut server = TcpStream::connect(upstream)?;
            server.write_all(&request)?;
            // The other side has done its work when it answers.
            let _ = server.read(&mut [0; 4096])?;
            let instead = match fault {
                Fault::StatusAfter(code) => scripted::answer(code, "", b""),
                _ => b"\x16\x03\x01 no HTTP at all\r\n\r\n".to_vec(),
            };
            return (&client).write_all(&instead);
        }
        Fault::Pass | Fault::CutRequest(_) | Fault::CutAnswer(_) | Fault::Drip | Fault::SlowRequest => {}
    }
    both_ways(client, TcpStream::connect(upstream)?, fault, kept)
}

/// Returns its number.
fn keep(kept: &Mutex<Vec<Vec<u8>>>, request: Vec<u8>) -> usize {
    let mut kept = kept.lock().unwrap();
    kept.push(request);
    kept.len() - 1
}

fn both_ways(
    client: TcpStream,
    server: TcpStream,
    fault: Fault,
    kept: &Arc<Mutex<Vec<Vec<u8>>>>,
) -> std::io::Result<()> {
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let limit = if let Fault::CutRequest(bytes) = fault { bytes } else { usize::MAX };
    let recorded = kept.clone();
    std::thread::spawn(move || {
        let number = keep(&recorded, Vec::new());
        let pause = (fault == Fault::SlowRequest).then_some(Duration::from_millis(10));
        let _ = pump(&from, &to, limit, pause, |bytes| recorded.lock().unwrap()[number].extend_from_slice(bytes));
        if limit != usize::MAX {
            cut(&from, &to);
        } else {
            let _ = to.shutdown(Shutdown::Write);
        }
    });
    let limit = if let Fault::CutAnswer(bytes) = fault { bytes } else { usize::MAX };
    let pause = (fault == Fault::Drip).then_some(Duration::from_millis(1));
    let done = pump(&server, &client, limit, pause, |_| {});
    cut(&server, &client);
    done
}

/// Copies at most `limit` bytes; with a limit of none it waits for the first byte and passes nothing.
fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    limit: usize,
    pause: Option<Duration>,
    mut seen: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut left = limit;
    let mut buffer = [0; 16 * 1024];
    loop {
        let piece = if pause.is_some() { 64 } else { buffer.len() };
        let read = from.read(&mut buffer[..piece])?;
        let passed = read.min(left);
        seen(&buffer[..passed]);
        to.write_all(&buffer[..passed])?;
        left -= passed;
        if read == 0 || left == 0 {
            return Ok(());
        }
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
    }
}

fn cut(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}
