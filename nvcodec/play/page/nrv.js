// The JavaScript API: `new NrvDecoder(source)` gives the frames of a .nrv file.
//
//   const decoder = new NrvDecoder("clip.nrv");     // or a File, Blob, ArrayBuffer, ReadableStream
//   await decoder.ready;                            // NrvError where the file is none
//   console.log(decoder.info.width, decoder.tracks);
//   for await (const frame of decoder) {            // frame: a VideoFrame
//     context.drawImage(frame, 0, 0);
//     frame.close();
//   }
//   decoder.close();
//
// docs/play.md describes all of it.

import { NrvError } from "./decoder.js";
import { Picture } from "./picture.js";

export { NrvError, Picture };

const AHEAD = 4;

export class NrvDecoder extends EventTarget {
  #worker;
  #calls = new Map();
  #last = 0;
  #generation = 0;
  #network;
  #closed = false;

  /** What the header says; set once `ready` is. */
  info = null;
  /** Tracks beside the video: [{number, kind, codec, rate, channels, language, title, ...}]. */
  tracks = [];
  /** [{start, end, title}], times in microseconds. */
  chapters = [];
  /** Mastering luminance and light levels, or null. */
  hdr = null;
  /** Bytes of the source; null if unknown. */
  size = null;
  /** Whether any frame can be sought at once; else only what has arrived. */
  random = false;
  /** Resolves when the header was read; rejects with NrvError. */
  ready;

  /** @param source URL, File or Blob, ArrayBuffer or a view, ReadableStream of bytes.
   *  @param options network: frames through the network (true); verify: compare each group with its
   *  CRC (false); size: [width, height] of frames; region: {x, y, width, height} of them.
   */
  constructor(source, { network = true, verify = false, size = null, region = null } = {}) {
    super();
    this.#network = network;
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new NrvError("internal", "The decoder cannot run in this browser."));
    };
    if (source instanceof URL) source = source.href;
    if (typeof source === "string") source = new URL(source, document.baseURI).href;
    const options = { network, verify, size, region };
    const moved = source instanceof ReadableStream ? [source] : [];
    this.ready = this.#call("open", { source, options }, moved).then((opened) => {
      Object.assign(this, opened);
      return this;
    });
    this.ready.catch(() => {}); // whoever waits for it is told
  }

  /** VideoFrames in order, from the frame that was sought; close() each of them. */
  async *[Symbol.asyncIterator]() {
    for await (const picture of this.pictures()) {
      const frame = picture.videoFrame();
      picture.close();
      yield frame;
    }
  }

  /** Pictures in order, as planes in memory; close() each of them. `ahead` are decoded ahead. */
  async *pictures({ ahead = AHEAD } = {}) {
    await this.ready;
    const generation = this.#generation;
    const wanted = [];
    try {
      for (;;) {
        while (wanted.length < ahead) wanted.push(this.next());
        const picture = await wanted.shift();
        if (!picture || generation !== this.#generation) return;
        yield picture;
      }
    } finally {
      for (const late of wanted) late.then((picture) => picture?.close(), () => {});
    }
  }

  /** The next Picture; null after the last, and for what was asked for before a seek. */
  async next() {
    const found = await this.#call("next");
    if (!found || found.stale) return null;
    return new Picture(found, this.info, (buffer) => {
      if (!this.#closed) this.#worker.postMessage({ recycle: buffer }, [buffer]);
    });
  }

  /** Let the next frame be the one of this number, from 0. Iterators of before end. */
  async seek(frame) {
    this.#generation++;
    await this.#call("seek", frame);
  }

  /** [{offset, firstFrame, key, timestamp}] of all groups, or of those that have arrived. */
  groups() {
    return this.#call("groups");
  }

  /** Whether later frames go through the network. */
  get network() {
    return this.#network;
  }

  set network(on) {
    this.#network = on;
    this.#call("set", { network: on }).catch(() => {});
  }

  /** Later frames are a region of frames of a size; without arguments whole frames again. */
  async view(size = null, region = null) {
    await this.#call("view", { size, region });
  }

  /** Bytes of memory of the decoder. */
  memory() {
    return this.#call("memory");
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#worker.terminate();
    this.#fail(new NrvError("closed", "The decoder was closed."));
  }

  #call(call, value, moved = []) {
    if (this.#closed) return Promise.reject(new NrvError("closed", "The decoder was closed."));
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, value, generation: this.#generation }, moved);
    });
  }

  #take(data) {
    if (data.id === undefined) {
      const [[type, detail]] = Object.entries(data); // packets, group, progress
      this.dispatchEvent(new CustomEvent(type, { detail }));
      return;
    }
    const call = this.#calls.get(data.id);
    this.#calls.delete(data.id);
    if (!data.error) {
      call?.resolve(data.result);
      return;
    }
    const { kind, message, clause, offset } = data.error;
    call?.reject(new NrvError(kind, message, clause, offset));
  }

  #fail(error) {
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}
