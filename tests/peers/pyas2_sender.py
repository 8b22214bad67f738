"""An AS2 sender made of pyas2lib, for the interop tests.

Sends one file, checks the MDN with pyas2lib and prints one JSON object:

  http_status      of the answer to the POST
  status, detail   what pyas2lib makes of the MDN: `processed` when signature and MIC are right
  mdn_signed       the MDN came as multipart/signed
  mic_sent         what pyas2lib computed (null for unsigned messages: it computes none)
  mic_received     the MDN's Received-Content-MIC
  disposition      the MDN's Disposition field
  body             the answer when it is not an MDN (text, at most 2000 characters)

Exits 0 when status is `processed`, 1 otherwise, 3 when the receiver could not be reached.
"""

import argparse
import http.client
import json
import sys
import threading
import types
import zlib
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer

import posting
from pyas2lib import as2, cms


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--as2-name", required=True, help="our AS2 name")
    parser.add_argument("--partner", required=True, help="the receiver's AS2 name")
    parser.add_argument("--key", required=True, help="PEM file: our private key and certificate")
    parser.add_argument("--partner-cert", required=True, help="PEM file: the receiver's certificate")
    parser.add_argument("--file", required=True)
    parser.add_argument("--file-name", help="name told to the receiver")
    parser.add_argument("--content-type", default="application/octet-stream")
    parser.add_argument("--sign", action="store_true")
    parser.add_argument("--digest", default="sha256")
    parser.add_argument("--signature", default="rsassa_pkcs1v15", choices=["rsassa_pkcs1v15", "rsassa_pss"])
    parser.add_argument("--encrypt", action="store_true")
    parser.add_argument("--cipher", default="aes_256_cbc")
    parser.add_argument("--compress", action="store_true")
    parser.add_argument("--mdn", default="signed", choices=["signed", "unsigned", "none"])
    parser.add_argument("--mdn-digest", default="sha256")
    parser.add_argument("--async-mdn", action="store_true", help="take the MDN on a port of our own")
    parser.add_argument("--mdn-port", type=int, default=0)
    parser.add_argument("--message-id", help="left side of the Message-ID, to send a duplicate")
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--attempts", type=int, default=1, help="how often the message is sent while no answer comes")
    parser.add_argument("--chunked", action="store_true", help="send the body in chunks")
    parser.add_argument("--expect", action="store_true", help="wait for 100 Continue")
    parser.add_argument("--sign-key", help="PEM file: sign with this key and certificate instead")
    parser.add_argument("--encrypt-to", help="PEM file: encrypt to this certificate instead")
    parser.add_argument("--mdn-url", help="where asynchronous MDNs are said to be taken")
    parser.add_argument("--cut-zlib", action="store_true", help="leave out the end of what is compressed")
    return parser.parse_args()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def compress_with(compress):
    """Makes pyas2lib compress by this function."""
    cms.zlib = types.SimpleNamespace(compress=compress, decompress=zlib.decompress)


def cut_short(data):
    whole = zlib.compress(data)
    return whole[: len(whole) * 2 // 3]


def build(args, mdn_url):
    pem, certificate = read(args.key), read(args.partner_cert)
    station = as2.Organization(
        as2_name=args.as2_name,
        sign_key=read(args.sign_key) if args.sign_key else pem,
        decrypt_key=pem,
        domain="pyas2.test",
        mdn_url=mdn_url,
    )
    partner = as2.Partner(
        as2_name=args.partner,
        verify_cert=certificate,
        encrypt_cert=read(args.encrypt_to) if args.encrypt_to else certificate,
        validate_certs=False,
        sign=args.sign,
        digest_alg=args.digest,
        sign_alg=args.signature,
        encrypt=args.encrypt,
        enc_alg=args.cipher,
        compress=args.compress,
        mdn_mode=None if args.mdn == "none" else "ASYNC" if mdn_url else "SYNC",
        mdn_digest_alg=args.mdn_digest if args.mdn == "signed" else None,
    )
    message = as2.Message(station, partner)
    compress_with(cut_short if args.cut_zlib else zlib.compress)
    try:
        named = {"filename": args.file_name, "content_type": args.content_type, "message_id": args.message_id}
        message.build(read(args.file), **named)
    finally:
        compress_with(zlib.compress)
    return message


class MdnListener:
    """Takes one asynchronous MDN, that of the message `about` when it is set; others are answered and forgotten."""

    def __init__(self, port):
        self.arrived = threading.Event()
        self.raw = None
        self.about = None
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if listener.about is None or listener.about.encode() in body:
                    listener.raw = raw(self.headers.items(), body)
                    listener.arrived.set()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/mdn"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def raw(headers, body):
    head = "".join(f"{key}: {value}\r\n" for key, value in headers)
    return head.encode("latin-1") + b"\r\n" + body


def post(args, message):
    how = {"timeout": args.timeout, "chunked": args.chunked, "expect": args.expect}
    for left in reversed(range(args.attempts)):
        try:
            status, headers, body = posting.post(args.url, message.headers, message.content, **how)
            return status, raw(headers, body)
        except (OSError, http.client.HTTPException):
            if left == 0:
                raise
    return None


def judge(message, raw_mdn, result):
    status, detail = as2.Mdn().parse(raw_mdn, lambda message_id, _: message if message_id == message.message_id else None)
    parsed = message_from_bytes(raw_mdn)
    result.update(status=status, detail=detail, mdn_signed=parsed.get_content_type() == "multipart/signed")
    for part in parsed.walk():
        if part.get_content_type() == "message/disposition-notification":
            fields = part.get_payload()[-1]
            result.update(mic_received=fields.get("Received-Content-MIC"), disposition=fields.get("Disposition"))
    if result["disposition"] is None:
        result["body"] = raw_mdn.split(b"\r\n\r\n", 1)[1][:2000].decode("utf-8", "replace")


def main():
    result, code = send(arguments())
    print(json.dumps(result))
    return code


def send(args):
    """Sends one message; the result and the exit code."""
    listener = MdnListener(args.mdn_port) if args.async_mdn else None
    message = build(args, args.mdn_url or listener.url if listener else None)
    if listener:
        listener.about = message.message_id
    result = {
        "message_id": message.message_id,
        "http_status": None,
        "status": None,
        "detail": None,
        "mdn_signed": None,
        "mic_sent": message.mic.decode() if message.mic else None,
        "mic_received": None,
        "disposition": None,
        "body": None,
    }
    try:
        result["http_status"], answer = post(args, message)
    except (OSError, http.client.HTTPException) as error:
        result["detail"] = repr(error)
        return result, 3
    if listener and result["http_status"] < 300:
        if listener.arrived.wait(args.timeout):
            answer = listener.raw
        else:
            result["detail"] = "no asynchronous MDN came"
    if args.mdn == "none":
        result["status"] = "processed" if result["http_status"] < 300 else "failed"
    elif result["detail"] is None:
        judge(message, answer, result)
    if listener:
        listener.close()
    return result, 0 if result["status"] == "processed" else 1


if __name__ == "__main__":
    sys.exit(main())
