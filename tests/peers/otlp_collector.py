"""A collector of traces on a free port of 127.0.0.1. It reads OTLP's JSON by OpenTelemetry's own definitions, which refuse unknown
fields, and answers 400 to anything else. Prints "READY <port>", appends each export to <out>/received.jsonl, ends with its
standard input."""

import argparse
import base64
import http.server
import json
import pathlib
import sys
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def hex_of(identifier: bytes) -> str:
    """OTLP writes ids as hex where Protobuf's JSON has base64: what was read as base64 is written back."""
    return base64.b64encode(identifier).decode()


def read(body: bytes) -> list:
    request = json_format.Parse(body, ExportTraceServiceRequest())
    spans = []
    for resource in request.resource_spans:
        names = {one.key: one.value.string_value for one in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                ids = [hex_of(span.trace_id), hex_of(span.span_id), hex_of(span.parent_span_id)]
                if any(int(one, 16) < 0 for one in ids if one) or len(ids[0]) != 32:
                    raise ValueError("not an id")
                spans.append(
                    {
                        "service": names["service.name"],
                        "trace_id": ids[0],
                        "span_id": ids[1],
                        "parent_span_id": ids[2],
                        "name": span.name,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "failed": span.status.code == 2,
                        "attributes": {one.key: one.value.string_value for one in span.attributes},
                    }
                )
    return spans


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()

    class Collector(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/json":
                    raise ValueError(self.path)
                entry, status = {"spans": read(body)}, 200
            except Exception as error:
                print(error, file=sys.stderr, flush=True)
                entry, status = None, 400
            if entry:
                with open(options.out / "received.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            answer = b"{}"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    print("READY", server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
