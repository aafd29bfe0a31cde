"""Sends on what becomes of a feed's messages, each once: decided by PostgreSQL's transaction, sent by one of Kafka's.

A stage (``speed_layer.executor.outgoing``) makes on executors what is to be sent. ``query`` counts the records and
drops what duplicates would have sent; ``router`` sends after the commit; ``catching_up`` sends at a start what an
earlier process has counted and not sent.
"""
