"""E-mail over the channel's own SMTP server, by Django's SMTP backend."""

import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.utils import make_msgid
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from jobs.errors import BackupError
from notifications.message import Message
from notifications.senders.deadline import Deadline

STEP_S = 10  # for one answer of the server


def send(message: Message, *, settings: Mapping[str, Any], secrets: Mapping[str, Any], deadline: Deadline) -> None:
    place = f"{settings['host']}:{settings['port']}"
    backend = _Backend(deadline, settings, str(secrets.get("password", "")))
    try:
        backend.send_messages([_mail(message, settings)])
    except smtplib.SMTPAuthenticationError as error:
        raise BackupError(
            f"{place} does not accept the user name and password.", code="auth_failed", hint="Enter them again."
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(place, "the recipients", [code for code, _ in error.recipients.values()]) from error
    except smtplib.SMTPSenderRefused as error:
        raise _refused(place, "the sender", [error.smtp_code]) from error
    except smtplib.SMTPDataError as error:
        raise _refused(place, "the message", [error.smtp_code]) from error
    except (smtplib.SMTPException, ssl.SSLError, OSError) as error:
        raise deadline.error() if deadline.passed else _translated(place, error) from error
    finally:
        _close(backend)


class _Backend(EmailBackend):
    """Every connection that it makes, the TLS handshake included, is watched by the deadline."""

    def __init__(self, deadline: Deadline, settings: Mapping[str, Any], password: str) -> None:
        security = settings["security"]
        super().__init__(
            host=settings["host"],
            port=settings["port"],
            username=settings.get("username", ""),
            password=password,
            use_tls=security == "starttls",
            use_ssl=security == "tls",
            timeout=STEP_S,
            fail_silently=False,
        )
        self._deadline = deadline

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        deadline = self._deadline

        class Plain(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                return deadline.watch(socket.create_connection((host, port), min(timeout, deadline.left())))

        class Secure(smtplib.SMTP_SSL):
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                plain = deadline.watch(socket.create_connection((host, port), min(timeout, deadline.left())))
                return self.context.wrap_socket(plain, server_hostname=host)

        return Secure if self.use_ssl else Plain


def _mail(message: Message, settings: Mapping[str, Any]) -> EmailMultiAlternatives:
    sender = settings["sender"]
    domain = sender.rpartition("@")[2].strip("<> ")
    headers = {
        "Message-ID": make_msgid(idstring=message.id, domain=domain),
        "X-Backupsite-Message": message.id,  # the same at every attempt
        "Auto-Submitted": "auto-generated",
    }
    mail = EmailMultiAlternatives(message.subject, message.text, sender, settings["recipients"], headers=headers)
    mail.attach_alternative(message.html, "text/html")
    return mail


def _close(backend: EmailBackend) -> None:
    """The message was taken or was not: how the parting goes changes nothing. Django swallows what fails there."""
    backend.fail_silently = True
    backend.close()


def _refused(place: str, what: str, codes: list[int]) -> BackupError:
    """4xx is for now, 5xx for good."""
    return BackupError(
        f"{place} refused {what} ({', '.join(str(code) for code in sorted(set(codes)))}).",
        code="refused",
        permanent=bool(codes) and all(500 <= code < 600 for code in codes),
        hint="Check the addresses of sender and recipients, and what the server lets this sender do.",
    )


def _translated(place: str, error: Exception) -> BackupError:
    if isinstance(error, ssl.SSLError):
        return BackupError(
            f"{place} does not speak TLS as it should, or has no certificate that this host trusts.",
            code="tls",
            hint="Check the port and the kind of security: 465 is TLS, 587 is STARTTLS.",
        )
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib wraps it
        return BackupError(f"{place} does not answer.", code="timeout", hint="Check host, port and firewall.")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return BackupError(
            f"{place} does not offer what the channel asks for (STARTTLS or a login).",
            code="unsupported",
            hint="Check the kind of security.",
        )
    return BackupError(
        f"{place} cannot be used ({type(error).__name__}).", code="unreachable", hint="Check host, port and firewall."
    )
