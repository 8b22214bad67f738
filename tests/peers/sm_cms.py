"""SM2, SM3 and SM4 in CMS, made of asn1crypto and gmalg: an implementation that shares no line with the gateway or OpenSSL.

  verify  --cms FILE --content FILE --cert FILE                 a detached signature; exits 0 when it holds, 1 when not
  sign    --content FILE --key FILE --cert FILE --out FILE      a detached signature
  encrypt --content FILE --cert FILE --out FILE                 EnvelopedData: SM4-CBC under an SM2 key
  decrypt --cms FILE --key FILE --cert FILE --out FILE          such an envelope; exits 1 when it is not for this key

`--oid` names the signature's algorithm (default 1.2.156.10197.1.501). Files of keys and certificates are PEM, all others DER.
"""

import argparse
import datetime
import secrets
import sys

from asn1crypto import algos, cms, core, keys, pem, x509
from gmalg.bcmode import BlockCipherModeCBC
from gmalg import SM2, SM3, SM4

SM3_OID = "1.2.156.10197.1.401"
SM2_WITH_SM3 = "1.2.156.10197.1.501"
SM2_SIGN = "1.2.156.10197.1.301.1"
SM2_ENCRYPT = "1.2.156.10197.1.301.3"
SM4_CBC = "1.2.156.10197.1.104.2"
IDENTIFIER = b"1234567812345678"


class Signature(core.Sequence):
    """GM/T 0009 7.3."""

    _fields = [("r", core.Integer), ("s", core.Integer)]


class Ciphertext(core.Sequence):
    """GM/T 0009 7.2."""

    _fields = [("x", core.Integer), ("y", core.Integer), ("hash", core.OctetString), ("cipher", core.OctetString)]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def certificate_of(path):
    return x509.Certificate.load(pem.unarmor(read(path))[2])


def point_of(certificate):
    return bytes(certificate["tbs_certificate"]["subject_public_key_info"]["public_key"])


def secret_of(path):
    info = keys.PrivateKeyInfo.load(pem.unarmor(read(path))[2])
    number = keys.ECPrivateKey.load(info["private_key"].contents)["private_key"].native
    return number.to_bytes(32, "big")


def sm3(data):
    digest = SM3()
    digest.update(data)
    return digest.value()


def names(identifier, certificate):
    chosen = identifier.chosen
    return (chosen["issuer"].dump(), chosen["serial_number"].native) == (
        certificate.issuer.dump(),
        certificate.serial_number,
    )


def verify(args):
    certificate = certificate_of(args.cert)
    info = cms.ContentInfo.load(read(args.cms), strict=True)
    assert info["content_type"].native == "signed_data", info["content_type"].native
    data = info["content"]
    assert data["encap_content_info"]["content_type"].native == "data"
    (signer,) = data["signer_infos"]
    assert [one["algorithm"].dotted for one in data["digest_algorithms"]] == [SM3_OID]
    assert signer["digest_algorithm"]["algorithm"].dotted == SM3_OID
    assert signer["signature_algorithm"]["algorithm"].dotted in (SM2_WITH_SM3, SM2_SIGN)
    assert names(signer["sid"], certificate), "another signer"
    attributes = signer["signed_attrs"]
    found = {one["type"].native: one["values"][0].native for one in attributes}
    assert found["content_type"] == "data"
    if found["message_digest"] != sm3(read(args.content)):
        return 1
    value = Signature.load(signer["signature"].native, strict=True)
    r, s = (value[name].native.to_bytes(32, "big") for name in ("r", "s"))
    signed = b"\x31" + attributes.dump()[1:]
    key = SM2(uid=IDENTIFIER, pk=point_of(certificate))
    return 0 if key.verify(signed, r, s) else 1


def sign(args):
    certificate = certificate_of(args.cert)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [sm3(read(args.content))]}),
            cms.CMSAttribute(
                {
                    "type": "signing_time",
                    "values": [cms.Time({"utc_time": core.UTCTime(datetime.datetime.now(datetime.timezone.utc))})],
                }
            ),
        ]
    )
    key = SM2(secret_of(args.key), IDENTIFIER, point_of(certificate))
    r, s = key.sign(attributes.dump())
    value = Signature({"r": int.from_bytes(r, "big"), "s": int.from_bytes(s, "big")}).dump()
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
                    )
                }
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": SM3_OID}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": args.oid}),
            "signature": value,
        }
    )
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": SM3_OID})],
            "encap_content_info": {"content_type": "data"},
            "certificates": [certificate],
            "signer_infos": [signer],
        }
    )
    write(args.out, cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())
    return 0


def encrypt(args):
    certificate = certificate_of(args.cert)
    key, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    content = read(args.content)
    padding = 16 - len(content) % 16
    content = BlockCipherModeCBC(SM4(key), vector).encrypt(content + bytes([padding]) * padding)
    sealed = SM2(pk=point_of(certificate)).encrypt(key)
    sealed = Ciphertext(
        {
            "x": int.from_bytes(sealed[1:33], "big"),
            "y": int.from_bytes(sealed[33:65], "big"),
            "hash": sealed[65:97],
            "cipher": sealed[97:],
        }
    )
    recipient = cms.KeyTransRecipientInfo(
        {
            "version": "v0",
            "rid": cms.RecipientIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
                    )
                }
            ),
            "key_encryption_algorithm": cms.KeyEncryptionAlgorithm({"algorithm": SM2_ENCRYPT}),
            "encrypted_key": sealed.dump(),
        }
    )
    cipher = algos.EncryptionAlgorithm({"algorithm": SM4_CBC, "parameters": core.OctetString(vector)})
    data = cms.EnvelopedData(
        {
            "version": "v0",
            "recipient_infos": [cms.RecipientInfo("ktri", recipient)],
            "encrypted_content_info": {
                "content_type": "data",
                "content_encryption_algorithm": cipher,
                "encrypted_content": content,
            },
        }
    )
    write(args.out, cms.ContentInfo({"content_type": "enveloped_data", "content": data}).dump())
    return 0


def decrypt(args):
    certificate = certificate_of(args.cert)
    info = cms.ContentInfo.load(read(args.cms), strict=True)
    assert info["content_type"].native == "enveloped_data", info["content_type"].native
    data = info["content"]
    (recipient,) = (one.chosen for one in data["recipient_infos"])
    assert names(recipient["rid"], certificate), "for another recipient"
    assert recipient["key_encryption_algorithm"]["algorithm"].dotted == SM2_ENCRYPT
    sealed = Ciphertext.load(recipient["encrypted_key"].native, strict=True)
    point = b"\x04" + b"".join(sealed[name].native.to_bytes(32, "big") for name in ("x", "y"))
    key = SM2(secret_of(args.key)).decrypt(point + sealed["hash"].native + sealed["cipher"].native)
    content = data["encrypted_content_info"]
    cipher = content["content_encryption_algorithm"]
    assert cipher["algorithm"].dotted == SM4_CBC
    vector = core.OctetString.load(cipher["parameters"].dump()).native
    plain = BlockCipherModeCBC(SM4(key), vector).decrypt(content["encrypted_content"].native)
    padding = plain[-1]
    assert 1 <= padding <= 16 and plain.endswith(bytes([padding]) * padding), "padding"
    write(args.out, plain[:-padding])
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["verify", "sign", "encrypt", "decrypt"])
    for name in ("cms", "content", "cert", "key", "out"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--oid", default=SM2_WITH_SM3)
    args = parser.parse_args()
    return {"verify": verify, "sign": sign, "encrypt": encrypt, "decrypt": decrypt}[args.verb](args)


if __name__ == "__main__":
    sys.exit(main())
