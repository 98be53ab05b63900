"""A mail server (aiosmtpd) with planned failures.

mail_server.py '{"port": 0, "tls": "starttls", ...}' prints its port, then one JSON object for each event.

port   0, or none: the kernel picks a free port
tls    "none", "starttls" (offered), "tls" (from the first byte)
cert, key   paths of PEM files
login  [user, password]; if given, the client must log in
helo   if true, the server refuses EHLO
bare   if true, replies have no text
utf8   if false, the server does not offer SMTPUTF8
plan   replies by stage ("mail", "rcpt", "data"): "451 …", "550 …" or "hang". The server uses each once, then accepts.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

options = json.loads(sys.argv[1])
plan = options.get("plan", {})


def report(**what):
    print(json.dumps(what), flush=True)


async def planned(stage, otherwise):
    steps = plan.get(stage, [])
    step = steps.pop(0) if steps else otherwise
    if step == "hang":
        await asyncio.sleep(3600)
    return step


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, parameters):
        report(event="mail", parameters=parameters)
        reply = await planned("mail", "250 OK")
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(self, server, session, envelope, address, parameters):
        report(event="rcpt")
        reply = await planned("rcpt", "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, session, envelope):
        content = envelope.content.decode("utf-8")
        report(event="content", to=envelope.rcpt_tos, sender=envelope.mail_from, content=content)
        return await planned("data", "250 OK")


class Server(SMTP):
    async def smtp_EHLO(self, hostname):
        report(event="ehlo")
        if options.get("helo"):
            await self.push("502 5.5.1 Command not implemented")
        else:
            await super().smtp_EHLO(hostname)

    async def push(self, status):
        if options.get("bare") and isinstance(status, str):
            if status.startswith("250-"):
                # An empty line of a longer reply.
                await super().push("250-")
            elif status[3:4] == " ":
                status = status[:3]
        await super().push(status)


def authenticate(server, session, envelope, mechanism, login):
    report(event="auth")
    given = [login.login.decode(), login.password.decode()]
    return AuthResult(success=given == options["login"], handled=False)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(options["cert"], options["key"])
    return made


def session():
    login = options.get("login") is not None
    return Server(
        Handler(),
        hostname="mail.test",
        enable_SMTPUTF8=options.get("utf8", True),
        tls_context=context() if options["tls"] == "starttls" else None,
        authenticator=authenticate if login else None,
        auth_required=login,
        # With implicit TLS aiosmtpd does not know that the connection is encrypted.
        auth_require_tls=options["tls"] == "starttls",
    )


async def serve():
    encrypted = context() if options["tls"] == "tls" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", options.get("port", 0), ssl=encrypted)
    report(event="ready", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(serve())
