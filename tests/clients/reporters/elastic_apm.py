"""One request through Elastic's agent for Python; prints what was reported, a JSON object a line."""

import json
import sys

import elasticapm

url, token = sys.argv[1:3]
client = elasticapm.Client(
    service_name="reporter",
    service_version="1.2",
    environment="test",
    server_url=url,
    secret_token=token,
    api_request_time="500ms",
    metrics_interval="0s",
    cloud_provider="none",
    span_compression_enabled=False,
    global_labels={"team": "blue"},
)
client.config.update_config()
client.begin_transaction("request")
trace, transaction = elasticapm.get_trace_id(), elasticapm.get_transaction_id()
elasticapm.label(order="o7")
with elasticapm.capture_span("SELECT", span_type="db", span_subtype="postgresql", extra={"db": {"statement": "select 1"}}):
    span = elasticapm.get_span_id()
    try:
        raise ValueError("no stock")
    except ValueError:
        client.capture_exception()
elasticapm.set_custom_context({"n": 7})
client.end_transaction("GET /buy", "HTTP 2xx")
max_spans = client.config.transaction_max_spans
client.close()
print(json.dumps({"trace_id": trace, "span_id": transaction, "name": "GET /buy", "transaction_max_spans": max_spans}))
print(json.dumps({"trace_id": trace, "span_id": span, "name": "SELECT"}))
