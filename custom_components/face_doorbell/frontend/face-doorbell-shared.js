/**
 * What the cards have in common. Plain modules: no build step, no library.
 *
 * Texts are the integration's translations (`common`, keys `card_…`, and those that entities and errors have). What
 * people have typed only ever becomes text nodes, never HTML.
 */

export const DOMAIN = "face_doorbell";

const SIGNED_S = 600; // an address that was copied is soon worth nothing; pictures load at once

const TICK_MS = 30_000; // relative times are in minutes at their finest

/** What the gate for photos doubts and an administrator may overrule. */
export const DOUBT = "photo_looks_like";

export const STYLE = `
:host { display: block; }
ha-card { padding: 12px 16px; display: block; }
h2, h3, p, ul { margin: 0; }
h2, h3 { font-weight: 500; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; }
select, input, button { font: inherit; color: var(--primary-text-color); min-block-size: 44px; box-sizing: border-box; border-radius: 12px; }
select, input[type=text] { background: var(--card-background-color); border: 1px solid var(--secondary-text-color); padding: 0 12px; min-inline-size: 0; }
button { border: 1px solid transparent; padding: 4px 14px; cursor: pointer; font-weight: 500; }
/* Texts that are not translated read in their own direction. */
button, p, li, .state { unicode-bidi: plaintext; }
button, .tinted { background: color-mix(in srgb, var(--hue, var(--primary-color)) var(--tint, 14%), transparent); }
button:hover { --tint: 24%; }
.main { --tint: 34%; }
.danger { --hue: var(--error-color); }
.quiet { --tint: 0%; font-weight: 400; color: var(--secondary-text-color); }
[aria-busy=true] { opacity: .5; cursor: progress; }
:focus-visible { outline: 2px solid var(--primary-color); outline-offset: 2px; }
ul { list-style: none; padding: 0; }
img { background: var(--divider-color); object-fit: cover; border-radius: 12px; }
.sub { color: var(--secondary-text-color); font-size: .9em; }
.sub { overflow: clip; }
.sub > span { display: inline-block; position: relative; inset-inline-start: -.8em; padding-inline-start: .8em; }
.sub > span::before { content: "·" / ""; position: absolute; inset-inline-start: .25em; }
.state { padding: 32px 16px; text-align: center; text-wrap: balance; color: var(--secondary-text-color); }
.state button { margin-block-start: 12px; }
.error { padding-inline-start: 8px; border-inline-start: 3px solid var(--error-color); }
.error:empty { display: none; }
.live { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
[hidden] { display: none !important; }
dialog { padding: 20px; border: 0; box-sizing: border-box; inline-size: 720px;
  max-inline-size: calc(100vw - 24px); max-block-size: calc(100dvh - 24px); line-height: 1.5; border-radius: var(--ha-dialog-border-radius, 24px);
  color: var(--primary-text-color); background: var(--ha-dialog-surface-background, var(--card-background-color)); }
dialog.small { inline-size: 440px; }
dialog::backdrop { background: rgb(0 0 0 / .6); }
form, .stack { display: grid; gap: 14px; min-inline-size: 0; }
.head, .end, .wrap { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.head { flex-wrap: nowrap; }
.head > :first-child { flex: 1; min-inline-size: 0; }
.end { justify-content: flex-end; }
label.field { display: grid; gap: 4px; }
`;

/** Make an element: `on…` are listeners, other properties are set as such, `false` and null children are left out. */
export function el(tag, props = {}, ...children) {
  const { class: className, aria, ...rest } = props;
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(aria ?? {})) made.setAttribute(`aria-${name}`, value);
  Object.assign(made, rest);
  made.append(...children.flat().filter((child) => child || child === 0));
  return made;
}

/** Make a button. */
export function button(text, onclick, props = {}) {
  return el("button", { type: "button", onclick, ...props }, text);
}

/** Make a line of parts; those that are missing are left out. Each keeps its own direction of reading. */
export const line = (...parts) => el("div", { class: "sub" }, parts.filter(Boolean).map((part) => el("span", {}, bdi(part))));

/** Make the place for an error. */
export const trouble = () => el("p", { class: "error", role: "alert" });

/** What people have named, or what is not translated, keeps its own direction of reading. */
export const bdi = (name) => el("bdi", {}, name);

