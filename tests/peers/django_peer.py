"""django-pyas2 as a peer of the interop grid: its server as a process of its own (`runserver`), its commands in this one.

The same options and the same orders as pyas2_peer.py. The version that is printed is that of django-pyas2. Every message
goes through its database; `{"collect": true}` is answered by all that it accepted. Standard input closed: both end.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
import zlib

from importlib.metadata import version

import legacy_provider  # Before pyas2lib.

CIPHERS = {
    "aes128-cbc": "aes_128_cbc",
    "aes192-cbc": "aes_192_cbc",
    "aes256-cbc": "aes_256_cbc",
    "3des-cbc": "tripledes_192_cbc",
    "rc2-cbc": "rc2_128_cbc",
}


# Seconds that anything may take: beside other work a second becomes minutes.
PATIENCE = 600


class Cannot(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as2-name", required=True, action="append")
    parser.add_argument("--partner", required=True, action="append")
    parser.add_argument("--key", required=True)
    parser.add_argument("--partner-cert", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--port", type=int, help="where the server of the process listens; set for the server itself")
    return parser.parse_args()


def configure(args):
    """Settings of a project that holds nothing but django-pyas2."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="django_peer_urls",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "pyas2",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.path.join(args.out, "db.sqlite3"),
                # Otherwise two requests at a time end in "database is locked".
                "OPTIONS": {"timeout": PATIENCE, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=wal;"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
        MEDIA_ROOT=args.out,
        # A quarter of what Django allows unless it is told otherwise, so that an oversized message need not be large.
        DATA_UPLOAD_MAX_MEMORY_SIZE=640 * 1024,
        # Not DATA_DIR: since Django 4 the message would be refused after it was saved.
        PYAS2={"MDN_URL": f"http://127.0.0.1:{args.port}/pyas2/as2receive"},
    )
    django.setup()


def seed(args):
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for name in args.as2_name:
        organization(args, name)
    for name in args.partner:
        partner(args, name)


def key_of(path):
    from pyas2.models import PrivateKey

    with open(path, "rb") as file:
        return PrivateKey.objects.get_or_create(name=path, defaults={"key": file.read(), "key_pass": ""})[0]


def certificate_of(path):
    from pyas2.models import PublicCertificate

    with open(path, "rb") as file:
        defaults = {"certificate": file.read(), "verify_cert": False}
    return PublicCertificate.objects.get_or_create(name=path, defaults=defaults)[0]


def organization(args, name):
    from pyas2.models import Organization

    key = key_of(args.key)
    defaults = {"name": name, "encryption_key": key, "signature_key": key}
    return Organization.objects.get_or_create(as2_name=name, defaults=defaults)[0]


def partner(args, name):
    from pyas2.models import Partner

    certificate = certificate_of(args.partner_cert)
    defaults = {"name": name, "target_url": "http://127.0.0.1:9/"}
    defaults |= {"encryption_cert": certificate, "signature_cert": certificate}
    return Partner.objects.get_or_create(as2_name=name, defaults=defaults)[0]


def agree(args, order, sender, receiver):
    """The settings for one message."""
    from pyas2 import settings
    from pyas2.models import Organization, Partner

    if order.get("chunked") or order.get("expect"):
        raise Cannot("django-pyas2 sends by requests: with the length announced, and at once")
    if order["compress"] == "after-signing":
        raise Cannot("django-pyas2 compresses before it signs only")
    if order["encrypt"] != "none" and order["encrypt"] not in CIPHERS:
        raise Cannot(f"django-pyas2 has no {order['encrypt']}")
    if order["encrypt"] != "none" and order["key_transport"] != "rsa-pkcs1":
        raise Cannot("django-pyas2 always writes RSA PKCS #1 v1.5 for the key")
    if order["sign"] not in ("none", "rsa-pkcs1"):
        raise Cannot(f"django-pyas2 has no {order['sign']}")
    if order["digest"] == "md5":
        raise Cannot("django-pyas2 offers no md5")
    digest = order["digest"].replace("-", "")
    settings.MDN_URL = order.get("mdn_url", f"http://127.0.0.1:{args.port}/pyas2/as2receive")
    organization(args, sender)
    partner(args, receiver)
    Organization.objects.filter(as2_name=sender).update(signature_key=key_of(order.get("sign_key", args.key)))
    Partner.objects.filter(as2_name=receiver).update(
        encryption_cert=certificate_of(order.get("encrypt_to", args.partner_cert)),
        target_url=order["url"],
        content_type=order["content_type"],
        compress=order["compress"] != "none",
        encryption=CIPHERS.get(order["encrypt"]),
        signature=None if order["sign"] == "none" else digest,
        mdn=order["mdn"] != "none",
        mdn_mode=None if order["mdn"] == "none" else order["mdn"].upper(),
        mdn_sign=digest if order["mdn_signed"] else None,
    )


