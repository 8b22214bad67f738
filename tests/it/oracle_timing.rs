//! Whether the time that a refusal takes tells why the message was refused.
//!
//! `DXGATE_ORACLE_SAMPLES=500 cargo test --test it oracle_timing:: -- --nocapture` takes 500 times for each of the twelve ways to
//! fail, in random order over several connections at once, and prints what a Kolmogorov-Smirnov test makes of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dxgate::cms::ContentCipher;

use crate::oracle::{STRICT, enveloped, failures, fields, inner};
use crate::support::correspondent::plan;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::keys;

/// What a refusal waits out at least.
const STEP: Duration = Duration::from_millis(250);
/// Connections at a time.
const WORKERS: usize = 4;
/// Of each class in an ordinary test run.
const FEW: usize = 12;

#[test]
fn how_long_a_refusal_takes_does_not_tell_why() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let asked = std::env::var("DXGATE_ORACLE_SAMPLES").ok().map(|text| text.parse().expect("a number"));
    let mut classes = failures();
    // The control: a harness that cannot tell these from the others sees nothing.
    classes.push(("accepted", enveloped(&inner(&plan()), &[keys::ours()], ContentCipher::Aes256Cbc)));
    let mut times = measured(home.as2, &classes, asked.unwrap_or(FEW));
    let accepted = times.pop().unwrap();
    let names: Vec<&str> = classes.iter().map(|(name, _)| *name).collect();
    for (name, times) in names.iter().zip(&times) {
        let (first, middle, last) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        println!("{name:32} {} times: {first:.1} to {last:.1} ms, half within {middle:.1} ms", times.len());
        assert!(first >= STEP.as_secs_f64() * 1000.0, "{name}: {first} ms\n{}", gateway.log());
    }
    let others = |class: usize| {
        let mut all: Vec<f64> =
            times.iter().enumerate().filter(|(at, _)| *at != class).flat_map(|(_, t)| t.clone()).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let control = chance(&accepted, &others(usize::MAX));
    println!("accepted messages against refusals: p = {control:.2e}");
    // On a busy machine a few accepted messages take as long as a refusal, which a large sample does not mind.
    assert!(asked.is_none() || control < 1e-6, "the harness would not see a difference");
    let pairs = (0..times.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let closest = pairs.map(|(one, other)| (chance(&times[one], &times[other]), names[one], names[other]));
    let (p, one, other) = closest.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    println!("least alike of the 66 pairs: {one} and {other}, p = {p:.4}");
    // Twelve comparisons. An ordinary run must not fail by chance in a million years.
    let tolerated = if asked.is_some() { 0.01 / 12.0 } else { 1e-6 };
    for (class, name) in names.iter().take(times.len()).enumerate() {
        let p = chance(&times[class], &others(class));
        println!("{name:32} against all others: p = {p:.4}");
        assert!(p > tolerated, "{name} can be told from the others by its time: p = {p}");
    }
}

/// Milliseconds to the answer of each class, sorted.
fn measured(address: SocketAddr, classes: &[(&'static str, Vec<u8>)], samples: usize) -> Vec<Vec<f64>> {
    let mut order: Vec<usize> = (0..classes.len() * samples).map(|number| number % classes.len()).collect();
    let mut random = vec![0u8; order.len() * 4];
    openssl::rand::rand_bytes(&mut random).unwrap();
    for (at, bytes) in random.chunks(4).enumerate().skip(1) {
        let other = u32::from_le_bytes(bytes.try_into().unwrap()) as usize % (at + 1);
        order.swap(at, other);
    }
    let jobs = Mutex::new(order.into_iter().enumerate());
    let times = Mutex::new(vec![Vec::new(); classes.len()]);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some((number, class)) = jobs.lock().unwrap().next() else { return };
                    let took = answered(address, &fields(&format!("<timed-{number}@theirs>")), &classes[class].1);
                    times.lock().unwrap()[class].push(took.as_secs_f64() * 1000.0);
                }
            });
        }
    });
    let mut times = times.into_inner().unwrap();
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times
}

/// From the last byte of the request to the first of the answer.
fn answered(address: SocketAddr, headers: &str, body: &[u8]) -> Duration {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    let head =
        format!("POST /as2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    let (most, last) = body.split_at(length - 1);
    socket.write_all(&[head.as_bytes(), most].concat()).unwrap();
    let begun = Instant::now();
    socket.write_all(last).unwrap();
    let mut first = [0; 12];
    socket.read_exact(&mut first).unwrap();
    let took = begun.elapsed();
    assert_eq!(&first, b"HTTP/1.1 200");
    std::io::copy(&mut socket, &mut std::io::sink()).unwrap();
    took
}

/// Probability that two sorted samples of one distribution differ so much or more (Kolmogorov-Smirnov, with the
/// approximation of Stephens).
fn chance(one: &[f64], other: &[f64]) -> f64 {
    let (mut a, mut b, mut largest) = (0, 0, 0.0f64);
    let share = |count: usize, all: usize| count as f64 / all as f64;
    while a < one.len() && b < other.len() {
        let at = one[a].min(other[b]);
        a += one[a..].iter().take_while(|time| **time <= at).count();
        b += other[b..].iter().take_while(|time| **time <= at).count();
        largest = largest.max((share(a, one.len()) - share(b, other.len())).abs());
    }
    let size = (share(one.len() * other.len(), one.len() + other.len())).sqrt();
    let lambda = (size + 0.12 + 0.11 / size) * largest;
    if lambda < 0.2 {
        return 1.0;
    }
    let terms = (1..=100).map(|j| {
        let sign = if j % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(j * j) * lambda * lambda).exp()
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

#[test]
fn samples_of_one_distribution_are_alike_and_shifted_ones_are_not() {
    let uniform = |offset: f64| (0..200).map(|n| f64::from(n * 37 % 200) + offset).collect::<Vec<f64>>();
    let sorted = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times
    };
    assert!(chance(&sorted(uniform(0.0)), &sorted(uniform(0.5))) > 0.99);
    assert!(chance(&sorted(uniform(0.0)), &sorted(uniform(50.0))) < 1e-4);
    // By hand: D = 1/2 with 8 and 8; lambda = 1.0875.
    let eight: Vec<f64> = (0..8).map(f64::from).collect();
    let shifted: Vec<f64> = (4..12).map(f64::from).collect();
    assert!((chance(&eight, &shifted) - 0.1877).abs() < 0.001);
}
