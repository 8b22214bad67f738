"""A mail server of aiosmtpd on a free port of 127.0.0.1. Prints "READY <port>", appends each mail to <out>/received.jsonl, ends
with its standard input."""

import argparse
import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Keeper:
    """Refuses the first mails for now, keeps the others."""

    def __init__(self, out: pathlib.Path, refuse: int):
        self.out, self.refuse = out, refuse

    async def handle_DATA(self, server, session, envelope):
        if self.refuse > 0:
            self.refuse -= 1
            return "451 not now"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        entry = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or isinstance(server.transport.get_extra_info("sslcontext"), ssl.SSLContext),
            "user": session.auth_data.login.decode() if session.authenticated else None,
            "headers": {name: str(value) for name, value in message.items()},
            "defects": [str(defect) for defect in message.defects],
            "text": message.get_content(),
        }
        with open(self.out / "received.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        return "250 kept"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--mode", choices=["plain", "starttls", "tls"], default="plain")
    parser.add_argument("--bundle", help="PEM with certificate and key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--refuse", type=int, default=0)
    options = parser.parse_args()
    context = None
    if options.mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.bundle)

    def authenticate(server, session, envelope, mechanism, data):
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (
            options.user.encode(),
            options.password.encode(),
        )
        return AuthResult(success=known, handled=False, auth_data=data if known else None)

    keeper = Keeper(options.out, options.refuse)
    starttls = options.mode == "starttls"

    def session():
        return SMTP(
            keeper,
            hostname="peer.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate if options.user else None,
            auth_required=bool(options.user),
            auth_require_tls=starttls,
            enable_SMTPUTF8=True,
        )

    async def serve():
        loop = asyncio.get_running_loop()
        tls = context if options.mode == "tls" else None
        server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
        print("READY", server.sockets[0].getsockname()[1], flush=True)
        ended = asyncio.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
        await ended.wait()

    asyncio.run(serve())


main()
