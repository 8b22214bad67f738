//! Wire to payload: what one message costs once it has arrived.

#![allow(clippy::unwrap_used)]

mod material;

use std::io::Cursor;

use divan::Bencher;
use divan::counter::BytesCount;
use dxgate::as2::{self, Incoming, OpenKeys};
use dxgate::ground::limits::Limits;
use dxgate::mime::{BytesSource, MemoryScratch};

use material::{Shape, decryption_key, payload, plan, policy, sender_certificate, stamp};

fn main() {
    divan::main();
}

#[divan::bench(
    args = [1 << 10, 64 << 10, 1 << 20, 16 << 20],
    consts = [Shape::PLAIN, Shape::SIGNED, Shape::SIGNED_ENCRYPTED, Shape::SIGNED_COMPRESSED_ENCRYPTED],
)]
fn open<const SHAPE: u8>(bencher: Bencher<'_, '_>, size: usize) {
    let mut wire = Vec::new();
    let source = BytesSource(payload(size));
    let composed = as2::compose(&plan(SHAPE), &stamp(), &source, &MemoryScratch, &mut wire).unwrap();
    let limits = Limits::default();
    let Incoming::Message(request) = as2::read_head(&composed.headers, &wire, &limits).unwrap() else { unreachable!() };
    let (decryption, trusted, policy) = ([decryption_key()], [sender_certificate()], policy());
    let keys = OpenKeys { decryption: &decryption, trusted: &trusted, known: &[] };
    let mut opened = Vec::with_capacity(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        opened.clear();
        as2::open(&request, &mut Cursor::new(&wire), &policy, &keys, &limits, &mut opened).unwrap()
    });
    assert_eq!(opened.len(), size);
}
