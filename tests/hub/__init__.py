"""A stand-in for the Hub over loopback HTTP, for tests; ``tests/hub_server.py`` runs it by hand."""

from tests.hub.faults import Fault, Faults, Request, RequestLog
from tests.hub.server import Hub
from tests.hub.store import Commit, Repo

__all__ = ["Commit", "Fault", "Faults", "Hub", "Repo", "Request", "RequestLog"]
