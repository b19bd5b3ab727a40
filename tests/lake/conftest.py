"""What several test files of the lake share."""

from collections.abc import Iterator

import pytest

from tests.seaweed import BUCKET, seaweed


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Iterator[str]:
    """The URL of a bucket of a real S3 server, which AWS's tools find by their variables."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as env, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        yield f"s3://{BUCKET}"
