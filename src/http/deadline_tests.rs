//! Deadlines under a paused clock.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::http::specimens::{head, listen};
use crate::http::{Addresses, Client, ClientSettings, SendBody, Timeouts};

const MINUTE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(600);

/// Each minute a piece of so many octets, so often.
async fn upload(deadline: &Deadline, octets: u64, pieces: u64) {
    for left in (0..pieces).rev() {
        tokio::time::sleep(MINUTE).await;
        deadline.went(octets, left * octets);
    }
}

/// The clock rounds up to a millisecond.
fn is_about(measured: Duration, expected: Duration) -> bool {
    (expected..expected + Duration::from_secs(1)).contains(&measured)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_is_waited_for_and_then_its_answer_as_long_as_ever() {
    let (begun, deadline) = (Instant::now(), Deadline::new(PATIENCE));
    assert!(deadline.limit(upload(&deadline, 64 << 10, 60)).await.is_some(), "an hour");
    let answer = std::future::pending::<()>();
    assert!(deadline.limit(answer).await.is_none());
    assert!(is_about(begun.elapsed(), 60 * MINUTE + PATIENCE), "{:?}", begun.elapsed());
    assert_eq!(deadline.missed(60 * (64 << 10)).detail, "no complete answer in time");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_less_than_the_least_pace_is_left() {
    let (begun, deadline) = (Instant::now(), Deadline::new(PATIENCE));
    // Each minute is worth five seconds.
    assert!(deadline.limit(upload(&deadline, 5 * LEAST_PACE, 1000)).await.is_none());
    assert!(is_about(begun.elapsed(), PATIENCE + 10 * Duration::from_secs(5)), "{:?}", begun.elapsed());
    let missed = deadline.missed(5_120_000);
    assert_eq!(missed.kind, PostErrorKind::Timeout);
    assert_eq!(missed.detail, "51200 of 5120000 octets of the body went out in time");
}

#[tokio::test(start_paused = true)]
async fn what_went_fast_is_no_credit_for_standing_still() {
    let (begun, deadline) = (Instant::now(), Deadline::new(PATIENCE));
    deadline.went(512 << 20, 1);
    assert!(deadline.limit(std::future::pending::<()>()).await.is_none());
    assert!(is_about(begun.elapsed(), PATIENCE), "{:?}", begun.elapsed());
}

/// Keeps a paused clock from moving by itself while sockets alone are waited for, until it is dropped.
fn hold_clock() -> std::sync::mpsc::Sender<()> {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    drop(tokio::task::spawn_blocking(move || held.recv().is_err()));
    hold
}

#[tokio::test(start_paused = true)]
async fn an_upload_over_a_slow_line_outlasts_the_timeout() {
    // More than the buffers between two sockets hold, so that some of each goes out after the one before was read.
    const PIECE: u64 = 64 << 20;
    let _hold = hold_clock();
    let (listener, url) = listen().await;
    let settings = ClientSettings { addresses: Addresses::Any, ..ClientSettings::default() };
    let client = Client::new(settings).expect("plain settings");
    let timeouts = Timeouts { connect: MINUTE, total: PATIENCE };
    let body = SendBody::reader(3 * PIECE, || Ok(Box::new(io::repeat(b'x'))));
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        head(&mut stream).await;
        for _ in 0..3 {
            tokio::time::advance(9 * MINUTE).await;
            let read = tokio::io::copy(&mut (&mut stream).take(PIECE), &mut tokio::io::sink()).await;
            assert_eq!(read.expect("the body goes on"), PIECE);
        }
        tokio::time::advance(9 * MINUTE).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        stream
    };
    let (answer, _stream) = tokio::join!(client.post(&url, &[], body, timeouts), peer);
    assert_eq!(answer.expect("answered").status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_upload_from_memory_over_a_slow_line_outlasts_the_timeout_as_well() {
    const PIECE: usize = 64 << 20;
    let _hold = hold_clock();
    let (listener, url) = listen().await;
    let settings = ClientSettings { addresses: Addresses::Any, ..ClientSettings::default() };
    let client = Client::new(settings).expect("plain settings");
    let timeouts = Timeouts { connect: MINUTE, total: PATIENCE };
    let body = SendBody::from(vec![0; 3 * PIECE]);
    let peer = async {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        head(&mut stream).await;
        for _ in 0..3 {
            tokio::time::advance(9 * MINUTE).await;
            let read = tokio::io::copy(&mut (&mut stream).take(64 << 20), &mut tokio::io::sink()).await;
            assert_eq!(read.expect("the body goes on"), 64 << 20);
        }
        tokio::time::advance(9 * MINUTE).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        stream
    };
    let (answer, _stream) = tokio::join!(client.post(&url, &[], body, timeouts), peer);
    assert_eq!(answer.expect("answered").status, 200);
}
