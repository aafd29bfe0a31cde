"""Records/s that the simulator builds and sends, compared with confluent-kafka sending records built before."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from benchmarks.topics import Piece, Topics, seconds_to_send
from simulator.devices import DeviceSimulation


def measure_simulator(topics: Topics, rounds: int) -> None:
    """Send devices without event ids, in turn built while they are sent and built before; print the rates."""
    settings = topics.place("simulator.")
    traffic = topics.traffic(late=0.01, invalid=0.001, event_ids=False)

    def rate(pieces: Iterable[Piece]) -> float:
        return topics.records / seconds_to_send(settings, "devices", pieces)

    built = list(DeviceSimulation(traffic).pieces())
    rates: dict[str, list[float]] = {"simulator, built and sent": [], "confluent-kafka, built before": []}
    for _ in range(rounds):
        rates["simulator, built and sent"].append(rate(DeviceSimulation(traffic).pieces()))
        rates["confluent-kafka, built before"].append(rate(built))
    ours, peer = map(median, rates.values())
    print(f"\n{topics.records:,} devices without event ids, {rounds} rounds")
    for name, measured in rates.items():
        print(f"{name:<36}best {max(measured):>10,.0f}/s   median {median(measured):>10,.0f}/s")
    print(f"simulator: {ours / peer:.2f} times the rate of confluent-kafka, medians", flush=True)
