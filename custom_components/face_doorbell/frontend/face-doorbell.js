/** The visits card of Face Doorbell: who was at the door. */

// What is imported is as new as this: the version is behind the address.
const { DOMAIN, DOUBT, bdi, button, define, el, form, line, named, reason, refusal, t, text, trouble } = await import(
  `./face-doorbell-shared.js${new URL(import.meta.url).search}`
);

const CARD = "face-doorbell-visits";

const PAGE = 20;
const MOST_LIVE = 200; // rows that live updates may grow the list to: a tablet on the wall runs for months
const MOST_NAMES = 12; // that are offered for a tap; beyond them typing is faster

const MARKS = { recognized: "✓", unknown: "?", no_face: "–", failed: "!" };

const STYLE = `
.end select { border-color: transparent; field-sizing: content; max-inline-size: 100%; }
ul { container-type: inline-size; }
li { display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: 6px 10px; padding: 10px 0; }
li + li { border-block-start: 1px solid var(--divider-color); }
button.faces { grid-row: span 2; display: flex; flex-wrap: wrap; gap: 4px; max-inline-size: 126px; padding: 0; --tint: 0%; }
.faces > * { inline-size: 60px; aspect-ratio: 1; border-radius: 14px; background: var(--divider-color); }
.faces .none { display: grid; place-items: center; font-size: 22px; color: var(--secondary-text-color); }
li > .wrap { align-self: end; }
li > .sub { grid-area: 2 / 2; align-self: start; }
.chip { display: inline-flex; align-items: center; gap: 6px; padding-block: 3px; padding-inline: 4px 10px; border-radius: 99px;
  font-weight: 500; overflow-wrap: anywhere; }
.chip > b { flex: none; display: grid; place-items: center; inline-size: 20px; aspect-ratio: 1; border-radius: 50%; font-size: 13px;
  color: #000; background: var(--hue); }
.recognized { --hue: var(--success-color); }
.unknown { --hue: var(--warning-color); }
.no_face { --hue: var(--secondary-text-color); }
.failed { --hue: var(--error-color); }
.acts { grid-area: 1 / 3 / 3; }
.acts:has(:nth-child(2)) { grid-area: 3 / 1 / 3 / 4; }
@container (inline-size < 360px) {
  li > .wrap { grid-area: 1 / 2 / 2 / 4; }
  li > .sub { align-self: center; }
  .acts { grid-area: 2 / 3; margin-block-start: -6px; }
}
@container (inline-size < 280px) { button.faces { max-inline-size: 62px; } }
.acts button { padding-inline: 8px; overflow-wrap: anywhere; }
.acts .quiet { text-align: end; font-size: .9em; }
.quiet:only-child { max-inline-size: 9em; }
.end img { font-size: 0; vertical-align: middle; inline-size: 28px; aspect-ratio: 1; border-radius: 8px; margin-inline: 4px; }
.more { inline-size: 100%; margin-block-start: 8px; }
.who { inline-size: 128px; aspect-ratio: 1; border-radius: 24px; justify-self: center; }
.frame { position: relative; border-radius: 12px; overflow: hidden; line-height: 0; inline-size: 100%; margin: auto; }
.frame img { inline-size: 100%; aspect-ratio: auto 16 / 9; }
.box { position: absolute; border: 2px solid var(--hue); border-radius: 8px; line-height: 1.4; }
.box bdi { position: absolute; inset-block-start: 100%; inset-inline-start: -2px; padding: 0 6px; border-radius: 6px; white-space: nowrap;
  font-size: 12px; color: #000; background: #fff; }
.strip { display: flex; gap: 8px; overflow-x: auto; padding: 3px; }
.strip button { padding: 0; flex: none; overflow: hidden; block-size: 60px; --tint: 0%; }
.strip button[aria-current=true] { border: 2px solid var(--primary-color); }
.strip img { block-size: 100%; }
@media (prefers-reduced-motion: no-preference) {
  li.new { animation: in .8s; } @keyframes in { from { opacity: 0; } }
}`;

