"""Takes mail, and writes each as a line of JSON to the file `mails`: see smtp_sink.rs.

Its one argument is a directory with the file `settings`. While that has a file `misbehaviour`, it
says what to do at which step instead of what is usual.
"""

import asyncio
import json
import os
import ssl
import sys
from email import message_from_bytes
from email.policy import SMTP as POLICY

HOME = sys.argv[1]
with open(os.path.join(HOME, "settings")) as file:
    SETTINGS = json.load(file)
sys.path.insert(0, SETTINGS["packages"])

from aiosmtpd.smtp import SMTP, AuthResult  # noqa: E402


async def misbehave(server, step):
    """The answer that is wanted at `step`, or none; never returns where no answer is wanted."""
    try:
        with open(os.path.join(HOME, "misbehaviour")) as file:
            wanted = json.load(file)
    except FileNotFoundError:
        return None
    if wanted["step"] != step:
        return None
    if wanted["answer"] is not None:
        return wanted["answer"]
    if wanted["drops"]:
        server.transport.abort()
    await asyncio.sleep(3600)


def part(message, kind):
    body = message.get_body((kind,))
    return None if body is None else body.get_content().replace("\r\n", "\n")


class Sink:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if (answer := await misbehave(server, "sender")) is not None:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if (answer := await misbehave(server, "recipient")) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if (answer := await misbehave(server, "content")) is not None:
            return answer
        message = message_from_bytes(envelope.content, policy=POLICY)
        mail = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": part(message, "plain"),
            "html": part(message, "html"),
            "raw": envelope.content.decode("utf-8", "replace"),
            "is_encrypted": server.transport.get_extra_info("cipher") is not None,
            "user": session.auth_data if session.authenticated else None,
            "hello": session.host_name,
            "connection": session.peer[1],
        }
        with open(os.path.join(HOME, "mails"), "a") as file:
            file.write(json.dumps(mail) + "\n")
        if (answer := await misbehave(server, "answer")) is not None:
            return answer
        return "250 Taken"


def authenticate(server, session, envelope, mechanism, given):
    user, password = given.login.decode(), given.password.decode()
    if [user, password] == SETTINGS["login"]:
        return AuthResult(success=True, auth_data=user)
    return AuthResult(success=False, handled=False)


async def main():
    tls, security = None, SETTINGS["security"]
    if security != "none":
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(os.path.join(HOME, "certificate"), os.path.join(HOME, "key"))
    options = {"hostname": "sink.test", "enable_SMTPUTF8": False}
    if security == "starttls":
        options |= {"tls_context": tls, "require_starttls": True}
    if SETTINGS["login"] is not None:
        options |= {
            "authenticator": authenticate,
            "auth_required": True,
            "auth_require_tls": security == "starttls",
        }
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Sink(), **options),
        "127.0.0.1",
        SETTINGS["port"],
        ssl=tls if security == "tls" else None,
    )
    await server.serve_forever()


asyncio.run(main())
