"""The embedded Kafka: one real broker in KRaft mode, its data under the home."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from pathlib import Path

from bytemeter.errors import BytemeterError
from bytemeter.jars import resolve
from bytemeter.java import java_home
from embedded.home import HOST, Daemon, Home, listens, wait_until
from embedded.modes import OWNER_ONLY

KAFKA = "org.apache.kafka:kafka_2.13:4.1.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"

_LOGGING = """status=error
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %-5p %c: %m%n
"""


class Broker:
    """Starts and stops the Kafka broker of a home, and says whether it runs."""

    name = "kafka"
    # More options of the tool that formats the storage.
    format_options: tuple[str, ...] = ()

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder(self.name)
        self.log = self.folder / "kafka.log"
        self.daemon = Daemon(self.folder / "pid")

    @property
    def servers(self) -> str:
        """Its bootstrap servers."""
        return f"{HOST}:{self.home.port(self.name)}"

    def running(self) -> bool:
        """Whether its process runs."""
        return self.daemon.process() is not None

    def prepare(self) -> None:
        """Choose its ports and fetch its jars, before anything is started.

        Raises:
            BytemeterError: the jars could not be fetched.
        """
        self.home.port(self.name)
        _jars()

    def start(self) -> None:
        """Format the storage on first use, start the broker and wait until it accepts connections.

        Raises:
            BytemeterError: no Java, a taken port, or not up in time.
        """
        java = str(java_home() / "bin" / "java")
        for listener in (self.name, "kafka-controller"):
            self.home.require_free(listener)
        properties = self._write_properties()
        classpath = os.pathsep.join(str(jar) for jar in _jars())
        command = [java, "-cp", classpath, f"-Dlog4j2.configurationFile={self._write_logging()}"]
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(command, properties)
        memory = ["-Xmx768m", "-Xms256m", "-XX:+UseG1GC"]
        self.daemon.start([*command, *memory, "kafka.Kafka", str(properties)], self.log)
        wait_until(self._accepts, what="the embedded Kafka", log=self.log)

    def stop(self) -> bool:
        """Stop the broker; True if it was running."""
        return self.daemon.stop()

    def _accepts(self) -> bool:
        if not self.running():
            raise BytemeterError(f"the embedded Kafka ended at its start; see its log {self.log}")
        return listens(self.home.port(self.name))

    def _settings(self) -> dict[str, str]:
        controller = f"{HOST}:{self.home.port('kafka-controller')}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.servers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.servers}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }

    def _write_properties(self) -> Path:
        path = self.folder / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        return path

    def _write_logging(self) -> Path:
        path = self.folder / "log4j2.properties"
        path.write_text(_LOGGING)
        return path

    def _format(self, command: list[str], properties: Path) -> None:
        # An id may begin with a hyphen: it is joined to its option.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        tool = [
            *command,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            "-c",
            str(properties),
            *self.format_options,
        ]
        done = subprocess.run(
            tool,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            umask=OWNER_ONLY,
            start_new_session=True,
        )
        if done.returncode:
            raise BytemeterError(f"could not format the embedded Kafka's storage: {done.stderr.strip() or done.stdout}")


def _jars() -> list[Path]:
    """The broker's class path. Logging is resolved separately: together they would bring an old kafka-clients."""
    binding = [jar for jar in resolve((LOGGING,)) if jar.name.startswith("log4j-slf4j-impl")]
    return resolve((KAFKA,)) + binding
