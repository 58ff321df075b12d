"""Lines through python-logging-loki, in the shape of its choice; prints what was reported, a JSON object a line."""

import json
import logging
import sys

import logging_loki

url, version, trace = sys.argv[1:4]


def fail(record):
    raise SystemExit(f"not taken: {record!r}: {sys.exc_info()[1]}")


handler = logging_loki.LokiHandler(url=url, tags={"app": "reporter"}, version=version)
handler.handleError = fail
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)
for n in range(3):
    line = f"order {n} trace_id={trace}"
    log.warning(line, extra={"tags": {"kind": "order"}})
    print(json.dumps({"trace_id": trace, "line": line}))
