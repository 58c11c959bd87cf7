"""What packs do with StackStorm's own client, unmodified, against a running Hearken.

Usage: suite.py URL TOKEN. Every function below is one claim; all of them run, and the exit code says
whether all of them hold.
"""

import sys
import time
import traceback

import requests
from st2client.client import Client
from st2client.models import KeyValuePair, LiveAction, Token

WAIT_SECONDS = 30
FINAL = ("succeeded", "failed", "timeout", "canceled", "abandoned")


def until(what, look):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited %s s for %s" % (WAIT_SECONDS, what))


def refused(status, ask, *words):
    """The client's own error for an answer that is not success, and what it says."""
    try:
        ask()
    except requests.exceptions.HTTPError as error:
        assert error.response.status_code == status, (error.response.status_code, status)
        fault = error.response.json()["faultstring"]
        for word in words:
            assert word in fault, fault
        return
    raise AssertionError("it was not refused")


def ended(client, execution):
    def look():
        found = client.executions.get_by_id(execution.id)
        return found if found.status in FINAL else None

    return until("the end of %s" % execution.id, look)


def ran(client, action, **parameters):
    return ended(client, client.liveactions.create(LiveAction(action=action, parameters=parameters)))


def keys_are_kept(client):
    for name, value in [("st2.plain", "one"), ("with:colon", "two"), ("with blank", "three")]:
        client.keys.update(KeyValuePair(id=name, name=name, value=value))
        assert client.keys.get_by_name(name).value == value, name
        assert client.keys.get_by_id(name).value == value, name
    found = client.keys.get_all(prefix="with")
    assert sorted(key.name for key in found) == ["with blank", "with:colon"], found
    client.keys.update(KeyValuePair(id="st2.secret", name="st2.secret", value="hush", secret=True))
    assert client.keys.get_by_name("st2.secret").value != "hush"
    assert client.keys.get_by_name("st2.secret", decrypt=True).value == "hush"
    assert client.keys.delete(KeyValuePair(id="st2.plain", name="st2.plain"))
    # The client's own word for none.
    assert client.keys.get_by_name("st2.plain") == []


def actions_are_listed_and_found(client):
    local = client.actions.get_by_ref_or_id("core.local")
    assert (local.ref, local.pack, local.name, local.runner_type) == (
        "core.local", "core", "local", "local-shell-cmd"), local.to_dict()
    assert local.parameters["cmd"]["required"] and local.enabled
    assert client.actions.get_by_id(local.id).ref == "core.local"
    assert client.actions.get_by_name("noop", pack="core").ref == "core.noop"
    assert [action.ref for action in client.actions.query(name="noop")] == ["core.noop"]
    assert {action.pack for action in client.actions.get_all(pack="core", limit=-1)} == {"core"}
    assert len(client.actions.get_all(limit=2)) == 2
    page, total = client.actions.query_with_count(pack="core", limit=1, offset=1)
    assert len(page) == 1 and total > 5, (page, total)
    brief = client.actions.query(pack="core", include_attributes="ref,description")
    assert not hasattr(brief[0], "parameters") and brief[0].ref.startswith("core.")
    assert client.actions.get_by_ref_or_id("core.nothing") is None
    refused(405, lambda: client.actions.delete(local), "files of packs")


def executions_are_made_watched_and_repeated(client):
    done = ran(client, "core.local", cmd="echo '{\"a\": 1}'; echo oops >&2")
    assert done.status == "succeeded" and done.result["stdout"] == {"a": 1}, done.result
    assert done.action["ref"] == "core.local" and done.liveaction["id"] == done.id
    assert done.parameters["cmd"].startswith("echo") and done.end_timestamp.endswith("Z")
    assert client.liveactions.get_by_id(done.id).status == "succeeded"
    assert client.executions.get_output(done.id, output_type="stderr") == "oops\n"
    assert client.executions.get_property(done.id, "children") == []
    attribute = client.executions.get_property(
        done.id, "attribute/status", self_deserialize=False)
    assert attribute == "succeeded", attribute
    again = ended(client, client.executions.re_run(done.id, parameters={"cmd": "exit 3"}))
    assert again.status == "failed" and again.result["return_code"] == 3, again.result
    found = client.executions.query(action="core.local", status="failed", limit=5)
    assert again.id in [execution.id for execution in found]
    assert client.executions.query(action="core.local", timestamp_lt="2001-01-01T00:00:00Z") == []
    assert client.executions.get_by_id("last").id
    without = client.executions.query(limit=1, exclude_attributes="result")[0]
    assert not hasattr(without, "result")
    later = client.executions.create(
        LiveAction(action="core.noop", parameters={}, delay=200, context={"source_channel": "x"}))
    done = ended(client, later)
    assert done.status == "succeeded" and done.context["source_channel"] == "x", done.context
    refused(400, lambda: client.executions.create(LiveAction(action="core.nothing")), "core.nothing")
    bad = LiveAction(action="core.local", parameters={"nonsense": 1})
    refused(400, lambda: client.executions.create(bad), "nonsense")
    assert client.executions.get_by_id("6957353500112233445566aa") is None


