"""Carries connections from the machine's loopback to the API server inside the cluster's network namespace.

kubectl -> 127.0.0.1:PORT (a socket of the machine's network namespace) -> this process, in the node -> kube-apiserver
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

CHUNK = 1 << 16


async def forward(listener: socket.socket, target: tuple[str, int]) -> None:
    """Serve `listener` until cancelled. Bytes are not changed: TLS is between the client and the API server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            onward_reader, onward_writer = await asyncio.open_connection(*target)
            await asyncio.gather(_pump(reader, onward_writer), _pump(onward_reader, writer))
        writer.close()

    async with await asyncio.start_server(serve, sock=listener) as server:
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end, and close that direction, so that the other one can finish."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()
