"""Whether a deployment may read the files that a request names in a bucket (Google's `gs://`, Amazon's `s3://`). Pure.

Such a file is read with the gateway's own credentials, whoever asks: only buckets that the document opens
(`providers.NAME.buckets`) are read, at the provider it opens them for. A provider's own files have ids, which do not
say whose they are.
"""

from collections.abc import Iterable

from polyroute.errors import InvalidRequest
from polyroute.types.cards import Deployment

SCHEMES = ("gs://", "s3://")


def out_of_reach(files: Iterable[str], deployment: Deployment) -> str | None:
    """Why `deployment` may not be asked about `files`; None where it may."""
    closed = next((file for file in files if file.startswith(SCHEMES) and not _opens(deployment, file)), None)
    return None if closed is None else f"may not read {_bucket(closed)} (providers.{deployment.provider}.buckets)"


def refuse_closed(files: Iterable[str], deployments: Iterable[Deployment]) -> None:
    """Raises InvalidRequest where none of `deployments` may read one of `files`."""
    able = tuple(deployments)
    for file in files:
        if file.startswith(SCHEMES) and not any(_opens(deployment, file) for deployment in able):
            raise InvalidRequest(
                f"a request may not name a file in `{_bucket(file)}`: it would be read with the gateway's own"
                " credentials; send the bytes, or have the bucket opened for its provider"
                " (providers.NAME.buckets in the gateway's document)",
                code="forbidden_url",
            )


def refuse_ids(files: Iterable[str]) -> None:
    """Raises InvalidRequest for a file by its id at a provider: whose it is, nobody here knows."""
    for file in files:
        if not file.startswith(SCHEMES):
            raise InvalidRequest(
                f"`{file[:80]}` was not found: files of a provider's are known by nobody here; send the bytes, or an"
                " address (server.stored_ids says whose ids may be named)",
                code="file_not_found",
            )


def _opens(deployment: Deployment, file: str) -> bool:
    return any(file.startswith(f"{opened.rstrip('/')}/") for opened in deployment.buckets)


def _bucket(file: str) -> str:
    scheme, _, rest = file.partition("://")
    return f"{scheme}://{rest.partition('/')[0][:80]}"
