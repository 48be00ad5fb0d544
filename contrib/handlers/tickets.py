#!/usr/bin/env python3
"""Append one line per ticket change to tickets.csv in the handler's own directory."""
import csv
import json
import os
import sys

callout = json.load(sys.stdin)
fields = callout.get("Fields") or {}
event = os.environ["CALLOUT_EVENT"]

# A handler may be run twice for one event: look before writing.
try:
    with open("tickets.csv", newline="", encoding="utf-8") as f:
        if any(row and row[0] == event for row in csv.reader(f)):
            sys.exit(0)
except FileNotFoundError:
    pass

with open("tickets.csv", "a", newline="", encoding="utf-8") as f:
    csv.writer(f).writerow([event, os.environ["CALLOUT_ACTION"], callout["Id"],
                            fields.get("TicketNumber", ""), fields.get("Status", "")])
