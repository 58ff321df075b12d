"""The shop's pages. Each logs through the standard library; the slow one works in spans of its own."""

import logging
import time

from django.core.cache import cache
from django.db import DatabaseError, connection
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


def stock(request):
    """Answers from the cache, which it fills from the database."""
    left = cache.get("left")
    if left is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 7")
            left = cursor.fetchone()[0]
        cache.set("left", left)
    return JsonResponse({"left": left})


def broken(request):
    """Fails in its own code."""
    raise ValueError("no such article")


def misread(request):
    """Fails in the database, and bears it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT price FROM nowhere")
    except DatabaseError as error:
        log.error("prices cannot be read: %s", error)
    return JsonResponse({}, status=503)
