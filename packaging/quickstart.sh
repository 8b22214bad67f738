#!/bin/bash
# From a fresh clone to a gateway that exchanges declarations with a customs testbed on this machine.
# Installs the Debian packages that the build needs when they are missing; everything else stays in this folder.
# Arguments go to `dxgate demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

packaging/debian-packages.sh gcc libc6-dev make pkg-config libssl-dev
command -v cargo >/dev/null || {
  echo "quickstart: cargo is not here; install Rust 1.95 or later (https://rustup.rs)" >&2
  exit 3
}
exec cargo run --release --locked -- demo "$@"
