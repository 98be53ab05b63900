"""Speaks HTTP/2 wrongly, or too much, and prints what the server does.

http2_cases.py cases PORT CA         each case of RFC 9113 on a connection of its own: a JSON line {"case", "is_right", "is_exact", "got"}
http2_cases.py flood PORT CA NAME SECONDS [TOKEN]
                                     one flood until the server ends it: a JSON line {"bytes", "got"}

The cases are those of h2spec (https://github.com/summerwind/h2spec), numbered as there. As h2spec has it, a connection that closes is
right wherever the standard wants an error, also after a GOAWAY with another code. Then the case is not exact.
"""

import json
import socket
import ssl
import sys
import time

from hpack import Encoder
from hyperframe.frame import Frame

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
ERRORS = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
    "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATIENCE = 30
# Bytes that a flood sends at once.
CHUNK = 1 << 14
GET = [(":method", "GET"), (":scheme", "https"), (":path", "/livez"), (":authority", "localhost")]
POST = [(":method", "POST"), (":scheme", "https"), (":path", "/v1/devices"), (":authority", "localhost"),
        ("content-type", "application/json")]
BODY = b'{"platform":"other"}'


def frame(kind, flags, stream, payload=b"", length=None):
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def u32(number):
    return number.to_bytes(4, "big")


def setting(name, value):
    return name.to_bytes(2, "big") + u32(value)


class Peer:
    """A connection. Its requests need no table of headers, so that each is the same bytes on every connection."""

    def __init__(self, port, ca, settings=b"", preface=PREFACE):
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.send(preface + frame(SETTINGS, 0, 0, settings))

    def send(self, *frames):
        """Sends frames. The server may have closed the connection: what it said is read later."""
        try:
            self.socket.sendall(b"".join(frames))
        except OSError:
            pass

    def exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def next(self):
        """The next frame as (type, flags, stream, payload)."""
        head = self.exactly(9)
        parsed, length = Frame.parse_frame_header(memoryview(head))
        return head[3], head[4], parsed.stream_id, self.exactly(length)

    def answers(self):
        """What the server does until it ends the connection or a stream, in words; `status N` for an answer."""
        try:
            while True:
                kind, flags, stream, payload = self.next()
                if kind == GOAWAY:
                    code = int.from_bytes(payload[4:8], "big")
                    if code:
                        yield f"goaway {ERRORS[code]}"
                elif kind == RST_STREAM:
                    yield f"reset {ERRORS[int.from_bytes(payload, 'big')]}"
                elif kind == HEADERS:
                    # The first field is the status. These are of the static table (RFC 7541 appendix A).
                    known = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
                    yield f"status {known.get(payload[0], 'other')}"
                elif kind == PING and flags & ACK:
                    yield f"pong {payload.decode()}"
                elif kind == SETTINGS and flags & ACK:
                    yield "settings acknowledged"
        except TimeoutError:
            yield "silence"
        except (EOFError, OSError):
            yield "closed"


def headers(fields, stream=1, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, block(fields))


def block(fields):
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(fields)


def request_with(*fields, without=(), first=False):
    """A GET with further fields, or without some."""
    kept = [field for field in GET if field[0] not in without]
    return list(fields) + kept if first else kept + list(fields)


OPEN = headers(POST, flags=END_HEADERS)
ASKED = headers(GET)
UNFINISHED = frame(HEADERS, END_STREAM, 1, block(GET)[:5])
REST = block(GET)[5:]

# What the standard wants: an answer, an acknowledgement, an error of the connection, or of a stream. A tuple of error codes.
P, F, S, Z, C, R = ("PROTOCOL_ERROR",), ("FLOW_CONTROL_ERROR",), ("STREAM_CLOSED",), ("FRAME_SIZE_ERROR",), ("COMPRESSION_ERROR",), (
    "PROTOCOL_ERROR", "REFUSED_STREAM")
OK = "status 200"

