"""Keys in the forms in which users' objects hold them, and what is taken for none."""

import base64
import collections
import enum
import functools
import time
import types
import weakref
from contextvars import ContextVar

import httpx
import pytest
import requests
from pydantic import SecretBytes, SecretStr

from langgraph_conductor import Worker, create_conductor
from langgraph_conductor.workers.known_secrets import begun, redacted, secrets_of, without
from tests.helpers import ScriptedPlanner, ask, flow

KEY = "hunter2Zq9wLongSecretvalue77"
OTHER = "k9-Zz81QpLm22-other"


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch):
    monkeypatch.setattr("os.environ", {})


class Holding:
    def __init__(self, **held):
        self.__dict__.update(held)


def session():
    made = requests.Session()
    made.auth = ("user", KEY)
    return made


class Settings(enum.Enum):
    API_KEY = KEY


class Computed:
    @property
    def api_key(self):
        return "hunter2Zq9wLongSecretvalue77"


class Called:
    def __call__(self, task):
        return API_KEY


class Planning:
    def plan(self, request):
        raise ValueError(API_KEY)

    @staticmethod
    def ask():
        return API_KEY


API_KEY = KEY
settings = types.ModuleType("settings")
settings.API_KEY = KEY
settings.SECRET = SecretStr(OTHER)


def of_a_module(task):
    return settings.API_KEY


def variable():
    made = ContextVar("api_key")
    made.set(KEY)
    return made


def takes_key(api_key, task):
    return api_key


class Client:
    def __init__(self, token, url):
        self.url = url

    def ask(self, password, task):
        return password


def encoded(text):
    return base64.b64encode(text.encode()).decode()


