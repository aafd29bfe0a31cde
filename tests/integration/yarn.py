"""Hadoop YARN on this machine: one resource manager and one node manager in a JVM of their own (Hadoop's test cluster)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyspark
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from bytemeter.jars import bundled_jars, resolve
from bytemeter.java import java_home
from tests.integration.cluster import Cluster, executor_python

# Hadoop's test cluster, and what it needs beside the jars inside pyspark and does not ask for.
_JARS = (
    "org.apache.hadoop:hadoop-client-minicluster:3.4.1",
    "org.bouncycastle:bcprov-jdk18on:1.78.1",
    "org.bouncycastle:bcpkix-jdk18on:1.78.1",
    "javax.xml.bind:jaxb-api:2.3.1",
    "org.glassfish.jaxb:jaxb-runtime:2.3.9",
    "org.mockito:mockito-core:4.11.0",
)
_BUNDLED = ("log4j-", "slf4j-api-", "jul-to-slf4j-", "jcl-over-slf4j-", "py4j-")
_SETTINGS = {
    "fs.defaultFS": "file:///",
    "yarn.scheduler.minimum-allocation-mb": "256",
    "yarn.nodemanager.resource.memory-mb": "6000",
    "yarn.nodemanager.resource.cpu-vcores": "8",
    "yarn.nodemanager.vmem-check-enabled": "false",
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.9",
    "yarn.resourcemanager.scheduler.class": (
        "org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler"
    ),
}
# The containers read Spark's jars where they are: to copy them takes long, and shows nothing.
_SUBMIT = f"""
spark.yarn.jars          local:{Path(pyspark.__file__).parent}/jars/*
spark.executor.instances 1
spark.yarn.am.memory     512m
spark.yarn.stagingDir    file://{{folder}}/staging
"""


@contextmanager
def yarn(folder: Path, dist: Path) -> Iterator[Cluster]:
    """A running YARN; it ends with the context."""
    settings, properties = folder / "hadoop", folder / "spark.conf"
    settings.mkdir()
    properties.write_text(_SUBMIT.format(folder=folder))
    with (folder / "yarn.log").open("w") as log:
        port, token = launch_gateway(
            classpath=os.pathsep.join(map(str, (*resolve(_JARS), *_bundled(*_BUNDLED)))),
            javaopts=["-Xmx700m", "--add-opens=java.base/java.lang=ALL-UNNAMED", f"-Dtest.build.data={folder}"],
            java_path=str(java_home() / "bin" / "java"),
            jarpath=str(_bundled("py4j-")[0]),
            redirect_stdout=log,
            redirect_stderr=log,
            die_on_exit=True,
            enable_auth=True,
        )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True))
        running = _started(gateway.jvm)
        try:
            (settings / "yarn-site.xml").write_text(_as_xml(running.getConfig()))
            variables = {"HADOOP_CONF_DIR": str(settings)}
            yield Cluster("yarn", executor_python(folder / "python"), dist, properties, variables)
        finally:
            running.stop()
            gateway.shutdown()


def _bundled(*beginnings: str) -> list[Path]:
    return [jar for jar in bundled_jars() if jar.name.startswith(beginnings)]


def _started(jvm: Any) -> Any:
    configuration = jvm.org.apache.hadoop.yarn.conf.YarnConfiguration()
    for name, value in _SETTINGS.items():
        configuration.set(name, value)
    running = jvm.org.apache.hadoop.yarn.server.MiniYARNCluster("yarn", 1, 1, 1, 1)
    running.init(configuration)
    running.start()
    running.waitForNodeManagersToConnect(60_000)
    return running


def _as_xml(settings: Any) -> str:
    """The addresses of a running cluster, as Hadoop reads them."""
    prefix = "yarn.resourcemanager."
    found = dict(settings.getPropsWithPrefix(prefix))
    lines = (f"<property><name>{prefix}{name}</name><value>{value}</value></property>" for name, value in found.items())
    return f"<configuration>{''.join(lines)}</configuration>"