CASES = [
    # number, what is sent after the preface, what is right
    ("3.5/1 a preface", [ASKED], OK),
    ("4.1/1 a frame of an unknown type", [frame(0x16, 0, 0, b"x" * 8), ASKED], OK),
    ("4.1/2 undefined flags", [frame(PING, 0x16, 0, b"dispatch")], "pong dispatch"),
    ("4.1/3 the reserved bit", [frame(PING, 0, 1 << 31, b"dispatch")], "pong dispatch"),
    ("4.2/1 DATA of 2^14 bytes", [OPEN, frame(DATA, END_STREAM, 1, BODY.ljust(1 << 14))], "status other"),
    ("4.2/2 DATA beyond the greatest frame", [OPEN, frame(DATA, END_STREAM, 1, b" " * ((1 << 14) + 1))], Z),
    ("4.2/3 HEADERS beyond the greatest frame", [frame(HEADERS, 5, 1, b"\0" * ((1 << 14) + 1))], Z),
    ("4.3/1 an invalid block", [frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")], C + P),
    ("4.3/2 PRIORITY within a block", [UNFINISHED, frame(PRIORITY, 0, 1, u32(0) + b"\1")], P),
    ("4.3/3 HEADERS of another stream within a block", [UNFINISHED, headers(GET, 3)], P),
    ("5.1/1 idle: DATA", [frame(DATA, END_STREAM, 1, b"x")], P + S),
    ("5.1/2 idle: RST_STREAM", [frame(RST_STREAM, 0, 1, u32(8))], P),
    ("5.1/3 idle: WINDOW_UPDATE", [frame(WINDOW_UPDATE, 0, 1, u32(100))], P),
    ("5.1/4 idle: CONTINUATION", [frame(CONTINUATION, END_HEADERS, 1, block(GET))], P),
    ("5.1/5 half closed: DATA", [ASKED, frame(DATA, END_STREAM, 1, b"x")], S + P),
    ("5.1/6 half closed: HEADERS", [ASKED, ASKED], S + P),
    ("5.1/7 half closed: CONTINUATION", [ASKED, frame(CONTINUATION, END_HEADERS, 1, block(GET))], S + P),
    ("5.1/8 reset: DATA", [OPEN, frame(RST_STREAM, 0, 1, u32(8)), frame(DATA, END_STREAM, 1, b"x")], S + P),
    ("5.1/9 reset: HEADERS", [OPEN, frame(RST_STREAM, 0, 1, u32(8)), OPEN], S + P),
    ("5.1/10 reset: CONTINUATION", [OPEN, frame(RST_STREAM, 0, 1, u32(8)), frame(CONTINUATION, 4, 1, REST)], S + P),
    ("5.1.1/1 an even stream", [headers(GET, 2)], P),
    ("5.1.1/2 a smaller stream", [headers(GET, 5), headers(GET, 3)], P + S),
    ("5.1.2/1 more streams than allowed", [headers(POST, n, END_HEADERS) for n in range(1, 201, 2)], R),
    ("5.5/2 an unknown frame within a block", [UNFINISHED, frame(0x16, 0, 0, b"x")], P),
    ("6.1/1 DATA of stream 0", [OPEN, frame(DATA, END_STREAM, 0, b"x")], P),
    ("6.1/3 DATA with too much padding", [OPEN, frame(DATA, END_STREAM | PADDED, 1, b"\x06xxxxx")], P),
    ("6.2/3 HEADERS of stream 0", [headers(GET, 0)], P),
    ("6.2/4 HEADERS with too much padding", [frame(HEADERS, 5 | PADDED, 1, b"\xff" + block(GET))], P),
    ("6.2 HEADERS with padding and priority",
     [frame(HEADERS, 5 | PADDED | PRIORITY_FLAG, 1, b"\2" + u32(0) + b"\1" + block(GET) + b"\0\0")], OK),
    ("6.3/1 PRIORITY of stream 0", [frame(PRIORITY, 0, 0, u32(0) + b"\1")], P),
    ("6.3/2 PRIORITY of a wrong length", [OPEN, frame(PRIORITY, 0, 1, b"\x80\0\0\1")], Z),
    ("6.4/1 RST_STREAM of stream 0", [frame(RST_STREAM, 0, 0, u32(8))], P),
    ("6.4/3 RST_STREAM of a wrong length", [OPEN, frame(RST_STREAM, 0, 1, b"\0\0\0")], Z),
    ("6.5/1 SETTINGS that acknowledge with a payload", [frame(SETTINGS, ACK, 0, b"\0")], Z),
    ("6.5/2 SETTINGS of a stream", [frame(SETTINGS, 0, 1, setting(3, 100))], P),
    ("6.5/3 SETTINGS of a wrong length", [frame(SETTINGS, 0, 0, b"\0\3\0")], Z),
    ("6.5.2/1 ENABLE_PUSH of 2", [frame(SETTINGS, 0, 0, setting(2, 2))], P),
    ("6.5.2/2 a window beyond the greatest", [frame(SETTINGS, 0, 0, setting(4, 1 << 31))], F),
    ("6.5.2/3 MAX_FRAME_SIZE below the least", [frame(SETTINGS, 0, 0, setting(5, (1 << 14) - 1))], P),
    ("6.5.2/4 MAX_FRAME_SIZE beyond the greatest", [frame(SETTINGS, 0, 0, setting(5, 1 << 24))], P),
    ("6.5.2/5 an unknown setting", [frame(SETTINGS, 0, 0, setting(0xFF, 1)), ASKED], OK),
    ("6.5.3 an acknowledgement", [frame(SETTINGS, 0, 0, setting(3, 100))], "settings acknowledged"),
    ("6.7/1 PING", [frame(PING, 0, 0, b"dispatch")], "pong dispatch"),
    ("6.7/2 PING that acknowledges", [frame(PING, ACK, 0, b"unasked!"), frame(PING, 0, 0, b"dispatch")], "pong dispatch"),
    ("6.7/3 PING of a stream", [frame(PING, 0, 1, b"dispatch")], P),
    ("6.7/4 PING of a wrong length", [frame(PING, 0, 0, b"short")], Z),
    ("6.8/1 GOAWAY of a stream", [frame(GOAWAY, 0, 1, u32(0) + u32(0))], P),
    ("6.9/1 WINDOW_UPDATE of 0", [frame(WINDOW_UPDATE, 0, 0, u32(0))], P),
    ("6.9/2 WINDOW_UPDATE of 0 for a stream", [OPEN, frame(WINDOW_UPDATE, 0, 1, u32(0))], P),
    ("6.9/3 WINDOW_UPDATE of a wrong length", [frame(WINDOW_UPDATE, 0, 0, b"\0\0\1")], Z),
    ("6.9.1/2 a window of the connection beyond the greatest", [frame(WINDOW_UPDATE, 0, 0, u32((1 << 31) - 1))], F),
    ("6.9.1/3 a window of a stream beyond the greatest", [OPEN, frame(WINDOW_UPDATE, 0, 1, u32((1 << 31) - 1))], F),
    ("6.9.2/3 a setting that makes a window too large",
     [OPEN, frame(WINDOW_UPDATE, 0, 1, u32((1 << 31) - 65536)), frame(SETTINGS, 0, 0, setting(4, (1 << 31) - 1))], F),
    ("6.10/1 several CONTINUATION",
     [UNFINISHED, frame(CONTINUATION, 0, 1, REST[:4]), frame(CONTINUATION, END_HEADERS, 1, REST[4:])], OK),
    ("6.10/2 CONTINUATION, then another frame",
     [UNFINISHED, frame(CONTINUATION, 0, 1, REST[:4]), frame(DATA, END_STREAM, 1, b"x")], P),
    ("6.10/3 CONTINUATION of stream 0", [UNFINISHED, frame(CONTINUATION, END_HEADERS, 0, REST)], P),
    ("6.10/4 CONTINUATION after the end of a block", [OPEN, frame(CONTINUATION, END_HEADERS, 1, REST)], P + S),
    ("8.1/1 HEADERS that end no stream after DATA",
     [OPEN, frame(DATA, 0, 1, BODY), headers([("x-trailer", "1")], flags=END_HEADERS)], P),
    ("8.1.2/1 a name in upper case", [frame(HEADERS, 5, 1, block(GET) + b"\x00\x06X-TEST\x02ok")], P),
    ("8.1.2.1/1 an unknown pseudo field", [headers(request_with((":test", "ok"), first=True))], P),
    ("8.1.2.1/2 a pseudo field of answers", [headers(request_with((":status", "200"), first=True))], P),
    ("8.1.2.1/3 a pseudo field in trailers", [OPEN, frame(DATA, 0, 1, BODY), headers([(":method", "GET")])], P),
    ("8.1.2.1/4 a pseudo field after others", [headers([("x-test", "ok"), *GET])], P),
    ("8.1.2.2/1 Connection", [headers(request_with(("connection", "keep-alive")))], P),
    ("8.1.2.2/1 Transfer-Encoding", [headers(request_with(("transfer-encoding", "chunked")))], P),
    ("8.1.2.2/2 TE other than trailers", [headers(request_with(("te", "trailers, deflate")))], P),
    ("8.1.2.3/1 an empty path", [headers([(":path", ""), *request_with(without=[":path"])])], P),
    ("8.1.2.3/2 no method", [headers(request_with(without=[":method"]))], P),
    ("8.1.2.3/3 no scheme", [headers(request_with(without=[":scheme"]))], P),
    ("8.1.2.3/4 no path", [headers(request_with(without=[":path"]))], P),
    ("8.1.2.3/5 two methods", [headers(request_with((":method", "GET"), first=True))], P),
    ("8.1.2.3/7 two paths", [headers(request_with((":path", "/"), first=True))], P),
    ("8.1.2.6/1 a length that DATA belies",
     [headers(POST + [("content-length", "1")], flags=END_HEADERS), frame(DATA, END_STREAM, 1, b"test")], P),
    ("8.1.2.6/2 a length that several DATA belie",
     [headers(POST + [("content-length", "1")], flags=END_HEADERS), frame(DATA, 0, 1, b"te"), frame(DATA, END_STREAM, 1, b"st")], P),
    ("8.2/1 PUSH_PROMISE of a client", [frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + block(GET))], P),
    ("10.5.1 a head beyond the limit", [frame(HEADERS, END_STREAM, 1, block(GET))]
     + [frame(CONTINUATION, 0, 1, block([("x-filler", "x" * 8000)])) for _ in range(3)]
     + [frame(CONTINUATION, END_HEADERS, 1)], ("PROTOCOL_ERROR", "COMPRESSION_ERROR", "ENHANCE_YOUR_CALM", "status other")),
]


def judge(name, peer, right):
    """Prints what the server did."""
    got, is_right = [], False
    for answer in peer.answers():
        if answer == "settings acknowledged" and right != answer:
            continue
        got.append(answer)
        if isinstance(right, str):
            is_right = answer == right
        else:
            is_right = answer == "closed" or answer.split(" ", 1)[-1] in right or answer in right
        if is_right:
            break
    is_exact = is_right and not any(answer.startswith("goaway") for answer in got[:-1])
    print(json.dumps({"case": name, "is_right": is_right, "is_exact": is_exact, "got": got}), flush=True)
    peer.socket.close()


def run_cases(port, ca):
    for name, frames, right in CASES:
        peer = Peer(port, ca)
        peer.send(*frames)
        judge(name, peer, right)
    judge("3.5/2 an invalid preface", Peer(port, ca, preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00"), P)
    # A window of one byte at a time.
    peer = Peer(port, ca, settings=setting(4, 1))
    peer.send(headers([(name, "/readyz" if name == ":path" else value) for name, value in GET]))
    body = b""
    while True:
        kind, flags, stream, payload = peer.next()
        if kind == DATA:
            body += payload
            if flags & END_STREAM:
                break
            peer.send(frame(WINDOW_UPDATE, 0, 1, u32(1)))
            assert len(payload) <= 1, payload
    is_right = body == b'{"ready":true}'
    case = "6.9.1/1 a window of one byte"
    print(json.dumps({"case": case, "is_right": is_right, "is_exact": is_right, "got": [body.decode()]}), flush=True)


def lookups(token, first):
    fields = [(":method", "GET"), (":scheme", "https"), (":path", "/v1/lookup/+14155550123"), (":authority", "localhost"),
              ("authorization", f"Bearer {token}")]
    return b"".join(headers(fields, first + 2 * n) for n in range(16))


def flood(name, token):
    """What is sent again and again, by the number of the turn."""
    many = 1000
    if name == "rapid reset":
        return lambda turn: b"".join(
            headers(GET, stream) + frame(RST_STREAM, 0, stream, u32(8))
            for stream in range(1 + 2 * many * turn, 1 + 2 * many * (turn + 1), 2))
    if name == "made you reset":
        return lambda turn: b"".join(
            headers(POST, stream, END_HEADERS) + frame(WINDOW_UPDATE, 0, stream, u32(0))
            for stream in range(1 + 2 * many * turn, 1 + 2 * many * (turn + 1), 2))
    if name == "continuation":
        piece = frame(CONTINUATION, 0, 1, block([("x-filler", "x" * 1000)])) * many
        return lambda turn: (frame(HEADERS, END_STREAM, 1, block(GET)) if turn == 0 else b"") + piece
    if name == "empty continuation":
        piece = frame(CONTINUATION, 0, 1) * many
        return lambda turn: (frame(HEADERS, END_STREAM, 1, block(GET)) if turn == 0 else b"") + piece
    if name == "settings":
        return lambda turn: frame(SETTINGS, 0, 0, setting(4, 65535)) * many
    if name == "ping":
        return lambda turn: frame(PING, 0, 0, b"dispatch") * many
    if name == "empty data":
        return lambda turn: (OPEN if turn == 0 else b"") + frame(DATA, 0, 1) * many
    if name == "priority":
        return lambda turn: frame(PRIORITY, 0, 1, u32(0) + b"\1") * many
    if name == "no window":
        return lambda turn: lookups(token, 1) if turn == 0 else frame(PING, 0, 0, b"dispatch")
    raise SystemExit(f"no flood {name}")


def run_flood(port, ca, name, seconds, token):
    peer = Peer(port, ca, settings=setting(4, 0) if name == "no window" else b"")
    # Of these floods nothing is read but what frees the socket.
    reads = name not in ("settings", "ping")
    peer.socket.settimeout(0.01)
    started, sent, turn, got, content = time.monotonic(), 0, 0, "still open", flood(name, token)
    while time.monotonic() - started < seconds:
        piece = content(turn)
        turn += 1
        try:
            while piece and time.monotonic() - started < seconds:
                try:
                    count = peer.socket.send(piece[:CHUNK])
                    sent, piece = sent + count, piece[count:]
                except (ssl.SSLWantWriteError, TimeoutError):
                    pass
                if reads:
                    try:
                        if not peer.socket.recv(1 << 16):
                            raise EOFError
                    except (ssl.SSLWantReadError, TimeoutError):
                        pass
        except (EOFError, OSError):
            got = "closed"
            break
    print(json.dumps({"bytes": sent, "got": got}), flush=True)


if __name__ == "__main__":
    what, port, ca, *rest = sys.argv[1:]
    if what == "cases":
        run_cases(int(port), ca)
    else:
        run_flood(int(port), ca, rest[0], float(rest[1]), rest[2] if len(rest) > 2 else "")
