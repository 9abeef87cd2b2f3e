"""The one task: a doorbell that carries a job's kind and id."""

from celery import shared_task

from jobs.services import run


@shared_task(name="jobs.run_job", ignore_result=True, acks_late=False)
def run_job(kind: str, job_id: str) -> None:
    run.run_job(kind_name=kind, job_id=job_id)
