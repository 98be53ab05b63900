#!/usr/bin/env python3
"""Takes text messages from dispatchd and sends them by Twilio's Messages API. Python 3.9 or later, nothing else.

    LISTEN=127.0.0.1:8099           where dispatchd posts: ownership.delivery.text.url = "http://127.0.0.1:8099/"
    DISPATCHD_SECRET_FILE=…         the same file as ownership.delivery.text.secret_file
    STORE=sent.db                   which messages were sent, for a day; survives a restart
    TWILIO_ACCOUNT_SID=AC…          the account
    TWILIO_AUTH_TOKEN_FILE=…        its token
    TWILIO_FROM=+1…                 the sending number
    TWILIO_URL=https://api.twilio.com

A message is sent once, however often it is posted. Its key is stored before the provider is asked, and is taken out again
only if the provider certainly did not take the message. To use another provider, change `send`.
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
    """Asks the provider. Returns the status for dispatchd, and whether the message certainly was not sent."""
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
        # The provider refused it: it was not sent and never will be. Of its own faults nobody knows.
        return (422, True) if error.code < 500 else (502, False)
    except urllib.error.URLError as error:
        is_refused = isinstance(error.reason, ConnectionRefusedError)
        return (503, True) if is_refused else (502, False)
    except OSError:
        return 502, False


class Store:
    """Keys of messages: 0 is being sent, otherwise the status of the answer."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.execute("create table if not exists sent (key text primary key, status int, at int)")
        # What was being sent when this program ended was perhaps sent.
        self.db.execute("update sent set status = 502 where status = 0")

    def begin(self, key):
        """None if the message is new; it is being sent from here on."""
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
    """Dispatchd-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA-256 of "<t>.<body>">"""
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and abs(time.time() - int(stamp)) <= CLOCK_SECONDS_MAX):
        return False
    good = hmac.new(DISPATCHD_SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(good.encode(), parts.get("v1", "").encode())


class Adapter(BaseHTTPRequestHandler):
    timeout = 15

    def do_POST(self):
        self.answer(self.take())

    def take(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return 413
        body = self.rfile.read(int(length))
        if not is_signed(self.headers.get("Dispatchd-Signature", ""), body):
            return 401
        message = json.loads(body)
        # The id is under the signature; a header alone could be changed.
        key = message["id"]
        if key != self.headers.get("Idempotency-Key"):
            return 400
        before = store.begin(key)
        if before is not None:
            # Being sent by another request: dispatchd asks again.
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
        # The path is all that is logged: no number, no text.
        self.log_message("%s", code)


store = Store(os.environ.get("STORE", "sent.db"))
host, port = os.environ.get("LISTEN", "127.0.0.1:8099").rsplit(":", 1)
server = ThreadingHTTPServer((host, int(port)), Adapter)
print(f"listening on {host}:{server.server_port}", flush=True)
server.serve_forever()
