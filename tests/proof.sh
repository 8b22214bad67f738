#!/bin/bash
# The proofs of docs/reliability.md in full size, one after the other; some hours. Wants root for those that mount.
#   tests/proof.sh          all of them
#   tests/proof.sh R2 R16   these
# What each says is in target/proof/<name>.log; the table at the end goes into docs/reliability.md.
set -uo pipefail
cd "$(dirname "$0")/.."
packaging/debian-packages.sh gcc libc6-dev make pkg-config libssl-dev openssl python3-venv e2fsprogs mount || exit 1
tests/peers/setup.sh || exit 1
mkdir -p target/proof
cargo test --locked --test it --no-run || exit 1
# Resident size is that of a release.
cargo build --locked --release || exit 1

# Name, what it is, its size, the tests, and the variables that set the size.
proofs() {
  cat <<'TABLE'
R1|kill -9 at random moments, 10,000 messages before|3,000 kills|kill9::|DXGATE_KILL_CYCLES=3000 DXGATE_KILL_ENTRIES=10000 DXGATE_PROOF_MDNS=5000
R1b|kill -9 at random moments, 100,000 messages before|200 kills|kill9::|DXGATE_KILL_CYCLES=200 DXGATE_KILL_ENTRIES=100000
R2|power cuts, ext4 commit=5|500 cuts|commits_every_five_seconds|DXGATE_CUTS=500 DXGATE_PROOF_MDNS=5000
R2b|power cuts, ext4 commit=300|500 cuts|commits_every_five_minutes|DXGATE_CUTS=500 DXGATE_PROOF_MDNS=5000
R3|power cuts during recovery, four in a row|100 times|recovery_from_power_cuts|DXGATE_RECOVERY_CUTS=100
R4|every operation on the disk fails once, in every way|all cases|disk_faults::|
R5|a sync fails once|20 times|failed_sync::|DXGATE_R5_CASES=20
R7|the disk fills up and is freed|40 times|full_disk::|DXGATE_R7_CYCLES=40
R8|a flipped bit in any file|500 flips|bit_flips::|DXGATE_FLIPS=500
R9|the index is deleted, 100,000 messages|20 times|rebuild::|DXGATE_R9_MESSAGES=100000 DXGATE_R9_CYCLES=20
R10|a network that loses things|100 rounds|network_faults::|DXGATE_R10_ROUNDS=100
R11|copies of one message at once|10,000 copies|replays::|DXGATE_R11_REPLAYS=10000
R14|SIGTERM under load|200 ends|orderly_end::|DXGATE_TERM_CYCLES=200
R15|backup under load, restored elsewhere|20 times|backup::|DXGATE_R15_CYCLES=20
R17|memory: one payload of 10 GiB, 100 receptions of 100 MiB at once|64 and 256 MiB|memory::|DXGATE_MEMORY_PROGRAM=target/release/dxgate DXGATE_MEMORY_PAYLOAD=10240 DXGATE_MEMORY_RECEPTIONS=100 DXGATE_MEMORY_EACH=100
R16|control: power cuts without syncs must be seen to lose|20 cuts|syncs_do_nothing|DXGATE_CONTROL_CUTS=20
TABLE
}

failed=0
table="| test | size | result | seconds |
|---|---|---|---|"
while IFS='|' read -r name what size tests variables <&3; do
  [ $# -eq 0 ] || [[ " $* " == *" ${name%b} "* ]] || continue
  log=target/proof/$name.log
  echo "$name: $what ($size)"
  start=$SECONDS
  # shellcheck disable=SC2086 # the variables are words
  env $variables cargo test --locked --test it "$tests" -- --nocapture --test-threads 1 >"$log" 2>&1 </dev/null
  status=$?
  result=passed
  if [ "$status" -ne 0 ] || ! grep -Eq 'test result: ok\. [1-9]' "$log"; then
    result="**failed**"
    failed=1
  elif grep -q SKIPPED "$log"; then
    result="skipped: $(grep -m1 -o 'SKIPPED.*' "$log")"
  fi
  table+="
| ${name%b} $what | $size | $result | $((SECONDS - start)) |"
done 3< <(proofs)
printf '\n%s\n\n' "$table" | tee target/proof/table.md
git log -1 --format='commit %h, %cs' | tee -a target/proof/table.md
exit $failed
