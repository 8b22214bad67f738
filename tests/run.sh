#!/bin/bash
# The whole test suite; installs the Debian packages that it needs when they are missing. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/debian-packages.sh gcc libc6-dev make pkg-config libssl-dev openssl python3-venv libxml2-utils xmlsec1 e2fsprogs mount prometheus systemd chromium chromium-driver poppler-utils

# Most tests wait for gateways, browsers and disks rather than compute: on a small machine, more of them than cores go on
# at a time.
cores=$(nproc)
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((cores < 4 ? 4 : cores))}

# The peers come from the network while the tests are compiled.
tests/peers/setup.sh &
cargo test --locked --no-run "$@"
wait $!
exec cargo test --locked "$@"
