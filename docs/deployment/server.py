"""Serve a compact model over HTTP with the standard library: python server.py model.skap 8000.

POST /predict takes JSON, {"rows": [[...], ...]}, and answers {"labels": [...],
"probabilities": [[...], ...]}. Neither torch nor skorch is imported.
"""

import json
import sys
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from skactprune import load


def make_server(model, port):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if self.path != "/predict":
                self.send_error(404)
                return
            try:
                size = int(self.headers.get("Content-Length", 0))
                rows = json.loads(self.rfile.read(size))["rows"]
                status, answer = (
                    200,
                    {
                        "labels": model.predict(rows).tolist(),
                        "probabilities": model.predict_proba(rows).tolist(),
                    },
                )
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                # The errors of the model name what is wrong with the rows.
                status, answer = 400, {"error": str(error)}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    # Rows in JSON have no names.
    warnings.filterwarnings("ignore", "X does not have valid feature names")
    make_server(load(sys.argv[1]), int(sys.argv[2])).serve_forever()
