"""Reads one replay and says whether it is complete; no part of Annals.

    annals relay replay --to replay.billing --after 0
    PYTHONPATH=.annals/python python3 docs/examples/replay.py --subject replay.billing

It takes the messages that `annals relay replay` has sent to a subject from the stream that keeps
them, in order, and computes what the last message tells: how many there were, and a SHA-256 over
all of them. If something is missing, or the last message did not come, it says so and ends with 1:
then the replay is to be asked for again. What it is: docs/messages.md.
"""

import argparse
import asyncio
import hashlib
import json
import os

import nats
from nats.errors import TimeoutError as NothingYet
from nats.js.api import AckPolicy, DeliverPolicy


def arguments():
    parser = argparse.ArgumentParser(description="Reads one replay of Annals.")
    parser.add_argument("--server", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    parser.add_argument("--subject", required=True, help="where the replay was sent")
    parser.add_argument("--replay", help="its id; the last one that is there if absent")
    parser.add_argument("--wait", type=float, default=5, help="seconds to wait for more")
    return parser.parse_args()


class Replay:
    """What was read of one replay."""

    def __init__(self):
        self.count = 0
        self.digest = hashlib.sha256()
        self.told = None

    def take(self, message):
        of = message.headers
        if int(of["ce-replaynumber"]) != self.count + 1:
            raise SystemExit(f"incomplete: {of['ce-replaynumber']} follows {self.count}")
        self.count += 1
        if of["ce-type"].endswith(".relay.replay-completed.v1"):
            self.told = json.loads(message.data)
            return
        self.digest.update(of["ce-id"].encode() + b"\n" + message.data + b"\n")

    def judge(self):
        if self.told is None:
            raise SystemExit(f"incomplete: {self.count} messages and no last one")
        found = {"count": self.count - 1, "sha256": self.digest.hexdigest()}
        if any(self.told[name] != value for name, value in found.items()):
            raise SystemExit(f"incomplete: found {found}, told {self.told}")
        return f"complete: {found['count']} messages, sha256 {found['sha256']}"


async def read(server, subject, wanted, wait):
    connection = await nats.connect(server)
    jetstream = connection.jetstream()
    replays = {}
    try:
        stream = await jetstream.find_stream_name_by_subject(subject)
        subscription = await jetstream.pull_subscribe(
            subject,
            stream=stream,
            config=nats.js.api.ConsumerConfig(
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=60,
            ),
        )
        while True:
            try:
                messages = await subscription.fetch(100, timeout=wait)
            except NothingYet:
                break
            for message in messages:
                replay = (message.headers or {}).get("ce-replay")
                if replay and wanted in (None, replay):
                    replays.setdefault(replay, Replay()).take(message)
            if messages[-1].metadata.num_pending == 0 and last(replays).told:
                break
    finally:
        await connection.close()
    print(last(replays).judge())


def last(replays):
    return list(replays.values())[-1] if replays else Replay()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(read(given.server, given.subject, given.replay, given.wait))
