"""What can go wrong in recognition, named by what the caller should do.

`key` is the translation key of the message for the user and `placeholders` are its values; no secret is ever in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class RecognitionError(Exception):
    """Root of all errors of this package.

    Keys: `recognition_failed` (a bug, see the log), `storage_failed` (the gallery's disk).
    """

    default_key: ClassVar[str] = "recognition_failed"

    def __init__(self, key: str | None = None, **placeholders: str) -> None:
        """Keep the translation key and its placeholders."""
        self.key = key or self.default_key
        self.placeholders = placeholders
        super().__init__(f"{self.key} {placeholders}" if placeholders else self.key)


class EngineAuthError(RecognitionError):
    """The credentials are wrong or expired: ask the user for new ones (`invalid_auth`)."""

    default_key = "invalid_auth"


class EngineUnavailableError(RecognitionError):
    """Try again later.

    Keys: `cannot_connect`, `throttled`, `service_unavailable`, `clock_skew`, `account_not_ready`,
    `budget_spent`, `no_doorbell` (local: no bridge is connected).
    """

    default_key = "cannot_connect"


class EngineSetupError(RecognitionError):
    """Something on the service's side must be mended by the user.

    Keys: `missing_permission` (placeholder `action`), `bucket_missing` (`bucket`), `bucket_taken` (`bucket`),
    `invalid_bucket` (`bucket`), `wrong_region` (`bucket`, `region`: where the bucket is), `collection_missing`
    (`collection`), `invalid_collection` (`collection`), `quota_exceeded`, `no_faces` (the bridge has no face models).
    """

    default_key = "missing_permission"


class PhotoRefusedError(RecognitionError):
    """A photo cannot be used: choose another one. `position` tells which one of several that were given, from 0.

    Keys: `photo_no_face`, `photo_several_faces` (`count`), `photo_not_an_image`, `photo_too_large` (`limit_mb`),
    `photo_too_small`, `photo_face_too_small`, `photo_turned_away`, `photo_poor_quality`, `photo_face_number` (`count`:
    there are only so many faces), `photo_other_person` (does not look like the person's other photos).
    """

    default_key = "photo_not_an_image"

    position: int = 0


class PhotoDoubtError(PhotoRefusedError):
    """A photo that is probably a mistake, and is taken if the user insists (`force`).

    Keys: `photo_looks_like` (`person`, `similarity`: who a visitor like this would be).
    """

    default_key = "photo_looks_like"


class GalleryFileError(RecognitionError):
    """A file is not one from which a gallery can be imported.

    Keys: `gallery_file_unreadable`, `gallery_file_too_large` (`limit_mb`), `gallery_file_too_new`.
    """

    default_key = "gallery_file_unreadable"


class PersonError(RecognitionError):
    """The person is not as the caller thinks.

    Keys: `person_name_taken` (`name`), `person_name_empty`, `person_name_too_long` (`limit`), `person_not_found`
    (`person`), `photo_not_found`, `too_many_photos` (`limit`).
    """

    default_key = "person_not_found"


@contextmanager
def disk_errors() -> Iterator[None]:
    """Name what goes wrong with the disk."""
    try:
        yield
    except OSError as err:
        raise RecognitionError("storage_failed") from err
