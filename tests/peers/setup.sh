#!/bin/bash
# Makes the AS2 peers that the interop tests talk to: .venv with pyas2lib, gmalg, a mail server, OTLP, schemathesis and selenium, which the tests cannot do without, then
# .venv-django with django-pyas2 and tests/peers/node_modules with libas2. Without the latter two the tests run and say
# which peers they left out; `tests/peers/setup.sh --all` fails instead, and so do the tests with DXGATE_ALL_PEERS set. Does nothing
# when all are there.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { echo "tests/peers/setup.sh: $*" >&2; }

# Whether the packages $2 can be imported in the environment $1.
works() { "$1/bin/python" -c "import $2" 2>/dev/null; }

# An environment $1 with the packages of the file $2, in which the packages $3 can be imported.
environment() {
  if works "$1" "$3"; then
    return 0
  fi
  say "making $1 (once)"
  python3 -m venv "$1" || {
    say "python3 -m venv failed; on Debian: apt-get install python3-venv"
    return 2
  }
  "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2" || {
    say "pip could not install $2; is a package index reachable?"
    return 2
  }
  # oscrypto 1.3.0 reads the version of OpenSSL with one digit for the patch level and refuses 3.0.10 and later.
  for file in "$1"/lib/python3*/site-packages/oscrypto/_openssl/_libcrypto_c{ffi,types}.py; do
    sed -i -E 's/\(\\\\d\\\\.\\\\d\\\\.\\\\d\[a-z\]\*\)/(\\\\d+\\\\.\\\\d+\\\\.\\\\d+[a-z]*)/' "$file"
  done
  works "$1" "$3" || {
    say "$2 was installed but $3 cannot be imported:"
    "$1/bin/python" -c "import $3" || return 2
  }
}

javascript() {
  if [ -d tests/peers/node_modules/libas2 ]; then
    return 0
  fi
  command -v npm >/dev/null || {
    say "npm is not there; on Debian: apt-get install npm"
    return 2
  }
  say "making tests/peers/node_modules (once)"
  (cd tests/peers && npm ci --no-audit --no-fund --loglevel=error >&2) || {
    say "npm could not install tests/peers/package-lock.json; is a package index reachable?"
    rm -rf tests/peers/node_modules
    return 2
  }
}

environment .venv tests/peers/requirements.txt "pyas2lib.as2, gmalg, aiosmtpd, opentelemetry.proto, schemathesis, selenium"
missing=0
environment .venv-django tests/peers/requirements-django.txt pyas2lib.as2 || missing=1
javascript || missing=1
if [ "$missing" = 1 ] && [ "${1:-}" = --all ]; then
  exit 2
fi
