"""pyas2lib as a peer of the interop grid: the receiver of pyas2_receiver.py and the sender of pyas2_sender.py in one
process, which takes many messages.

Takes the options of pyas2_receiver.py and prints `READY <port> <version>`. Then each line of standard input is a JSON
object that says what to send, in the words of dxgate's partner files:

  url, file, file_name, content_type, message_id
  sign            none, rsa-pkcs1, rsa-pss           digest          md5, sha-1, sha-256, sha-384, sha-512
  encrypt         none, aes128-cbc, ...              key_transport   rsa-pkcs1, rsa-oaep-sha1, ...
  compress        none, before-signing, after-signing
  mdn             none, sync, async                  mdn_signed      true, false

and, where a test wants it otherwise than usual:

  as2_from, as2_to      names                        sign_key, encrypt_to   PEM files of somebody else
  chunked, expect       how the body travels         attempts    how often it is sent while no answer comes
  mdn_url               where MDNs are said to go    cut_zlib    leave out the end of what is compressed

and is answered by one line: the JSON object of pyas2_sender.py, or `{"cannot": "<why>"}`. `{"collect": true}` is answered
by `{"received": [...]}`, everything that arrived so far.
"""

import argparse
import json
import os
import sys
import threading

from importlib.metadata import version

import legacy_provider  # Before pyas2lib.
import pyas2_receiver
import pyas2_sender

CIPHERS = {
    "aes128-cbc": "aes_128_cbc",
    "aes192-cbc": "aes_192_cbc",
    "aes256-cbc": "aes_256_cbc",
    "3des-cbc": "tripledes_192_cbc",
    "rc2-cbc": "rc2_128_cbc",
}
SCHEMES = {"rsa-pkcs1": "rsassa_pkcs1v15", "rsa-pss": "rsassa_pss"}


class Cannot(Exception):
    pass


def translated(args, order):
    """The order in the words of pyas2_sender.py."""
    if order["compress"] == "after-signing":
        raise Cannot("pyas2lib compresses before it signs only")
    encrypted, signed = order["encrypt"] != "none", order["sign"] != "none"
    if encrypted and order["encrypt"] not in CIPHERS:
        raise Cannot(f"pyas2lib has no {order['encrypt']}")
    if encrypted and order["key_transport"] != "rsa-pkcs1":
        raise Cannot("pyas2lib reads its setting for the key transport and always writes RSA PKCS #1 v1.5")
    if signed and order["sign"] not in SCHEMES:
        raise Cannot(f"pyas2lib has no {order['sign']}")
    digest = order["digest"].replace("-", "")
    return argparse.Namespace(
        url=order["url"],
        as2_name=order.get("as2_from", args.as2_name[0]),
        partner=order.get("as2_to", args.partner[0]),
        key=args.key,
        partner_cert=args.partner_cert,
        file=order["file"],
        file_name=order["file_name"],
        content_type=order["content_type"],
        sign=signed,
        digest=digest,
        signature=SCHEMES.get(order["sign"], "rsassa_pkcs1v15"),
        encrypt=encrypted,
        cipher=CIPHERS.get(order["encrypt"], "aes_256_cbc"),
        compress=order["compress"] != "none",
        mdn="none" if order["mdn"] == "none" else "signed" if order["mdn_signed"] else "unsigned",
        mdn_digest=digest,
        async_mdn=order["mdn"] == "async",
        mdn_port=order["mdn_port"],
        message_id=order.get("message_id"),
        timeout=600,
        attempts=order.get("attempts", 1),
        chunked=order.get("chunked", False),
        expect=order.get("expect", False),
        sign_key=order.get("sign_key"),
        encrypt_to=order.get("encrypt_to"),
        mdn_url=order.get("mdn_url"),
        cut_zlib=order.get("cut_zlib", False),
    )


def collect(args):
    received = []
    log = os.path.join(args.out, "received.jsonl")
    if os.path.exists(log):
        with open(log, encoding="utf-8") as file:
            received = [json.loads(line) for line in file]
    for one in received:
        one["to"] = one["headers"].get("as2-to")
        one["payload"] = one["payload"] and os.path.join(args.out, one["payload"])
    return {"received": received}


def main():
    args = pyas2_receiver.arguments()
    server = pyas2_receiver.serve(args)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"READY {server.server_address[1]} {version('pyas2lib')}", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            result = collect(args) if order.get("collect") else pyas2_sender.send(translated(args, order))[0]
        except Cannot as reason:
            result = {"cannot": str(reason)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
