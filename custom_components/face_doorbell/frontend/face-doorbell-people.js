/** The people card of Face Doorbell: who the household knows, by which photos, and everything that changes that. */

// What is imported is as new as this: the version is behind the address.
const { DOUBT, ago, alive, bdi, button, define, el, form, line, named, reason, refusal, t, text, trouble } = await import(
  `./face-doorbell-shared.js${new URL(import.meta.url).search}`
);

const CARD = "face-doorbell-people";
const SEVERAL = "photo_several_faces"; // what the gate says of a photo of which one face has to be chosen
const TYPES = "image/jpeg,image/png";
const FACES = 30; // of visits that are offered to become photos

const STYLE = `
h3 { font-size: 1rem; }
.bar { display: flex; flex-wrap: wrap; gap: 8px; justify-content: flex-end; margin-block-end: 12px; }
.people { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 12px; }
.person { display: flex; gap: 14px; align-items: center; inline-size: 100%; block-size: 100%; padding: 10px; text-align: start;
  --tint: 0%; border-color: var(--divider-color); border-radius: 18px; font-weight: 400; }
.person > :first-child { object-position: top; flex: none; inline-size: 76px; block-size: 76px; border-radius: 16px; }
.person .none { display: grid; place-items: center; font-size: 28px; background: var(--divider-color); color: var(--secondary-text-color); }
.person .text { display: grid; gap: 4px; min-inline-size: 0; }
.advice { unicode-bidi: plaintext; color: var(--primary-text-color); font-size: .9em; padding-inline-start: 8px; border-inline-start: 3px solid var(--warning-color); }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 10px; }
.photos li { display: grid; gap: 2px; }
.photos img { inline-size: 100%; aspect-ratio: 1; object-position: top; }
.strip { display: flex; gap: 8px; overflow-x: auto; padding: 3px; margin-inline: -3px; }
.strip button { flex: none; padding: 0; --tint: 0%; border-radius: 14px; }
.strip img { inline-size: 72px; block-size: 72px; border-radius: 14px; display: block; }
.results { display: grid; gap: 10px; }
.results li { display: flex; gap: 12px; align-items: center; }
.results img { flex: none; object-position: top; inline-size: 56px; block-size: 56px; }
.results li > div { display: grid; gap: 6px; min-inline-size: 0; }
.rename { display: flex; gap: 8px; align-items: end; }
.rename label { flex: 1; min-inline-size: 0; }
.sure { display: grid; gap: 10px; padding: 12px; border-radius: 14px; }
.findings { display: grid; gap: 10px; }
.findings li { padding-inline-start: 12px; border-inline-start: 3px solid var(--primary-color); }
`;

