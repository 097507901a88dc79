/**
 * The visits card and the dashboard strategy of Face Doorbell. A plain module: no build step, no library.
 *
 * Texts come from the integration's translations (`common`, keys `card_…`); those that entities have are taken from there.
 * Texts of people only ever become text nodes, never HTML.
 */

const DOMAIN = "face_doorbell";
const CARD = "face-doorbell-visits";
const STRATEGY = "ll-strategy-dashboard-face-doorbell";

const SIGNED_S = 600; // an address that was copied is soon worth nothing; pictures load at once
const TICK_MS = 30_000; // relative times are in minutes at their finest
const MOST_LIVE = 200; // rows that live updates may grow the list to: a tablet on the wall runs for months

/** What the gate for photos doubts and an administrator may overrule. */
const DOUBT = "photo_looks_like";

const MARKS = { recognized: "✓", unknown: "?", no_face: "–", failed: "!" };

const STYLE = `
:host { display: block; }
ha-card { padding: var(--ha-space-3, 12px); display: block; }
h2 { margin: 0 0 8px; font-size: 1.25rem; font-weight: 400; }
.bar { display: flex; justify-content: flex-end; align-items: center; gap: 8px; color: var(--secondary-text-color); }
select, input, button { font: inherit; color: var(--primary-text-color); min-height: 44px; border-radius: 10px; }
select, input[type=text] { background: var(--card-background-color); border: 1px solid var(--divider-color); padding: 0 12px; }
button { background: none; border: 1px solid var(--divider-color); padding: 0 14px; cursor: pointer; }
button:hover { background: color-mix(in srgb, var(--primary-color) 8%, transparent); }
button.main { border: 2px solid var(--primary-color); font-weight: 600; }
button.danger { border-color: var(--error-color); }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--primary-color); outline-offset: 2px; }
ul { list-style: none; margin: 8px 0 0; padding: 0; }
li { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; padding: 10px 0; border-top: 1px solid var(--divider-color); }
.faces { display: flex; gap: 4px; padding: 0; border: 0; border-radius: 12px; }
.faces > * { inline-size: 56px; block-size: 56px; border-radius: 12px; object-fit: cover; background: var(--divider-color); }
.faces .none { display: grid; place-items: center; font-size: 22px; color: var(--secondary-text-color); }
.text { flex: 1 1 140px; min-inline-size: 0; display: grid; gap: 4px; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; }
.chip { --tone: var(--secondary-text-color); display: inline-flex; align-items: center; gap: 6px; padding: 2px 10px 2px 4px;
  padding-inline: 4px 10px; border-radius: 999px; font-weight: 500; overflow-wrap: anywhere;
  background: color-mix(in srgb, var(--tone) 14%, transparent); }
.chip > b { display: grid; place-items: center; inline-size: 20px; block-size: 20px; border-radius: 50%; font-size: 13px;
  color: #000; background: var(--tone); }
.recognized { --tone: var(--success-color, #43a047); }
.unknown { --tone: var(--warning-color, #ffa600); }
.failed { --tone: var(--error-color, #db4437); }
.sub { color: var(--secondary-text-color); font-size: .9em; }
.sub > * + *::before { content: " · "; }
.acts { display: flex; flex-wrap: wrap; gap: 8px; }
.state { padding: 24px 8px; text-align: center; color: var(--secondary-text-color); }
.state button, .more { margin-top: 12px; }
.more { inline-size: 100%; }
.error { margin: 0; padding-inline-start: 8px; border-inline-start: 3px solid var(--error-color); }
.error:empty { display: none; }
.live { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
[hidden] { display: none !important; }
dialog { inset: 0; margin: auto; padding: 16px; border: 0; box-sizing: border-box; inline-size: min(720px, calc(100vw - 24px));
  max-block-size: calc(100dvh - 24px); overflow: auto; border-radius: var(--ha-card-border-radius, 12px);
  color: var(--primary-text-color); background: var(--ha-dialog-surface-background, var(--card-background-color, #fff)); }
dialog.small { inline-size: min(420px, calc(100vw - 24px)); }
dialog::backdrop { background: rgb(0 0 0 / .6); }
form, .stack { display: grid; gap: 12px; }
.head, .end { display: flex; gap: 8px; align-items: center; }
.head > :first-child { flex: 1; margin: 0; }
.end { justify-content: flex-end; flex-wrap: wrap; }
label.field { display: grid; gap: 4px; }
.who { inline-size: 120px; block-size: 120px; border-radius: 12px; object-fit: cover; justify-self: center; background: var(--divider-color); }
.frame { position: relative; border-radius: 12px; overflow: hidden; background: var(--divider-color); line-height: 0; }
.frame img { inline-size: 100%; block-size: auto; aspect-ratio: 16 / 9; object-fit: contain; }
.box { position: absolute; border: 2px solid var(--tone); border-radius: 8px; line-height: 1.4; }
.box span { position: absolute; inset-block-start: 100%; inset-inline-start: -2px; padding: 0 6px; border-radius: 6px; white-space: nowrap;
  font-size: 12px; color: #000; background: #fff; }
.strip { display: flex; gap: 8px; overflow-x: auto; padding: 3px; }
.strip button { padding: 0; flex: none; overflow: hidden; block-size: 60px; }
.strip button[aria-current=true] { border: 2px solid var(--primary-color); }
.strip img { block-size: 100%; }
@media (prefers-reduced-motion: no-preference) {
  li.new { animation: in .6s; } @keyframes in { from { background: color-mix(in srgb, var(--primary-color) 25%, transparent); } }
}`;

