#!/bin/bash
# Installs those of the named Debian packages that are missing, with sudo when not root. On other systems it only says
# what is needed.
set -euo pipefail
command -v dpkg-query >/dev/null || {
  echo "not a Debian system: make sure that these are installed: $*" >&2
  exit 0
}
missing=()
for package in "$@"; do
  dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
echo "installing ${missing[*]}" >&2
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
