"""A service in Python that is called by one in Node: both report their half of the call. Prints what both reported."""

import http.server
import json
import subprocess
import sys
import threading

import requests
from py_zipkin import Encoding, Kind
from py_zipkin.request_helpers import extract_zipkin_attrs_from_headers
from py_zipkin.storage import get_default_tracer
from py_zipkin.zipkin import zipkin_span

base, script, encoder = sys.argv[1:4]
reported = []


def transport(body):
    answer = requests.post(f"{base}/api/v2/spans", data=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert answer.status_code == 202, (answer.status_code, answer.text)


class Back(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        attrs = extract_zipkin_attrs_from_headers(self.headers)
        with zipkin_span(
            service_name="back", span_name="answer", transport_handler=transport, encoding=Encoding.V2_JSON,
            zipkin_attrs=attrs, kind=Kind.SERVER,
        ):
            with zipkin_span(service_name="back", span_name="think"):
                inner = get_default_tracer().get_zipkin_attrs()
        for name, span_id in (("answer", attrs.span_id), ("think", inner.span_id)):
            reported.append({"trace_id": attrs.trace_id, "span_id": span_id, "name": name, "service": "back"})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Back)
threading.Thread(target=server.serve_forever, daemon=True).start()
callee = f"http://127.0.0.1:{server.server_port}/orders"
path = {"JSON_V1": "v1", "JSON_V2": "v2"}[encoder]
front = subprocess.run(
    ["node", script, f"{base}/api/{path}/spans", encoder, callee], capture_output=True, text=True, timeout=30, check=False
)
assert front.returncode == 0, front.stdout + front.stderr
print(front.stdout, end="")
for span in reported:
    print(json.dumps(span))
