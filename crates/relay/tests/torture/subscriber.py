"""A foreign system that survives everything: writes down each message of the stream that it gets.

Usage: subscriber.py NATS_URLS STREAM FILE

A line is the message's sequence in the stream, its `ce-id` and its `ce-subject`. After any trouble
it begins behind the last one that it has, or at the end of a stream that has lost its end and gets
it again; so an id may stand there twice, as docs/messages.md says, and whoever reads the record
goes by the ids.
"""

import asyncio
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


async def take_from(urls, stream, taken, record):
    connection = await nats.connect(urls, allow_reconnect=False, connect_timeout=2)
    try:
        jetstream = connection.jetstream(timeout=2)
        taken = min(taken, (await jetstream.stream_info(stream)).state.last_seq)
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
                messages = await subscription.fetch(500, timeout=1)
            except nats.errors.TimeoutError:
                # Nothing new, or nobody there: an answer tells which.
                await subscription.consumer_info()
                continue
            for message in messages:
                sequence = message.metadata.sequence.stream
                if sequence != taken + 1:
                    raise RuntimeError(f"expected {taken + 1}, got {sequence}")
                record(sequence, message.headers)
                taken = sequence
    except (nats.errors.Error, OSError, asyncio.TimeoutError, RuntimeError) as error:
        print(f"after {taken}: {error!r}", file=sys.stderr)
        return taken
    finally:
        try:
            await connection.close()
        except Exception as error:  # the connection is broken already
            print(f"close: {error!r}", file=sys.stderr)


async def main(urls, stream, path):
    taken = 0
    with open(path, "w", encoding="utf-8", buffering=1) as file:

        def record(sequence, headers):
            file.write(f"{sequence} {headers['ce-id']} {headers['ce-subject']}\n")

        while True:
            try:
                taken = await take_from(urls.split(","), stream, taken, record)
            except (nats.errors.Error, OSError, asyncio.TimeoutError) as error:
                print(f"cannot begin after {taken}: {error!r}", file=sys.stderr)
            await asyncio.sleep(0.1)


asyncio.run(main(*sys.argv[1:]))
