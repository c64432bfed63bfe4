"""A web server on this machine, for as long as it is used."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve(folder: Path, note: Callable[..., None] = lambda *said: None) -> Iterator[str]:
    """Serve a folder; what is asked for is told to ``note``. Yields the address, without a slash.

    Like Python's own server it sends whole files only, no parts of them.
    """

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, _format: str, *said: object) -> None:
            note(*said)

    handler = functools.partial(Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
