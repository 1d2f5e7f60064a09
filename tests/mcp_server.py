"""An MCP server over stdio that counts its sessions' calls, and may hang, for tests."""

import asyncio
import os
import sys

from mcp.server.fastmcp import FastMCP

server = FastMCP("numbers", log_level="ERROR")
calls = []


@server.tool()
def add(a: int, b: int) -> str:
    """Add two numbers."""
    calls.append(1)
    return f"{a + b} (call {len(calls)} of process {os.getpid()})"


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.sleep(3600)
    return ""


if __name__ == "__main__":
    server.run(sys.argv[1] if len(sys.argv) > 1 else "stdio")
