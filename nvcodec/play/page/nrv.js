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
import { Link } from "./link.js";
import { Picture } from "./picture.js";

export { NrvError, Picture };

const AHEAD = 3;
const MOST_WORKERS = 8;
const KEPT = 2 ** 26;
const DEFAULT_WORKERS = Math.min(MOST_WORKERS, (navigator.hardwareConcurrency ?? 2) - 1);

const GPU_WORKERS = 2; // one decodes while WebGPU works for the other

// The network takes most of the time. So several workers decode the same groups, and each renders
// every n-th frame. The first one reads the source, and the others get the bytes from it. Where WebGPU
// runs the network, two of them keep it busy.

export class NrvDecoder extends EventTarget {
  #links;
  #options;
  #leading; // a promise that the first link can give the next picture
  #rendering; // a promise of the links that render in turn
  #count = 0; // pictures that were asked for since the last seek
  #generation = 0;
  #most; // links
  #mostInWasm; // of them where WebGPU fails
  #keptByOthers; // bytes of the source, by each worker but the first
  #tell;

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
  /** Whether WebGPU is to run the network; set once `ready` is, until WebGPU fails. */
  gpu = false;
  /** Resolves when the header was read; rejects with NrvError. */
  ready;

  /** @param source URL, File or Blob, ArrayBuffer or a view, ReadableStream of bytes.
   *  @param options network: frames through the network (true); verify: compare each group with its
   *  CRC, by one worker (false); size: [width, height] of frames; region: {x, y, width, height} of
   *  them; workers: at most as many for the network (one less than processors, at most 8); gpu: the
   *  network by WebGPU (true), "any": by a software adapter too; kept: bytes of the source that all
   *  workers keep, where it can be read again (2^26).
   */
  constructor(source, options = {}) {
    super();
    const { network = true, verify = false, size = null, region = null, gpu = true } = options;
    this.#mostInWasm = this.#most = verify ? 1 : Math.max(1, options.workers ?? DEFAULT_WORKERS);
    const kept = (options.kept ?? KEPT) / 2; // by the first worker, and as much by the others together
    this.#options = { network, verify, size, region, gpu, kept };
    this.#keptByOthers = kept / Math.max(1, this.#most - 1);
    this.#tell = (type, detail) => {
      if (type === "fallback") this.#fallBack(detail);
      else this.dispatchEvent(new CustomEvent(type, { detail }));
    };
    const first = new Link(this.#tell);
    this.#links = [first];
    if (source instanceof URL) source = source.href;
    if (typeof source === "string") source = new URL(source, document.baseURI).href;
    const moved = source instanceof ReadableStream ? [source] : [];
    const opened = first.call("open", { source, options: this.#options }, 0, moved);
    this.ready = opened.then((found) => {
      Object.assign(this, found);
      if (this.gpu) this.#most = Math.min(this.#most, GPU_WORKERS);
      return this;
    });
    this.ready.catch(() => {}); // whoever waits for it is told
    this.#lead(this.ready, () => this.#renderers());
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
  async *pictures({ ahead = AHEAD + this.#most } = {}) {
    await this.ready;
    const generation = this.#generation;
    const wanted = [];
    try {
      for (;;) {
        while (wanted.length < ahead) wanted.push(this.next());
        const picture = await wanted.shift();
        if (generation !== this.#generation) picture?.close();
        if (!picture || generation !== this.#generation) return;
        yield picture;
      }
    } finally {
      for (const late of wanted) late.then((picture) => picture?.close(), () => {});
    }
  }

  /** The next Picture; null after the last, and for what was asked for before a seek. */
  async next() {
    const number = this.#count++;
    const generation = this.#generation;
    // The first picture does not wait for those that render the others.
    const links = await (number ? this.#rendering : this.#leading);
    if (generation !== this.#generation) return null;
    const link = links[number % links.length];
    const skip = number < links.length ? number : links.length - 1;
    const found = await link.next(skip, generation);
    if (!found || found.stale) return null;
    return new Picture(found, this.info, (buffer) => link.recycle(buffer));
  }

  /** Let the next frame be the one of this number, from 0. Iterators of before end. */
  async seek(frame) {
    const generation = ++this.#generation;
    this.#count = 0;
    const [first, ...others] = this.#links;
    const sought = this.ready.then(() => {
      for (const link of others) link.call("set", {}, generation).catch(() => {});
      return first.call("seek", { frame }, generation);
    });
    this.#lead(sought, async (shared) => {
      if (shared.stale || generation !== this.#generation) return [first];
      const links = await this.#renderers(generation);
      await Promise.all(
        links.slice(1).map((link) => link.call("seek", { frame, shared }, generation)),
      );
      return links;
    });
    await sought;
  }

  /** [{offset, firstFrame, key, timestamp}] of all groups, or of those that have arrived. */
  async groups() {
    for (;;) {
      const found = await this.#links[0].call("groups", null, this.#generation);
      if (!found.stale) return found; // else a seek came between
    }
  }

  /** Whether later frames go through the network. */
  get network() {
    return this.#options.network;
  }

  set network(on) {
    this.#options.network = on;
    this.#all("set", { network: on }).catch(() => {});
  }

  /** Later frames are a region of frames of a size; without arguments whole frames again. */
  async view(size = null, region = null) {
    Object.assign(this.#options, { size, region });
    await this.#all("view", { size, region });
  }

  /** Bytes of memory of the workers: of the modules, and of the source that they keep. */
  async memory() {
    const all = await this.#all("memory");
    const sum = (name) => all.reduce((before, each) => before + each[name], 0);
    return { modules: sum("modules"), source: sum("source") };
  }

  close() {
    for (const link of this.#links) link.close();
  }

  /** The first link leads once `ready` is there; `others` then gives a promise of all that render. */
  #lead(ready, others) {
    this.#leading = ready.then(() => [this.#links[0]]);
    this.#rendering = ready.then(others);
    for (const promise of [this.#leading, this.#rendering]) promise.catch(() => {});
  }

  /** The links that frames from here on are spread over; those that are new begin with frame 0. */
  async #renderers(generation = 0) {
    const [first] = this.#links;
    if (!this.info.network || !this.#options.network) return [first];
    const fresh = [];
    while (this.#links.length < this.#most) {
      const link = new Link(this.#tell);
      const { port1, port2 } = new MessageChannel();
      const options = { ...this.#options, kept: this.#keptByOthers, quiet: true };
      this.#links.push(link);
      first.call("share", { port: port1 }, this.#generation, [port1]).catch(() => {});
      const opened = link.call("open", { source: port2, options }, generation, [port2]);
      // Where there is no memory for another one, fewer have to do.
      fresh.push(opened.catch(() => this.#drop(link)));
    }
    await Promise.all(fresh);
    return [...this.#links];
  }

  #drop(link) {
    link.close();
    this.#links = this.#links.filter((other) => other !== link);
    this.#mostInWasm = this.#most = this.#links.length;
  }

  #fallBack(reason) {
    if (!this.gpu) return;
    this.gpu = false;
    this.#most = this.#mostInWasm;
    this.dispatchEvent(new CustomEvent("fallback", { detail: reason }));
  }

  #all(call, value) {
    return Promise.all(this.#links.map((link) => link.call(call, value, this.#generation)));
  }
}