/** Say how long ago something was, as the user's language does. */
export function ago(at, language) {
  const seconds = Math.min(0, (new Date(at) - Date.now()) / 1000);
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  for (const [unit, size] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (-seconds >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(0, "second");
}

// Once the texts are there; the same for all cards.
let localize;
let number;
const loading = {}; // by language: of two cards that ask at the same time, Home Assistant lets only one wait

async function loadTexts(hass) {
  const load = (category) => hass.loadBackendTranslation(category, DOMAIN);
  try {
    await Promise.all(["common", "entity", "exceptions"].map(load));
    localize = await load("common"); // with all of them
  } catch {
    delete loading[hass.locale.language];
  }
}

/** Return a text of the integration, empty when there is none; numbers in it are as its language writes them. */
export function text(key, values = {}) {
  const said = Object.entries(values).map(([name, value]) => [name, typeof value === "number" ? number.format(value) : value]);
  return localize?.(`component.${DOMAIN}.${key}`, Object.fromEntries(said)) || "";
}
export const t = (key, values) => text(`common.card_${key}`, values);

/** The parts of a text with a name in it. */
export const named = (key, name, values) =>
  t(key, { ...values, name: "\0" }).split("\0").flatMap((part, index) => [index > 0 && bdi(name), part]);

/** An error for a photo of a visit that was refused. */
export const refusal = ({ reason: translation_key, details: translation_placeholders }) => ({ translation_domain: DOMAIN, translation_key, translation_placeholders });

/** Say what went wrong, in the user's language where the integration has told it. */
export function reason(error) {
  const told = error.translation_domain === DOMAIN && text(`exceptions.${error.translation_key}.message`, error.translation_placeholders);
  return told || error.message || String(error);
}

// The dialog stands beside the cards: Home Assistant makes them anew whenever the dashboard changes, as by a new person.
const dialog = el("dialog");
const host = el("div", { id: "face-doorbell-dialog" });
const style = el("style");
host.attachShadow({ mode: "open" }).append(style, dialog);
dialog.setAttribute("aria-labelledby", "title");
for (const event of ["location-changed", "popstate"]) window.addEventListener(event, () => dialog.close());

/** The cards that are on the page. */
export const alive = new Set();

const makeBase = () => class FaceDoorbellCard extends HTMLElement {
  #hass;
  config = {};
  started = false;
  dialog = dialog;
  #unsubscribe;
  #timer;
  #load = 0; // the number of the last load; what an older one brings is thrown away

  setConfig(config) {
    const changed = this.started && JSON.stringify(config) !== JSON.stringify(this.config);
    this.config = config;
    if (changed) this.#begin();
  }

  set hass(hass) {
    this.#hass = hass;
    if (this.isConnected) this.#start();
  }

  get hass() {
    return this.#hass;
  }

  get language() {
    return this.#hass.locale.language;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 9 };
  }

  connectedCallback() {
    alive.add(this);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    if (this.#hass) this.#start();
  }

  disconnectedCallback() {
    this.started = false;
    this.#hass?.connection.removeEventListener("ready", this.reload);
    alive.delete(this);
    clearInterval(this.#timer);
    this.#stopListening();
  }

  #tick() {
    for (const time of this.shadowRoot?.querySelectorAll("time") ?? []) time.textContent = ago(time.dateTime, this.language);
  }

  /** When something was, relative to now for as long as it is shown. */
  since(at) {
    return el("time", { dateTime: at }, ago(at, this.language));
  }

  async #start() {
    if (this.started) return;
    this.started = true;
    await (loading[this.language] ??= loadTexts(this.#hass));
    this.started &&= Boolean(localize); // the next state is another try
    if (!this.started) return;
    number = new Intl.NumberFormat(this.language);
    this.#hass.connection.addEventListener("ready", this.reload);
    this.#begin();
  }

  #begin() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const title = this.config.title && el("h2", {}, bdi(this.config.title));
    this.state = el("div", { class: "state" }, t("loading"));
    root.replaceChildren(
      el("style", {}, STYLE + this.constructor.style),
      el("ha-card", {}, title, this.frame(), this.state),
    );
    this.reload();
  }

  /** Listen to visits, then load: nothing is missed in between. */
  reload = async () => {
    this.#load++;
    const current = this.loaded;
    try {
      this.#stopListening();
      const unsubscribe = await this.#hass.connection.subscribeMessage(
        (event) => current() && this.changed(event),
        { type: `${DOMAIN}/visits/subscribe`, ...this.wanted },
        { resubscribe: false },
      );
      if (!current()) return unsubscribe();
      this.#unsubscribe = unsubscribe;
      await this.load(current);
    } catch (error) {
      if (current()) this.fail(error);
    }
    return undefined;
  };

  /** A function that tells whether what was loaded before is still what is wanted. */
  get loaded() {
    const load = this.#load;
    return () => load === this.#load && this.started;
  }

  #stopListening() {
    this.#unsubscribe?.()?.catch?.(() => {}); // the connection may be gone
    this.#unsubscribe = undefined;
  }

  ask(command, data = {}) {
    return this.#hass.callWS({ type: `${DOMAIN}/${command}`, ...data });
  }

  async action(name, data) {
    return (await this.#hass.callService(DOMAIN, name, data, undefined, false, true)).response;
  }

  /** Say why there is nothing, and what to do about it. */
  say(...content) {
    this.state.hidden = content.length === 0;
    this.state.replaceChildren(...content);
  }

  fail(error) {
    this.say(el("p", { role: "alert" }, t("failed", { error: reason(error) })), button(t("retry"), this.reload));
  }

  /** When something was: a time of today, or the day too, as the user has set languages, clocks and time zones. */
  moment(at) {
    const { locale, config } = this.#hass;
    const timeZone = locale.time_zone === "server" ? config.time_zone : undefined;
    const say = (when, options) => new Intl.DateTimeFormat(this.language, { timeZone, ...options }).format(when);
    const when = new Date(at);
    const date = say(when) === say(new Date()) ? {} : { month: "short", day: "numeric" };
    const hour12 = { 12: true, 24: false }[locale.time_format];
    return say(when, { ...date, hour: "numeric", minute: "2-digit", hour12 });
  }

  /** A picture whose address is signed when it is shown; `alt` is empty where the name stands beside it. */
  image(path, props = {}) {
    const image = el("img", { alt: "", ...props });
    this.#hass
      .callWS({ type: "auth/sign_path", path, expires: SIGNED_S })
      .then((signed) => (image.src = signed.path))
      .catch(() => {}); // the frame stays empty
    return image;
  }

  open(className, ...content) {
    if (!host.isConnected) document.body.append(host);
    style.textContent = STYLE + this.constructor.style;
    dialog.className = className;
    dialog.dir = getComputedStyle(this).direction;
    dialog.replaceChildren(...content.filter(Boolean));
    if (!dialog.open) dialog.showModal();
  }

  /** Close the dialog; what had the focus before may be gone. */
  close(focus) {
    dialog.close();
    focus?.focus();
  }

  heading(title) {
    return el("div", { class: "head" }, el("h2", { id: "title" }, bdi(title)), button(t("close"), () => this.close()));
  }

  /** Do something once, however often the button is pressed; returns the error that was shown, if any. */
  async act(pressed, error, work) {
    if (pressed.ariaBusy) return null;
    pressed.ariaBusy = "true"; // a button that is disabled would lose the focus
    error.textContent = "";
    try {
      await work();
      return null;
    } catch (failed) {
      error.textContent = reason(failed);
      return failed;
    } finally {
      pressed.ariaBusy = null;
    }
  }
};

let Base;

/** Define an element; `make` gets the class to extend. Two versions on a page: the first one stays. */
export async function define(tag, make) {
  // Home Assistant replaces the registry of elements while it starts; what was defined before is lost.
  await Promise.race(["home-assistant", "hc-main"].map((each) => customElements.whenDefined(each)));
  if (!customElements.get(tag)) customElements.define(tag, make((Base ??= makeBase())));
}

/** A visual editor: a title and more. Labels are texts of ours, or Home Assistant's own words. */
export const form = (...more) => ({
  schema: [{ name: "title", selector: { text: {} } }, ...more],
  computeLabel: ({ name }, words) =>
    t(`option_${name}`) || words(`ui.panel.lovelace.editor.card.generic.${name}`) || name,
  computeHelper: ({ name }) => t(`option_${name}_hint`),
});
