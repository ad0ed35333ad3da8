"""TensorZero's gateway in this process: tensorzero_embedded.py CONFIG BODY CONNECTIONS

For each line of the input, a number of seconds, asks for as long over so many connections and prints requests/s.
"""

import asyncio
import json
import sys
import time

from tensorzero import AsyncTensorZeroGateway


async def main() -> None:
    config, body, connections = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    system, user = (message["content"] for message in body["messages"])
    asked = {
        "model_name": "mock",
        "input": {"system": system, "messages": [{"role": "user", "content": user}]},
        "params": {"chat_completion": {"temperature": body["temperature"], "max_tokens": body["max_tokens"]}},
    }
    building = AsyncTensorZeroGateway.build_embedded(config_file=config)
    client = await building if asyncio.iscoroutine(building) or hasattr(building, "__await__") else building
    async with client:
        for line in sys.stdin:
            started = time.perf_counter()
            until = started + float(line)

            async def ask() -> int:
                count = 0
                while time.perf_counter() < until:
                    answer = await client.inference(**asked)
                    assert answer.content, answer
                    count += 1
                return count

            counts = await asyncio.gather(*(ask() for _ in range(connections)))
            print(sum(counts) / (time.perf_counter() - started), flush=True)


asyncio.run(main())
