/** The dashboard strategy of Face Doorbell: the dashboard of the sidebar, as a copy that can be edited. */

// What is imported is as new as this: the version is behind the address.
const { DOMAIN, HELP, define } = await import(`./face-doorbell-shared.js${new URL(import.meta.url).search}`);

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
