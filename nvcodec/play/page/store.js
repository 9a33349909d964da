// The bytes of a source, in chunks, as they arrive or as they are asked for.
//
// A source is a URL, a Blob, an ArrayBuffer (or a view of one) or a ReadableStream. Where any part
// can be had at any time (a Blob, a server that knows ranges), few chunks are kept: the memory of the
// one that was not used for longest takes the next that arrives, and what was dropped is fetched again
// where it is wanted. Else all of them are kept, up to a bound. A store can give its bytes to others:
// share() on one end of a MessageChannel, the other end is their source.

import { NrvError } from "./decoder.js";
import { release } from "./memory.js";

const CHUNK = 65536;
const MOST_NEEDED = 2 ** 28; // at a time; two units of the largest size (spec 2.11)
const MOST_TRIES = 3; // in a row that give no byte
const MOST_KEPT = 2 ** 29; // of a source that gives no parts
const MOST_AHEAD = 128 * CHUNK; // read beyond what was asked for
const NEAR = 16 * CHUNK; // worth waiting for rather than a new request
const LEAST_CHUNKS = 32;
const SHARED = 4 * CHUNK; // given to another store at a time; messages are garbage afterwards

/** A reader that reads to the same memory again and again, where the stream does that. */
function reading(stream) {
  let reader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    return stream.getReader(); // no stream of bytes
  }
  let buffer = new ArrayBuffer(CHUNK);
  const read = async () => {
    const found = await reader.read(new Uint8Array(buffer));
    if (found.value) buffer = found.value.buffer;
    return found;
  };
  return { read, cancel: () => reader.cancel() };
}

export class Store {
  #source;
  #chunks = new Map();
  #size = null;
  #random = false;
  #reader = null;
  #at = 0; // offset of the next byte of the reader
  #turn = 0; // a pump whose turn is over stops
  #pumping = false;
  #opened = false; // the pump has its connection
  #tries = 0; // connections that ended without a byte
  #needing = 0; // calls of need() that wait
  #kept; // chunks
  #ahead; // bytes that are read beyond what was asked for
  #most; // chunks, while more are needed at a time
  #shared = false;
  #begin = 0; // of what is needed at a time
  #before = 0; // of what was needed before that
  #wanted = 0; // how far the pump may go
  #waiting = [];
  #failure = null;
  #abort = null;
  #first = true;
  #onProgress;
  #resume = null;
  #asked = new Map(); // what waits for answers of another store
  #questions = 0;
  received = 0;

  /** `kept`: bytes of a source that gives parts; half of them are for what is needed at a time. */
  constructor(source, kept, onProgress = () => {}) {
    this.#source = source;
    this.#onProgress = onProgress;
    this.#kept = this.#most = Math.max(LEAST_CHUNKS, Math.floor(kept / CHUNK));
    this.#ahead = Math.min(MOST_AHEAD, Math.floor(this.#kept / 4) * CHUNK);
    if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
      this.#source = new Blob([source]);
    }
    if (this.#source instanceof Blob) {
      this.#size = this.#source.size;
      this.#random = true;
    }
    if (this.#source instanceof MessagePort) this.#random = true;
  }

