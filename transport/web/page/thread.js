import { versionsOf } from "./tree.js";
import { TurnView } from "./turn.js";

const near = 64; // pixels from the end that still count as the end

/** The turns of the shown path. Views of turns that stay are kept, so that a selection, the focus and what streams stay too. */
export class Thread {
  #log;
  #actions;
  #views = new Map();

  constructor(log, actions) {
    this.#log = log;
    this.#actions = actions;
  }

  /** @param turns all of the conversation; @param runs the answers that have not ended */
  show(path, turns, runs) {
    const wanted = new Set(path.map(turn => turn.id));
    for (const [id, view] of this.#views) {
      if (wanted.has(id)) continue;
      view.remove();
      this.#views.delete(id);
    }
    let before = null;
    for (const turn of path) {
      const view = this.#views.get(turn.id) ?? this.#make(turn);
      const place = before ? before.nextSibling : this.#log.firstChild;
      if (view.element !== place) this.#log.insertBefore(view.element, place);
      view.update(turn, versionsOf(turns, turn), runs.state(turn), runs.held(turn));
      before = view.element;
    }
  }

  clear() {
    for (const view of this.#views.values()) view.remove();
    this.#views.clear();
  }

  view(id) { return this.#views.get(id); }

  #make(turn) {
    const view = new TurnView(turn, this.#actions);
    this.#views.set(turn.id, view);
    return view;
  }
}

/** Keeps a reader who is at the end there while the page grows, and leaves one who scrolled back in peace. */
export class Scroll {
  #atEnd = true;
  #last = 0;
  #button;
  #root = document.documentElement;

  /** @param growing what grows; @param button takes a reader back to the end */
  constructor(growing, button) {
    this.#button = button;
    button.addEventListener("click", () => this.toEnd());
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const seen = new ResizeObserver(() => { if (this.#atEnd) this.toEnd(); else this.#tell(); });
    for (const element of growing) seen.observe(element);
    addEventListener("resize", () => { if (this.#atEnd) this.toEnd(); });
  }

  toEnd() {
    this.#atEnd = true;
    scrollTo({ top: this.#root.scrollHeight, behavior: "instant" });
    this.#tell();
  }

  /** Stays where it is, whatever changes below. */
  hold() { this.#atEnd = false; }

  // Only a reader scrolls up: what grows moves the end away, and that is no wish to stay behind.
  #scrolled() {
    if (this.#left() < near) this.#atEnd = true;
    else if (scrollY < this.#last - 1) this.#atEnd = false;
    this.#last = scrollY;
    this.#tell();
  }

  #left() { return this.#root.scrollHeight - innerHeight - scrollY; }

  #tell() { this.#button.hidden = this.#atEnd || this.#left() < near; }
}