const makeCard = (Base) => class FaceDoorbellPeople extends Base {
  static style = STYLE;

  static getConfigForm() {
    return form();
  }

  #people = [];
  #most = 0;
  #parts = {};
  #shown = {}; // the dialog of a person
  #objectUrls = [];

  getCardSize() {
    return 5;
  }

  connectedCallback() {
    super.connectedCallback();
    this.dialog.addEventListener("close", this.#forgetFiles);
  }

  get wanted() {
    return {};
  }

  async load(current) {
    if (!this.hass.user.is_admin) {
      this.#parts.bar.hidden = true;
      this.say(t("admins_only"));
      return;
    }
    const { people, most_photos: most } = await this.ask("people/list");
    if (!current()) return;
    this.#people = people;
    this.#most = most;
    this.#show();
  }

  /** Somebody was seen, named or forgotten. */
  changed() {
    if (this.hass.user.is_admin) this.#refresh();
  }

  async #refresh() {
    const current = this.loaded;
    try {
      await this.load(current);
    } catch (error) {
      if (current()) this.fail(error);
    }
  }

  frame() {
    const add = button(t("person_add"), () => this.#edit(null), { class: "main" });
    const check = button(t("check"), () => this.#check());
    this.#parts = { bar: el("div", { class: "bar" }, check, add), list: el("ul", { class: "people", role: "list" }), add, check };
    return el("div", {}, this.#parts.bar, this.#parts.list);
  }

  #show() {
    const focused = this.shadowRoot.activeElement?.dataset.person;
    this.#parts.list.replaceChildren(...this.#people.map((person) => el("li", {}, this.#tile(person))));
    this.#parts.check.hidden = this.#people.length === 0;
    if (focused) this.#tileOf(focused)?.focus();
    this.say(...(this.#people.length ? [] : [t("people_empty")]));
  }

  #tileOf(personId) {
    return [...this.#parts.list.querySelectorAll("button")].find((each) => each.dataset.person === personId);
  }

  #tile(person) {
    const [photo] = person.photos;
    const tile = button(photo ? this.image(photo.thumbnail) : el("span", { class: "none" }, "?"), () => this.#edit(person), { class: "person" });
    tile.dataset.person = person.person_id;
    tile.append(
      el(
        "span",
        { class: "text" },
        el("h3", {}, bdi(person.name)),
        line(t("photo_count", { count: person.photos.length }), this.#seen(person)),
        person.advice && el("span", { class: "advice" }, t(`advice_${person.advice}`)),
      ),
    );
    return tile;
  }

  #seen(person) {
    return person.last_seen ? t("last_seen", { when: ago(person.last_seen, this.language) }) : t("never_seen");
  }

  // The dialog of a person, who may be new

  #edit(person) {
    const results = el("ul", { class: "results", role: "list", aria: { live: "polite" } });
    this.#shown = { person, results, body: el("div", { class: "stack" }), name: null };
    this.#fill();
    this.open("", this.#shown.body);
  }

  /** Show the person as it is now; what has become of the chosen photos stays. */
  #fill() {
    const { person, results, body } = this.#shown;
    const files = el("input", { type: "file", accept: TYPES, multiple: true, hidden: true });
    files.onchange = () => this.#upload([...files.files]).finally(() => (files.value = ""));
    const full = person && person.photos.length >= this.#most;
    const choose = button(t("photos_choose"), () => this.#ready() && files.click(), { class: "main" });
    const typed = this.#shown.name?.value;
    const name = el("input", { type: "text", required: true, autocomplete: "off", dir: "auto", maxLength: 100, autofocus: !person, value: typed ?? person?.name ?? "" });
    this.#shown.name = name;
    const strip = el("div", { class: "strip" });
    const faces = el("div", { class: "stack", hidden: true }, el("h3", {}, person ? t("faces_own") : t("faces_unknown")), strip);
    const parts = [
      this.heading(person?.name ?? t("person_add")),
      this.#nameForm(name),
      el(
        "div",
        { class: "stack" },
        person && el("h3", {}, t("photo_count", { count: person.photos.length })),
        person && el("ul", { class: "photos", role: "list" }, person.photos.map((photo, index) => this.#photo(photo, index))),
        el("p", { class: "sub" }, full ? t("photos_full", { limit: this.#most }) : t("photos_hint")),
        !full && el("div", { class: "wrap" }, choose, files),
        results,
      ),
      !full && faces,
      person && this.#removal(person),
    ];
    body.replaceChildren(...parts.filter(Boolean));
    if (!full) this.#offerFaces(faces, strip);
  }

  #nameForm(name) {
    const { person } = this.#shown;
    const error = trouble();
    const save = el("button", { type: "submit", hidden: !person }, t("rename"));
    const asked = el("form", {}, el("div", { class: "rename" }, el("label", { class: "field" }, t("person_name"), name), save), error);
    asked.onsubmit = (event) => {
      event.preventDefault();
      if (!person) return;
      this.act(save, error, async () => {
        await this.action("rename_person", { person: person.person_id, name: name.value.trim() });
        await this.#now(person.person_id);
      });
    };
    return asked;
  }

  /** Load anew, also when another card has taken the place of this one behind the dialog. */
  async #renew() {
    for (const card of alive) card.reload();
    ({ people: this.#people } = await this.ask("people/list"));
  }

  /** Show who was changed as this person is now. */
  async #now(personId, shown = this.#shown) {
    await this.#renew();
    const person = this.#people.find((each) => each.person_id === personId);
    if (!person) return;
    shown.person = person;
    shown.name = null;
    if (shown !== this.#shown || !this.dialog.open) return;
    const words = (each) => each?.ariaLabel ?? each?.textContent;
    const focused = words(this.dialog.getRootNode().activeElement);
    this.#fill();
    const buttons = [...shown.body.querySelectorAll("button")];
    (buttons.find((each) => words(each) === focused) ?? buttons[0]).focus();
  }

  #photo(photo, index) {
    const { person } = this.#shown;
    const error = trouble();
    const alt = t("photo_of", { n: index + 1, name: person.name });
    const remove = button(t("photo_remove"), () => this.act(remove, error, async () => {
      await this.ask("people/remove_photo", { person_id: person.person_id, photo_id: photo.photo_id });
      await this.#now(person.person_id);
    }), { class: "quiet", aria: { label: `${t("photo_remove")}: ${alt}` } });
    // Who has none cannot be recognized.
    return el("li", {}, this.image(photo.thumbnail, { alt }), person.photos.length > 1 && remove, error);
  }

  #removal(person) {
    const error = trouble();
    const asked = el("div", { class: "sure danger tinted", hidden: true });
    const ask = button(t("person_remove"), () => {
      asked.hidden = false;
      ask.hidden = true;
      asked.querySelector("button").focus();
    }, { class: "quiet" });
    const keep = button(t("person_keep"), () => {
      asked.hidden = true;
      ask.hidden = false;
      ask.focus();
    }, { class: "quiet" });
    const remove = button(named("person_remove_sure", person.name), () => this.act(remove, error, async () => {
      const answer = await this.action("remove_person", { person: person.person_id });
      await this.#renew();
      this.#removed(person, answer);
    }), { class: "danger" });
    asked.append(
      el("p", {}, named("person_remove_what", person.name, { photos: person.photos.length, visits: person.visits })),
      el("div", { class: "end" }, keep, remove),
      error,
    );
    return el("div", {}, el("div", { class: "end" }, ask), asked);
  }

  /** Say what is left to do, if anything. */
  #removed(person, answer) {
    const left = [answer.pending && t("removed_pending"), answer.old_versions_remain && t("removed_versions")].filter(Boolean);
    if (!left.length) {
      this.close(this.#parts.add);
      return;
    }
    const what = named("removed", person.name, { visits: answer.visits });
    this.open("small", el("div", { class: "stack" }, this.heading(person.name), el("p", {}, what), left.map((each) => el("p", {}, each))));
  }

  /** Whether there is somebody whose photos these can be. */
  #ready() {
    const { person, name } = this.#shown;
    return Boolean(person) || name.reportValidity();
  }

  async #upload(files) {
    const shown = this.#shown;
    for (const file of files) {
      if (shown !== this.#shown) return; // somebody else is looked at
      const url = URL.createObjectURL(file);
      this.#objectUrls.push(url);
      await this.#try(el("img", { alt: file.name, src: url }), (choice) => this.#send(file, choice, shown));
    }
  }

  #forgetFiles = () => {
    for (const url of this.#objectUrls.splice(0)) URL.revokeObjectURL(url);
  };

  async #send(file, choice, { person, name }) {
    const body = new FormData();
    body.append("file", file);
    const answer = await this.hass.fetchWithAuth("/api/file_upload", { method: "POST", body });
    if (!answer.ok) throw new Error(t("upload_failed", { status: answer.status }));
    const { file_id: upload } = await answer.json();
    const who = person ? { person_id: person.person_id } : { name: name.value.trim() };
    return (await this.ask("people/add_photo", { ...who, upload, ...choice })).person_id;
  }

  /** Let a photo be judged, show what came of it, and let a doubt or a choice of faces be answered. */
  async #try(image, send) {
    const shown = this.#shown;
    const said = el("p", { aria: { busy: "true" } }, t("photo_checking"));
    const answers = el("div", { class: "wrap" });
    shown.results.prepend(el("li", {}, image, el("div", {}, said, answers)));
    const judge = async (choice) => {
      said.ariaBusy = "true";
      said.textContent = t("photo_checking");
      answers.replaceChildren();
      try {
        const personId = await send(choice, shown);
        said.textContent = t("photo_added");
        await this.#now(personId, shown);
      } catch (error) {
        said.textContent = reason(error);
        if (error.translation_key === DOUBT) {
          answers.append(button(t("force"), () => judge({ ...choice, force: true })));
        }
        if (error.translation_key === SEVERAL) {
          const count = Number(error.translation_placeholders.count);
          for (let face = 1; face <= count; face++) {
            answers.append(button(t("face", { n: face, count }), () => judge({ ...choice, face })));
          }
        }
      } finally {
        said.ariaBusy = null;
      }
    };
    await judge({});
  }

  /** Offer faces of visits: the person's own, or for somebody new those of strangers. */
  async #offerFaces(section, strip) {
    const { person } = this.#shown;
    const wanted = person ? { person_id: person.person_id } : { outcome: "unknown" };
    const { visits } = await this.ask("visits/list", { limit: FACES, ...wanted });
    const mine = (face) => face.person_id === (person?.person_id ?? null);
    const faces = visits.flatMap((visit) => visit.faces.filter(mine).map((face) => ({ visit, face })));
    section.hidden = faces.length === 0;
    strip.replaceChildren(...faces.map(({ visit, face }) => this.#offered(visit, face)));
  }

  #offered(visit, face) {
    const label = t("face_use", { when: ago(visit.at, this.language) });
    return button(
      this.image(face.thumbnail),
      () => this.#ready() && this.#try(this.image(face.thumbnail), (choice, shown) => this.#take(visit, face, choice, shown)),
      { aria: { label } },
    );
  }

  async #take(visit, face, { force = false }, shown) {
    const { person, name } = shown;
    const answer = await this.action("name_visitor", {
      visit_id: visit.visit_id,
      face: face.face,
      person: person?.person_id ?? name.value.trim(),
      whole_group: !person,
      force,
    });
    const [refused] = answer.photos_refused;
    if (answer.photos_added) return answer.person_id;
    if (!person) await this.#now(answer.person_id, shown); // known from now on, if without a photo
    throw refused ? refusal(refused) : new Error(t("photo_known"));
  }

  async #check() {
    const error = trouble();
    const found = el("div", { class: "stack", role: "status" }, el("p", { class: "sub" }, t("check_running")));
    this.open("", el("div", { class: "stack" }, this.heading(t("check")), found, error));
    await this.act(this.#parts.check, error, async () => {
      const { findings, harmful } = await this.ask("people/check");
      found.replaceChildren(
        el("ul", { class: "findings", role: "list" }, findings.map((each) => el("li", {}, this.#finding(each)))),
        el("div", { class: "wrap" }, [...new Set(harmful.map((each) => each.person_id))].map((each) => this.#leadTo(each))),
      );
    });
    if (error.textContent) found.replaceChildren();
  }

  /** What was found, with dates as the language writes them. */
  #finding({ key, placeholders: { added, ...others } }) {
    const day = added && new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(added));
    return text(`common.${key}`, { ...others, added: day });
  }

  /** A button that leads to the person whose photo hurts. */
  #leadTo(personId) {
    const person = this.#people.find((each) => each.person_id === personId);
    return person && button(bdi(person.name), () => this.#edit(person));
  }
};

define(CARD, makeCard);
