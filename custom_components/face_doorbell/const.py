"""Names that several modules of the integration share."""

from enum import StrEnum
from typing import Final

DOMAIN: Final = "face_doorbell"
MANUFACTURER: Final = "Face Doorbell"
MODEL: Final = "Raspberry Pi bridge"


class EntryKind(StrEnum):
    """What a config entry stands for."""

    DOORBELL = "doorbell"
    RECOGNITION = "recognition"


CONF_KIND: Final = "kind"

# Doorbell entry: data, besides Home Assistant's own CONF_HOST, CONF_PORT, CONF_TOKEN, CONF_ID and CONF_NAME
CONF_FINGERPRINT: Final = "fingerprint"
DEFAULT_PORT: Final = 8467

# Doorbell entry: option, whether it is on the dashboard in the sidebar (on unless told)
CONF_DASHBOARD: Final = "dashboard"

# Recognition entry: data
CONF_ENGINE: Final = "engine"
CONF_ACCESS_KEY_ID: Final = "access_key_id"
CONF_SECRET_ACCESS_KEY: Final = "secret_access_key"  # noqa: S105 - the name of a field
CONF_SESSION_TOKEN: Final = "session_token"  # noqa: S105 - the name of a field
CONF_REGION: Final = "region"
CONF_BUCKET: Final = "bucket"
CONF_COLLECTION: Final = "collection"
CONF_MODE: Final = "mode"
CONF_ENDPOINT_URL: Final = "endpoint_url"

# Recognition entry: options, both 0 to 100
CONF_THRESHOLD: Final = "threshold"
CONF_MARGIN: Final = "margin"

# Recognition entry: option, US dollars a month; missing: no limit
CONF_BUDGET: Final = "budget"

# Recognition entry: options, whether the doorbell answers when AWS cannot, and after how many seconds it is too late
CONF_FALLBACK: Final = "fallback"
CONF_LATE: Final = "late_after"
DEFAULT_LATE: Final = 10  # s: nobody waits longer for an answer, and no automation should greet a back

# Recognition entry: options, how long visits are kept and how many
CONF_KEEP_RECOGNIZED: Final = "keep_recognized_days"
CONF_KEEP_OTHERS: Final = "keep_others_days"
CONF_KEEP_VISITS: Final = "keep_visits"
CONF_KEEP_MB: Final = "keep_mb"

# Person: a subentry of the recognition entry; its title is the name and its unique id the person's id
SUBENTRY_PERSON: Final = "person"
CONF_PERSON_ID: Final = "person_id"
CONF_PERSON_ENTITY: Final = "person_entity"  # of Home Assistant, who is the same; may be missing

ENGINE_LOCAL: Final = "local"
ENGINE_REKOGNITION: Final = "rekognition"
