"""HTTP and WebSocket on the wire: uvicorn's protocols with a bound on what a peer can make the server hold."""

from supportbench.server.protocols.http import HttpProtocol
from supportbench.server.protocols.websocket import WebSocketProtocol

__all__ = ["HttpProtocol", "WebSocketProtocol"]
