#!/bin/bash
# From a fresh clone to a gateway that exchanges declarations with a customs testbed on this machine.
# Installs the Debian packages that the build needs when they are missing; everything else stays in this folder.
# Arguments go to `dxgate demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for package in gcc pkg-config libssl-dev; do
  dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ] && command -v apt-get >/dev/null; then
  echo "quickstart: installing ${missing[*]}" >&2
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
command -v cargo >/dev/null || {
  echo "quickstart: cargo is not here; install Rust 1.95 or later (https://rustup.rs)" >&2
  exit 3
}
exec cargo run --release --locked -- demo "$@"
