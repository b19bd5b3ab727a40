"""Files of a folder or a bucket, written with one line."""

from grace_assets.lake.files import Files


def put(files: Files, file: str, content: bytes) -> None:
    with files.replacing(file) as target:
        target.write(content)
