"""The visit log.

What others use of it, all in the event loop:

* `hass.data[VISITS]`, a `VisitLog`: `get`, `has_ring`, `newest_first`, `query` (a page; go on with the `cursor` of its
  last visit), `count`, `last_visits` (of each person), `usage`, `async_subscribe` (a `VisitChange` for each visit that
  is added, changed or removed), `picture_file`, `async_picture`, `async_add`, `async_change`, `async_forget`,
  `async_set_retention`. `VisitFilter` says which visits are wanted.
* `hass.data[PICTURES]`, a `VisitPictures`: `async_face`, `async_face_thumbnail`, `async_picture_thumbnail`.
* Over HTTP, for those who are logged in: see `views.py`.

To name and correct faces and to forget people, see `naming.py`. What a face can be recognized by stays in here.
"""

from .log import PAGE, VISITS, ChangeKind, Retention, Usage, VisitChange, VisitFilter, VisitLog
from .model import Timings, Visit, VisitFace, VisitPicture, VisitRing
from .pictures import PICTURES, VisitPictures

__all__ = [
    "PAGE",
    "PICTURES",
    "VISITS",
    "ChangeKind",
    "Retention",
    "Timings",
    "Usage",
    "Visit",
    "VisitChange",
    "VisitFace",
    "VisitFilter",
    "VisitLog",
    "VisitPicture",
    "VisitPictures",
    "VisitRing",
]
