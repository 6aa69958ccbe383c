"""The HTTP service: its endpoints, and how a request for predictions is read and answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from metaeval_hub.serve.batcher import Answer, Batcher, BatchError, QueueFullError
from metaeval_hub.serve.guard import Guard, JSONLine, error_response
from metaeval_hub.serve.limits import Limits
from metaeval_hub.serve.metrics import CONTENT_TYPE, Metrics
from metaeval_hub.serve.requests import Question, RequestError, check_task, read_question
from metaeval_hub.serve.rows import Engine
from metaeval_hub.serve.schema import BODY, PREDICT, TASK, TASKS

RETRY_SECONDS = 1
# A larger body is read to its end and dropped up to this many times the limit, because a client that is still sending
# would see a broken connection instead of the error.
DROPPED_BODIES = 16
_HUNG_UP = 499  # no client receives it
_FORMS = {1: "text", 2: "pair"}
_WRONG_ADDRESS = {
    404: "no such address; expected POST /predict, GET /tasks, /tasks/NAME, /healthz, /metrics or /docs",
    405: "this address does not take this method; expected POST for /predict, and GET for all others",
}


def build_app(engine: Engine, limits: Limits | None = None, token: str | None = None) -> FastAPI:
    """Return the service for a model. Starting it starts the thread that computes; stopping it finishes the queue.

    Args:
        engine: the model.
        limits: the limits of the service.
        token: the token that clients must send; None answers every client of this machine.
    """
    service = _Service(engine, limits or Limits())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        yield
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(
        title="metaeval",
        version=version("metaeval"),
        description="Classify texts with one model for many tasks.",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.add_api_route("/predict", service.predict, methods=["POST"], responses=PREDICT, openapi_extra=BODY)
    app.add_api_route("/tasks", service.tasks, responses=TASKS)
    app.add_api_route("/tasks/{name:path}", service.task, responses=TASK)
    app.add_api_route("/healthz", service.health)
    app.add_api_route("/metrics", service.show_metrics, response_class=PlainTextResponse)
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(HTTPException, _on_wrong_address)
    app.add_exception_handler(Exception, _on_bug)
    app.add_middleware(Guard, metrics=service.metrics, token=token)
    if token is not None:
        _declare_token(app)
    return app


class _Service:
    """The endpoints; their docstrings are part of the OpenAPI document."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits, self.metrics = engine, limits, Metrics()
        self.batcher = Batcher(engine, limits, self.metrics)

    async def predict(self, request: Request) -> Response:
        """Classify texts of one task, or of several tasks."""
        try:
            question = read_question(
                await _read_body(request, self.limits), self.engine.labels, self.engine.fields, self.limits
            )
            return JSONLine(self._content(question, await self._answer(question, request)))
        except ClientDisconnect:
            self.metrics.hang_up()
            return Response(status_code=_HUNG_UP)

    async def tasks(self) -> JSONLine:
        """List the tasks with their classes."""
        return JSONLine({"tasks": [self._task(name) for name in self.engine.labels]})

    async def task(self, name: str) -> JSONLine:
        """Describe one task: its classes, and whether it takes texts or pairs of texts."""
        return JSONLine(self._task(check_task(name, self.engine.labels, None, status=404)))

    async def health(self) -> JSONLine:
        """Tell whether the server can compute: status 200 or 503."""
        working = self.batcher.is_working
        return JSONLine({"status": "ok" if working else "stopping"}, 200 if working else 503)

    async def show_metrics(self) -> PlainTextResponse:
        """Return counts and latencies in the text format of Prometheus."""
        return PlainTextResponse(self.metrics.text(self.batcher.waiting), media_type=CONTENT_TYPE)

    async def _answer(self, question: Question, request: Request) -> Answer:
        """Return the class probabilities of each text.

        Raises:
            RequestError: the queue is full, the tokenizer fails on a text, or the model fails.
            ClientDisconnect: the client hung up.
        """
        count = len(question.texts)
        try:
            self.batcher.reserve(count)
        except QueueFullError as error:
            raise RequestError(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)}) from None
        try:
            rows = await asyncio.to_thread(self.engine.rows, question.tasks, question.texts)
        except ValueError as error:
            self.batcher.release(count)
            raise RequestError(422, str(error), "texts" if question.one_task else "inputs") from None
        except BaseException:
            self.batcher.release(count)
            raise
        answer = asyncio.wrap_future(self.batcher.submit(rows))
        hang_up = asyncio.create_task(_wait_for_hang_up(request))
        try:
            both: set[asyncio.Future[Any]] = {answer, hang_up}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientDisconnect
            return answer.result()
        except BatchError as error:
            raise RequestError(500, str(error)) from None
        finally:
            hang_up.cancel()
            answer.cancel()  # takes texts that were not computed out of the queue

    def _content(self, question: Question, answer: Answer) -> dict[str, Any]:
        predictions = []
        for task, probabilities in zip(question.tasks, answer, strict=True):
            names = self.engine.labels[task]
            prediction = {
                "label": names[int(probabilities.argmax())],
                "probabilities": dict(zip(names, probabilities.tolist(), strict=True)),
            }
            predictions.append(prediction if question.one_task else {"task": task, **prediction})
        return {"task": question.tasks[0], "predictions": predictions} if question.one_task else {
            "predictions": predictions
        }  # fmt: skip

    def _task(self, name: str) -> dict[str, Any]:
        form = _FORMS.get(self.engine.fields.get(name, 0), "text or pair")
        return {"name": name, "classes": list(self.engine.labels[name]), "form": form}


async def _wait_for_hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# --- bodies ---


async def _read_body(request: Request, limits: Limits) -> bytes:
    """Read the body of a request for predictions.

    Raises:
        RequestError: it is not declared as JSON, is too large, or does not arrive in time.
        ClientDisconnect: the client hung up.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(
            415,
            f"the Content-Type is {kind[:100]!r}; expected application/json: with curl, pass --json, or "
            "-H 'Content-Type: application/json'",
        )
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > DROPPED_BODIES * limits.body):
        raise _too_large(limits)
    try:
        return await asyncio.wait_for(_read(request, limits), limits.body_seconds)
    except asyncio.TimeoutError:
        raise RequestError(
            408,
            f"the body did not arrive within {limits.body_seconds:g} seconds; send it faster, or in smaller requests",
            headers={"Connection": "close"},
        ) from None


async def _read(request: Request, limits: Limits) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= limits.body:
            parts.append(part)
        elif size > DROPPED_BODIES * limits.body:
            break
        else:
            parts.clear()
    if size > limits.body:
        raise _too_large(limits)
    return b"".join(parts)


def _too_large(limits: Limits) -> RequestError:
    return RequestError(
        413,
        f"the body is larger than {limits.body:,} bytes; send the texts in several requests",
        headers={"Connection": "close"},
    )


# --- errors ---


async def _on_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - registered for it
    return error_response(error)


async def _on_wrong_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    message = _WRONG_ADDRESS.get(error.status_code, str(error.detail))
    return error_response(RequestError(error.status_code, message, headers=error.headers))


async def _on_bug(request: Request, error: Exception) -> Response:
    return error_response(RequestError(500, f"the server failed with {type(error).__name__}; its log has more"))


def _declare_token(app: FastAPI) -> None:
    """Let the OpenAPI document say that requests need a token, so that its page asks for it."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
