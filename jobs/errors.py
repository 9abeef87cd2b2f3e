"""The one family of expected failures.

Plain Python, so that engines, pipeline and storage can raise it without Django.
"""


class BackupError(Exception):
    """A failure an operator can act on; anything else that is raised is a bug.

    `message` and `hint` are shown to operators and stored with the job, so they never hold a secret.
    `code` is a stable snake_case word for programs. A `permanent` failure is not retried.
    """

    def __init__(self, message: str, *, code: str, permanent: bool = False, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.permanent = permanent
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
