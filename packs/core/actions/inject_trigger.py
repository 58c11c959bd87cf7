"""Publishes an event through the API that every action can reach."""

import json
import os
import urllib.request

from st2common.runners.base_action import Action

# Long enough for a busy server, short enough not to hold a runner.
TIMEOUT_SECONDS = 30


class InjectTriggerAction(Action):
    """Posts the trigger and its payload to the generic webhook."""

    def run(self, trigger=None, trigger_name=None, payload=None, trace_tag=None):
        if trigger and trigger_name:
            raise ValueError("give either trigger_name or trigger, not both")
        trigger = trigger_name or trigger
        if not trigger:
            raise ValueError("trigger_name is missing")
        body = {"trigger": trigger, "payload": payload or {}}
        headers = {
            "Content-Type": "application/json",
            "X-Auth-Token": os.environ.get("ST2_ACTION_AUTH_TOKEN", ""),
        }
        if trace_tag:
            headers["St2-Trace-Tag"] = trace_tag
        url = os.environ["ST2_ACTION_API_URL"].rstrip("/") + "/webhooks/st2"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
