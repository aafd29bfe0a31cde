"""What the collector and the usage API share: the server, API keys, problems, bodies, metrics, documents.

It knows nothing of feeds, Kafka or PostgreSQL.

| module | what it does |
|---|---|
| ``server.py`` | listens, runs an application in an event loop of its own, drains it |
| ``protocol.py`` | HTTP, with limits of size and time for the head of a request |
| ``answers.py`` | what an endpoint raises becomes an answer, and each answer is counted |
| ``problems.py`` | errors as clients get them |
| ``keys.py`` | which client a request comes from |
| ``bodies.py`` | the body of a request, within limits of size, time and memory |
| ``metrics.py`` | counts and durations for Prometheus |
| ``documents.py`` | an OpenAPI document as a page |
"""
