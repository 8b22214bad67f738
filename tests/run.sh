#!/bin/bash
# The whole test suite; installs the Debian packages that it needs when they are missing. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/debian-packages.sh gcc libc6-dev pkg-config libssl-dev openssl python3-venv libxml2-utils xmlsec1 e2fsprogs mount prometheus systemd chromium chromium-driver poppler-utils
tests/peers/setup.sh
exec cargo test --locked "$@"
