#!/bin/bash
# Pictures of the console's main pages, of a gateway that has exchanged the sample declarations of the demo, into docs/console.
# Other looks, to be looked at: screenshots.sh FOLDER LANGUAGE-THEME-WIDTH…, such as /tmp/pictures en-dark-1280 zh-light-400
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/debian-packages.sh chromium chromium-driver fonts-wqy-microhei
tests/peers/setup.sh
cargo build --locked --quiet
home=$(mktemp -d)
target/debug/dxgate demo --keep --dir "$home" >"$home/demo.log" 2>&1 &
demo=$!
trap 'kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; rm -rf "$home"' EXIT
setup=$home/enterprise/keys/console.setup
for _ in $(seq 600); do
  grep -q "incomplete" "$home/demo.log" && break
  kill -0 "$demo" || { cat "$home/demo.log"; exit 1; }
  sleep 0.1
done
.venv/bin/python - "$setup" "$@" <<'PYTHON' | .venv/bin/python tests/browser/console.py screenshots
import json, sys
setup, folder, *looks = [*sys.argv[1:], "docs/console"][: max(2, len(sys.argv) - 1)]
link = next(word for word in open(setup).read().split() if word.startswith("http"))
bad = '<?xml version="1.0" encoding="UTF-8"?>\n<ceb:CEB311Message xmlns:ceb="http://www.chinaport.gov.cn/ceb" version="1.0">\n  <ceb:Order>\n  </ceb:Order>\n</ceb:CEB311Message>\n'
print(json.dumps({"console": link.split("/setup")[0], "setup": setup, "folder": folder, "looks": looks, "bad": bad, "language": "zh-CN"}))
PYTHON
