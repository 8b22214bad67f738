#!/usr/bin/env python3
"""Accounts for every message, without asking the gateway.

    check.py [--all-offers] [--receipts] [--sample N] ACCOUNT...

An ACCOUNT is a folder about one direction, written by those who drop files and those who take them:

    sender.jsonl      {"event": "offered", "name", "sha256", "bytes"}      before the sender lets go of a file
                      {"event": "acknowledged", "name", "how"}             from here the gateway answers for it
    receiver.jsonl    {"event": "taken", "name", "sha256"}                 seen in the receiver's inbox
                      {"event": "removed", "name"}                         removed there, and that is durable
    originals.jsonl   the same two events about the sender's sent/ folder  (may be missing)
    mdns/NAME.mdn     MDNs as they travelled: header block, blank line, body (may be missing)
    signer.pem        the certificate that must have signed them

Contents are unique, so a digest stands for a file. A file that is taken again under its name while its removal was
not confirmed is the consumer's own doing (its unlink was lost with the power) and only counted, as "reread".

Problems:
    acknowledged_lost  acknowledged and never taken
    lost               offered and never taken (with --all-offers)
    doubled            taken again after it had been removed, or under a second name
    torn               taken, but nobody offered this content
    mdn_unverified     an MDN whose signature by the pinned certificate does not hold (openssl cms)
    mdn_negative       an MDN that says no
    mdn_stray          an MDN about a name that nobody offered
    mdn_without_file   a positive MDN, and the file was never taken
    mdn_missing        taken, and there is no positive MDN (with --receipts)
    original_lost      taken by the receiver, and the original never came to sent/ (with --receipts)
    original_doubled, original_torn   as above, about sent/

One JSON object per account on standard output. Exit code: 0 clean, 1 problems, 2 the accounts cannot be read.
"""

import argparse
import base64
import collections
import concurrent.futures
import email.parser
import email.policy
import json
import os
import random
import re
import subprocess
import sys
import tempfile

NAMES_SHOWN = 20


class Unusable(Exception):
    pass


def events(path, missing_ok=False):
    if missing_ok and not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # its writer was cut off
            try:
                yield json.loads(line)
            except ValueError as error:
                raise Unusable(f"{path}:{number}: {error}") from error


def read_sender(path):
    """Digest by name, and the acknowledged names."""
    offered, acknowledged, digests = {}, set(), set()
    for event in events(path):
        name = event["name"]
        if event["event"] == "offered":
            if name in offered or event["sha256"] in digests:
                raise Unusable(f"{path}: {name} was offered before, or its content was")
            offered[name] = event["sha256"]
            digests.add(event["sha256"])
        elif event["event"] == "acknowledged":
            if name not in offered:
                raise Unusable(f"{path}: {name} was acknowledged but never offered")
            acknowledged.add(name)
        else:
            raise Unusable(f"{path}: unknown event {event!r}")
    return offered, acknowledged


def read_taker(path, missing_ok=False):
    """Digests seen, names taken twice, how many were read again, and (name, digest) of everything seen."""
    seen, unconfirmed, doubled, reread = {}, {}, [], 0
    everything = []
    for event in events(path, missing_ok):
        name = event["name"]
        if event["event"] == "removed":
            unconfirmed.pop(name, None)
            continue
        if event["event"] != "taken":
            raise Unusable(f"{path}: unknown event {event!r}")
        digest = event["sha256"]
        everything.append((name, digest))
        if digest in seen:
            if unconfirmed.get(name) == digest:
                reread += 1
            else:
                doubled.append(f"{name} (first as {seen[digest]})")
        seen.setdefault(digest, name)
        unconfirmed[name] = digest
    return seen, doubled, reread, everything