def send(args, order):
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage
    from django.core.management import call_command
    from pyas2.models import Message

    sender, receiver = order.get("as2_from", args.as2_name[0]), order.get("as2_to", args.partner[0])
    agree(args, order, sender, receiver)
    with open(order["file"], "rb") as file:
        name = default_storage.save(f"outgoing/{order['file_name']}", ContentFile(file.read()))
    before = set(Message.objects.values_list("pk", flat=True))
    compress_with(cut_short if order.get("cut_zlib") else zlib.compress)
    MICS.clear()
    call_command("sendas2message", sender, receiver, name)
    compress_with(zlib.compress)
    message = Message.objects.exclude(pk__in=before).get(direction="OUT")
    for _ in range(1, order.get("attempts", 1)):
        message.refresh_from_db()
        if message.status == "R":
            with open(os.devnull, "w", encoding="utf-8") as nothing:
                call_command("manageas2server", retry=True, stdout=nothing)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        message = Message.objects.get(pk=message.pk)
        mdn = getattr(message, "mdn", None)
        # The server stores an MDN in steps, its files last.
        if message.status in ("E", "R") or order["mdn"] == "none" or (message.status == "S" and mdn and mdn.payload):
            break
        time.sleep(0.05)
    disposition, mic = fields_of(mdn)
    refused = re.search(r"(\d{3}) (Client|Server) Error", message.detailed_status or "")
    return {
        "message_id": message.message_id,
        "http_status": int(refused.group(1)) if refused else None,
        "status": "processed" if message.status == "S" else message.status,
        "detail": message.detailed_status,
        "mdn_signed": mdn and mdn.signed,
        "mic_sent": MICS[-1],
        "mic_received": mic,
        "disposition": disposition,
    }


# The digests of what was composed since the last order. django-pyas2 itself keeps none of what it sends; a repetition is
# composed anew.
MICS = []


def remember_mics():
    from pyas2lib import Message

    build = Message.build

    def composed(message, *args, **options):
        build(message, *args, **options)
        MICS.append(message.mic and message.mic.decode())

    Message.build = composed


def compress_with(compress):
    """Makes pyas2lib compress by this function."""
    from pyas2lib import cms

    cms.zlib = types.SimpleNamespace(compress=compress, decompress=zlib.decompress)


def cut_short(data):
    whole = zlib.compress(data)
    return whole[: len(whole) * 2 // 3]


def fields_of(mdn):
    """Disposition and MIC of a stored MDN."""
    from email import message_from_bytes

    if mdn is None or not mdn.payload:
        return None, None
    whole = mdn.headers.read().rstrip() + b"\r\n\r\n" + mdn.payload.read()
    for part in message_from_bytes(whole).walk():
        if part.get_content_type() == "message/disposition-notification":
            fields = part.get_payload()[-1]
            return fields.get("Disposition"), fields.get("Received-Content-MIC")
    return None, None


def collect(args):
    """What was accepted, as pyas2_receiver.py would say it."""
    from pyas2.models import Message

    received = []
    for message in Message.objects.filter(direction="IN", payload__gt=""):
        accepted = message.status == "S"
        path = os.path.join(args.out, f"{message.pk}.payload")
        if not os.path.exists(path):
            with message.payload.open("rb") as source, open(f"{path}.new", "wb") as file:
                file.write(source.read())
            os.rename(f"{path}.new", path)
        received.append(
            {
                "message_id": message.message_id,
                "status": "processed" if accepted else message.status,
                "error": None if accepted else message.detailed_status,
                "payload": path if accepted else None,
                "to": message.organization_id,
                "signed": message.signed,
                "encrypted": message.encrypted,
                "compressed": message.compressed,
            }
        )
    return {"received": received}


def deliver_receipts():
    """What an operator's cron job does: asynchronous MDNs are sent by a command."""
    from django.core.management import call_command
    from pyas2.management.commands import manageas2server
    from pyas2.models import Mdn

    def whole(**wanted):
        return Mdn.objects.filter(headers__gt="", payload__gt="", **wanted)

    # The command ends at a receipt without its files, and writes back the row that it read: taking one that the server has not
    # stored whole, it would undo what the server adds meanwhile.
    manageas2server.Mdn = types.SimpleNamespace(objects=types.SimpleNamespace(filter=whole), DoesNotExist=Mdn.DoesNotExist)
    while True:
        time.sleep(0.2)
        try:
            if whole(status="P").exists():
                with open(os.devnull, "w", encoding="utf-8") as nothing:
                    call_command("manageas2server", async_mdns=True, stdout=nothing)
        except Exception:  # Whatever it is, this thread must go on.
            traceback.print_exc()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, server):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the server does not listen")


def main():
    args = arguments()
    if args.port:
        configure(args)
        from django.core.management import call_command

        return call_command("runserver", f"127.0.0.1:{args.port}", use_reloader=False)
    os.makedirs(args.out, exist_ok=True)
    args.port = free_port()
    configure(args)
    remember_mics()
    seed(args)
    command = [sys.executable, "-W", "ignore", *sys.argv, "--port", str(args.port)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        wait_for(args.port, server)
        threading.Thread(target=deliver_receipts, daemon=True).start()
        print(f"READY {args.port} {version('django-pyas2')}", flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            try:
                result = collect(args) if order.get("collect") else send(args, order)
            except Cannot as reason:
                result = {"cannot": str(reason)}
            print(json.dumps(result), flush=True)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
