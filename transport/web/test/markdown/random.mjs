/** Chance that can be repeated: a test that fails prints its seed. */
export function random(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** A text put together from parts of others. */
export function mix(chance, texts) {
  let text = "";
  for (let i = 0; i <= chance(5); i++) {
    const next = texts[chance(texts.length)];
    text += chance(3) === 0 ? next.slice(0, chance(next.length + 1)) : next;
    if (chance(3) === 0) text += "\n";
  }
  return text;
}

/** Places to cut a text at, up to `longest` apart. */
export function cuts(chance, text, longest) {
  const places = [];
  for (let at = 1 + chance(longest); at < text.length; at += 1 + chance(longest)) places.push(at);
  return places;
}
