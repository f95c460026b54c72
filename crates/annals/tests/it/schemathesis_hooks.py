"""What no description can say: cursors are signed, and a name of a command is used once."""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    # Nobody can make one up. What becomes of those that somebody did is tested with the API.
    if re.fullmatch("[A-Za-z0-9_-]+", str((case.query or {}).get("cursor", ""))):
        del case.query["cursor"]
    # The same name for another request is refused, as it should be.
    if re.fullmatch("[ -~]{1,255}", str((case.headers or {}).get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
