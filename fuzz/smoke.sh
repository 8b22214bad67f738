#!/bin/bash
# Builds every fuzz target and runs each over its seeds and then a few seconds more.
#
#   fuzz/smoke.sh [SECONDS] [TARGET...]     default: 5 seconds, all targets
#
# Works on stable Rust without cargo-fuzz: the flags are those of `cargo fuzz build --sanitizer none`. New inputs go to
# fuzz/target/found, never to the committed seeds; a crash leaves its input in fuzz/artifacts and fails the run.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-5}
[ "$#" -eq 0 ] || shift
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table --cfg fuzzing"

# A target triple keeps the flags away from build scripts and procedural macros.
cargo build --release --locked --quiet --bins --target "$host"

# One target, as many at a time as there are cores.
smoke() {
  local name=$1 log="target/found/$1.log"
  mkdir -p "target/found/$name"
  if "target/$host/release/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=512 \
    -max_len=65536 -artifact_prefix="artifacts/$name-" "target/found/$name" "corpus/$name" >"$log" 2>&1; then
    printf 'fuzz %-20s %s\n' "$name" "$(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$log")"
  else
    printf 'fuzz %s FAILED; the input is in fuzz/artifacts:\n%s\n' "$name" "$(tail -n 40 "$log")" >&2
    return 1
  fi
}
export -f smoke
export host seconds

mkdir -p artifacts
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'set -euo pipefail; smoke "$1"' smoke {}
