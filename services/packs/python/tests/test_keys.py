"""The datastore, over HTTP."""

import http.server
import json
import threading
import unittest
import urllib.parse

from hearken_python.api import Api, ApiError
from hearken_python.keys import Datastore


class Server(http.server.BaseHTTPRequestHandler):
    """The part of StackStorm's API that is asked."""

    kept = {}
    asked = []

    def answer(self, code, value=None):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_any(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        self.asked.append((self.command, self.path, self.headers.get("X-Auth-Token")))
        if path == "/v1/keys":
            prefix = query.get("prefix", "")
            found = [item for name, item in sorted(self.kept.items()) if name.startswith(prefix)]
            return self.answer(200, found)
        if path == "/v1/user":
            return self.answer(401, {"faultstring": "Unauthorized"})
        name = urllib.parse.unquote(path.rpartition("/")[2])
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.kept[name] = json.loads(body)
            return self.answer(200, self.kept[name])
        if name not in self.kept:
            return self.answer(404, {"faultstring": "no such key"})
        if self.command == "DELETE":
            del self.kept[name]
            return self.answer(204)
        return self.answer(200, self.kept[name])

    do_GET = do_PUT = do_DELETE = do_any

    def log_message(self, *_arguments):
        pass


class KeysTest(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        Server.kept, Server.asked = {}, []
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def test_keys_are_the_class_s_own_unless_said_otherwise(self):
        store = Datastore("shop", "Look", Api(self.url, "secret"))
        self.assertIsNone(store.get_value("a"))
        self.assertTrue(store.set_value("a", 5, ttl=7, encrypt=True))
        self.assertTrue(store.set_value("b c/d", "x", local=False, scope="user"))
        self.assertEqual(store.get_value("a"), "5")
        self.assertEqual(store.get_value("b c/d", local=False), "x")
        own = {"id": "shop.Look:a", "name": "shop.Look:a", "value": "5", "scope": "system"}
        self.assertEqual(Server.kept["shop.Look:a"], {**own, "secret": True, "ttl": 7})
        self.assertEqual([pair.name for pair in store.list_values()], ["shop.Look:a"])
        self.assertEqual(len(store.list_values(local=False)), 2)
        self.assertTrue(store.delete_value("a"))
        self.assertFalse(store.delete_value("a"))
        store.get_value("a", decrypt=True)
        last = ("GET", "/v1/keys/shop.Look%3Aa?scope=system&decrypt=true", "secret")
        self.assertEqual(Server.asked[-1], last)

    def test_a_refusal_says_why(self):
        with self.assertRaisesRegex(ApiError, "GET /user: 401 Unauthorized.*ST2_ACTION_AUTH_TOKEN"):
            Datastore("shop", "Look", Api(self.url + "/v1/")).get_user_info()
        with self.assertRaisesRegex(ApiError, "cannot reach the API at http://127.0.0.1:1/v1"):
            Api("http://127.0.0.1:1", "x").ask("GET", "/keys")

    def test_the_small_client_speaks_the_same(self):
        import os
        import sys

        last = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "last")
        sys.path.append(last)
        self.addCleanup(sys.path.remove, last)
        from st2client.client import Client
        from st2client.models import KeyValuePair

        client = Client(api_url=self.url + "/v1", token="secret")
        client.keys.update(KeyValuePair(name="x", value="1"))
        self.assertEqual(client.keys.get_by_name("x").value, "1")
        self.assertEqual([pair.name for pair in client.keys.get_all(prefix="x")], ["x"])
        self.assertTrue(client.keys.delete(client.keys.get_by_name(name="x", decrypt=False)))
        self.assertIsNone(client.keys.get_by_name("x"))
