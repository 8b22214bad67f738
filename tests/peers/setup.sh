#!/bin/bash
# Makes .venv with the AS2 peer and the mail server that the tests talk to. Does nothing when it is already there.
set -euo pipefail
cd "$(dirname "$0")/../.."

works() { .venv/bin/python -c 'import pyas2lib.as2, aiosmtpd, opentelemetry.proto' 2>/dev/null; }

if works; then
  exit 0
fi
echo "tests/peers/setup.sh: making .venv with pyas2lib, aiosmtpd and OTLP (once)" >&2
python3 -m venv .venv || {
  echo "tests/peers/setup.sh: python3 -m venv failed; on Debian: apt-get install python3-venv" >&2
  exit 2
}
.venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/peers/requirements.txt || {
  echo "tests/peers/setup.sh: pip could not install tests/peers/requirements.txt; is a package index reachable?" >&2
  exit 2
}
# oscrypto 1.3.0 reads the version of OpenSSL with one digit for the patch level and refuses 3.0.10 and later.
for file in .venv/lib/python3*/site-packages/oscrypto/_openssl/_libcrypto_c{ffi,types}.py; do
  sed -i -E 's/\(\\\\d\\\\.\\\\d\\\\.\\\\d\[a-z\]\*\)/(\\\\d+\\\\.\\\\d+\\\\.\\\\d+[a-z]*)/' "$file"
done
works || {
  echo "tests/peers/setup.sh: pyas2lib was installed but cannot be imported:" >&2
  .venv/bin/python -c 'import pyas2lib.as2' || exit 2
}
