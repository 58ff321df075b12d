"""Counts with prometheus_client, with exemplars of a trace, and shows it on a port until it is ended."""

import sys
import threading

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server

port, trace_id, span_id = sys.argv[1:]
exemplar = {"trace_id": trace_id, "span_id": span_id}

orders = Counter("shop_orders", "Orders that were taken.\nAll of them", ["method"])
orders.labels("card").inc(3, exemplar={**exemplar, "customer": "Zoë"})
orders.labels('in "cash" \\').inc(2)

wait = Histogram("shop_wait_seconds", "Waiting.", ["method"], buckets=(0.1, 1, 10, 1_000_000))
wait.labels("card").observe(0.5, exemplar=exemplar)
wait.labels("card").observe(2.5)

Gauge("shop_stock", "On the shelf.").set(7.25)
Summary("shop_size_bytes", "Of parcels.", unit="bytes").observe(12)
Info("shop_build", "This program.").info({"version": "1.2"})
Enum("shop_state", "Of the door.", states=["open", "shut"]).state("shut")

start_http_server(int(port), addr="127.0.0.1")
threading.Event().wait()
