"""`manage.py reset_second_factor NAME`: for the host, when nobody who could do it in the admin can log in."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser

from accounts.services.second_factor import remove
from jobs.management.command import DONE, USAGE, OperatorCommand


class Command(OperatorCommand):
    help = "Take a user's second factor off: the next login asks for the password only."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username")

    def run(self, *, username: str, json: bool, **options: Any) -> int:
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            self.fault(f"There is no user {username}.")
            return USAGE
        remove(user=user, by="a command on the host")
        if json:
            self.document({"username": username, "second_factor": False})
        else:
            self.stdout.write(f"The second factor of {username} is off.")
        return DONE
