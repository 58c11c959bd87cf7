"""The part of the client that packs use: one attribute per kind of resource."""

import os

from hearken_python.api import Api, quoted
from st2client.models.core import Resource

__all__ = ["Client"]


class Resources:
    """Resources of one kind, below one path."""

    def __init__(self, api, path, kind=Resource):
        self._api, self._path, self._kind = api, path, kind

    def get_all(self, **query):
        """All of them, or those that fit."""
        query.pop("headers", None)
        found = self._api.ask("GET", self._path, query, missing=[])
        return [self._kind(**item) for item in found or []]

    def query(self, **query):
        """Those that fit."""
        return self.get_all(**query)

    def get_by_id(self, id, **query):
        """One, or None."""
        query.pop("headers", None)
        found = self._api.ask("GET", self._path + "/" + quoted(id), query)
        return None if found is None else self._kind(**found)

    def get_by_name(self, name, **query):
        """One, or None."""
        return next(iter(self.get_all(name=name, **query)), None)

    def get_by_ref_or_id(self, ref_or_id, **query):
        """One, or None."""
        return self.get_by_id(ref_or_id, **query)

    def create(self, instance, **query):
        """Makes one; the answer is what became of it."""
        made = self._api.ask("POST", self._path, _query(query), instance.serialize())
        return self._kind(**(made or {}))

    def update(self, instance, **query):
        """Changes one."""
        name = getattr(instance, "id", None) or instance.name
        path = self._path + "/" + quoted(name)
        made = self._api.ask("PUT", path, _query(query), instance.serialize())
        return self._kind(**(made or {}))

    def delete(self, instance, **query):
        """Removes one."""
        return self.delete_by_id(getattr(instance, "id", None) or instance.name, **query)

    def delete_by_id(self, instance_id, **query):
        """Removes one; whether there was one."""
        gone = object()
        path = self._path + "/" + quoted(instance_id)
        return self._api.ask("DELETE", path, _query(query), missing=gone) is not gone


class Keys(Resources):
    """Keys are known by their names alone."""

    def get_by_name(self, name, **query):
        return self.get_by_id(name, **query)

    def update(self, instance, **query):
        body = instance.serialize()
        name = body.setdefault("name", body.get("id"))
        query = {"scope": body.get("scope"), **_query(query)}
        made = self._api.ask("PUT", self._path + "/" + quoted(name), query, body)
        return self._kind(**(made or {}))

    def delete(self, instance, **query):
        query = {"scope": getattr(instance, "scope", None), **query}
        return self.delete_by_id(instance.name, **query)


class Executions(Resources):
    """What ran, runs, and is to run."""

    def re_run(self, execution_id, parameters=None, tasks=None, no_reset=None, delay=0, **query):
        """Runs it once more."""
        body = {"parameters": parameters or {}, "tasks": tasks or [], "delay": delay}
        path = "%s/%s/re_run" % (self._path, quoted(execution_id))
        return self._kind(**(self._api.ask("POST", path, _query(query), body) or {}))

    def get_output(self, execution_id, output_type=None, **query):
        """What it printed."""
        path = "%s/%s/output" % (self._path, quoted(execution_id))
        return self._api.ask("GET", path, {"output_type": output_type, **_query(query)})


class Client:
    """The API of the server at `api_url`, or of the one that runs this."""

    def __init__(self, base_url=None, api_url=None, token=None, api_key=None, **_options):
        api_url = api_url or os.environ.get("ST2_API_URL")
        if api_url is None and base_url is not None:
            api_url = base_url.rstrip("/") + ":9101/v1"
        self.token = token or api_key or os.environ.get("ST2_AUTH_TOKEN")
        api = Api(api_url, self.token)
        self.endpoints = {"api": api.url}
        self.keys = Keys(api, "/keys")
        self.executions = self.liveactions = Executions(api, "/executions")
        for name in ("actions", "packs", "policies", "rules", "triggers", "webhooks", "aliases"):
            path = "/actionalias" if name == "aliases" else "/" + name
            setattr(self, name, Resources(api, path))
        self.configs = Resources(api, "/configs")
        self.sensors = Resources(api, "/sensortypes")
        self.triggertypes = Resources(api, "/triggertypes")
        self.triggerinstances = Resources(api, "/triggerinstances")
        self.inquiries = Resources(api, "/inquiries")


def _query(query):
    return {key: value for key, value in query.items() if key != "headers"}
