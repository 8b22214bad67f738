"""Whole messages, MDNs and compressed data for the corpora, made by pyas2lib. Called by seeds.sh."""

import base64
import os

from pyas2lib import as2, cms

HERE = os.path.dirname(os.path.abspath(__file__))
XML = b'<?xml version="1.0" encoding="UTF-8"?>\r\n<a xmlns="urn:x">\xe4\xb8\xad</a>\r\n'


def read(name):
    with open(os.path.join(HERE, "keys", name), "rb") as file:
        return file.read()


def write(target, name, data):
    with open(os.path.join(HERE, "corpus", target, name), "wb") as file:
        file.write(data)


def raw(message):
    head = "".join(f"{key}: {' '.join(value.split())}\r\n" for key, value in message.headers.items())
    return head.encode() + b"\r\n" + message.content


def parties(**settings):
    sender = as2.Organization(as2_name="SENDER", sign_key=read("sender.key") + read("sender.crt"), domain="fuzz.test")
    receiver = as2.Partner(
        as2_name="RECEIVER", encrypt_cert=read("receiver.crt"), verify_cert=read("receiver.crt"),
        validate_certs=False, mdn_mode="SYNC", mdn_digest_alg="sha256", enc_alg="aes_256_cbc", **settings,
    )  # fmt: skip
    return sender, receiver


def receipt(message):
    station = as2.Organization(as2_name="RECEIVER", sign_key=read("sender.key") + read("sender.crt"),
                               decrypt_key=read("receiver.key") + read("receiver.crt"), domain="fuzz.test")  # fmt: skip
    partner = as2.Partner(as2_name="SENDER", verify_cert=read("sender.crt"), validate_certs=False)
    return as2.Message().parse(raw(message), lambda _: station, lambda _: partner)[2]


def main():
    kinds = {
        "plain": {},
        "signed": {"sign": True},
        "encrypted": {"encrypt": True},
        "compressed": {"compress": True},
        "all": {"sign": True, "encrypt": True, "compress": True},
    }
    for name, settings in kinds.items():
        message = as2.Message(*parties(**settings))
        message.build(XML, filename="a.xml", content_type="application/xml", message_id=name)
        whole = raw(message)
        write("open_message", name, whole)
        if name == "all":
            # An S/MIME file as the body, its own header block in front.
            fields = b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n"
            head, body = whole.split(b"\r\n\r\n", 1)
            encoded = fields + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(body)
            write("open_message", "file", head + b"\r\n\r\n" + encoded)
        write("as2_head", name, whole.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n")
        write("mime_head", name, whole.split(b"\r\n\r\n", 1)[0] + b"\r\n")
        if name == "signed":
            boundary = message.payload.get_boundary().encode()
            write("multipart_signed", name, message.content.replace(boundary, b"b"))
            write("mdn_parse", "signed", raw(receipt(message)))
            del message.payload["disposition-notification-options"]
            write("mdn_parse", "unsigned", raw(receipt(message)))
    write("cms_compressed", "small", cms.compress_message(XML))
    write("cms_compressed", "repeated", cms.compress_message(b"a" * 100_000))


if __name__ == "__main__":
    main()
