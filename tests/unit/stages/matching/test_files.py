import pytest
from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.stages.matching.files import out_of_reach, refuse_closed
from polyroute.testing.providers import a_deployment

PLACE = replace(a_deployment("m"), provider="vertex", buckets=("gs://open", "s3://mixed/public/"))


@pytest.mark.parametrize(
    ("file", "is_read"),
    [
        pytest.param("gs://open/a.pdf", True, id="a file in an open bucket"),
        pytest.param("s3://mixed/public/deep/a.pdf", True, id="a file in an open folder"),
        pytest.param("gs://open", False, id="a bucket is no file"),
        pytest.param("gs://opener/a.pdf", False, id="a name that begins alike"),
        pytest.param("s3://open/a.pdf", False, id="the same name at another company"),
        pytest.param("s3://mixed/public2/a.pdf", False, id="a folder that begins alike"),
        pytest.param("file-123", True, id="an id is no address"),
    ],
)
def test_a_file_is_read_only_in_a_bucket_that_its_provider_opens(file: str, is_read: bool) -> None:
    assert (out_of_reach((file,), PLACE) is None) == is_read
    if is_read:
        refuse_closed((file,), (PLACE,))
    else:
        with pytest.raises(InvalidRequest, match=r"providers\.NAME\.buckets"):
            refuse_closed((file,), (PLACE,))


def test_a_deployment_that_may_not_is_passed_over_for_one_that_may() -> None:
    other = replace(PLACE, provider="studio", buckets=())
    refuse_closed(("gs://open/a",), (other, PLACE))
    assert out_of_reach(("gs://open/a",), other) == "may not read gs://open (providers.studio.buckets)"
