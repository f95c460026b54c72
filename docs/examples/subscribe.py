"""A subscriber that is no part of Annals: prints the public messages, in the order of the log.

    python3 -m pip install --target .annals/python nats-py
    PYTHONPATH=.annals/python python3 docs/examples/subscribe.py --no-follow

It reads the JetStream stream of the installation with a pull consumer of its own that lives as
long as this program (`--consumer` names it, for a broker that allows this user one name only), and
prints a line a message: the message's sequence in the stream, `ce-type`, `ce-subject`,
`ce-sequence` and the data.

The stream holds every message once and in order, but what reaches a subscriber over a network may
come again. This one takes only the next sequence of the stream, so it prints nothing twice and
stops rather than leave something out. A program that must survive its own restart keeps the last
sequence (`--after`), or the ids of the messages (`ce-id`), together with what it did about them:
docs/messages.md.
"""

import argparse
import asyncio
import os
import uuid

import nats
from nats.errors import TimeoutError as NothingYet
from nats.js.api import AckPolicy, DeliverPolicy


def arguments():
    parser = argparse.ArgumentParser(description="Prints the public messages of Annals.")
    parser.add_argument("--server", default=os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    parser.add_argument("--namespace", default="annals", help="of the installation")
    parser.add_argument("--consumer", default=uuid.uuid4().hex, help="name of the consumer")
    parser.add_argument("--after", type=int, default=0, help="begin after this sequence")
    parser.add_argument("--no-follow", action="store_true", help="end at the end of the stream")
    return parser.parse_args()


async def subscribe(server, namespace, consumer, after, follow):
    stream = namespace.upper()
    connection = await nats.connect(server)
    jetstream = connection.jetstream()
    try:
        await jetstream.add_consumer(
            stream,
            name=consumer,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=60,
        )
        subscription = await jetstream.pull_subscribe_bind(consumer, stream)
        while True:
            try:
                messages = await subscription.fetch(100, timeout=1)
            except NothingYet:
                if follow:
                    continue
                return
            for message in messages:
                sequence = message.metadata.sequence.stream
                if sequence <= after:
                    continue
                if after and sequence != after + 1:
                    raise SystemExit(f"the stream goes from {after} to {sequence}")
                after = sequence
                show(sequence, message)
                if not follow and message.metadata.num_pending == 0:
                    return
    finally:
        try:
            await jetstream.delete_consumer(stream, consumer)
        except nats.errors.Error:
            pass  # the broker removes it when it has been idle for a minute
        await connection.close()


def show(sequence, message):
    of = message.headers
    print(
        f"{sequence:>6}  {of['ce-type']}  {of['ce-subject']} @{of['ce-sequence']}  "
        f"{message.data.decode()}",
        flush=True,
    )


if __name__ == "__main__":
    given = arguments()
    try:
        asyncio.run(
            subscribe(
                given.server, given.namespace, given.consumer, given.after, not given.no_follow
            )
        )
    except KeyboardInterrupt:
        pass
