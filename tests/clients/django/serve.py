"""Serves the shop on a loopback port of the system's choice and says which in a file.

usage: serve.py ADDRESS_FILE
"""

import os
import signal
import sys
import threading
from pathlib import Path
from wsgiref.simple_server import make_server

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

from shop import telemetry  # noqa: E402


def main():
    address_file = Path(sys.argv[1])
    provider = telemetry.start()

    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        """The pages log for themselves; scrapes of the metrics are not worth a line."""

        def log_message(self, format, *args):
            pass

    server = make_server(
        "127.0.0.1", 0, get_wsgi_application(), server_class=ThreadedWSGIServer, handler_class=Quiet
    )

    def stop(_signal, _frame):
        # From another thread: shutdown() waits for the loop that this handler has interrupted.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    host, port = server.server_address[:2]
    # Renamed into place, so that a reader sees the whole address or none.
    unfinished = address_file.with_suffix(".new")
    unfinished.write_text(f"{host}:{port}")
    unfinished.rename(address_file)
    server.serve_forever()
    provider.shutdown()


main()