def cut(raw):
    """The signed part and the signature of a multipart/signed, as they travelled."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("no end of the header block")
    kind = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(head, headersonly=True)
    if kind.get_content_type() != "multipart/signed":
        raise ValueError(f"it is {kind.get_content_type()}, not multipart/signed")
    boundary = b"--" + kind.get_boundary().encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + boundary)
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise ValueError(f"{len(pieces)} pieces instead of two parts")
    part, signature = (piece.partition(b"\r\n")[2] for piece in pieces[1:3])
    fields, _, signature = signature.partition(b"\r\n\r\n")
    if re.search(rb"(?im)^content-transfer-encoding:\s*base64", fields):
        signature = base64.b64decode(signature)
    return part, signature


def verify(path, signer, scratch):
    """What the signed part says, or why it is not believed."""
    with open(path, "rb") as file:
        raw = file.read()
    try:
        part, signature = cut(raw)
    except ValueError as error:
        return None, str(error)
    content = os.path.join(scratch, f"part-{os.path.basename(path)}")
    with open(content, "wb") as file:
        file.write(part)
    # Only the pinned certificate counts: none inside the message (-nointern), no chain (-noverify).
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-content", content, "-certfile", signer,
               "-nointern", "-noverify", "-out", os.devnull]
    result = subprocess.run(command, input=signature, capture_output=True, check=False)
    os.unlink(content)
    if result.returncode != 0:
        return None, result.stderr.decode(errors="replace").strip()
    return part, None


def is_positive(part):
    disposition = re.search(rb"(?im)^disposition:\s*([^\r\n]*)", part)
    kind = disposition.group(1).partition(b";")[2].strip().lower() if disposition else b""
    return re.fullmatch(rb"processed(/warning.*)?", kind) is not None


def read_mdns(account, sample, problems, offered):
    """Names with a positive MDN that verifies; how many MDNs there are and how many openssl looked at."""
    folder, signer = os.path.join(account, "mdns"), os.path.join(account, "signer.pem")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [name for name in names if name.endswith(".mdn")]
    chosen = set(names if sample is None or len(names) <= sample else random.sample(names, sample))
    positive = set()
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:

        def look(name):
            path = os.path.join(folder, name)
            if name in chosen:
                return name, verify(path, signer, scratch)
            with open(path, "rb") as file:
                return name, (file.read(), None)

        for name, (part, trouble) in pool.map(look, names):
            about = name.removesuffix(".mdn")
            if about not in offered:
                problems["mdn_stray"].append(name)
            if trouble is not None:
                problems["mdn_unverified"].append(f"{name}: {trouble}")
            elif is_positive(part):
                positive.add(about)
            else:
                problems["mdn_negative"].append(name)
    return positive, len(names), len(chosen)


def check(account, options):
    problems = collections.defaultdict(list)
    offered, acknowledged = read_sender(os.path.join(account, "sender.jsonl"))
    digests = set(offered.values())
    taken, doubled, reread, everything = read_taker(os.path.join(account, "receiver.jsonl"))
    problems["doubled"] += doubled
    problems["torn"] += [name for name, digest in everything if digest not in digests]
    for name, digest in offered.items():
        if digest in taken:
            continue
        if name in acknowledged:
            problems["acknowledged_lost"].append(name)
        elif options.all_offers:
            problems["lost"].append(name)
    originals, doubled, reread_originals, everything = read_taker(os.path.join(account, "originals.jsonl"), True)
    problems["original_doubled"] += doubled
    problems["original_torn"] += [name for name, digest in everything if digest not in digests]
    positive, mdns, verified = read_mdns(account, options.sample, problems, offered)
    problems["mdn_without_file"] += sorted(
        name for name in positive if name in offered and offered[name] not in taken)
    if options.receipts:
        arrived = {name for name, digest in offered.items() if digest in taken}
        problems["mdn_missing"] += sorted(arrived - positive)
        problems["original_lost"] += sorted(name for name in arrived if offered[name] not in originals)
    found = {kind: names for kind, names in problems.items() if names}
    report = {
        "account": os.path.basename(os.path.normpath(account)),
        "offered": len(offered), "acknowledged": len(acknowledged), "taken": len(taken),
        "reread": reread, "reread_originals": reread_originals, "mdns": mdns, "mdns_verified": verified,
        "problems": {kind: len(names) for kind, names in found.items()},
        "names": {kind: names[:NAMES_SHOWN] for kind, names in found.items()},
    }
    print(json.dumps(report, ensure_ascii=False))
    return not found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all-offers", action="store_true", help="what was offered must arrive, acknowledged or not")
    parser.add_argument("--receipts", action="store_true", help="what arrived must have its MDN and its original in sent/")
    parser.add_argument("--sample", type=int, help="verify at most so many MDNs, chosen at random; the rest is read")
    parser.add_argument("accounts", nargs="+", metavar="ACCOUNT")
    options = parser.parse_args()
    try:
        clean = [check(account, options) for account in options.accounts]
    except (OSError, KeyError, Unusable) as error:
        print(f"check.py: {error!r}", file=sys.stderr)
        return 2
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