def executions_are_taken_back(client):
    sleep = LiveAction(action="core.local", parameters={"cmd": "echo begun; sleep 60"})
    running = client.executions.create(sleep)
    until("its output", lambda: "begun" in client.executions.get_output(running.id))
    assert client.executions.delete_by_id(running.id)
    assert ended(client, running).status == "canceled"
    refused(400, lambda: client.executions.pause(running.id), "workflows")


def rules_are_switched_and_nothing_else(client):
    rule = client.rules.get_by_ref_or_id("shop.late")
    assert (rule.name, rule.pack, rule.enabled) == ("late", "shop", False)
    assert rule.trigger["type"] == "shop.order_late" and rule.action["ref"] == "core.noop"
    rule.enabled = True
    assert client.rules.update(rule).enabled is True
    assert client.rules.get_by_name("late").enabled is True
    assert [found.ref for found in client.rules.query(enabled=True, pack="shop")] == ["shop.late"]
    assert client.rules.query(action="core.nothing") == []
    rule.description = "another one"
    refused(501, lambda: client.rules.update(rule), "description")
    refused(405, lambda: client.rules.delete(rule), "files of packs")
    refused(405, lambda: client.rules.create(rule), "files of packs")


def facts_come_in_and_are_found(client):
    sent = {"trigger": "shop.sold", "payload": {"order": 7}}
    assert client.webhooks.post_generic_webhook("shop.sold", {"order": 7}) == sent

    def look():
        found = client.triggerinstances.query(trigger="shop.sold", limit=1)
        return found and found[0]

    fact = until("the fact", look)
    assert fact.payload == {"order": 7}, fact.payload
    assert client.triggerinstances.get_by_id(fact.id).trigger == "shop.sold"
    assert client.triggerinstances.re_emit(fact.id)["payload"]["trigger"] == "shop.sold"
    assert client.managers["Webhook"].get_all() == []


def what_is_there_is_listed(client):
    types = client.triggertypes.get_all(pack="core", limit=-1)
    assert "core.st2.webhook" in [known.ref for known in types]
    triggers = client.managers["Trigger"].get_all()
    assert "core.st2.generic.actiontrigger" in [known.ref for known in triggers]
    timers = [known for known in triggers if known.type == "core.st2.IntervalTimer"]
    assert timers and timers[0].parameters["delta"], "the bundled example has a timer"
    runner = client.managers["RunnerType"].get_by_name("python-script")
    assert "env" in runner.runner_parameters, runner.to_dict()
    packs = {pack.name: pack for pack in client.managers["Pack"].get_all()}
    assert {"core", "shop"} <= set(packs) and packs["shop"].ref == "shop"
    assert isinstance(client.managers["RuleEnforcement"].get_all(limit=3), list)
    assert isinstance(client.managers["Sensor"].get_all(), list)


def questions_are_answered(client):
    asked = client.executions.create(LiveAction(action="core.ask", parameters={
        "route": "ops", "users": ["ann", "stanley"], "ttl": 5}))
    until("the question", lambda: client.executions.get_by_id(asked.id).status == "pending")
    assert asked.id in [question.id for question in client.inquiries.get_all()]
    question = client.inquiries.get_by_id(asked.id)
    assert (question.route, question.ttl, question.users) == ("ops", 5, ["ann", "stanley"])
    refused(400, lambda: client.inquiries.respond(asked.id, {"continue": "perhaps"}), "continue")
    refused(400, lambda: client.inquiries.respond(asked.id, {}), "continue")
    assert client.inquiries.respond(asked.id, {"continue": True}).id == asked.id
    done = client.executions.get_by_id(asked.id)
    assert done.status == "succeeded" and done.result["response"] == {"continue": True}
    refused(400, lambda: client.inquiries.respond(asked.id, {"continue": True}), "any more")
    assert client.inquiries.get_by_id("6957353500112233445566aa") is None


def a_password_gives_a_token(client):
    tokens, secret = client.managers["Token"], client.token
    token = tokens.create(Token(ttl=60), auth=("st2admin", secret))
    assert token.user == "st2admin" and token.token and token.expiry.endswith("Z")
    refused(401, lambda: tokens.create(Token(), auth=("st2admin", "Ch@ngeMe")), "password")
    info = client.get_user_info()
    assert info["username"] and info["rbac"]["enabled"] is False, info


def main():
    url, token = sys.argv[1:]
    client = Client(
        base_url=url, api_url=url + "/v1", auth_url=url + "/auth/v1", token=token)
    claims = [claim for name, claim in globals().items()
              if claim.__doc__ is None and getattr(claim, "__code__", None)
              and claim.__code__.co_varnames[:claim.__code__.co_argcount] == ("client",)]
    broken = 0
    for claim in claims:
        try:
            claim(client)
            print("holds:", claim.__name__)
        except Exception:
            broken += 1
            print("BROKEN:", claim.__name__)
            traceback.print_exc(file=sys.stdout)
    print("%d claims, %d broken" % (len(claims), broken))
    return 1 if broken or len(claims) != 9 else 0


if __name__ == "__main__":
    sys.exit(main())
