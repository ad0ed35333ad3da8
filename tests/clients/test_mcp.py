"""The official `mcp` package: every tool and resource, over streamable HTTP and over stdin and stdout, in the newest
version of the protocol and in the last one with a handshake."""

import asyncio
import json
import os
import unittest

import mcp

from expected import ANSWER, QUESTION, URL

HTTP = f"{URL}/mcp"
STDIO = mcp.StdioServerParameters(command=os.environ["BOATHOUSE_BINARY"], args=["mcp", "--url", URL])


class Mcp(unittest.TestCase):
    def on_all(self, test) -> None:
        async def run(server, mode) -> None:
            async with mcp.Client(server, mode=mode) as client:
                await test(client)

        for name, server in (("http", HTTP), ("stdio", STDIO)):
            for mode in ("auto", "legacy"):
                with self.subTest(name, mode=mode):
                    asyncio.run(run(server, mode))

    def test_tools_are_listed(self) -> None:
        async def test(client) -> None:
            self.assertEqual(client.server_info.name, "boathouse")
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            self.assertEqual(list(tools), ["search", "answer", "validate", "ingest", "feedback"])
            self.assertTrue(tools["search"].annotations.read_only_hint)
            self.assertEqual(tools["search"].input_schema["required"], ["collection", "query"])

        self.on_all(test)

    def test_every_tool(self) -> None:
        async def test(client) -> None:
            async def call(tool, **arguments):
                # The client checks what comes by the tool's output schema.
                called = await client.call_tool(tool, arguments)
                self.assertFalse(called.is_error, called.content)
                self.assertEqual(json.loads(called.content[0].text), called.structured_content)
                return called.structured_content

            texts = [{"id": "w", "text": "The workshop closes at noon."}]
            stored = await call("ingest", collection="mcp", texts=texts, create=True)
            self.assertEqual(stored["ids"], ["w"])
            found = await call("search", collection="mcp", query="when does the workshop close?")
            self.assertEqual(found["hits"][0]["id"], "w")
            answer = await call("answer", question=QUESTION, collection="docs", model="extractive")
            self.assertIn(ANSWER, answer["answer"])
            read = await client.read_resource(answer["citations"][0]["uri"])
            self.assertIn("ferry", read.contents[0].text)
            self.assertTrue((await call("feedback", target=answer["id"], rating="accepted"))["hash"])
            draft = {"to": "a@example.com", "subject": "Hello", "body": "Dear {{name}}"}
            judged = await call("validate", kind="email", payload=draft)
            self.assertEqual(judged["verdict"], "repairable")

        self.on_all(test)

    def test_calls_at_the_same_time(self) -> None:
        async def test(client) -> None:
            calls = [client.call_tool("search", {"collection": "docs", "query": "ferry", "k": k}) for k in range(1, 21)]
            answers = await asyncio.gather(*calls)
            self.assertFalse(any(answer.is_error for answer in answers))
            ids = {answer.structured_content["id"] for answer in answers}
            self.assertEqual(len(ids), 20)

        self.on_all(test)

    def test_failures(self) -> None:
        async def test(client) -> None:
            called = await client.call_tool("search", {"collection": "nobody", "query": "x"})
            self.assertTrue(called.is_error)
            self.assertIn("there are: docs", called.content[0].text)
            with self.assertRaises(mcp.MCPError):
                await client.read_resource("boathouse://collections/nobody")
            self.assertTrue((await client.list_tools()).tools)

        self.on_all(test)

    def test_resources(self) -> None:
        async def test(client) -> None:
            resources = (await client.list_resources()).resources
            self.assertIn("boathouse://collections/docs", [str(resource.uri) for resource in resources])
            for resource in resources:
                read = await client.read_resource(resource.uri)
                self.assertIsInstance(json.loads(read.contents[0].text), dict)
            templates = (await client.list_resource_templates()).resource_templates
            self.assertEqual(len(templates), 1)

        self.on_all(test)
