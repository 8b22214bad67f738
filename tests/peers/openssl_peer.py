"""The `openssl` program as a peer of the interop grid: every signature and envelope is made and checked by it, every
message is cut by hand as RFC 1847 and RFC 2046 say. Only the standard library around it.

The same options and the same orders as pyas2_peer.py. The version that is printed is that of OpenSSL.
"""

import argparse
import base64
import email.utils
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import posting

CIPHERS = {
    "aes128-cbc": "-aes-128-cbc",
    "aes192-cbc": "-aes-192-cbc",
    "aes256-cbc": "-aes-256-cbc",
    "aes128-gcm": "-aes-128-gcm",
    "aes192-gcm": "-aes-192-gcm",
    "aes256-gcm": "-aes-256-gcm",
    "3des-cbc": "-des3",
    "rc2-cbc": "-rc2-cbc",
}
# RC2 is in no other provider.
LEGACY = ["-provider", "legacy", "-provider", "default"]
CRLF = b"\r\n"


class Cannot(Exception):
    pass


class Refused(Exception):
    """What is told in the MDN."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as2-name", required=True, action="append")
    parser.add_argument("--partner", required=True, action="append")
    parser.add_argument("--key", required=True, help="PEM file: our private key and certificate")
    parser.add_argument("--partner-cert", required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def openssl(command, data):
    """Runs the program over `data`; what it wrote, or None and its words."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        done = subprocess.run(["openssl", *command, "-in", file.name], capture_output=True, check=False)
    return (done.stdout if done.returncode == 0 else None), done.stderr.decode("utf-8", "replace")


