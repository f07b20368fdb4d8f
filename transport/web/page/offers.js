const patience = 3000; // how long a question waits for the list

/** What can be asked, as the server said last. */
export class Offers {
  #client;
  list = [];
  /** Why the list may be old; "" while it is not. */
  trouble = "";
  #onChange;
  #first;

  constructor(client, onChange) {
    this.#client = client;
    this.#onChange = onChange;
  }

  /** Resolves when the list is there, or is not to be had, or was waited for long enough. */
  get first() {
    return Promise.race([this.#first ?? this.refresh(), new Promise(resolve => { setTimeout(resolve, patience); })]);
  }

  refresh() {
    const done = this.#refresh();
    this.#first ??= done;
    return done;
  }

  async #refresh() {
    try {
      this.list = await this.#client.providers();
      this.trouble = "";
    } catch (error) {
      this.trouble = `What can be asked is not known now. ${error.message}`;
    }
    this.#onChange();
  }

  get default() { return this.list.find(offer => offer.default); }

  /** The one that a choice means: that name's, or for no name the server's own choice. */
  meant(name) { return name ? this.list.find(offer => offer.name === name) : this.default; }
}