  /** Give bytes to the store whose source is the other end of a channel. */
  share(port) {
    this.#shared = true;
    port.onmessage = async ({ data: { id, offset, buffer } }) => {
      try {
        await this.#arrival(offset, offset + 1, null, true);
        const end = Math.min(offset + buffer.byteLength, this.#size ?? Infinity);
        const count = Math.max(0, (this.#missing(offset, end) ?? end) - offset);
        const bytes = new Uint8Array(buffer, 0, count);
        this.#copy(offset, bytes);
        port.postMessage({ id, bytes, size: this.#size }, [buffer]);
      } catch ({ kind = "input", message }) {
        port.postMessage({ id, error: { kind, message } });
      }
    };
  }

  /** Bytes of the source; null while that is unknown. */
  get size() {
    return this.#size;
  }

  /** Bytes of memory that it has for those of the source. */
  get held() {
    return this.#chunks.size * CHUNK;
  }

  /** Whether any part can be had at once. */
  get random() {
    return this.#random;
  }

  /** Whether the end has been seen. */
  get complete() {
    return this.#size !== null && this.#at >= this.#size;
  }

  /** Wait for the bytes from `start` to `end`; false where the source ends before.
   *
   * Those from `from` on, which were waited for before, stay there with them. Throws NrvError where the
   * source cannot be read or this is too much to be kept, and of the kind "stale" where `turn` was
   * stopped meanwhile.
   */
  async need(start, end, turn = null, from = start) {
    this.#keep(from, start, end);
    this.#needing++;
    try {
      return await this.#arrival(start, end, turn);
    } finally {
      this.#needed();
    }
  }

  /** A copy of bytes that are there. */
  bytes(start, end) {
    const out = new Uint8Array(end - start);
    this.#copy(start, out);
    return out;
  }

  /** Copy bytes that are there to `target`; gives how many, 0 at the end. */
  read(offset, target) {
    const left = this.#size === null ? Infinity : this.#size - offset;
    if (left <= 0 || !target.length) return 0;
    const index = Math.floor(offset / CHUNK);
    const chunk = this.#chunks.get(index);
    const from = offset - index * CHUNK;
    if (!chunk || chunk.length <= from) {
      throw new NrvError("input", "Bytes are read that have not arrived.");
    }
    const part = chunk.bytes.subarray(from, Math.min(chunk.length, from + target.length));
    target.set(part);
    this.#use(index, chunk);
    return part.length;
  }

  #copy(start, target) {
    let done = 0;
    while (done < target.length) {
      const count = this.read(start + done, target.subarray(done));
      if (!count) throw new NrvError("input", "Bytes are read that have not arrived.");
      done += count;
    }
  }

  /** Let those who wait look whether their turn was stopped. */
  wake() {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Get the end of the source from `start` on, beside what arrives in order. */
  async tail(start) {
    this.#keep(start, start, this.#size);
    if (this.#missing(start, this.#size) === null) return;
    this.#needing++;
    try {
      let at = Math.floor(start / CHUNK) * CHUNK;
      const reader = await this.#open(at, null);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        at = this.#add(at, value);
      }
    } finally {
      this.#needed();
    }
  }

  close() {
    this.#turn++;
    this.#abort?.abort();
    this.#reader?.cancel().catch(() => {});
    this.#failure = new NrvError("input", "The source was closed.");
    this.#tell();
  }

  /** Let what is needed at a time be kept until more is needed; what was kept for that before goes. */
  #keep(from, start, end) {
    const bytes = Math.min(end, this.#size ?? end) - from;
    if (this.#random && bytes > MOST_NEEDED) {
      throw new NrvError(
        "over limit", `The file needs ${bytes} bytes at a time; this player keeps ${MOST_NEEDED}.`,
      );
    }
    if (from !== this.#begin) [this.#before, this.#begin] = [this.#begin, from];
    // Others may still read what was needed before.
    const others = this.#shared ? from - this.#before : 0;
    const all = bytes + (others > 0 && others <= MOST_NEEDED ? others : 0);
    if (!this.#needing) this.#most = this.#kept;
    this.#most = Math.max(this.#most, Math.ceil((all + 2 * this.#ahead) / CHUNK));
    for (let index = Math.floor(start / CHUNK); index * CHUNK < from + bytes; index++) {
      const chunk = this.#chunks.get(index);
      if (chunk) this.#use(index, chunk);
    }
    while (this.#random && this.#chunks.size > this.#most) release(this.#oldest().bytes.buffer);
  }

  #needed() {
    this.#needing--;
    if (!this.#needing) this.wake(); // others may ask now
  }

  async #arrival(start, end, turn, shared = false) {
    for (;;) {
      if (turn?.stopped) throw new NrvError("stale", "This is not wanted any more.");
      const most = this.#size === null ? end : Math.min(end, this.#size);
      const missing = this.#missing(start, most);
      if (missing === null) return this.#size === null || end <= this.#size;
      if (this.#failure) throw this.#failure;
      // Two that want parts far from each other would stop each other's connection at each chunk.
      if (!shared || !this.#needing) {
        this.#wanted = Math.max(most, missing + 1) + this.#ahead;
        const far = missing < this.#at || missing > this.#at + NEAR;
        if (!this.#pumping || (far && this.#random)) this.#restart(missing);
      }
      const arrived = new Promise((resolve) => this.#waiting.push(resolve));
      this.#resume?.();
      await arrived;
    }
  }

  /** The chunk that is used last comes last. */
  #use(index, chunk) {
    this.#chunks.delete(index);
    this.#chunks.set(index, chunk);
  }

  /** Take away the chunk that was not used for longest. */
  #oldest() {
    const [index, chunk] = this.#chunks.entries().next().value;
    this.#chunks.delete(index);
    return chunk;
  }

  /** Offset of the first byte that is not there; null if all are. */
  #missing(start, end) {
    for (let at = start; at < end; ) {
      const index = Math.floor(at / CHUNK);
      const chunk = this.#chunks.get(index);
      const there = chunk ? index * CHUNK + chunk.length : 0;
      if (there <= at) return at;
      at = there;
    }
    return null;
  }

  #restart(offset) {
    const turn = ++this.#turn;
    this.#abort?.abort();
    this.#reader?.cancel().catch(() => {});
    this.#pumping = true;
    const index = Math.floor(offset / CHUNK);
    const begin = index * CHUNK + (this.#chunks.get(index)?.length ?? 0);
    this.#pump(turn, begin).catch((error) => {
      if (turn !== this.#turn) return;
      this.#pumping = false;
      // Servers cut connections that rest; who needs more opens another one.
      this.#tries = this.#at > begin ? 0 : this.#tries + 1;
      if (!this.#random || !this.#opened || this.#tries > MOST_TRIES) {
        this.#failure =
          error instanceof NrvError
            ? error
            : new NrvError("input", `The file cannot be read: ${error.message}.`);
      }
      this.#tell();
    });
  }

  async #pump(turn, offset) {
    this.#at = offset;
    this.#opened = false;
    this.#abort = new AbortController();
    const reader = await this.#open(offset, this.#abort.signal);
    if (turn !== this.#turn) {
      reader.cancel().catch(() => {});
      return;
    }
    this.#reader = reader;
    this.#opened = true;
    for (;;) {
      while (this.#random && this.#at >= this.#wanted) {
        await new Promise((resolve) => (this.#resume = resolve));
        this.#resume = null;
        if (turn !== this.#turn) return;
      }
      const { done, value } = await reader.read();
      if (turn !== this.#turn) return;
      if (done) break;
      this.#at = this.#add(this.#at, value);
      this.#tell();
    }
    if (this.#size !== null && this.#at < this.#size && this.#random) {
      throw new NrvError("input", "The connection ended before the file did.");
    }
    this.#size = this.#at;
    this.#tell();
  }

  async #open(offset, signal) {
    if (this.#source instanceof Blob) return reading(this.#source.slice(offset).stream());
    if (this.#source instanceof ReadableStream) return reading(this.#source);
    if (this.#source instanceof MessagePort) return this.#fromPort(offset);
    const headers = offset ? { Range: `bytes=${offset}-` } : {};
    const response = await fetch(this.#source, { headers, signal });
    if (offset && response.status !== 206) {
      throw new NrvError("input", "The server does not give the part that was asked for.");
    }
    if (!response.ok) {
      throw new NrvError("input", `The server answers ${response.status} for the file.`);
    }
    if (this.#first) {
      this.#first = false;
      const length = response.headers.get("Content-Length");
      const coded = response.headers.get("Content-Encoding");
      if (length && !coded) this.#size = Number(length);
      this.#random = this.#size !== null && response.headers.get("Accept-Ranges") === "bytes";
    }
    return reading(response.body);
  }

  #fromPort(offset) {
    const port = this.#source;
    let buffer = new ArrayBuffer(SHARED);
    port.onmessage = ({ data }) => {
      this.#asked.get(data.id)(data);
      this.#asked.delete(data.id);
    };
    const read = async () => {
      const id = ++this.#questions;
      const { bytes, size, error } = await new Promise((resolve) => {
        this.#asked.set(id, resolve);
        port.postMessage({ id, offset, buffer }, [buffer]);
      });
      if (error) throw new NrvError(error.kind, error.message);
      buffer = bytes.buffer;
      if (size !== null) this.#size = size;
      offset += bytes.length;
      return { done: !bytes.length, value: bytes };
    };
    return { read, cancel: async () => {} };
  }

  /** Keep bytes that begin at an offset on the way through a chunk; gives where they end. */
  #add(offset, bytes) {
    this.received += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor(offset / CHUNK);
      const from = offset - index * CHUNK;
      const part = bytes.subarray(done, done + CHUNK - from);
      done += part.length;
      offset += part.length;
      const chunk = this.#chunks.get(index) ?? (from ? null : this.#begun(index));
      if (!chunk || from > chunk.length) continue; // its begin was dropped meanwhile
      chunk.bytes.set(part, from);
      chunk.length = Math.max(chunk.length, from + part.length);
    }
    return offset;
  }

  #begun(index) {
    if (!this.#random && (this.#chunks.size + 1) * CHUNK > MOST_KEPT) {
      throw new NrvError(
        "over limit", `The source gives no parts; this player keeps ${MOST_KEPT} bytes of it.`,
      );
    }
    const full = this.#random && this.#chunks.size >= this.#most;
    const chunk = full ? this.#oldest() : { bytes: new Uint8Array(CHUNK) };
    chunk.length = 0;
    this.#chunks.set(index, chunk);
    return chunk;
  }

  #tell() {
    this.wake();
    this.#onProgress();
  }
}