class Peer:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.received = []
        self.receipts = {}
        self.port = None

    # ---- the program ----

    def sign(self, part, digest, scheme="rsa-pkcs1", key=None):
        options = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:-1"] if scheme == "rsa-pss" else []
        command = ["cms", "-sign", "-binary", "-outform", "DER", "-md", digest.replace("-", "")]
        key = key or self.args.key
        made, why = openssl([*command, "-signer", key, "-inkey", key, *options], part)
        if made is None:
            raise Cannot(f"openssl cms -sign: {why}")
        return made

    def verify(self, part, signature):
        with tempfile.NamedTemporaryFile() as content:
            content.write(part)
            content.flush()
            certificate = self.args.partner_cert
            command = ["cms", "-verify", "-binary", "-inform", "DER", "-content", content.name, "-nointern"]
            trust = ["-certfile", certificate, "-CAfile", certificate, "-purpose", "any", "-out", os.devnull]
            return openssl([*command, *trust], signature)

    def encrypt(self, entity, cipher, transport, recipient=None):
        options = []
        if transport.startswith("rsa-oaep-"):
            digest = transport.removeprefix("rsa-oaep-")
            options = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", f"rsa_oaep_md:{digest}"]
            options += ["-keyopt", f"rsa_mgf1_md:{digest}"]
        elif transport.startswith("ecdh-"):
            options = ["-keyopt", f"ecdh_kdf_md:{transport.removeprefix('ecdh-')}"]
        options += LEGACY if cipher == "rc2-cbc" else []
        recipient = recipient or self.args.partner_cert
        command = ["cms", "-encrypt", "-binary", "-outform", "DER", CIPHERS[cipher], "-recip", recipient]
        made, why = openssl([*command, *options], entity)
        if made is None:
            raise Cannot(f"openssl cms -encrypt: {why}")
        return made

    def decrypt(self, envelope):
        key = self.args.key
        return openssl(["cms", "-decrypt", "-binary", "-inform", "DER", "-recip", key, "-inkey", key], envelope)

    # ---- sending ----

    def send(self, order):
        headers, body, covered = self.compose(order)
        digest = order["digest"]
        mic = base64.b64encode(hashlib.new(digest.replace("-", ""), covered).digest()).decode()
        arrived = threading.Event()
        if order["mdn"] == "async":
            self.receipts[headers["Message-ID"]] = [arrived, None]
        try:
            status, fields, answer = post(order["url"], headers, body, order)
        except OSError as error:
            return {"message_id": headers["Message-ID"], "status": None, "detail": repr(error)}
        result = {"message_id": headers["Message-ID"], "http_status": status, "status": None, "detail": None}
        result |= {"mdn_signed": None, "mic_sent": mic, "mic_received": None, "disposition": None}
        if order["mdn"] == "none" or status >= 300:
            result["status"] = "processed" if status < 300 else "failed"
            return result
        if order["mdn"] == "async":
            if not arrived.wait(60):
                return result | {"detail": "no asynchronous MDN came"}
            fields, answer = self.receipts[headers["Message-ID"]][1]
        return result | self.judge(fields, answer, mic, headers["Message-ID"])

    def compose(self, order):
        if order["compress"] != "none":
            raise Cannot("Debian's openssl is built without zlib: openssl cms -compress fails")
        if order["encrypt"].endswith("-gcm") and order["gcm_form"] != "auth-enveloped":
            raise Cannot("openssl writes AES-GCM as AuthEnvelopedData only")
        with open(order["file"], "rb") as file:
            payload = file.read()
        name = order["file_name"]
        fields = {
            "Content-Type": order["content_type"],
            "Content-Transfer-Encoding": "binary",
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        entity = block(fields) + CRLF + payload
        covered = payload
        body = payload
        if order["sign"] != "none":
            covered = entity
            fields, body = self.multipart(entity, order["digest"], order["sign"], order.get("sign_key"))
            entity = block(fields) + CRLF + body
        if order["encrypt"] != "none":
            covered = covered if order["sign"] != "none" else entity
            body = self.encrypt(entity, order["encrypt"], order["key_transport"], order.get("encrypt_to"))
            kind = "authEnveloped-data" if order["encrypt"].endswith("-gcm") else "enveloped-data"
            fields = {"Content-Type": f'application/pkcs7-mime; smime-type={kind}; name="smime.p7m"'}
        return self.head(order) | fields, body, covered

    def multipart(self, part, digest, scheme="rsa-pkcs1", key=None):
        boundary = uuid.uuid4().hex
        signature = self.sign(part, digest, scheme, key)
        kind = f'multipart/signed; protocol="application/pkcs7-signature"; micalg={digest}; boundary="{boundary}"'
        cut = b"\r\n--" + boundary.encode()
        head = block({"Content-Type": "application/pkcs7-signature", "Content-Transfer-Encoding": "binary"})
        return {"Content-Type": kind}, cut[2:] + CRLF + part + cut + CRLF + head + CRLF + signature + cut + b"--\r\n"

    def head(self, order):
        fields = {
            "AS2-Version": "1.2",
            "AS2-From": quoted(order.get("as2_from", self.args.as2_name[0])),
            "AS2-To": quoted(order.get("as2_to", self.args.partner[0])),
            "Message-ID": f"<{uuid.uuid4()}@openssl.test>",
            "Date": email.utils.formatdate(),
            "MIME-Version": "1.0",
        }
        if order["mdn"] != "none":
            fields["Disposition-Notification-To"] = "openssl"
            if order["mdn_signed"]:
                options = "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, "
                fields["Disposition-Notification-Options"] = options + order["digest"]
            if order["mdn"] == "async":
                fields["Receipt-Delivery-Option"] = order.get("mdn_url", f"http://127.0.0.1:{self.port}/mdn")
        return fields

    def judge(self, fields, body, mic, message_id):
        kind = fields.get("content-type", "")
        signed = kind.lower().startswith("multipart/signed")
        report_head, report = fields, body
        if signed:
            part, signature = cut(kind, body)
            verdict, why = self.verify(part, signature)
            if verdict is None:
                return {"status": "failed", "mdn_signed": True, "detail": why}
            report_head, report = split(part)
        told = notification(report_head.get("content-type", ""), report)
        received = told.get("received-content-mic", "")
        good = told.get("disposition", "").endswith("; processed") and told.get("original-message-id") == message_id
        if good and received and received.split(",")[0].strip() != mic:
            return {"status": "failed", "mdn_signed": signed, "mic_received": received, "detail": "another MIC"}
        return {
            "status": "processed" if good else "failed",
            "mdn_signed": signed,
            "mic_received": received or None,
            "disposition": told.get("disposition"),
        }

    # ---- receiving ----

    def take(self, fields, body):
        """Keeps a message; header fields and body of its MDN."""
        one = {"message_id": fields["message-id"], "to": fields["as2-to"], "payload": None, "error": None}
        one |= {"signed": False, "encrypted": False, "compressed": False}
        covered, told = None, "processed"
        try:
            payload, covered = self.open(fields, body, one)
        except Refused as reason:
            one["error"], told = str(reason), f"processed/error: {reason.args[1]}"
        with self.lock:
            path = os.path.join(self.args.out, f"{len(self.received) + 1}.payload")
            if one["error"] is None:
                with open(path, "wb") as file:
                    file.write(payload)
                one["payload"] = path
            # Told from here on: a message without payload is one that was refused.
            self.received.append(one)
        return self.receipt(fields, told, covered)

    def open(self, fields, body, one):
        head, content, covered = fields, body, body
        if "enveloped-data" in kind_of(head):
            one["encrypted"] = True
            entity, why = self.decrypt(content)
            if entity is None:
                raise Refused(why, "decryption-failed")
            head, content = split(entity)
            covered = entity
        if kind_of(head).startswith("multipart/signed"):
            one["signed"] = True
            part, signature = cut(head["content-type"], content)
            verdict, why = self.verify(part, signature)
            if verdict is None:
                raise Refused(why, "integrity-check-failed")
            head, content = split(part)
            covered = part
        if "compressed-data" in kind_of(head):
            one["compressed"] = True
            raise Refused("openssl is built without zlib", "decompression-failed")
        return content, covered

    def receipt(self, fields, told, covered):
        if "disposition-notification-to" not in fields:
            return None
        options = fields.get("disposition-notification-options", "")
        micalg = re.search(r"signed-receipt-micalg\s*=\s*\w+\s*,\s*([\w-]+)", options)
        digest = micalg.group(1).lower() if micalg else "sha-256"
        notification = {
            "Reporting-UA": "openssl",
            "Original-Recipient": f"rfc822; {fields['as2-to']}",
            "Final-Recipient": f"rfc822; {fields['as2-to']}",
            "Original-Message-ID": fields["message-id"],
            "Disposition": f"automatic-action/MDN-sent-automatically; {told}",
        }
        if covered is not None:
            mic = base64.b64encode(hashlib.new(digest.replace("-", ""), covered).digest()).decode()
            notification["Received-Content-MIC"] = f"{mic}, {digest}"
        boundary = uuid.uuid4().hex
        cut = b"\r\n--" + boundary.encode()
        text = block({"Content-Type": "text/plain"}) + b"\r\nreceived"
        second = block({"Content-Type": "message/disposition-notification"}) + CRLF + block(notification)
        body = cut[2:] + CRLF + text + cut + CRLF + second + cut + b"--\r\n"
        kind = f'multipart/report; report-type=disposition-notification; boundary="{boundary}"'
        head = {"Content-Type": kind}
        if micalg:
            head, body = self.multipart(block(head) + CRLF + body, digest)
        own = {
            "AS2-Version": "1.2",
            "AS2-From": fields["as2-to"],
            "AS2-To": fields["as2-from"],
            "Message-ID": f"<{uuid.uuid4()}@openssl.test>",
            "MIME-Version": "1.0",
        }
        return own | head, body


# ---- MIME by hand ----


def quoted(name):
    """An AS2 name as RFC 4130 6.2 wants it in a field."""
    if not re.search(r'[ "\\]', name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def block(fields):
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in fields.items())


def split(entity):
    head, _, body = entity.partition(b"\r\n\r\n")
    fields = (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in fields}, body


def kind_of(fields):
    return fields.get("content-type", "").lower().replace("authenveloped", "enveloped")


def boundary_of(kind):
    quoted = re.search(r'boundary="([^"]+)"', kind)
    return (quoted or re.search(r"boundary=([^;\s]+)", kind)).group(1).encode()


def parts(kind, body):
    pieces = (CRLF + body).split(b"\r\n--" + boundary_of(kind))
    return [piece[2:] for piece in pieces[1:] if not piece.startswith(b"--")]


def cut(kind, body):
    """The signed part and the signature of a multipart/signed."""
    part, second = parts(kind, body)
    head, signature = split(second)
    if head.get("content-transfer-encoding", "").lower() == "base64":
        signature = base64.b64decode(signature)
    return part, signature


def notification(kind, report):
    for part in parts(kind, report):
        head, body = split(part)
        if head.get("content-type", "").startswith("message/disposition-notification"):
            return split(body.strip() + b"\r\n\r\n")[0]
    return {}


# ---- HTTP ----


def post(url, headers, body, order=None):
    order = order or {}
    how = {"timeout": 600, "chunked": order.get("chunked", False), "expect": order.get("expect", False)}
    for left in reversed(range(order.get("attempts", 1))):
        try:
            status, fields, answer = posting.post(url, headers, body, **how)
            return status, {key.lower(): value for key, value in fields}, answer
        except (OSError, posting.http.client.HTTPException) as error:
            if left == 0:
                raise ConnectionError(repr(error)) from error
    return None


def handler(peer):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            fields = {key.lower(): value for key, value in self.headers.items()}
            if "Content-Length" in self.headers:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            else:
                body = posting.unchunked(self.rfile)
            for message_id, waiting in list(peer.receipts.items()):
                if message_id.encode() in body:
                    waiting[1] = (fields, body)
                    self.answer({}, b"")
                    return waiting[0].set()
            receipt = peer.take(fields, body)
            url = fields.get("receipt-delivery-option")
            if receipt is None or url:
                self.answer({}, b"")
                if receipt:
                    threading.Thread(target=post, args=(url, *receipt), daemon=True).start()
                return None
            return self.answer(*receipt)

        def answer(self, headers, body):
            self.send_response(200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    args = arguments()
    os.makedirs(args.out, exist_ok=True)
    peer = Peer(args)
    server = Server(("127.0.0.1", 0), handler(peer))
    peer.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    version = subprocess.run(["openssl", "version"], capture_output=True, check=True).stdout.decode().split()[1]
    print(f"READY {peer.port} {version}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            result = {"received": peer.received} if order.get("collect") else peer.send(order)
        except Cannot as reason:
            result = {"cannot": str(reason)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
