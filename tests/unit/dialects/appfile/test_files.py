from __future__ import annotations

import pytest

from dialects.appfile.files import ShownFile, file_data


@pytest.mark.parametrize(
    ("folder", "path"),
    [("", "//bk/c1/a.cc5txt"), ("in/2026", "//bk/in/2026/c1/a.cc5txt"), ("/in/", "//bk/in/c1/a.cc5txt")],
)
def test_the_path_has_bucket_folder_and_file(folder: str, path: str) -> None:
    assert ShownFile("c1/a.cc5txt", "a.cc5txt", "w", "bk", folder=folder).path == path


def test_data_has_the_published_members_in_both_places() -> None:
    file = ShownFile("c1/a.cc5txt", "a.cc5txt", "w", "bk", "wks_family", tags=("t",), metadata={"k": "v"})
    data = file_data(file, "action", "http://url", Status="Uploaded")
    assert list(data) == ["ActionId", "File", "FileId", "FilePath", "Url"]
    assert (data["ActionId"], data["FileId"], data["Url"]) == ("action", "c1", "http://url")
    assert {name: data["File"][name] for name in ("FileId", "FilePath", "Url")} == {
        name: data[name] for name in ("FileId", "FilePath", "Url")
    }
    assert (data["File"]["Tags"], data["File"]["Metadata"], data["File"]["Status"]) == (["t"], {"k": "v"}, "Uploaded")
