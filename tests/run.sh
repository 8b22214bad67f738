#!/bin/bash
# The whole test suite. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/peers/setup.sh
exec cargo test --locked "$@"
