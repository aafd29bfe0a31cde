"""The collector: events over HTTP to the feeds' topics, answered once Kafka or a journal on disk has them.

| representation | made by |
|---|---|
| **body**: bytes, within the limits of size and time, inflated | ``bytemeter/web/bodies.py`` |
| **events**: the bytes of each event, in the order of the request, CloudEvents unwrapped | ``splitting.py``, ``cloud_events.py`` |
| **identified** events: those without an event id have got one | ``ingest/identities.py`` |
| **gathered** events of small requests that arrive together | ``gathering.py`` |
| **judged** events: reason, key, event id of each, by the parser of the stream | ``ingest/judging.py`` |
| **delivered** messages: acknowledged by Kafka (``delivery.py``), or on disk (``journal.py``, ``backlog.py``) | ``collecting.py`` |
| **results**: accepted, duplicate, invalid or retry, in the order of the request | ``results.py`` |

``routes.py`` holds the routes, ``clients.py`` who may send what, ``server.py`` the parts together; ``bytemeter/web/``
has what every server has. Everything runs in one event loop; only the journal's writes and Kafka's probe run in threads.

What is accepted was judged by the feed's declaration with a clock that is a minute late: the stream, which judges later,
refuses none of it. Events are delivered at least once; the stream leaves out duplicates by their event ids.
"""  # noqa: E501