const makeCard = (Base) => class FaceDoorbellVisits extends Base {
  static style = STYLE;

  static getConfigForm() {
    return form(
      { name: "device_id", selector: { device: { integration: DOMAIN, entity: { domain: "camera" } } } },
      { name: "limit", selector: { number: { min: 1, max: 100, mode: "box" } } },
    );
  }

  #filter = "all";
  #visits = [];
  #before = null;
  #people = {};
  #rows = new Map();
  #parts = {};

  getCardSize() {
    return 6;
  }

  /** The words that the entities have for what came of a visit. */
  #word(attribute, value) {
    return text(`entity.event.visitor.state_attributes.${attribute}.state.${value}`);
  }

  get wanted() {
    const wanted = { all: {}, unknown: { outcome: "unknown" }, missed: { missed: true } }[this.#filter];
    const door = this.config.device_id;
    return { ...(door && { device_id: door }), ...(wanted ?? { person_id: this.#filter }) };
  }

  async load(current) {
    const page = await this.#page({ limit: this.config.limit ?? PAGE });
    if (!current()) return;
    this.#visits = page.visits;
    this.#take(page);
    this.#show();
  }

  #page(more) {
    return this.ask("visits/list", { ...this.wanted, ...more });
  }

  #take({ before, people }) {
    this.#before = before;
    this.#people = people;
  }

  async #more(pressed) {
    const current = this.loaded;
    const failed = await this.act(pressed, {}, async () => {
      const page = await this.#page({ before: this.#before, limit: PAGE });
      if (!current()) return;
      const shown = this.#visits.length;
      const known = new Set(this.#visits.map((visit) => visit.visit_id));
      this.#visits.push(...page.visits.filter((visit) => !known.has(visit.visit_id)));
      this.#take(page);
      this.#show();
      if (!this.#before) this.#parts.list.children[shown]?.querySelector("button")?.focus();
    });
    if (failed) this.fail(failed);
  }

  changed({ change, visit }) {
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

  frame() {
    this.#parts = {
      filter: el("select", { onchange: (event) => this.#choose(event.target.value), aria: { label: t("filter") } }),
      list: el("ul", { role: "list" }),
      more: button(t("more"), (event) => this.#more(event.target), { class: "more", hidden: true }),
      live: el("div", { class: "live", role: "status" }),
    };
    const { filter, list, more, live } = this.#parts;
    this.#rows.clear();
    return el("div", {}, el("div", { class: "end" }, filter), list, more, live);
  }

  #known() {
    return Object.entries(this.#people).sort((one, other) => one[1].localeCompare(other[1], this.language));
  }

  #choose(filter) {
    this.#filter = filter;
    this.#visits = [];
    this.reload();
  }

  #show(fresh = null) {
    const { filter, list, more } = this.#parts;
    const choices = [["all", t("all")], ["unknown", t("unknown")], ["missed", t("missed")], ...this.#known()];
    const options = JSON.stringify(choices);
    if (filter.dataset.options !== options) {
      filter.dataset.options = options;
      filter.replaceChildren(...choices.map(([value, name]) => el("option", { value, dir: "auto" }, name)));
    }
    filter.value = this.#filter;
    const rows = new Map();
    for (const visit of this.#visits) {
      const version = JSON.stringify(visit);
      let row = this.#rows.get(visit.visit_id);
      if (row?.version !== version) row = Object.assign(this.#row(visit), { version });
      if (visit.visit_id === fresh) row.className = "new";
      rows.set(visit.visit_id, row);
    }
    const refocus = this.#refocus(rows);
    this.#rows = rows;
    this.#arrange(list, [...rows.values()]);
    refocus?.focus();
    more.hidden = !this.#before;
    if (this.#visits.length) this.say();
    else if (this.#filter === "all") this.say(t("empty"));
    else this.say(el("p", {}, t("empty_filter")), button(t("all"), () => this.#choose("all")));
  }

  /** What has the focus in a row that is about to be replaced has an heir in the new one. */
  #refocus(rows) {
    const focused = this.shadowRoot.activeElement;
    const [id, old] = [...this.#rows].find(([, row]) => row.contains(focused)) ?? [];
    const heir = rows.get(id);
    if (!heir || heir === old) return null;
    const place = [...old.querySelectorAll("button")].indexOf(focused);
    const buttons = heir.querySelectorAll("button");
    return buttons[place] ?? buttons[0];
  }

  /** Bring rows into the list without moving those that stay: a moved row loses the focus. */
  #arrange(list, rows) {
    for (const row of [...list.children]) if (!rows.includes(row)) row.remove();
    rows.forEach((row, index) => {
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    });
  }

  fail(error) {
    super.fail(error);
    this.#parts.more.hidden = true;
  }

  #row(visit) {
    return el(
      "li",
      {},
      this.#thumbnails(visit),
      el("div", { class: "wrap" }, this.#chips(visit)),
      this.#about(visit),
      this.hass.user.is_admin && el("div", { class: "end acts" }, this.#corrections(visit)),
    );
  }

  #thumbnails(visit) {
    const shown = visit.faces.length ? visit.faces.slice(0, 3) : [visit.picture ?? visit.pictures[0]].filter(Boolean);
    const label = t("enlarge", { visit: `${this.#title(visit)}, ${this.moment(visit.at)}` });
    const inside = shown.map(({ thumbnail }) => this.image(thumbnail));
    return button(inside.length ? inside : el("span", { class: "none" }, MARKS.no_face), () => this.#enlarge(visit), { class: "faces", aria: { label } });
  }

  #chips(visit) {
    if (visit.faces.length) return visit.faces.map((face) => this.#chip(face.person_id ? "recognized" : "unknown", this.#nameOf(face)));
    return this.#chip(visit.outcome ?? "no_face", this.#title(visit));
  }

  #chip(tone, name) {
    return el("span", { class: `chip tinted ${tone}` }, el("b", { aria: { hidden: "true" } }, MARKS[tone]), bdi(name));
  }

  #about(visit) {
    return line(
      this.since(visit.at),
      this.moment(visit.at),
      !this.config.device_id && visit.doorbell,
      visit.faces.some((face) => face.by_user) ? t("by_hand") : visit.certainty && this.#word("certainty", visit.certainty),
      visit.outcome === "failed" && visit.reason && this.#word("reason", visit.reason),
      visit.missed && text("entity.event.doorbell.state_attributes.event_type.state.missed"),
      visit.test && t("test"),
    );
  }

  /** One button a face; of several, each shows which one is meant. */
  #corrections(visit) {
    return visit.faces.map((face) => {
      const wrong = face.person_id !== null;
      const made = button(wrong ? named("not", face.name) : t("who"), () => this.#ask(visit, face), { class: wrong && "quiet" });
      const alt = t("face", { n: face.face + 1, count: visit.faces.length });
      if (visit.faces.length > 1) made.prepend(this.image(face.thumbnail, { alt }));
      return made;
    });
  }

  #nameOf(face) {
    return face.name ?? this.#word("event_type", "unknown");
  }

  #title(visit) {
    if (visit.names.length) return visit.names.join(", ");
    return visit.outcome ? this.#word("event_type", visit.outcome) : t("somebody");
  }

  /** Close, and put the focus where the visit is, or was. */
  #leave(visit) {
    this.close(this.#rows.get(visit.visit_id)?.querySelector("button") ?? this.#parts.filter);
  }

  #enlarge(visit) {
    const title = this.#title(visit);
    const frame = el("div", { class: "frame" });
    const strip = el("div", { class: "strip", hidden: visit.pictures.length < 2 });
    const show = (picture, pressed) => {
      for (const each of strip.children) each.ariaCurrent = each === pressed;
      const boxes = picture.n === visit.picture?.n ? visit.faces.map((face) => this.#box(face)) : [];
      const image = this.image(picture.url, { alt: title });
      // The boxes are in parts of the picture, so the frame is exactly as large.
      image.onload = () => (frame.style.inlineSize = `min(100%, calc(65dvh * ${image.naturalWidth / image.naturalHeight}))`);
      frame.replaceChildren(image, ...boxes);
    };
    visit.pictures.forEach((picture, index) => {
      const label = t("picture", { n: index + 1, count: visit.pictures.length });
      const choice = button(this.image(picture.thumbnail), () => show(picture, choice), { aria: { label } });
      strip.append(choice);
      if (picture.n === (visit.picture ?? visit.pictures[0]).n) show(picture, choice);
    });
    const similar = visit.faces.filter((face) => face.similarity !== null);
    this.open(
      "",
      el(
        "div",
        { class: "stack" },
        this.heading(title),
        visit.pictures.length ? frame : el("p", { class: "sub" }, t("no_pictures")),
        strip,
        line(this.moment(visit.at), visit.doorbell, ...similar.map((face) => named("similarity", this.#nameOf(face), { value: face.similarity }))),
        this.hass.user.is_admin && el("div", { class: "end" }, this.#corrections(visit), this.#forgetButton(visit)),
      ),
    );
  }

  #box(face) {
    const box = el("div", { class: `box ${face.person_id ? "recognized" : "unknown"}` }, bdi(face.name ?? MARKS.unknown));
    for (const [side, part] of Object.entries(face.box)) box.style[side] = `${part * 100}%`;
    return box;
  }

  /** Forgets at the second press. */
  #forgetButton(visit) {
    const error = trouble();
    const pressed = button(t("forget"), () => {
      pressed.textContent = t("forget_sure");
      pressed.onclick = () => this.act(pressed, error, async () => {
        await this.action("forget_visit", { visit_id: visit.visit_id });
        this.close(this.#parts.filter);
      });
    }, { class: "danger" });
    return [pressed, error];
  }

  #ask(visit, face) {
    const wrong = face.person_id !== null;
    const error = trouble();
    const name = el("input", { type: "text", required: true, autocomplete: "off", dir: "auto", maxLength: 100, autofocus: true });
    const others = this.#known().filter(([id]) => id !== face.person_id).map(([, each]) => each);
    const list = el("datalist", { id: "people" }, others.map((value) => el("option", { value })));
    name.setAttribute("list", "people");
    const place = { visit_id: visit.visit_id, face: face.face };
    const save = el("button", { class: "main", type: "submit" }, t("save"));
    const choose = (other) => {
      name.value = other;
      save.focus();
    };
    const stranger = wrong && button(t("stranger"), () => this.act(stranger, error, async () => {
      await this.action("not_this_person", place);
      this.#leave(visit);
    }));
    const asked = el(
      "form",
      {},
      el("h2", { id: "title" }, bdi(wrong ? named("not", face.name) : t("who"))),
      this.image(face.thumbnail, { className: "who" }),
      el("label", { class: "field" }, bdi(t("name")), name, list),
      others.length > 0 && others.length <= MOST_NAMES && el("div", { class: "wrap" }, others.map((other) => button(bdi(other), () => choose(other)))),
      el("p", { class: "sub" }, t("name_hint")),
      error,
      el("div", { class: "end" }, button(t("cancel"), () => this.close(), { class: "quiet" }), stranger, save),
    );
    asked.onsubmit = (event) => {
      event.preventDefault();
      this.act(save, error, () => this.#name(visit, { ...place, person: name.value.trim() }));
    };
    this.open("small", asked);
  }

  /** Say who it is, and tell what has become of the photos, if there is anything to tell. */
  async #name(visit, data) {
    const answer = await this.action("name_visitor", data);
    this.#people = { ...this.#people, [answer.person_id]: answer.name };
    this.#show();
    const refused = answer.photos_refused;
    if (!refused.length) {
      this.#leave(visit);
      return;
    }
    const error = trouble();
    const anyway =
      refused.some((each) => each.reason === DOUBT) &&
      button(t("force"), () => this.act(anyway, error, () => this.#name(visit, { ...data, person: answer.person_id, force: true })));
    const close = button(t("close"), () => this.#leave(visit), { class: "main", autofocus: true });
    this.open(
      "small",
      el(
        "div",
        { class: "stack" },
        el("h2", { id: "title" }, bdi(named("named", answer.name))),
        el("p", {}, t("photos", { added: answer.photos_added, refused: refused.length })),
        [...new Set(refused.map(refusal).map(reason))].map((each) => el("p", { class: "sub" }, each)),
        error,
        el("div", { class: "end" }, anyway, close),
      ),
    );
  }
};

define(CARD, makeCard);
