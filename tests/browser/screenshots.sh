#!/bin/bash
# Pictures of the console's main pages, of a gateway that has exchanged the sample declarations of the demo, into docs/console.
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
mkdir -p docs/console
.venv/bin/python - "$setup" "$PWD/docs/console" <<'PYTHON' | .venv/bin/python tests/browser/console.py screenshots
import json, sys
link = next(word for word in open(sys.argv[1]).read().split() if word.startswith("http"))
bad = '<?xml version="1.0" encoding="UTF-8"?>\n<ceb:CEB311Message xmlns:ceb="http://www.chinaport.gov.cn/ceb" version="1.0">\n  <ceb:Order>\n  </ceb:Order>\n</ceb:CEB311Message>\n'
print(json.dumps({"console": link.split("/setup")[0], "setup": sys.argv[1], "pictures": sys.argv[2], "bad": bad, "language": "zh-CN"}))
PYTHON
