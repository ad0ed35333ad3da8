"""What every client must find."""

import os

from upstream import KINDS as KINDS

URL = os.environ["BOATHOUSE_URL"]
TEXT = "Hello, wörld! How can I help?"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
NOTHING = {"type": "object", "properties": {}}
CALLS = [("get_weather", {"city": "Paris"}), ("get_time", {})]
RESULTS = {"get_weather": "7 degrees", "get_time": "noon"}
QUESTION = "When does the ferry leave?"
RETRIEVAL = {"retrieval": {"collection": "docs"}}
ANSWER = "at nine"

