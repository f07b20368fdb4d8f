// How an answer is cut for the bus. Pure: no NATS, no clock.

// escaped is the size of a text inside a line of JSON, in bytes.
export const escaped = (text) => Buffer.byteLength(JSON.stringify(text)) - 2;

// pieces are words with the space behind them, of whole characters, each at most
// `room` escaped bytes.
export function pieces(text, room) {
  return (text.match(/\S+\s*|\s+/gu) ?? [text]).flatMap(function cut(word) {
    const characters = [...word], half = characters.length >> 1;
    if (half === 0 || escaped(word) <= room) return [word];
    return [...cut(characters.slice(0, half).join("")), ...cut(characters.slice(half).join(""))];
  });
}

// parts yields the snapshot of everything behind `after`: whole chunks, at least one
// a part, at most `room` escaped bytes, and one part that ends exactly at `cut` where
// it lies between. There is always a part; all but the last have `more`.
export function* parts({ chunks, sizes }, after, cut, room) {
  const last = chunks.length;
  let from = Math.min(after, last), to;
  do {
    const stop = from < cut && cut < last ? cut : last;
    let size = 0;
    for (to = from; to < stop && (to === from || size + sizes[to] <= room); to++) size += sizes[to];
    yield { seq: to, text: chunks.slice(from, to).join(""), from: from + 1, more: to < last };
    from = to;
  } while (to < last);
}
