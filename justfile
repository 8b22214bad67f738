# One cargo line each: without `just`, read the line and type it.

# Formatting, lints, and that the pure core compiles alone.
check:
    cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings && cargo check --locked --no-default-features --lib

# Everything, with the pyas2lib peers.
test:
    tests/run.sh

# Tests whose name contains NAME.
test-one NAME:
    cargo test --locked {{NAME}}

# Every proof of docs/reliability.md in full size; some hours.
proof *NAMES:
    tests/proof.sh {{NAMES}}

# Every cell of the interop grid; writes docs/interop.md.
interop:
    tests/interop.sh

# Every fuzz target a few seconds over its seeds.
fuzz-smoke:
    fuzz/smoke.sh

# Every bench once: that they run, not how fast.
bench-smoke:
    cargo bench --locked --profile dev --benches -- --test

bench:
    cargo bench --locked --benches

docs:
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --no-deps

deny:
    cargo deny check licenses bans sources

# What CI does, in the same order.
ci:
    .ci/run
