// Memory that is given back soon. Browsers collect garbage late in workers, which hold little that they
// count: the messages of an hour of play would take some hundred MiB before that.

const CALLS = 1024;
const COUNTED = 2 ** 26;

let calls = 0;

/** Give the memory of a buffer back at once, where the browser can. */
export function release(buffer) {
  buffer.transfer?.(0);
}

/** Call it for each message, or each picture of the page: after many the browser collects garbage.
 *
 * Browsers begin to collect when much memory of buffers was taken. This one is never written to, so it
 * takes addresses and no memory.
 */
export function collectSometimes() {
  if (++calls % CALLS) return;
  try {
    new ArrayBuffer(COUNTED);
  } catch {
    // Where memory is so short, the browser has collected.
  }
}
