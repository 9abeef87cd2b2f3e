"""Access and refresh tokens: obtain, refresh, revoke."""

from typing import Any, cast

from django.contrib.auth import get_user_model
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.selectors import gate_of
from accounts.services.passwords import change_password
from audit.models import Entry
from audit.services.draft import say
from backupsite.api.services.login import log_in
from backupsite.gate import REFUSALS
from jobs.api import StrictSerializer

NO_STORE = {"Cache-Control": "no-store"}


class LoginSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    otp = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        help_text="The code of the second factor, or a recovery code, where the user has it on.",
    )


class PasswordSerializer(LoginSerializer):
    new_password = serializers.CharField(max_length=4096, trim_whitespace=False)


class RefreshSerializer(StrictSerializer):
    refresh = serializers.CharField(max_length=4096)


class AccessSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="For `Authorization: Bearer <access>`; lives 30 minutes.")


class TokensSerializer(AccessSerializer):
    refresh = serializers.CharField(help_text="Makes new access tokens; lives 7 days.")


class _OpenView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def read(self, request: Request, serializer_class: type[StrictSerializer]) -> dict[str, Any]:
        serializer = serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def get_authenticate_header(self, request: Request) -> str:
        """Keeps a wrong password a 401."""
        return 'Bearer realm="api"'


class TokenView(_OpenView):
    @extend_schema(request=LoginSerializer, responses=TokensSerializer, auth=[], operation_id="token_obtain")
    def post(self, request: Request) -> Response:
        """Logs in. Too many attempts are 429.

        401 `otp_required`: the same again, with `otp`. 403 `password_change_required`: `POST /api/password` first.
        """
        given = self.read(request, LoginSerializer)
        say(via=Entry.Via.TOKEN)
        user = log_in(request=request._request, code=given.pop("otp", ""), **given)
        if gate := gate_of(user):
            raise _refusal(gate)
        refresh = RefreshToken.for_user(user)
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)}, headers=NO_STORE)


class PasswordView(_OpenView):
    @extend_schema(request=PasswordSerializer, responses={204: None}, auth=[], operation_id="password_change")
    def post(self, request: Request) -> Response:
        """A new password by the old one, for programs too: it ends every session and token of the user."""
        given = self.read(request, PasswordSerializer)
        new, code = given.pop("new_password"), given.pop("otp", "")
        user = log_in(request=request._request, code=code, **given)
        say(action="password.change", via=Entry.Via.TOKEN)
        change_password(user=user, new=new)
        return Response(status=204)


class RefreshView(_OpenView):
    @extend_schema(request=RefreshSerializer, responses=AccessSerializer, auth=[], operation_id="token_refresh")
    def post(self, request: Request) -> Response:
        """A new access token. A refresh token ends when it is revoked, or its user's password changes.

        403 `second_factor_required`: the user's role has come to need one since.
        """
        refresh = _refresh_token(self.read(request, RefreshSerializer)["refresh"])
        user = get_user_model().objects.filter(pk=str(refresh.payload.get(api_settings.USER_ID_CLAIM))).first()
        known = refresh.payload.get(api_settings.REVOKE_TOKEN_CLAIM)
        if user is None or not user.is_active or known != get_md5_hash_password(user.password):
            raise InvalidToken("The refresh token is no longer valid.")
        if gate := gate_of(user):
            raise _refusal(gate)
        return Response({"access": str(refresh.access_token)}, headers=NO_STORE)


class RevokeView(_OpenView):
    @extend_schema(request=RefreshSerializer, responses={204: None}, auth=[], operation_id="token_revoke")
    def post(self, request: Request) -> Response:
        """Ends a refresh token. Access tokens made from it live on until they expire."""
        _refresh_token(self.read(request, RefreshSerializer)["refresh"]).blacklist()
        return Response(status=204)


def _refusal(gate: str) -> PermissionDenied:
    code, text = REFUSALS[gate]
    say(outcome=Entry.Outcome.REFUSED, detail=code)
    return PermissionDenied(text, code=code)


def _refresh_token(text: str) -> RefreshToken:
    try:
        return RefreshToken(cast(Any, text))  # its annotation knows tokens only
    except TokenError as error:
        raise InvalidToken("The refresh token is wrong, expired or revoked.") from error
