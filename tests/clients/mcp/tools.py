"""Speaks to the gateway's /mcp as programs with language models do, and prints what it was told, a JSON object a line.

usage: tools.py URL CALLS

CALLS is JSON: a list of [tool, arguments].
"""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main():
    url, calls = sys.argv[1], json.loads(sys.argv[2])
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        greeting = await session.initialize()
        print(json.dumps({"server": greeting.serverInfo.name, "instructions": greeting.instructions}))
        tools = (await session.list_tools()).tools
        print(json.dumps({"tools": [tool.name for tool in tools]}))
        for tool, arguments in calls:
            result = await session.call_tool(tool, arguments)
            text = "".join(block.text for block in result.content)
            print(json.dumps({"tool": tool, "error": bool(result.isError), "text": text}))


asyncio.run(main())
