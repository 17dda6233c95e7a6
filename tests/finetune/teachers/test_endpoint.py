"""An endpoint that is slow, busy, broken or talks nonsense."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from finetune.teachers import LabelsConfig, make_teacher
from finetune.teachers.endpoint import Endpoint, EndpointError
from finetune.teachers.endpoint_teacher import EndpointTeacher
from finetune.teachers.prompt import make_prompt
from hybridret.errors import InputError


def endpoint(server: Any, waits: list[float], **settings: Any) -> Endpoint:
    return Endpoint(server.url, sleep=waits.append, **settings)


def completion(tokens: list[str], values: list[Any], **more: Any) -> str:
    return json.dumps({"choices": [{"logprobs": {"tokens": tokens, "token_logprobs": values} | more}]})


def test_a_rate_limit_is_waited_for(server: Any) -> None:
    waits: list[float] = []
    replies = [(429, {"Retry-After": "7"}, "slow down"), (503, {}, "busy"), (429, {"Retry-After": "9999"}, "")]
    server.answer = lambda path, request: replies[len(server.calls) - 1] if len(server.calls) < 4 else (200, {}, "{}")
    assert endpoint(server, waits).post("completions", {"prompt": "x"}) == {}
    assert waits == [7.0, 2.0, 60.0]
    assert [path for path, _, _ in server.calls] == ["/v1/completions"] * 4


def test_patience_ends(server: Any) -> None:
    waits: list[float] = []
    server.answer = lambda path, request: (429, {"Retry-After": "soon"}, "too many requests")
    with pytest.raises(
        EndpointError, match=r"completions failed 4 times, the last time: status 429: too many requests"
    ):
        endpoint(server, waits, retries=3).post("completions", {})
    assert waits == [1.0, 2.0, 4.0]


def test_a_time_out_is_tried_again_and_told(server: Any) -> None:
    def answer(path: str, request: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        if len(server.calls) < 3:
            time.sleep(0.6)
        return 200, {}, '{"ok": 1}'

    server.answer = answer
    waits: list[float] = []
    assert endpoint(server, waits, timeout=0.2).post("completions", {}) == {"ok": 1}
    assert waits == [1.0, 2.0]
    server.calls.clear()
    with pytest.raises(EndpointError, match=r"failed 2 times, the last time: no reply within 0\.2 seconds"):
        endpoint(server, waits, timeout=0.2, retries=1).post("completions", {})


def test_no_connection(server: Any) -> None:
    server.stop()
    waits: list[float] = []
    with pytest.raises(EndpointError, match=r"failed 2 times, the last time: no connection"):
        endpoint(server, waits, retries=1).post("completions", {})


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((401, {}, "bad key"), "refused the call, status 401: bad key"),
        ((400, {}, "context length exceeded"), "refused the call, status 400: context length exceeded"),
        ((200, {}, "<html>Hello</html>"), "answered no JSON: '<html>Hello</html>'"),
        ((200, {}, "[1]"), "answered a list, not an object"),
        ((200, {}, ""), "answered no JSON"),
    ],
)
def test_refusals_and_nonsense_are_not_tried_again(
    server: Any, reply: tuple[int, dict[str, str], str], message: str
) -> None:
    waits: list[float] = []
    server.answer = lambda path, request: reply
    with pytest.raises(EndpointError, match=message):
        endpoint(server, waits).post("completions", {})
    assert (waits, len(server.calls)) == ([], 1)


def test_the_key_comes_from_the_environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda path, request: (200, {}, "{}")
    monkeypatch.setenv("TEST_KEY", "abc")
    endpoint(server, [], key_variable="TEST_KEY").post("completions", {})
    monkeypatch.delenv("TEST_KEY")
    endpoint(server, [], key_variable="TEST_KEY").post("completions", {})
    assert [headers.get("Authorization") for _, _, headers in server.calls] == ["Bearer abc", None]


def test_an_url_of_something_else() -> None:
    with pytest.raises(InputError, match="begins with http"):
        Endpoint("ftp://example")


QUESTION = make_prompt("who?", "text", "me too")
BEFORE = ["Passage", ": text\nQuestion: who?", "\nAnswer:"]


def likelihood(server: Any, body: str) -> Any:
    server.answer = lambda path, request: (200, {}, body)
    return EndpointTeacher(Endpoint(server.url), "m").likelihood(QUESTION)


def test_only_the_answers_tokens_count(server: Any) -> None:
    body = completion([*BEFORE, " me", " too", " more"], [None, -9, -9, -1.5, -0.25, -9])
    assert likelihood(server, body) == (-1.5 - 0.25, 2)
    begun = completion(["<s>", *BEFORE, " me", " too"], [None, -9, -9, -9, -1.5, -0.25])
    assert likelihood(server, begun) == (-1.5 - 0.25, 2)
    joined = completion([*BEFORE[:2], "\nAnswer: me", " too"], [None, -9, -1.5, -0.25])
    assert likelihood(server, joined) == (-1.5 - 0.25, 2)


def test_tokens_of_half_characters_are_placed_by_their_offsets(server: Any) -> None:
    starts = [0, 7, 28, 36, 39]
    body = completion([*BEFORE[:2], "\nAnswer\ufffd", " me", " too"], [None, -9, -9, -1.5, -0.25], text_offset=starts)
    assert likelihood(server, body) == (-1.5 - 0.25, 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "gives no log-probabilities of the prompt"),
        ('{"choices": []}', "gives no log-probabilities of the prompt"),
        ('{"choices": [{"text": "me", "logprobs": null}]}', "gives no log-probabilities of the prompt"),
        (completion([" me"], [-1.0, -2.0]), "gives no log-probabilities of the prompt"),
        (completion([1, 2], [-1.0, -2.0]), "gives no log-probabilities of the prompt"),  # type: ignore[list-item]
        (completion([" something", " else"], [None, -2.0]), "does not echo the prompt's tokens, but ' something else'"),
        (
            completion([*BEFORE, " me", " too"], [None, -9, -9, None, -1]),
            "gave None as log-probability of the token ' me'",
        ),
        (
            completion([*BEFORE, " me", " too"], [None, -9, -9, 0.5, -1]),
            "gave 0.5 as log-probability of the token ' me'",
        ),
        (
            completion([*BEFORE, " me", " too"], [None, -9, -9, "x", -1]),
            "gave 'x' as log-probability of the token ' me'",
        ),
    ],
)
def test_nonsense_is_told(server: Any, body: str, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        likelihood(server, body)


def test_an_answer_longer_than_the_window_is_refused_and_told(server: Any) -> None:
    server.answer = lambda path, request: (400, {}, '{"error": "maximum context length is 4096 tokens"}')
    with pytest.raises(EndpointError, match=r"refused the call, status 400: .*maximum context length is 4096 tokens"):
        EndpointTeacher(Endpoint(server.url), "m").score(["who?"], [["x" * 9000]], ["me " * 5000])
    assert all(len(request["prompt"]) < 6000 + 15_000 + 100 for _, request, _ in server.calls)


def test_an_endpoint_is_made_from_settings(server: Any) -> None:
    body = completion(["Passage: b\nQuestion: a\nAnswer:", " c"], [None, -2.0])
    server.answer = lambda path, request: (200, {}, body)
    config = LabelsConfig(teacher="endpoint", model="m", url=server.url, calibrate=False)
    assert make_teacher(config).score(["a"], [["b"]], ["c"]) == [[-2.0]]
