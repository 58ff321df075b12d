"""One call through py_zipkin, in an encoding of its own choice; prints what was reported, a JSON object a line."""

import json
import sys

import requests
from py_zipkin import Encoding, Kind
from py_zipkin.storage import get_default_tracer
from py_zipkin.util import ZipkinAttrs
from py_zipkin.zipkin import zipkin_client_span, zipkin_span

endpoint, encoding = sys.argv[1], getattr(Encoding, sys.argv[2])
TYPES = {Encoding.V2_PROTO3: "application/x-protobuf", Encoding.V1_THRIFT: "application/x-thrift"}


def transport(body):
    answer = requests.post(endpoint, data=body, headers={"Content-Type": TYPES.get(encoding, "application/json")}, timeout=10)
    assert answer.status_code == 202, (answer.status_code, answer.text)


reported = []
attrs = ZipkinAttrs(trace_id=sys.argv[3], span_id="00000000000000a1", parent_span_id="00000000000000a0", flags="0", is_sampled=True)
with zipkin_span(
    service_name="py-server", span_name="handle", transport_handler=transport, encoding=encoding,
    zipkin_attrs=attrs, port=8080, host="10.0.0.1", kind=Kind.SERVER, binary_annotations={"http.path": "/x"},
) as server:
    server.add_annotation("looked up")
    with zipkin_client_span(service_name="py-server", span_name="call") as client:
        client.update_binary_annotations({"error": "no route"})
        client.add_sa_binary_annotation(port=9042, service_name="cassandra", host="10.0.0.2")
        inner = get_default_tracer().get_zipkin_attrs()
reported.append({"trace_id": sys.argv[3], "span_id": "00000000000000a1", "name": "handle"})
reported.append({"trace_id": sys.argv[3], "span_id": inner.span_id, "name": "call"})
for span in reported:
    print(json.dumps(span))
