"""A foreign system: takes every message of the stream, once and in order, and writes it down.

Usage: subscriber.py NATS_URL STREAM FILE

It remembers the sequence of the last message it took and begins behind it whenever anything
breaks, so what it writes is what a careful subscriber in another language sees.
"""

import asyncio
import json
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


async def take_from(url, stream, taken, record):
    connection = await nats.connect(url, allow_reconnect=False, connect_timeout=2)
    try:
        jetstream = connection.jetstream(timeout=2)
        subscription = await jetstream.pull_subscribe(
            "",
            stream=stream,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=taken + 1,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=30,
            ),
        )
        while True:
            try:
                messages = await subscription.fetch(100, timeout=1)
            except nats.errors.TimeoutError:
                # Nothing new, or nobody there: an answer tells which.
                await jetstream.stream_info(stream)
                continue
            for message in messages:
                sequence = message.metadata.sequence.stream
                if sequence != taken + 1:
                    raise RuntimeError(f"expected {taken + 1}, got {sequence}")
                record(sequence, message)
                taken = sequence
    except (nats.errors.Error, OSError, asyncio.TimeoutError, RuntimeError) as error:
        print(f"after {taken}: {error!r}", file=sys.stderr)
        return taken
    finally:
        try:
            await connection.close()
        except Exception as error:  # the connection is broken already
            print(f"close: {error!r}", file=sys.stderr)


async def main(url, stream, path):
    taken = 0
    with open(path, "w", encoding="utf-8", buffering=1) as file:

        def record(sequence, message):
            line = {
                "sequence": sequence,
                "subject": message.subject,
                "headers": dict(message.headers),
                "data": json.loads(message.data),
            }
            file.write(json.dumps(line) + "\n")

        while True:
            try:
                taken = await take_from(url, stream, taken, record)
            except (nats.errors.Error, OSError, asyncio.TimeoutError) as error:
                print(f"cannot begin after {taken}: {error!r}", file=sys.stderr)
            await asyncio.sleep(0.1)


asyncio.run(main(*sys.argv[1:]))
