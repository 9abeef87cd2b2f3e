"""What the views of this room share."""

from typing import Any

from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from backups.models import Destination
from databases.models import Database
from jobs.models import Job
from jobs.services.cancel import cancel_job

DETAIL_ACTION: dict[str, Any] = {"detail": True, "filter_backends": [], "pagination_class": None}


def user_of(request: Request) -> Any:
    """Who asked; None for an API key that nobody's account stands behind."""
    return request.user if request.user.is_authenticated else None


def invalid(field: str, message: str) -> ValidationError:
    return ValidationError({field: [message]})


def accepted(serializer: Any, route: str, job: Job) -> Response:
    return Response(serializer.data, status=202, headers={"Location": reverse(route, args=[job.pk])})


def cancelled(view: GenericViewSet[Any]) -> Response:
    """Asks the job that the view shows to stop; 409 when it has ended."""
    job = view.get_object()
    cancel_job(job=job)
    return Response(view.get_serializer(job).data, status=202)


def database_of(pk: str, *, field: str) -> Database:
    """A wrong id in a body is a fault of the body."""
    database = Database.objects.filter(pk=pk).first()
    if database is None:
        raise invalid(field, f"No Database has the id {pk!r}.")
    return database


def destination_of(pk: str, *, field: str) -> Destination:
    """A wrong id in a request is a fault of the request."""
    destination = Destination.objects.filter(pk=pk).first() if "\0" not in pk else None
    if destination is None:
        raise invalid(field, f"No Destination has the id {pk!r}.")
    return destination
