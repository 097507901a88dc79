"""What all entities of a doorbell have in common."""

from typing import override

from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .bridge import Output, Pattern
from .const import DOMAIN
from .coordinator import DoorbellCoordinator
from .visits import Visit


class DoorbellEntity(CoordinatorEntity[DoorbellCoordinator]):
    """Something at the door; unavailable while the bridge is."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: DoorbellCoordinator, description: EntityDescription) -> None:
        """Belong to the doorbell, whose device the coordinator keeps up to date."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.doorbell_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, coordinator.doorbell_id)})


class VisitEntity(DoorbellEntity):
    """Something that Home Assistant knows of the visits, whether the bridge is there or not."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    def visit(self) -> Visit | None:
        """The last visit."""
        return self.coordinator.data.last_visit


class OutputEntity(DoorbellEntity):
    """An output of the panel."""

    output: Output

    @property
    def pattern(self) -> Pattern:
        """What plays now."""
        return self.coordinator.data.bridge.outputs.get(self.output, Pattern.OFF)

    @property
    def is_on(self) -> bool:
        """Whether something plays."""
        return self.pattern is not Pattern.OFF
