"""What the views of this room share."""

from typing import Any

from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from databases.models import Database
from jobs.models import Job


def user_of(request: Request) -> Any:
    """Who asked; None for an API key that nobody's account stands behind."""
    return request.user if request.user.is_authenticated else None


def invalid(field: str, message: str) -> ValidationError:
    return ValidationError({field: [message]})


def accepted(serializer: Any, route: str, job: Job) -> Response:
    return Response(serializer.data, status=202, headers={"Location": reverse(route, args=[job.pk])})


def database_of(pk: str, *, field: str) -> Database:
    """A wrong id in a body is a fault of the body."""
    database = Database.objects.filter(pk=pk).first()
    if database is None:
        raise invalid(field, f"No Database has the id {pk!r}.")
    return database
