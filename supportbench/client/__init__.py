"""The client of a supportbench server: typed, over WebSocket, asynchronous or not, also for a server in a container.

async with SupportQueueClient("http://localhost:8000") as env:
    result = await env.reset(task_id="easy_inbox_cleanup")
"""

from supportbench.client.container import Container
from supportbench.client.session import SupportQueueClient, SyncSupportQueueClient
from supportbench.client.task_api import TaskApi

__all__ = ["Container", "SupportQueueClient", "SyncSupportQueueClient", "TaskApi"]
