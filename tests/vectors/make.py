#!/usr/bin/env python3
"""Makes wycheproof.json of the vectors of project Wycheproof (C2SP/wycheproof, Apache-2.0), reduced to what is asked.

    tests/vectors/make.py FOLDER        FOLDER: testvectors_v1 of a checkout, or src/data of the crate `wycheproof`

The file has one list for each kind of operation. A group is one key with its parameters; a test of it is
[number, verdict, octets…], octets in base64. `make.py` is run by hand when Wycheproof has news; tests read its result.
"""

import base64
import json
import pathlib
import sys

SIGNATURES = [
    "rsa_signature_2048_sha256", "rsa_signature_3072_sha512", "rsa_signature_4096_sha384", "rsa_pss_2048_sha256_mgf1_0", "rsa_pss_2048_sha256_mgf1_32",
    "rsa_pss_2048_sha256_mgf1sha1_20", "rsa_pss_2048_sha384_mgf1_48", "rsa_pss_4096_sha512_mgf1_64", "rsa_pss_misc",
    "ecdsa_secp256r1_sha256", "ecdsa_secp256r1_sha512", "ecdsa_secp384r1_sha384", "ecdsa_secp384r1_sha512",
]
TRANSPORTS = [
    "rsa_pkcs1_2048", "rsa_pkcs1_3072", "rsa_oaep_2048_sha1_mgf1sha1", "rsa_oaep_2048_sha256_mgf1sha256",
    "rsa_oaep_2048_sha384_mgf1sha384", "rsa_oaep_2048_sha512_mgf1sha512", "rsa_oaep_3072_sha256_mgf1sha256",
    "rsa_oaep_2048_sha256_mgf1sha1", "rsa_oaep_2048_sha384_mgf1sha1", "rsa_oaep_2048_sha512_mgf1sha1", "rsa_oaep_3072_sha256_mgf1sha1",
]
AGREEMENTS = ["ecdh_secp256r1_ecpoint", "ecdh_secp384r1_ecpoint"]


def packed(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def groups(folder, names, parameters, octets):
    for name in names:
        for group in json.loads((folder / f"{name}_test.json").read_text())["testGroups"]:
            tests = [
                [test["tcId"], test["result"], *(packed(test.get(field, "")) for field in octets)] for test in group["tests"]
            ]
            yield {"set": name, **parameters(group), "tests": tests}


def signature(group):
    known = {"key": packed(group["publicKeyDer"]), "digest": group["sha"].lower()}
    if "sLen" in group:
        known |= {"mgf_digest": group["mgfSha"].lower(), "salt": group["sLen"]}
    return known


def transport(group):
    digests = {"digest": group.get("sha", "").lower(), "mgf_digest": group.get("mgfSha", "").lower()}
    return {"key": packed(group["privateKeyPkcs8"]), **digests}


def main():
    folder = pathlib.Path(sys.argv[1])
    everything = {
        "source": "https://github.com/C2SP/wycheproof, Apache-2.0",
        "signatures": list(groups(folder, SIGNATURES, signature, ["msg", "sig"])),
        "transports": list(groups(folder, TRANSPORTS, transport, ["msg", "ct", "label"])),
        "cbc": list(groups(folder, ["aes_cbc_pkcs5"], lambda group: {}, ["key", "iv", "msg", "ct"])),
        "gcm": list(groups(folder, ["aes_gcm"], lambda group: {}, ["key", "iv", "aad", "msg", "ct", "tag"])),
        "agreements": list(groups(folder, AGREEMENTS, lambda group: {}, ["private", "public", "shared"])),
    }
    text = json.dumps(everything, separators=(",", ":")).replace('{"set"', '\n{"set"')
    pathlib.Path(__file__).with_name("wycheproof.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
