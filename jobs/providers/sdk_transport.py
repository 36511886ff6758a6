"""The vendors' own SDKs as a transport: for whoever wants their calls to leave through these.

The SDK prepares the request and judges the status; the bytes go through the lean transport all the
same, so that the address guard, the deadline, the bounds and the pool are one for everything, and
both transports come to the same outcome. The SDKs' own pool is not used: a second answer on a
kept-alive connection would go to the next request there, that is, to another row.
"""

import logging
from contextvars import ContextVar
from urllib.parse import urlsplit

import anthropic
import httpx2
import openai

from jobs.failures import FailureClass
from jobs.providers.transport import Deadline, LeanTransport, TransportError
from jobs.providers.types import HttpRequest, HttpResponse

# The key travels in the built request's headers; the clients demand to be given one.
_NO_KEY = "in-the-request"
# The request that the current task is sending, with its deadline.
_sending: ContextVar[tuple[HttpRequest, Deadline]] = ContextVar("sending")
for _name in ("openai", "anthropic", "httpx2"):
    # They log whole requests at DEBUG; bodies are nobody's to read.
    logging.getLogger(_name).setLevel(logging.WARNING)


class SdkTransport:
    """`openai` and `anthropic` clients with their own retries off. Make it inside the running loop.

    A client is kept for each server. Not guaranteed: a call costs several times the lean
    transport's processor time.
    """

    def __init__(self, *, allow_private: bool, max_connections: int) -> None:
        self._lean = LeanTransport(allow_private=allow_private, max_connections=max_connections)
        self._http = httpx2.AsyncClient(
            transport=_Bridge(self._lean), follow_redirects=False, trust_env=False
        )
        self._openai: dict[str, openai.AsyncOpenAI] = {}
        self._anthropic: dict[str, anthropic.AsyncAnthropic] = {}

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpResponse:
        """As `Transport.send`."""
        try:
            response = await self._call(request, deadline)
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            response = error.response
        except (openai.OpenAIError, anthropic.AnthropicError) as error:
            if isinstance(error.__cause__, TransportError):  # Anthropic's wraps whatever is raised
                raise error.__cause__ from None
            raise TransportError(
                FailureClass.CONNECTION, "The vendor's SDK gave up on the call", sent=True
            ) from error
        return HttpResponse(response.status_code, dict(response.headers), response.content)

    async def _call(self, request: HttpRequest, deadline: Deadline) -> httpx2.Response:
        client = self._client(request)
        _sending.set((request, deadline))
        if request.method == "GET":
            return await client.get(
                request.url,
                cast_to=httpx2.Response,
                options={"headers": request.headers, "timeout": None},
            )
        return await client.post(
            request.url,
            cast_to=httpx2.Response,
            content=request.body,
            options={"headers": request.headers, "timeout": None},
        )

    def _client(self, request: HttpRequest) -> openai.AsyncOpenAI | anthropic.AsyncAnthropic:
        parts = urlsplit(request.url)
        server = f"{parts.scheme}://{parts.netloc}"
        if "anthropic-version" in request.headers:
            if server not in self._anthropic:
                self._anthropic[server] = anthropic.AsyncAnthropic(
                    api_key=_NO_KEY, base_url=server, max_retries=0, http_client=self._http
                )
            return self._anthropic[server]
        if server not in self._openai:
            self._openai[server] = openai.AsyncOpenAI(
                api_key=_NO_KEY, base_url=server, max_retries=0, http_client=self._http
            )
        return self._openai[server]

    async def close(self) -> None:
        await self._http.aclose()
        await self._lean.close()


class _Bridge(httpx2.AsyncBaseTransport):
    """What the SDK would hand to its pool goes to the lean transport; TransportError passes up."""

    def __init__(self, lean: LeanTransport) -> None:
        self._lean = lean

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        built, deadline = _sending.get()
        # The SDKs add what they find in the environment, keys too: only what they say of themselves
        # is taken over.
        told = {
            name: value for name, value in request.headers.items() if name.startswith("x-stainless")
        }
        response = await self._lean.send(
            HttpRequest(
                request.method, str(request.url), told | built.headers, await request.aread()
            ),
            deadline,
        )
        # The body is no longer compressed or in chunks; httpx2 must not try to undo that again.
        kept = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-encoding", "transfer-encoding", "content-length")
        }
        return httpx2.Response(response.status, headers=kept, content=response.body)
