"""A receiver of webhooks on a free port of 127.0.0.1, made of Python's standard library: it verifies signatures by the words of
docs/alerts.md. Prints "READY <port>", appends each request to <out>/received.jsonl, ends with its standard input."""

import argparse
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time


def verified(secret: bytes, headers, body: bytes) -> bool:
    timestamp, given = headers.get("Dxgate-Timestamp", ""), headers.get("Dxgate-Signature", "")
    wanted = "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = timestamp.isdigit() and abs(time.time() - int(timestamp)) <= 300
    return fresh and hmac.compare_digest(wanted, given)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--bundle", help="PEM with certificate and key; TLS with it")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            ok = verified(options.secret.encode(), self.headers, body)
            entry = {"verified": ok, "headers": dict(self.headers.items()), "body": json.loads(body)}
            with open(options.out / "received.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            self.send_response(204 if ok else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    if options.bundle:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.bundle)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("READY", server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
