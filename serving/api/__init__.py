"""The usage API: what is counted, asked over HTTP.

| step | made by |
|---|---|
| **client**: who asks, and what it may see | ``clients.py``, ``rates.py`` |
| **parameters**, each checked or refused by name | ``parameters.py``, ``zoned.py`` |
| **snapshot**: one transaction that reads | ``snapshots.py``, with a login of its own (``login.py``) |
| **totals** of windows, page by page | ``usage.py``, ``totals.py`` |
| **data plan** of an MSISDN, with a **projection** | ``plans.py``, ``projection.py`` |
| **threshold events**, and the **stream** of them | ``events.py``, ``stream.py`` |
| **answers**: JSON and CSV | ``answers.py`` |

``routes.py`` holds the routes, ``documents.py`` the OpenAPI document, ``server.py`` puts the parts together. Requests
run in one event loop, their questions to PostgreSQL in threads, one connection each. No request aggregates records:
totals of hours, days and months are sums of windows that the live query and the recomputes maintain.
"""
