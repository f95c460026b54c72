"""What no description can say: cursors are signed, a name of a command is used once, and nobody who is
not logged in acts in an organization."""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # What becomes of it is tested with the API.
    for item in raw_schema["paths"].values():
        for operation in item.values():
            parameters = operation.get("parameters", [])
            parameters[:] = [p for p in parameters if p["name"] != "Annals-Organization"]


@schemathesis.hook
def before_call(context, case, kwargs):
    # Nobody can make one up. What becomes of those that somebody did is tested with the API.
    if re.fullmatch("[A-Za-z0-9_-]+", str((case.query or {}).get("cursor", ""))):
        del case.query["cursor"]
    # The same name for another request is refused, as it should be.
    if re.fullmatch("[ -~]{1,255}", str((case.headers or {}).get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
