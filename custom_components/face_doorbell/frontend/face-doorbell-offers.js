/** What Face Doorbell offers for dashboards of one's own: its cards, and a strategy that makes the whole dashboard. */

// What is imported is as new as this: the version is behind the address.
const { DOMAIN, define } = await import(`./face-doorbell-shared.js${new URL(import.meta.url).search}`);

const HELP = "https://github.com/face-doorbell/face-doorbell#visits-on-a-dashboard";

const makeStrategy = () => class FaceDoorbellStrategy extends HTMLElement {
  static noEditor = true;

  static generate(_config, hass) {
    return hass.callWS({ type: `${DOMAIN}/dashboard` });
  }
};

define("ll-strategy-dashboard-face-doorbell", makeStrategy);

(window.customStrategies ??= []).push({
  type: "face-doorbell",
  strategyType: "dashboard",
  name: "Face Doorbell",
  description: "Live picture, visits and people, for each door.",
  documentationURL: HELP,
});

/** Show a card in the card picker; `suggest` returns its configuration for an entity of ours, if it fits. */
function offer(type, name, description, suggest) {
  const getEntitySuggestion = (hass, entityId) => {
    const entity = hass.entities[entityId];
    const config = entity?.platform === DOMAIN && suggest(entity, hass);
    return config ? { config: { type: `custom:${type}`, ...config } } : null;
  };
  (window.customCards ??= []).push({ type, name, description, documentationURL: HELP, getEntitySuggestion });
}

// A doorbell: the devices of the persons, and that of the recognition, have no camera.
const isDoor = (deviceId, hass) =>
  Object.values(hass.entities).some((each) => each.device_id === deviceId && each.entity_id.startsWith("camera."));

offer("face-doorbell-visits", "Face Doorbell: visits", "Who was at the door, newest first. Say who strangers are.", ({ device_id }, hass) =>
  isDoor(device_id, hass) && { device_id },
);

offer("face-doorbell-people", "Face Doorbell: people", "Who is known, by which photos. Add, rename and remove people.", ({ device_id }, hass) =>
  hass.user.is_admin && !isDoor(device_id, hass) && {},
);