/** Make an element: `on…` are listeners, other properties are set as such, `false` and null children are left out. */
function el(tag, props = {}, ...children) {
  const { class: className, aria, ...rest } = props;
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(aria ?? {})) made.setAttribute(`aria-${name}`, value);
  Object.assign(made, rest);
  made.append(...children.flat().filter((child) => child || child === 0));
  return made;
}

/** Say how long ago something was, as the user's language does. */
function ago(at, language) {
  const seconds = Math.min(0, (new Date(at) - Date.now()) / 1000);
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  for (const [unit, size] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (-seconds >= size) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(0, "second");
}

/** Make the classes; only when Home Assistant's own registry of elements is in place. */
function makeCard() {
  return class FaceDoorbellVisits extends HTMLElement {
    static getStubConfig() {
      return {};
    }

    static getConfigForm() {
      return {
        schema: [
          { name: "title", selector: { text: {} } },
          { name: "device_id", selector: { device: { integration: DOMAIN } } },
        ],
        computeLabel: ({ name }, localize) =>
          localize(`ui.panel.lovelace.editor.card.generic.${name === "device_id" ? "device" : name}`) || name,
      };
    }

    #hass;
    #text = () => "";
    #config = {};
    #filter = "all";
    #visits = [];
    #before = null;
    #people = {};
    #rows = new Map();
    #load = 0; // the number of the last load; what an older one brings is thrown away
    #unsubscribe;
    #timer;
    #started = false;
    #dialog = el("dialog");
    #parts = {};

    setConfig(config) {
      const again = this.#started && config.device_id !== this.#config.device_id;
      this.#config = config;
      if (again) this.#reload();
    }

    set hass(hass) {
      this.#hass = hass;
      if (this.isConnected) this.#start();
    }

    getCardSize() {
      return 6;
    }

    getGridOptions() {
      return { columns: 12, min_columns: 6 };
    }

    connectedCallback() {
      if (this.#hass) this.#start();
    }

    disconnectedCallback() {
      this.#started = false;
      clearInterval(this.#timer);
      this.#hass?.connection.removeEventListener("ready", this.#reload);
      this.#stopListening();
      this.#dialog.close();
    }

    async #start() {
      if (this.#started) return;
      this.#started = true;
      const localizers = await Promise.all(
        ["common", "entity", "exceptions"].map((category) => this.#hass.loadBackendTranslation(category, DOMAIN)),
      );
      if (!this.#started) return;
      const localize = localizers.at(-1);
      this.#text = (key, values) => localize(`component.${DOMAIN}.${key}`, values) || "";
      this.#frame();
      this.#timer = setInterval(() => this.#tick(), TICK_MS);
      this.#hass.connection.addEventListener("ready", this.#reload);
      await this.#reload();
    }

    #t(key, values) {
      return this.#text(`common.card_${key}`, values);
    }

    /** The words that the entities have for what came of a visit. */
    #word(attribute, value) {
      return this.#text(`entity.event.visitor.state_attributes.${attribute}.state.${value}`);
    }

    // Loading

    get #wanted() {
      const wanted = { unknown: { outcome: "unknown" }, missed: { missed: true } }[this.#filter];
      return {
        ...(this.#config.device_id ? { device_id: this.#config.device_id } : {}),
        ...(this.#filter === "all" ? {} : (wanted ?? { person_id: this.#filter })),
      };
    }

    #reload = async () => {
      const load = ++this.#load;
      try {
        // First listen, then ask: nothing is missed in between.
        this.#stopListening();
        const unsubscribe = await this.#hass.connection.subscribeMessage(
          (event) => load === this.#load && this.#changed(event),
          { type: `${DOMAIN}/visits/subscribe`, ...this.#wanted },
          { resubscribe: false },
        );
        if (load !== this.#load || !this.#started) return unsubscribe();
        this.#unsubscribe = unsubscribe;
        const page = await this.#page();
        if (load !== this.#load) return undefined;
        this.#visits = page.visits;
        this.#before = page.before;
        this.#people = page.people;
        this.#show();
      } catch (error) {
        if (load === this.#load) this.#fail(error);
      }
      return undefined;
    };

    #page(before) {
      return this.#hass.callWS({
        type: `${DOMAIN}/visits/list`,
        ...this.#wanted,
        ...(before ? { before } : {}),
      });
    }

    #stopListening() {
      this.#unsubscribe?.()?.catch?.(() => {}); // the connection may be gone
      this.#unsubscribe = undefined;
    }

    async #more(button) {
      const load = this.#load;
      button.disabled = true;
      try {
        const page = await this.#page(this.#before);
        if (load !== this.#load) return;
        const known = new Set(this.#visits.map((visit) => visit.visit_id));
        this.#visits.push(...page.visits.filter((visit) => !known.has(visit.visit_id)));
        this.#before = page.before;
        this.#show();
      } catch (error) {
        this.#fail(error);
      } finally {
        button.disabled = false;
      }
    }

    #changed({ change, visit }) {
      const index = this.#visits.findIndex((each) => each.visit_id === visit.visit_id);
      if (change === "removed") {
        if (index >= 0) this.#visits.splice(index, 1);
      } else if (index >= 0) {
        this.#visits[index] = visit;
      } else if (change === "added") {
        this.#visits.push(visit);
        this.#visits.sort((one, other) => (one.cursor < other.cursor ? 1 : -1));
        if (this.#visits.length > MOST_LIVE) {
          this.#visits.length = MOST_LIVE;
          this.#before = this.#visits.at(-1).cursor;
        }
        this.#parts.live.textContent = this.#title(visit);
      }
      this.#show(change === "added" ? visit.visit_id : null);
    }

    // Showing

    #frame() {
      const { title } = this.#config;
      this.#parts = {
        filter: el("select", { onchange: (event) => this.#choose(event.target.value), aria: { label: this.#t("filter") } }),
        list: el("ul", { role: "list" }),
        state: el("div", { class: "state" }, this.#t("loading")),
        more: el("button", { class: "more", type: "button", hidden: true, onclick: (event) => this.#more(event.target) }, this.#t("more")),
        live: el("div", { class: "live", role: "status" }),
      };
      const { filter, list, state, more, live } = this.#parts;
      this.#rows.clear();
      const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
      const card = el("ha-card", {}, title && el("h2", {}, title), el("div", { class: "bar" }, filter), list, state, more, live);
      root.replaceChildren(el("style", {}, STYLE), card, this.#dialog);
    }

    #choose(filter) {
      this.#filter = filter;
      this.#visits = [];
      this.#reload();
    }

    #show(fresh = null) {
      const { filter, list, state, more } = this.#parts;
      const choices = [["all", this.#t("all")], ["unknown", this.#t("unknown")], ["missed", this.#t("missed")]];
      choices.push(...Object.entries(this.#people).sort((one, other) => one[1].localeCompare(other[1])));
      const options = JSON.stringify(choices);
      if (filter.dataset.options !== options) {
        filter.dataset.options = options;
        filter.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
      }
      filter.value = this.#filter;
      const rows = new Map();
      for (const visit of this.#visits) {
        const version = JSON.stringify(visit);
        const old = this.#rows.get(visit.visit_id);
        const row = old?.version === version ? old.row : this.#row(visit);
        if (visit.visit_id === fresh) row.className = "new";
        rows.set(visit.visit_id, { version, row });
      }
      this.#rows = rows;
      this.#arrange(list, [...rows.values()].map(({ row }) => row));
      state.hidden = this.#visits.length > 0;
      state.replaceChildren(this.#filter === "all" ? this.#t("empty") : this.#t("empty_filter"));
      more.hidden = !this.#before;
    }

    /** Bring rows into the list without moving those that stay: a moved row loses the focus. */
    #arrange(list, rows) {
      const wanted = new Set(rows);
      for (const row of [...list.children]) if (!wanted.has(row)) row.remove();
      rows.forEach((row, index) => {
        if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
      });
    }

    #fail(error) {
      const { state, more } = this.#parts;
      state.hidden = false;
      more.hidden = true;
      const text = this.#t("failed", { error: error.message ?? String(error) });
      const retry = el("button", { type: "button", onclick: () => this.#reload() }, this.#t("retry"));
      state.replaceChildren(el("div", { role: "alert" }, text), retry);
    }

    #tick() {
      for (const time of this.#parts.list.querySelectorAll("time")) {
        time.textContent = ago(time.dateTime, this.#hass.locale.language);
      }
    }

    #row(visit) {
      const admin = this.#hass.user.is_admin;
      return el(
        "li",
        {},
        this.#thumbnails(visit),
        el("div", { class: "text" }, el("div", { class: "chips" }, this.#chips(visit)), this.#about(visit)),
        admin && el("div", { class: "acts" }, visit.faces.map((face) => this.#correct(visit, face))),
      );
    }

    #thumbnails(visit) {
      const shown = visit.faces.length ? visit.faces.slice(0, 3) : [visit.picture ?? visit.pictures[0]].filter(Boolean);
      const label = this.#t("enlarge", { visit: `${this.#title(visit)}, ${this.#moment(visit.at)}` });
      return el(
        "button",
        { class: "faces", type: "button", onclick: () => this.#enlarge(visit), aria: { label } },
        shown.map(({ thumbnail }) => this.#image(thumbnail)),
        shown.length === 0 && el("span", { class: "none" }, "–"),
      );
    }

    #chips(visit) {
      if (visit.faces.length) return visit.faces.map((face) => this.#chip(face.person_id ? "recognized" : "unknown", this.#name(face)));
      return this.#chip(visit.outcome ?? "no_face", this.#title(visit));
    }

    #chip(tone, text) {
      return el("span", { class: `chip ${tone}` }, el("b", { aria: { hidden: "true" } }, MARKS[tone]), text);
    }

    #about(visit) {
      const { language } = this.#hass.locale;
      const about = [
        el("time", { dateTime: visit.at, title: this.#moment(visit.at) }, ago(visit.at, language)),
        visit.faces.some((face) => face.by_user) ? this.#t("by_hand") : visit.certainty && this.#word("certainty", visit.certainty),
        visit.outcome === "failed" && visit.reason && this.#word("reason", visit.reason),
        visit.missed && this.#text("entity.event.doorbell.state_attributes.event_type.state.missed"),
        visit.test && this.#t("test"),
      ];
      return el("div", { class: "sub" }, about.filter(Boolean).map((part) => (part.nodeType ? part : el("span", {}, part))));
    }

    #correct(visit, face) {
      const text = face.person_id ? this.#t("not", { name: face.name }) : this.#t("who");
      return el("button", { type: "button", onclick: () => this.#ask(visit, face) }, text);
    }

    #name(face) {
      return face.name ?? this.#word("event_type", "unknown");
    }

    #title(visit) {
      if (visit.names.length) return visit.names.join(", ");
      return visit.outcome ? this.#word("event_type", visit.outcome) : this.#t("somebody");
    }

    #moment(at) {
      const { language, time_format: clock } = this.#hass.locale;
      const hour12 = { 12: true, 24: false }[clock];
      return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", hour12 }).format(new Date(at));
    }

    /** A picture whose address is signed when it is shown; `alt` is empty where the name stands beside it. */
    #image(path, props = {}) {
      const image = el("img", { alt: "", ...props });
      this.#hass
        .callWS({ type: "auth/sign_path", path, expires: SIGNED_S })
        .then((signed) => {
          image.src = signed.path;
        })
        .catch(() => {}); // the frame stays empty
      return image;
    }

    // Dialogs

    #open(className, ...content) {
      this.#dialog.className = className;
      this.#dialog.replaceChildren(...content.filter(Boolean));
      this.#dialog.setAttribute("aria-labelledby", "title");
      if (!this.#dialog.open) this.#dialog.showModal();
    }

    #close(visit = null) {
      this.#dialog.close();
      // What was clicked may be gone with its row.
      if (visit) this.#rows.get(visit.visit_id)?.row.querySelector("button")?.focus();
    }

    #enlarge(visit) {
      const frame = el("div", { class: "frame" });
      const strip = el("div", { class: "strip", hidden: visit.pictures.length < 2 });
      const show = (picture, button) => {
        for (const each of strip.children) each.setAttribute("aria-current", each === button);
        const boxes = picture.n === visit.picture?.n ? visit.faces.map((face) => this.#box(face)) : [];
        frame.replaceChildren(this.#image(picture.url, { alt: this.#title(visit) }), ...boxes);
      };
      visit.pictures.forEach((picture, index) => {
        const label = this.#t("picture", { n: index + 1, count: visit.pictures.length });
        const button = el("button", { type: "button", aria: { label }, onclick: () => show(picture, button) }, this.#image(picture.thumbnail));
        strip.append(button);
        if (picture.n === (visit.picture ?? visit.pictures[0]).n) show(picture, button);
      });
      const similar = visit.faces.filter((face) => face.similarity !== null);
      this.#open(
        "",
        el(
          "div",
          { class: "stack" },
          el("div", { class: "head" }, el("h2", { id: "title" }, this.#title(visit)), el("button", { type: "button", onclick: () => this.#close() }, this.#t("close"))),
          visit.pictures.length > 0 && frame,
          visit.pictures.length > 0 && strip,
          el("div", { class: "sub" }, el("span", {}, this.#moment(visit.at)), similar.map((face) => el("span", {}, this.#t("similarity", { name: this.#name(face), value: face.similarity })))),
          this.#hass.user.is_admin && el("div", { class: "end" }, visit.faces.map((face) => this.#correct(visit, face)), this.#forgetButton(visit)),
        ),
      );
    }

    #box(face) {
      const percent = (part) => `${part * 100}%`;
      const box = el("div", { class: `box ${face.person_id ? "recognized" : "unknown"}` }, el("span", {}, this.#name(face)));
      const { left, top, width, height } = face.box;
      Object.assign(box.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
      return box;
    }

    /** Forgets at the second press. */
    #forgetButton(visit) {
      const error = el("p", { class: "error", role: "alert" });
      const button = el("button", { class: "danger", type: "button" }, this.#t("forget"));
      button.onclick = async () => {
        if (button.dataset.sure) {
          await this.#act(button, error, "forget_visit", { visit_id: visit.visit_id }, () => this.#close());
        } else {
          button.dataset.sure = "yes";
          button.textContent = this.#t("forget_sure");
        }
      };
      return [button, error];
    }

    #ask(visit, face) {
      const wrong = face.person_id !== null;
      const error = el("p", { class: "error", role: "alert" });
      const name = el("input", { type: "text", required: true, autocomplete: "off", maxLength: 100, autofocus: true });
      const list = el("datalist", { id: "people" }, Object.values(this.#people).map((value) => el("option", { value })));
      name.setAttribute("list", "people");
      const place = { visit_id: visit.visit_id, face: face.face };
      const save = el("button", { class: "main", type: "submit" }, this.#t("save"));
      const stranger = wrong && el("button", { type: "button" }, this.#t("stranger"));
      if (stranger) stranger.onclick = () => this.#act(stranger, error, "not_this_person", place, () => this.#close(visit));
      const form = el(
        "form",
        {},
        el("h2", { id: "title" }, wrong ? this.#t("not", { name: face.name }) : this.#t("who")),
        this.#image(face.thumbnail, { className: "who" }),
        el("label", { class: "field" }, this.#t("name"), name, list),
        el("div", { class: "sub" }, this.#t("name_hint")),
        error,
        el("div", { class: "end" }, el("button", { type: "button", onclick: () => this.#close() }, this.#t("cancel")), stranger, save),
      );
      form.onsubmit = (event) => {
        event.preventDefault();
        this.#act(save, error, "name_visitor", { ...place, person: name.value.trim() }, (answer) => this.#named(visit, place, answer));
      };
      this.#open("small", form);
    }

    /** Tell what has become of the photos, if there is anything to tell. */
    #named(visit, place, answer) {
      this.#people = { ...this.#people, [answer.person_id]: answer.name };
      this.#show();
      if (!answer.photos_refused.length) {
        this.#close(visit);
        return;
      }
      const reasons = answer.photos_refused.map(({ reason, details }) => this.#text(`exceptions.${reason}.message`, details));
      const error = el("p", { class: "error", role: "alert" });
      const anyway = answer.photos_refused.some(({ reason }) => reason === DOUBT) && el("button", { type: "button" }, this.#t("force"));
      if (anyway) {
        const data = { ...place, person: answer.person_id, force: true };
        anyway.onclick = () => this.#act(anyway, error, "name_visitor", data, (again) => this.#named(visit, place, again));
      }
      this.#open(
        "small",
        el(
          "div",
          { class: "stack" },
          el("h2", { id: "title" }, this.#t("named", { name: answer.name })),
          el("div", {}, this.#t("photos", { added: answer.photos_added, refused: answer.photos_refused.length })),
          [...new Set(reasons)].map((reason) => el("div", { class: "sub" }, reason)),
          error,
          el("div", { class: "end" }, anyway, el("button", { class: "main", type: "button", autofocus: true, onclick: () => this.#close(visit) }, this.#t("close"))),
        ),
      );
    }

    /** Perform an action; `error` shows what goes wrong. */
    async #act(button, error, action, data, done) {
      button.disabled = true;
      error.textContent = "";
      try {
        const { response } = await this.#hass.callService(DOMAIN, action, data, undefined, false, true);
        done(response);
      } catch (failed) {
        error.textContent = failed.message ?? String(failed);
      } finally {
        button.disabled = false;
      }
    }
  };
}

function makeStrategy() {
  return class FaceDoorbellStrategy extends HTMLElement {
    static noEditor = true;

    static generate(_config, hass) {
      return hass.callWS({ type: `${DOMAIN}/dashboard` });
    }
  };
}

// Home Assistant replaces the registry of elements while it starts; what was defined before is lost.
await Promise.race(["home-assistant", "hc-main"].map((tag) => customElements.whenDefined(tag)));
if (!customElements.get(CARD)) customElements.define(CARD, makeCard());
if (!customElements.get(STRATEGY)) customElements.define(STRATEGY, makeStrategy());

(window.customCards ??= []).push({
  type: CARD,
  name: "Face Doorbell: visits",
  description: "Who was at the door, newest first. Say who strangers are.",
  documentationURL: "https://github.com/face-doorbell/face-doorbell",
});
(window.customStrategies ??= []).push({
  type: "face-doorbell",
  strategyType: "dashboard",
  name: "Face Doorbell",
  description: "Live picture, visits and people, for each door.",
  documentationURL: "https://github.com/face-doorbell/face-doorbell",
});
