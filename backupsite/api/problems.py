"""Every error as RFC 9457 `application/problem+json`, and the one table from codes to HTTP statuses."""

import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from jobs.errors import BackupError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 10

# A BackupError whose code is not here is 422 when it is permanent and 503 when it may pass.
STATUS_OF = {
    "invalid_assertion": 400,
    "invalid_options": 400,
    "invalid_recipient": 400,
    "invalid_selection": 400,
    "unconfirmed": 400,
    "unknown_engine": 400,
    "ambiguous_name": 409,
    "database_deleted": 409,
    "disabled": 409,
    "exports_disabled": 403,
    "id_taken": 409,
    "idempotency_conflict": 409,
    "link_over": 410,
    "link_unknown": 404,
    "no_backup": 409,
    "needs_approval": 403,
    "needs_person": 403,
    "not_first": 403,
    "not_second": 403,
    "object_changed": 409,
    "object_missing": 409,
    "quota_full": 409,
    "too_many_open": 409,
    "vanished": 409,
    "wrong_state": 409,
}


class ProblemRenderer(JSONRenderer):
    media_type = MEDIA_TYPE
    charset = None


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """`type` is `about:blank`: the code says what it is, and stays the same between versions."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code, **more}


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's hook. None for what is a bug: it propagates, and is logged with its traceback."""
    headers: dict[str, str] = {}
    body = _body(error, headers)
    if body is None:
        return None
    if body["code"] == "wrong_state" and (state := _state(context.get("view"))):
        body["state"] = state
    set_rollback()
    request = context.get("request")
    renderer = getattr(request, "accepted_renderer", None)
    if request is not None and not isinstance(renderer, BrowsableAPIRenderer):
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), MEDIA_TYPE
    return Response(body, status=body["status"], headers=headers)


def _body(error: Exception, headers: dict[str, str]) -> dict[str, Any] | None:
    match error:
        case BackupError():
            return _expected(error, headers)
        case DjangoValidationError():
            return _invalid(list(_faults_of_django(error)))
        case exceptions.ValidationError():
            return _invalid(list(_faults(error.detail, "")))
        case exceptions.APIException():
            return _from_framework(error, headers)
        case Http404():
            return problem(404, "not_found", "There is no such thing here.")
        case PermissionDenied():
            return problem(403, "permission_denied", "Your role does not allow this.")
        case RequestDataTooBig():
            return problem(413, "too_large", str(error))
        case OperationalError():
            logger.error("the site's database did not answer", exc_info=error)
            headers["Retry-After"] = str(RETRY_AFTER_S)
            return problem(503, "unavailable", "The site's database does not answer just now.")
    return None


def _expected(error: BackupError, headers: dict[str, str]) -> dict[str, Any]:
    status = STATUS_OF.get(error.code, 422 if error.permanent else 503)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return problem(status, error.code, error.message, **({"hint": error.hint} if error.hint else {}))


def _from_framework(error: exceptions.APIException, headers: dict[str, str]) -> dict[str, Any]:
    headers.update(getattr(error, "headers", {}))
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    detail: Any = error.detail
    if isinstance(detail, dict):  # simplejwt: {"detail": ..., "code": ..., "messages": [...]}
        detail = detail.get("detail", error.default_detail)
    if isinstance(detail, list):
        detail = detail[0] if detail else error.default_detail
    return problem(error.status_code, str(getattr(detail, "code", error.default_code)), str(detail))


def _invalid(errors: list[dict[str, str]]) -> dict[str, Any]:
    words = "; ".join(
        f"{fault['field']}: {fault['message']}" if fault["field"] else fault["message"] for fault in errors
    )
    return problem(400, "invalid", words, errors=errors)


def _faults(detail: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            here = path if name == "non_field_errors" else f"{path}.{name}".lstrip(".")
            yield from _faults(inner, here)
    elif isinstance(detail, list) and not all(isinstance(item, str) for item in detail):
        for position, inner in enumerate(detail):
            if inner:
                yield from _faults(inner, path if isinstance(inner, str) else f"{path}.{position}".lstrip("."))
    elif isinstance(detail, list):
        for item in detail:
            yield from _faults(item, path)
    else:
        yield {"field": path, "message": str(detail), "code": str(getattr(detail, "code", "invalid"))}


def _faults_of_django(error: DjangoValidationError) -> Iterator[dict[str, str]]:
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for name, faults in by_field.items():
        for fault in faults:
            for message in fault.messages:
                field = "" if name == NON_FIELD_ERRORS else name
                yield {"field": field, "message": message, "code": fault.code or "invalid"}


def _state(view: Any) -> str:
    """The state of what the view acted on, read again: it is what made the request wrong."""
    subject = getattr(view, "subject", None)
    if subject is None:
        return ""
    found = type(subject)._default_manager.filter(pk=subject.pk).values_list("status", flat=True).first()
    return str(found or "")
