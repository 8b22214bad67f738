"""An AS2 receiver made of pyas2lib and http.server, for the interop tests.

Prints `READY <port>` once it listens. Every message that pyas2lib accepts is written to `<out>/<n>.payload`; every
message, accepted or not, becomes one JSON line of `<out>/received.jsonl`. It ends when its standard input closes, so
that it never outlives the test that started it.

`--fault` makes the first `--fault-count` messages misbehave:
  status-500      answer 500 and keep nothing
  drop            keep the message, then close the connection without an answer
  wrong-mic       answer with a signed MDN that carries the MIC of something else
  unsigned-mdn    answer with an unsigned MDN although a signed one was asked for
  negative        answer with a signed MDN that says processed/Error
"""

import argparse
import base64
import json
import os
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import posting
from pyas2lib import as2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--as2-name", required=True, action="append", help="our AS2 name; may be given several times")
    parser.add_argument("--partner", required=True, action="append", help="the sender's AS2 name; may be given several times")
    parser.add_argument("--key", required=True, help="PEM file: our private key and certificate")
    parser.add_argument("--partner-cert", required=True, help="PEM file: the sender's certificate")
    parser.add_argument("--out", required=True, help="folder for payloads and received.jsonl")
    parser.add_argument("--require-signature", action="store_true")
    parser.add_argument("--require-encryption", action="store_true")
    parser.add_argument("--detect-duplicates", action="store_true")
    parser.add_argument("--fault", choices=["status-500", "drop", "drop-mdn", "wrong-mic", "unsigned-mdn", "negative"])
    parser.add_argument("--fault-count", type=int, default=1)
    return parser.parse_args()


class Receiver:
    """What the HTTP handlers share."""

    def __init__(self, args):
        with open(args.key, "rb") as file:
            pem = file.read()
        with open(args.partner_cert, "rb") as file:
            certificate = file.read()
        self.args = args
        self.station = as2.Organization(as2_name=args.as2_name[0], sign_key=pem, decrypt_key=pem, domain="pyas2.test")
        self.partner = as2.Partner(
            as2_name=args.partner[0],
            verify_cert=certificate,
            encrypt_cert=certificate,
            validate_certs=False,
            sign=args.require_signature,
            encrypt=args.require_encryption,
        )
        self.lock = threading.Lock()
        self.seen = set()
        self.count = 0
        self.faults_left = args.fault_count if args.fault else 0

    def take_fault(self):
        with self.lock:
            if self.faults_left == 0:
                return None
            self.faults_left -= 1
            return self.args.fault

    def parse(self, raw):
        message = as2.Message()
        known = self.seen if self.args.detect_duplicates else ()
        status, (error, _), mdn = message.parse(
            raw,
            find_org_cb=lambda name: self.station if name in self.args.as2_name else None,
            find_partner_cb=lambda name: self.partner if name in self.args.partner else None,
            find_message_cb=lambda message_id, _: message_id in known,
        )
        return message, status, error, mdn

    def keep(self, message, status, error):
        with self.lock:
            self.count += 1
            name = None
            if error is None:
                self.seen.add(message.message_id)
                name = f"{self.count}.payload"
                with open(os.path.join(self.args.out, name), "wb") as file:
                    file.write(message.payload.get_payload(decode=True) or b"")
            line = {
                "message_id": message.message_id,
                "status": status,
                "error": None if error is None else repr(error),
                "payload": name,
                "file_name": message.payload.get_filename(),
                "content_type": message.payload.get_content_type(),
                "signed": message.signed,
                "digest": message.digest_alg,
                "encrypted": message.encrypted,
                "compressed": message.compressed,
                "mic": message.mic.decode() if message.mic else None,
                "headers": {key.lower(): value for key, value in message.headers.items()},
            }
            with open(os.path.join(self.args.out, "received.jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def spoil(fault, message, mdn):
    """Builds the MDN again, wrong in the way that `fault` names."""
    if fault == "wrong-mic":
        message.mic = base64.b64encode(bytes(32))
        mdn.build(message=message, status="processed")
    elif fault == "unsigned-mdn":
        del message.payload["disposition-notification-options"]
        mdn.build(message=message, status="processed")
    elif fault == "negative":
        mdn.build(message=message, status="processed/Error", detailed_status="unexpected-processing-error")


def handler(receiver):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.body()
            fault = receiver.take_fault()
            if fault == "status-500":
                return self.answer(500, {}, b"out of order\n")
            head = "".join(f"{key}: {value}\r\n" for key, value in self.headers.items())
            message, status, error, mdn = receiver.parse(head.encode("latin-1") + b"\r\n" + body)
            receiver.keep(message, status, error)
            if fault == "drop":
                self.close_connection = True
                return None
            if fault == "drop-mdn":
                self.close_connection = True
                return self.answer(200, mdn.headers, mdn.content, sent=len(mdn.content) // 2)
            if mdn is None:
                return self.answer(200, {}, b"")
            spoil(fault, message, mdn)
            if mdn.mdn_mode == "ASYNC":
                self.answer(200, {}, b"")
                return threading.Thread(target=deliver, args=(mdn,), daemon=True).start()
            return self.answer(200, mdn.headers, mdn.content)

        def body(self):
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return posting.unchunked(self.rfile)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def answer(self, status, headers, body, sent=None):
            self.send_response(status)
            for key, value in headers.items():
                if key.lower() not in ("date", "content-length"):
                    self.send_header(key, " ".join(value.split()))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, *_):
            pass

    return Handler


def deliver(mdn):
    """Posts an asynchronous MDN."""
    headers = {key: " ".join(value.split()) for key, value in mdn.headers.items()}
    request = urllib.request.Request(mdn.mdn_url, data=mdn.content, headers=headers, method="POST")
    try:
        urllib.request.urlopen(request, timeout=600).read()
    except OSError as error:
        print(f"asynchronous MDN not delivered: {error}", file=sys.stderr)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default of 5 makes the kernel reset connections when a gateway opens many at once.
    request_queue_size = 128


def serve(args):
    """A server that is bound and not yet running."""
    os.makedirs(args.out, exist_ok=True)
    return Server(("127.0.0.1", args.port), handler(Receiver(args)))


def main():
    server = serve(arguments())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"READY {server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
