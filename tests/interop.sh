#!/bin/bash
# The interop grid in full: every cell with every peer in both directions; writes docs/interop.md. About a quarter of an
# hour. `cargo test` runs cells of it in which every two settings meet, and of "odd names, transfer and faults" what does not
# wait for a minute in vain.
#
#   tests/interop.sh
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/debian-packages.sh gcc libc6-dev make pkg-config libssl-dev openssl python3-venv
command -v npm >/dev/null || packaging/debian-packages.sh npm
tests/peers/setup.sh --all

sections=$(mktemp -d)
trap 'rm -rf "$sections"' EXIT
DXGATE_ALL_PEERS=1 DXGATE_INTEROP=$sections cargo test --locked --test it -- --nocapture interop_grid:: interop_elliptic:: interop_faults:: interop_asx

{
  cat <<'END'
# Interoperability

Written by `tests/interop.sh`, which runs every cell below as a message between two processes over HTTP and fails when
one comes out otherwise than `tests/it/grid/known.rs`, `interop_elliptic.rs` and `interop_faults.rs` say: what a peer cannot do
must fail as it is known to, and everything else must pass. The peers share no code with dxgate; their versions are
pinned in `tests/peers` and `Cargo.lock`. `tests/run.sh` runs cells in which every two settings meet, and leaves out peers that are
not installed unless `DXGATE_ALL_PEERS` is set.

A cell passes when the payload arrived byte for byte, protected as agreed, and the MDN came back as it was asked for
(synchronous or asynchronous, signed or not), with a signature that holds and the digest (MIC) of what was sent. `×4`:
with SHA-1, SHA-256, SHA-384 and SHA-512 for signature and MIC; `×3`: without SHA-1, in which dxgate signs nothing.
Encrypted cells of the first table use AES-256-CBC. "MD5" is a signature over it, with a signed MDN at once and later. Signatures over
SHA-1 and MD5, Triple DES and RC2 need a waiver in the partner's file and are refused otherwise: see "refused as agreed". Of these
dxgate writes Triple DES alone. `–`: the peer
cannot, for the reason below the tables. Payloads are XML with Chinese characters; libas2 gets ASCII, because it verifies
nothing else. Of unsigned messages pyas2lib, django-pyas2 and libas2 compute no digest: none is compared there, and that their receipts
name none is taken. The digest of what django-pyas2 and libas2 sign is taken down while they compose, since they keep none.

"Odd names, transfer and faults" is what the tables have no room for: names with blanks and quotes, the ways that a body may travel,
connections that break, and messages that must be refused, signed with RSA and encrypted with AES-256-CBC unless the case is about
that. Connections pass through a proxy that cuts, slows or changes what it carries. `pass` is as above, and the payload arrived once.
Otherwise it says what came of it: of what dxgate sends, the state of the message with the code of the reason that people see, and the
disposition of the peer's receipt, or of one that proves nothing, kept without effect; of what a peer sends, what it was told, and then nothing of it is in the inbox. A message is sent
again after a cut as the same message, and one that arrived before is answered by most products as a duplicate. Where that answer
has no MIC, it counts only if the first attempt had been answered at all; otherwise the message is held (`mdn-duplicate-unproven`).

asx-rs is a library and runs inside of the test (`tests/it/interop_asx.rs`, `interop_asx_faults.rs`). It signs and encrypts always, and takes nothing less, so
its table is short. As a receiver it answers with its MDN at once even where that is wanted later, which its documentation says; as a
sender it can ask for one later, and takes it on a connection of its own.

END
  cat "$sections"/*.md
} >docs/interop.md
echo "docs/interop.md is written"
