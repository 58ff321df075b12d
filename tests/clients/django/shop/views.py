"""The shop's pages. Each logs through the standard library; the slow one works in spans of its own."""

import logging
import time

from django.http import JsonResponse
from opentelemetry import trace

log = logging.getLogger("shop.views")
tracer = trace.get_tracer("shop.views")

# Long enough to stand out in a waterfall.
SLOW_QUERY_SECONDS = 0.3
PRICES = {"anvil": 120, "rope": 8, "lantern": 35}


def fast(request):
    """Answers from memory."""
    log.info("prices read from memory")
    return JsonResponse(PRICES)


def slow(request):
    """Adds up an order, with a query that takes its time."""
    log.info("order of %d articles begun", len(PRICES))
    with tracer.start_as_current_span("SELECT prices") as span:
        span.set_attribute("db.system.name", "postgresql")
        time.sleep(SLOW_QUERY_SECONDS)
        log.warning("query took longer than %.1f s", SLOW_QUERY_SECONDS / 2)
    with tracer.start_as_current_span("add up"):
        total = sum(PRICES.values())
        log.info("total is %d", total)
    return JsonResponse({"total": total})
