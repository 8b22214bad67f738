"""One POST, as the peers in Python send it: with its length or in chunks, at once or after `100 Continue`."""

import http.client
import socket
import urllib.parse

# Fields that say how the body travels; they are set here.
FRAMING = ("content-length", "transfer-encoding", "expect")


def post(url, headers, body, timeout, chunked=False, expect=False):
    """Status, header fields and body of the answer."""
    parsed = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parsed.hostname, parsed.port or 80, timeout=timeout)
    connection.putrequest("POST", parsed.path or "/")
    for key, value in headers.items():
        if key.lower() not in FRAMING:
            connection.putheader(key, " ".join(value.split()))
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(len(body)))
    if expect:
        connection.putheader("Expect", "100-continue")
    connection.endheaders()
    if not expect or is_wanted(connection.sock):
        try:
            connection.send(in_chunks(body) if chunked else body)
        except (BrokenPipeError, ConnectionResetError):
            # The answer may have come before all was sent.
            pass
    answer = connection.getresponse()
    return answer.status, answer.getheaders(), answer.read()


def in_chunks(body, size=1000):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def is_wanted(connection):
    """Waits for a word of the server and takes it away if it is `100 Continue`."""
    if not connection.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL).startswith(b"HTTP/1.1 100"):
        return False
    taken = b""
    while not taken.endswith(b"\r\n\r\n"):
        taken += connection.recv(1)
    return True


def unchunked(file):
    """The body of a chunked request."""
    body = b""
    while size := int(file.readline().split(b";")[0], 16):
        body += file.read(size)
        file.readline()
    file.readline()
    return body
