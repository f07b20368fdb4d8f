/**
 * Repeats `check` until it does not throw, and throws its last error when the time
 * is over: for what a browser shows in its own time and tells by no event.
 */
export async function expectSoon(check, { timeout = 10_000, every = 50 } = {}) {
  const until = Date.now() + timeout;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, every));
    }
  }
}
