#!/usr/bin/env python3
"""Receives text messages from dispatchd and sends them through Twilio's Messages API. Needs only Python 3.9 or later.

    LISTEN=127.0.0.1:8099           address to listen on; set ownership.delivery.text.url = "http://127.0.0.1:8099/"
    DISPATCHD_SECRET_FILE=…         the same file as ownership.delivery.text.secret_file
    STORE=sent.db                   database of the messages sent within a day; a restart keeps it
    TWILIO_ACCOUNT_SID=AC…          the account
    TWILIO_AUTH_TOKEN_FILE=…        file with the account's token
    TWILIO_FROM=+1…                 the sending number
    TWILIO_URL=https://api.twilio.com

The adapter sends a message at most once, however often dispatchd posts it. It stores the message's key before it calls
the provider. It deletes the key only if the provider certainly did not accept the message. To use another provider, change
`send`.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODY_BYTES_MAX = 64 * 1024
CLOCK_SECONDS_MAX = 300
KEY_SECONDS = 24 * 3600


def secret(variable):
    return Path(os.environ[variable]).read_text().strip()


DISPATCHD_SECRET = secret("DISPATCHD_SECRET_FILE").encode()
ACCOUNT = os.environ["TWILIO_ACCOUNT_SID"]
TOKEN = secret("TWILIO_AUTH_TOKEN_FILE")
FROM = os.environ["TWILIO_FROM"]
URL = os.environ.get("TWILIO_URL", "https://api.twilio.com").rstrip("/")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


provider = urllib.request.build_opener(NoRedirect)


def send(to, text):
    """Calls the provider. Returns the status for dispatchd, and whether the message was certainly not sent."""
    form = urllib.parse.urlencode({"To": to, "From": FROM, "Body": text}).encode()
    login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    url = f"{URL}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    request = urllib.request.Request(url, form, {"Authorization": f"Basic {login}"})
    try:
        with provider.open(request, timeout=8):
            return 200, False
    except urllib.error.HTTPError as error:
        if error.code == 429:
            return 503, True
        # The account may not send: the number is not to blame.
        if error.code in (401, 403, 404, 405):
            return 403, True
        # Another 4xx status means that the provider did not send the message and never will. After a 5xx status it may
        # have sent it.
        return (422, True) if error.code < 500 else (502, False)
    except urllib.error.URLError as error:
        is_refused = isinstance(error.reason, ConnectionRefusedError)
        return (503, True) if is_refused else (502, False)
    except OSError:
        return 502, False


class Store:
    """Keys of messages with their status. Status 0 means in flight; any other is the answer for dispatchd."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.execute("create table if not exists sent (key text primary key, status int, at int)")
        # A message that was in flight when this program ended may have been sent.
        self.db.execute("update sent set status = 502 where status = 0")

    def begin(self, key):
        """Returns the status of a known key. Returns None for a new key, and marks it as in flight."""
        with self.lock:
            self.db.execute("delete from sent where at < ?", (int(time.time()) - KEY_SECONDS,))
            row = self.db.execute("select status from sent where key = ?", (key,)).fetchone()
            if row is None:
                self.db.execute("insert into sent values (?, 0, ?)", (key, int(time.time())))
            return None if row is None else row[0]

    def end(self, key, status, is_unsent):
        with self.lock:
            if is_unsent:
                self.db.execute("delete from sent where key = ?", (key,))
            else:
                self.db.execute("update sent set status = ? where key = ?", (status, key))


def is_signed(header, body):
    """Checks `Dispatchd-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA-256 of "<t>.<body>">`."""
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and abs(time.time() - int(stamp)) <= CLOCK_SECONDS_MAX):
        return False
    good = hmac.new(DISPATCHD_SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(good.encode(), parts.get("v1", "").encode())


class Adapter(BaseHTTPRequestHandler):
    timeout = 15

    def do_POST(self):
        self.answer(self.accept())

    def accept(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return 413
        body = self.rfile.read(int(length))
        if not is_signed(self.headers.get("Dispatchd-Signature", ""), body):
            return 401
        message = json.loads(body)
        # The signature covers the id in the body, but not the header.
        key = message["id"]
        if key != self.headers.get("Idempotency-Key"):
            return 400
        before = store.begin(key)
        if before is not None:
            # Another request is sending the message. dispatchd retries after a 503.
            return before or 503
        status, is_unsent = 502, False
        try:
            status, is_unsent = send(message["to"], message["text"])
        finally:
            store.end(key, status, is_unsent)
        return status

    def answer(self, status):
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code="-", size="-"):
        # Log the path and the status only: no number, no text.
        self.log_message("%s", code)


store = Store(os.environ.get("STORE", "sent.db"))
host, port = os.environ.get("LISTEN", "127.0.0.1:8099").rsplit(":", 1)
server = ThreadingHTTPServer((host, int(port)), Adapter)
print(f"listening on {host}:{server.server_port}", flush=True)
server.serve_forever()
