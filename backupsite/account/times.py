"""In which time zone one reads times: the browser's, or UTC on this browser whatever it says."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from backupsite.timezones import ALWAYS_UTC, CHOSEN


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    answer = redirect("account")
    if request.POST.get("times") == ALWAYS_UTC:
        answer.set_cookie(
            CHOSEN,
            ALWAYS_UTC,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            samesite="Lax",
            secure=settings.LANGUAGE_COOKIE_SECURE,
        )  # the page's script reads it
    else:
        answer.delete_cookie(CHOSEN, samesite="Lax")
    return answer
