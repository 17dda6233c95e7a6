"""Calling an OpenAI-compatible endpoint, patiently."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from hybridret.errors import HybridretError, InputError

_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_SHOWN = 200


class EndpointError(HybridretError):
    """An endpoint does not answer, refuses, or answers nonsense; the message says which, and what it said."""


class _Failure(NamedTuple):
    """Why one try failed, and how long the endpoint asks to wait."""

    reason: str
    wait: float | None = None


class Endpoint:
    """An OpenAI-compatible endpoint.

    Time-outs, broken connections, rate limits (429) and failures of the server (5xx) are tried again after 1, 2, 4 ...
    60 seconds, or as long as its ``Retry-After`` asks, but no longer than a minute.

    Args:
        url: Base URL, such as ``http://localhost:8000/v1``.
        key_variable: Environment variable that holds the key; without it no key is sent.
        timeout: Seconds to wait for a reply.
        retries: How often to try again.
        sleep: Waits some seconds.

    Raises:
        InputError: The URL is none of HTTP.
    """

    def __init__(
        self,
        url: str,
        key_variable: str = "OPENAI_API_KEY",
        timeout: float = 60.0,
        retries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"an endpoint's URL begins with http:// or https://, not {url!r}")
        self.url = url.rstrip("/")
        self._key_variable, self._timeout, self._retries, self._sleep = key_variable, timeout, retries, sleep

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Calls the endpoint.

        Args:
            path: What follows the base URL, such as ``completions``.
            body: The JSON object to send.

        Returns:
            The JSON object that came back.

        Raises:
            EndpointError: All tries failed, the call was refused, or what came back is no JSON object.
        """
        wait, failure = _FIRST_WAIT, _Failure("")
        for left in range(self._retries, -1, -1):
            answer = self._try(path, body)
            if not isinstance(answer, _Failure):
                return answer
            failure = answer
            if left:
                self._sleep(min(failure.wait if failure.wait is not None else wait, _LONGEST_WAIT))
                wait *= 2
        raise EndpointError(f"{self.url}/{path} failed {self._retries + 1} times, the last time: {failure.reason}")

    def _try(self, path: str, body: dict[str, Any]) -> dict[str, Any] | _Failure:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self._key_variable):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as reply:  # noqa: S310
                content = reply.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:_SHOWN]
            if error.code in _AGAIN:
                return _Failure(f"status {error.code}: {said}", _seconds(error.headers.get("Retry-After")))
            raise EndpointError(f"{self.url}/{path} refused the call, status {error.code}: {said}") from error
        except TimeoutError:
            return _Failure(f"no reply within {self._timeout:g} seconds")
        except OSError as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            return _Failure(f"no reply within {self._timeout:g} seconds" if late else f"no connection: {reason}")
        try:
            answer = json.loads(content)
        except ValueError as error:
            said = content.decode("utf-8", "replace")[:_SHOWN]
            raise EndpointError(f"{self.url}/{path} answered no JSON: {said!r}") from error
        if not isinstance(answer, dict):
            raise EndpointError(f"{self.url}/{path} answered a {type(answer).__name__}, not an object")
        return answer


def _seconds(text: str | None) -> float | None:
    try:
        return max(float(text), 0.0) if text is not None else None
    except ValueError:
        return None
