"""A worker: `celery --app grace_assets.celery_worker worker --queues dagster`.

Not `dagster-celery worker start`, which writes the broker's URL and its password into a file.
"""

from os import environ

from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

_broker = environ["GRACE_CELERY_BROKER_URL"]
app = make_app(
    {
        "broker": _broker,
        "backend": _broker,
        "config_source": {
            # A run takes as long as it takes: for a week it is known where it runs.
            "result_expires": 604_800,
            # A busy worker sets no run aside that another has a place for, or would lose with it.
            "worker_prefetch_multiplier": 1,
            "worker_disable_prefetch": True,
        },
    }
)
create_execute_job_task(app)
create_resume_job_task(app)
