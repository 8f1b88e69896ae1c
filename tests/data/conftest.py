"""What tests of pictures from files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from picture_files import REAL, fill


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own; whatever happens in it, no half-written entry is left."""
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MADLAB_FFHQ", raising=False)
    yield tmp_path / "cache"
    if (tmp_path / "cache").is_dir():
        left = [path.name for path in (tmp_path / "cache").iterdir()]
        assert [name for name in left if name.startswith(".")] == []
        for name in left:
            assert {file.name for file in (tmp_path / "cache" / name).iterdir()} == {
                "pictures.u8",
                "about.json",
            }


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return fill(tmp_path / "pictures")


@pytest.fixture(params=["drawn", "real"] if REAL else ["drawn"])
def some_faces(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Drawn pictures as JPEG, PNG and WebP; where MADLAB_FFHQ names them also 22 real faces."""
    if request.param == "drawn":
        return fill(tmp_path / "pictures")
    place = tmp_path / "faces"
    place.mkdir()
    found = sorted(Path(REAL).rglob("*.jpg")) + sorted(Path(REAL).rglob("*.png"))
    for file in found[:22]:
        (place / file.name).symlink_to(file.resolve())
    return place
