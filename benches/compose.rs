//! Payload to wire: what one message costs before it is sent.

#![allow(clippy::unwrap_used)]

mod material;

use divan::Bencher;
use divan::counter::BytesCount;
use dxgate::as2;
use dxgate::mime::{BytesSource, MemoryScratch};

use material::{Shape, payload, plan, stamp};

fn main() {
    divan::main();
}

#[divan::bench(
    args = [1 << 10, 64 << 10, 1 << 20, 16 << 20],
    consts = [Shape::PLAIN, Shape::SIGNED, Shape::SIGNED_ENCRYPTED, Shape::SIGNED_COMPRESSED_ENCRYPTED],
)]
fn compose<const SHAPE: u8>(bencher: Bencher<'_, '_>, size: usize) {
    let payload = BytesSource(payload(size));
    let (plan, stamp) = (plan(SHAPE), stamp());
    let mut wire = Vec::with_capacity(2 * size + 8192);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        wire.clear();
        as2::compose(&plan, &stamp, &payload, &MemoryScratch, &mut wire).unwrap()
    });
}
