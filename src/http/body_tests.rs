//! Paced bodies under paused time, and readers on their way out.

use http_body_util::BodyExt;

use super::*;

/// A peer that sends one chunk after each pause.
fn trickle(chunk: usize, pauses: Vec<Duration>) -> RequestBody {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    #[expect(clippy::disallowed_methods, reason = "ends with the body")]
    tokio::spawn(async move {
        for pause in pauses {
            tokio::time::sleep(pause).await;
            if sender.send(Bytes::from(vec![b'x'; chunk])).await.is_err() {
                return;
            }
        }
        // Keeps the body open: the end never comes.
        sender.closed().await;
    });
    RequestBody::new(Source::Router(axum::body::Body::new(Channel(receiver))), None, Pace::default())
}

struct Channel(mpsc::Receiver<Bytes>);

impl Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

async fn read_until_error(mut body: RequestBody) -> (usize, BodyError, Duration) {
    let begun = Instant::now();
    let mut chunks = 0;
    loop {
        match body.next().await {
            Ok(Some(_)) => chunks += 1,
            Ok(None) => panic!("the body never ends"),
            Err(error) => return (chunks, error, begun.elapsed()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_body_after_the_idle_time() {
    let (chunks, error, after) = read_until_error(trickle(1 << 20, vec![Duration::ZERO])).await;
    assert_eq!((chunks, error), (1, BodyError::TooSlow));
    assert!(after >= Duration::from_secs(60) && after < Duration::from_secs(62), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trickle_ends_at_its_first_thin_window() {
    let (chunks, error, after) = read_until_error(trickle(100, vec![Duration::from_secs(1); 100])).await;
    assert_eq!(error, BodyError::TooSlow);
    assert!((29..=30).contains(&chunks), "{chunks}");
    assert!(after <= Duration::from_secs(31), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_steady_peer_above_the_rate_is_read_until_the_total_time() {
    let (chunks, error, after) = read_until_error(trickle(5000, vec![Duration::from_secs(4); 1000])).await;
    assert_eq!(error, BodyError::TooSlow);
    assert!((449..=450).contains(&chunks), "{chunks}");
    assert!(after >= Duration::from_secs(1800) && after < Duration::from_secs(1805), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn our_own_slowness_is_not_held_against_the_peer() {
    let mut body = trickle(10, vec![Duration::from_millis(10); 10]);
    for _ in 0..10 {
        assert_eq!(body.next().await.expect("in time").map(|chunk| chunk.len()), Some(10));
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
}

#[tokio::test]
async fn a_cap_counts_bytes_and_an_error_stays() {
    let mut body = RequestBody::memory("hello");
    assert_eq!(body.content_length(), Some(5));
    assert_eq!(body.read_all(4).await, Err(BodyError::TooLarge { limit: 4 }));
    assert_eq!(body.next().await, Err(BodyError::TooLarge { limit: 4 }));
    assert_eq!(RequestBody::memory("hello").read_all(5).await.as_deref(), Ok(&b"hello"[..]));
}

#[tokio::test]
async fn a_file_is_sent_whole_and_a_missing_one_is_an_error() {
    let home = tempfile::tempdir().expect("temporary folder");
    let path = home.path().join("wire");
    let bytes: Vec<u8> = (0..300_000u32).flat_map(|n| n.to_le_bytes()).collect();
    crate::ground::durable::write_new(&path, &bytes).expect("written");
    let body = SendBody::file(&path).expect("there");
    for _ in 0..2 {
        let sent = Sending::new(&body).collect().await.expect("sent").to_bytes();
        assert!(sent == bytes);
    }
    std::fs::remove_file(&path).expect("removed");
    assert!(Sending::new(&body).collect().await.is_err());
    assert!(SendBody::file(&path).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_from_a_router_has_the_pace_of_its_listener_and_none_besides() {
    let hour = Duration::from_secs(3600);
    let RequestBody { source, .. } = trickle(1, vec![hour; 3]);
    let pace = Pace { idle: 2 * hour, min_rate: 0, total: 10 * hour, ..Pace::default() };
    let inside = RequestBody::new(source, None, pace);
    let body = RequestBody::from_router(axum::body::Body::new(inside));
    let (chunks, error, after) = read_until_error(body).await;
    assert_eq!((chunks, error), (3, BodyError::TooSlow));
    assert!(after >= 5 * hour && after < 5 * hour + Duration::from_secs(5), "{after:?}");
}

#[tokio::test]
async fn a_reader_that_waits_for_its_peer_is_not_at_work() {
    let open: Open = Arc::new(|| Ok(Box::new(io::repeat(b'x'))));
    let kept: Vec<_> = (0..64).map(|_| read_ahead(Arc::clone(&open), u64::MAX)).collect();
    let end = Instant::now() + Duration::from_secs(20);
    while drain::blocking_at_work() >= 64 {
        assert!(Instant::now() < end, "they count as busy");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(kept);
}

#[tokio::test]
async fn bytes_in_memory_go_out_piece_by_piece() {
    let bytes: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
    let mut sending = Sending::new(&SendBody::from(bytes.clone()));
    let mut pieces = Vec::new();
    while let Some(frame) = sending.frame().await {
        pieces.push(frame.expect("sent").into_data().expect("data"));
    }
    assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, 160_000 - 2 * PIECE]);
    assert!(pieces.concat() == bytes && sending.is_end_stream());
    assert!(Sending::new(&SendBody::from(Vec::new())).frame().await.is_none());
}
