"""The class archive from which Spark's JVM starts faster: written beside the first tests, for all that start later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bytemeter.class_archive import class_archive
from bytemeter.feeds import DEVICES
from bytemeter.jars import bundled_jars, spark_jars
from bytemeter.java import java_home
from bytemeter.settings import PREFIX
from tests.commands import endpoints
from tests.messages import device
from tests.networks import put
from tests.places import Places

_DEADLINE_S = 300


@contextmanager
def archive_written(places: Places, history: str) -> Iterator[None]:
    """Write the archive of this installation unless the user's cache has it, by a command in the background.

    The end of the block waits for the command, so that no later run has to write it. Without it nothing fails.
    """
    with ExitStack() as resources:
        if not class_archive(java_home(), [*spark_jars(), *bundled_jars()]).exists():
            _start(resources, places, history)
        yield


def _start(resources: ExitStack, places: Places, history: str) -> None:
    place = resources.enter_context(places.database(history))
    places.require_topics(place)
    put(place, [device()])
    command = [sys.executable, "-m", "cli", *endpoints(place), "stream", DEVICES.name, "--once"]
    variables = {"TOPIC_PREFIX": place.topic_prefix, "DRIVER_MEMORY": "700m", "CLASS_ARCHIVE": "true"}
    writing = subprocess.Popen(
        ["nice", "-n", "19", *command],
        env=os.environ | {f"{PREFIX}{name}": value for name, value in variables.items()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    resources.callback(writing.wait, _DEADLINE_S)