KEPT = Holding(api_key=KEY)
HOLDERS = {
    "login": lambda: Holding(auth=("user", KEY)),
    "login in a list": lambda: Holding(basic_auth=["user", KEY]),
    "credentials": lambda: Holding(credentials=("user", KEY)),
    "requests": session,
    "httpx": lambda: httpx.Client(auth=("user", KEY)),
    "httpx, digest": lambda: httpx.Client(auth=httpx.DigestAuth("user", KEY)),
    "httpx, awaited": lambda: httpx.AsyncClient(headers={"X-Api-Key": KEY}),
    "pairs": lambda: Holding(headers=[("Authorization", f"Bearer {KEY}")]),
    "pairs of bytes": lambda: Holding(headers=[(b"x-api-key", KEY.encode())]),
    "pairs under any name": lambda: Holding(rows=[["Authorization", f"Bearer {KEY}"]]),
    "bytes": lambda: Holding(api_key=KEY.encode()),
    "bytearray": lambda: Holding(password=bytearray(KEY.encode())),
    "a header under any name": lambda: Holding(line=f"Bearer {KEY}"),
    "basic": lambda: Holding(line="Basic " + encoded(f"user:{KEY}")),
    "connection string": lambda: Holding(place=f"Server=x;Database=y;Password={KEY};"),
    "connection string, short": lambda: Holding(place=f"Pwd={KEY};"),
    "storage": lambda: Holding(place=f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={KEY}=="),
    "libpq": lambda: Holding(dsn=f"host=h user=u password={KEY} dbname=x"),
    "redis": lambda: Holding(place=f"h.example:6380,password={KEY},ssl=True"),
    "URL": lambda: Holding(place=f"postgresql://user:{KEY}@h/db"),
    "name and value": lambda: [{"name": "api_key", "value": KEY}],
    "name and value of an object": lambda: Holding(name="API_TOKEN", value=KEY),
    "arguments": lambda: Holding(command=["server", "--api-key", KEY]),
    "set": lambda: Holding(api_keys={KEY}),
    "list": lambda: Holding(api_keys=[KEY]),
    "frozen set": lambda: Holding(access_tokens=frozenset([KEY])),
    "deque": lambda: Holding(api_keys=collections.deque([KEY])),
    "by provider": lambda: Holding(api_keys={"openai": KEY, "anthropic": OTHER}),
    "in lists by provider": lambda: Holding(secrets={"openai": [KEY]}),
    "ChainMap": lambda: collections.ChainMap({"api_key": KEY}),
    "UserDict": lambda: collections.UserDict(api_key=KEY),
    "UserDict by provider": lambda: Holding(api_keys=collections.UserDict(openai=KEY)),
    "mapping proxy": lambda: types.MappingProxyType({"api_key": KEY}),
    "ordered": lambda: collections.OrderedDict(api_key=KEY),
    "bytes as names": lambda: {b"api_key": KEY.encode()},
    "enum": lambda: Settings,
    "member": lambda: Settings.API_KEY,
    "context variable": variable,
    "context variable under another name": lambda: Holding(token_now=ContextVar("x", default=KEY)),
    "weak reference": lambda: weakref.ref(KEPT),
    "partial": lambda: functools.partial(takes_key, KEY),
    "partial of a partial": lambda: functools.partial(functools.partial(takes_key), KEY),
    "partial of a method": lambda: functools.partial(Client("t", "u").ask, KEY),
    "partial of a class": lambda: functools.partial(Client, KEY),
    "partial by name": lambda: functools.partial(print, api_key=KEY),
    "property": Computed,
    "function under the name": lambda: Holding(api_key=lambda: API_KEY),
    "text in a function under the name": lambda: Holding(api_key=lambda: "hunter2Zq9wLongSecretvalue77"),
    "an object that is called": Called,
    "a method of a planner": Planning,
    "a static method": lambda: Planning.ask,
    "module": lambda: of_a_module,
    "secret bytes": lambda: Holding(any=SecretBytes(KEY.encode())),
    "nested lambdas": lambda: (lambda api_key: lambda: lambda: lambda task: api_key)(KEY)()(),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_key_is_found_where_it_is_held(holder):
    held = HOLDERS[holder]()  # a weak reference keeps nothing
    assert KEY in [found.rstrip("=") for found in secrets_of(held)]
    assert KEY in [found.rstrip("=") for found in Worker("w", in_a_closure(held)).secrets]


def in_a_closure(held):
    return lambda task: str(held)


def test_each_of_many_is_found():
    assert {KEY, OTHER} <= set(secrets_of(HOLDERS["by provider"]()))


INNOCENT = {
    "tokens of a text": Holding(tokens=["international", "Ġunderstanding", "misunderstandings-of-x"]),
    "tokens of a prompt": Holding(prompt_tokens=["extraordinarily-long", "internationalisation"]),
    "columns": Holding(keys=["customer_identification", "order_identification"]),
    "a user": Holding(auth=("oauth2", "required")),
    "who has a key": Holding(
        credentials={"client_email": "svc@project.example.com", "region": "eu-west-1"}
    ),
    "a template": Holding(place="Server=x;Password={password};Key=${API_KEY}"),
    "prose": Holding(place="the password=secret of the house, and the token=word are told to nobody"),
    "a prompt": Holding(note="Bearer of good news, Basic understanding"),
    "a pair": Holding(words=("token", "international")),
    "names and values": [{"name": "colour", "value": "ultramarine-blue-4711"}],
    "documents": Holding(documents=[("About keys", "Keys open doors: see chapter 12a34b56.")]),
}


@pytest.mark.parametrize("what", INNOCENT)
def test_data_is_no_key(what):
    assert secrets_of(INNOCENT[what]) == ()


# ---------------------------------------------------------------------- the environment

VARIABLES = [
    ("MY_SERVICE_API_KEY", KEY, KEY),
    ("TAVILY_KEY", KEY, KEY),
    ("GITHUB_TOKEN_PROD", KEY, KEY),
    ("DB_PASSWORD", "correct-horse-battery", "correct-horse-battery"),
    ("TOKEN", KEY, KEY),
    ("SECRET_KEY", "/Ab9+3kd9Qz81LmN0pQrStUvWxYz12345==", "/Ab9+3kd9Qz81LmN0pQrStUvWxYz12345=="),
    ("DATABASE_URL", f"postgres://user:{KEY}@h/db", KEY),
    ("STORAGE", f"AccountName=x;AccountKey={KEY}", KEY),
    ("APP_SECRETS", f'{{"openai_api_key": "{KEY}"}}', KEY),
]
NO_KEYS = [
    ("MY_API_KEY", "true"),
    ("MY_API_KEY", "none"),
    ("MY_API_KEY", "your-api-key-here"),
    ("MY_API_KEY", "test-key"),
    ("DB_PASSWORD", "postgres"),
    ("DB_PASSWORD", "development"),
    ("MY_TOKEN", "/run/secrets/my-token-1234abcd5678efgh"),
    ("MY_KEY", "~/.ssh/id_ed25519"),
    ("MY_TOKEN", "https://example.com/token"),
    ("MY_TOKEN", "1234567890"),
    ("MY_TOKEN", "12.5"),
    ("TOKEN_ISSUER", "accounts.example.com"),
    ("AUTH_TOKEN_AUDIENCE", "my-service-of-orders"),
    ("API_KEY_HEADER", "X-Api-Key-Name"),
    ("MAX_TOKENS", "128000"),
    ("PWD", "/home/me/9f86d081884c7d659a2feaa0c55ad015"),
    ("OLDPWD", "/home/me/9f86d081884c7d659a2feaa0c55ad015"),
    ("SSH_AUTH_SOCK", "/tmp/ssh-XXXXabcd1234/agent.1234"),
    ("HOSTNAME", "9f86d081884c7d659a2f"),
    ("DATABASE_URL", "postgres://postgres:postgres@localhost/db"),
    ("LS_COLORS", "rs=0:di=01;34:ln=01;36"),
]


@pytest.mark.parametrize(("name", "value", "key"), VARIABLES)
def test_a_variable_whose_name_says_it_is_a_key(monkeypatch, name, value, key):
    monkeypatch.setattr("os.environ", {name: value})
    assert secrets_of() == (key,)


@pytest.mark.parametrize(("name", "value"), NO_KEYS)
def test_a_variable_that_is_no_key_goes_from_no_text(monkeypatch, name, value):
    monkeypatch.setattr("os.environ", {name: value})
    assert secrets_of() == ()


@pytest.mark.parametrize("on_step_error", ["record", "raise"])
def test_a_key_that_a_function_reads_itself_is_told_by_nobody(run, monkeypatch, on_step_error):
    import os

    monkeypatch.setattr("os.environ", {"MY_SERVICE_API_KEY": KEY})

    def work(task):
        raise ValueError(f"no access with {os.environ['MY_SERVICE_API_KEY']}!")

    workers = [Worker("w", work), Worker("ok", lambda task: "ok")]
    conductor = create_conductor(
        ScriptedPlanner(flow(("w", "x", []), ("ok", "y", []))), workers, on_step_error=on_step_error
    )
    try:
        told = repr(run(conductor, ask()))
    except Exception as error:
        told = repr(error)
    assert KEY not in told
    assert "no access with [redacted]!" in told


# ---------------------------------------------------------------------- time


def least(call, *args):
    taken = []
    for _ in range(3):
        begun_at = time.perf_counter()
        call(*args)
        taken.append(time.perf_counter() - begun_at)
    return min(taken)


def test_many_secrets_take_time_that_grows_with_the_text_alone():
    secrets = [f"k{number}Zq9w+Long/Secret{number}value" for number in range(40)]
    text = "Some words of an answer, 4711 of them, and zZ9 signs. " * 2_000
    assert without(text, secrets) == text
    assert least(without, text * 8, secrets) < 30 * least(without, text, secrets)
    assert redacted(f"{text}{secrets[7]}", secrets).endswith("[redacted]")


def test_what_may_begin_a_secret_is_found_among_many():
    secrets = [f"{KEY}{number}" for number in range(40)]
    assert begun(f"x {KEY}", secrets) == len(KEY)
    assert begun(f"x {KEY}9 y", secrets) == 0
    assert begun("x hunhunter", secrets) == 6
    assert begun("hh", ["hhh-abc123"]) == 2
