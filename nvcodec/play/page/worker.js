// Decodes in a worker: messages of nrv.js in, pictures, packets and groups out.

import { Decoder, NrvError, microseconds } from "./decoder.js";
import { GpuNetwork, findAdapter } from "./gpu_network.js";
import { collectSometimes, release } from "./memory.js";
import { Store } from "./store.js";
import { FIRST, Units } from "./units.js";

const FEND_BYTES = 40;
const FEND_INDEX_AT = 28;
const SCANNED = 72; // of a unit, by a scan for groups
const MOST_UNITS = 2 ** 18; // that a scan goes through
const PROGRESS_MS = 200;
const MOST_SPARE = 4; // buffers of pictures
const SOUGHT = ["next", "seek"]; // calls that a later seek makes useless

const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
const isGroup = (unit) => unit.type === "GRUP";
const isAfterHeader = (unit) => ["GRUP", "aPKt", "iNDX"].includes(unit.type);

class Session {
  #options;
  #store;
  #units;
  #watching;
  #decoder;
  #input;
  #info;
  #tracks = new Map();
  #table = null; // groups, once they are known to the end
  #scanned = false; // the table is that of a scan
  #seen = new Map(); // what groups hold, by offset, in a source that gives no parts
  #seenFrames = 0; // frames of the groups that arrived, in a source that gives no parts
  #watched = false; // they are all told of
  #within = false; // the next frame is of the group that was decoded
  #ahead = null; // {group} that was read when the file was opened, until it is told of
  #spare = [];
  #adapter = null; // of WebGPU, until it is used
  #gpu = null; // the network by WebGPU, once it is ready
  #proven = false; // it gave the bytes that WebAssembly gives
  #told = 0;
  generation = 0;

  constructor(source, options) {
    this.#options = options;
    this.#store = new Store(source, options.kept, () => this.#progress());
    this.#units = new Units(this.#store);
    this.#watching = new Units(this.#store);
  }

  async open() {
    const store = this.#store;
    const { gpu } = this.#options;
    const adapter = gpu ? findAdapter(gpu === "any") : null;
    if (!(await store.need(0, FIRST)) && store.size === 0) {
      throw new NrvError("truncated", "The file is empty.");
    }
    this.#decoder = await Decoder.create(await module, { packets: !this.#options.quiet });
    await this.#begin();
    const tracks = this.#decoder.tracks();
    for (const track of tracks) this.#tracks.set(track.number, track);
    if (!store.random && !this.#options.quiet) this.#watch();
    if (this.#info.network) this.#adapter = await adapter;
    return {
      gpu: this.#adapter !== null,
      info: this.#info,
      tracks,
      chapters: this.#decoder.chapters(),
      hdr: this.#decoder.hdr(),
      random: store.random,
      size: store.size,
    };
  }

  /** Stop whatever waits for bytes: a seek is asked for. */
  interrupt() {
    this.#units.turn.stopped = true;
    this.#units.turn = { stopped: false };
    this.#store.wake();
  }

  /** The next picture after as many that are passed over; null after the last. */
  async next({ skip }) {
    let frame = null;
    let waited = 0; // for bytes, in milliseconds
    for (let k = 0; k <= skip; k++) {
      const begun = performance.now();
      if (!this.#within) await this.#nextGroup();
      waited += performance.now() - begun;
      frame = this.#decoder.next();
      this.#deliverPackets();
      this.#within = frame !== null && frame.inGroup + 1 < frame.groupFrames;
      if (!frame) return null;
    }
    const network = this.#options.network && this.#info.network === 1;
    return { ...(await this.#render(frame)), waited, network };
  }

  /** Go to a frame. Gives what a decoder that shares the bytes of this one needs for the same. */
  async seek({ frame, shared = null }) {
    if (shared && !shared.random) {
      await this.#begin();
      await this.#scan(shared.through);
    } else {
      await this.#know(frame);
    }
    let through;
    try {
      through = await this.#go(frame);
    } catch (error) {
      const damaged = ["corrupt", "truncated"].includes(error.kind);
      if (!damaged || !this.#table || this.#scanned || !this.#store.random) throw error;
      // The index may not be that of the groups: once more by a scan (spec 2.8).
      this.#table = await this.#scan();
      through = await this.#go(frame);
    }
    this.#within = true;
    this.#deliverPackets();
    return { random: this.#store.random, through };
  }

  /** Seek by the table. Gives the end of what was needed for it. */
  async #go(frame) {
    const groups = this.#table ?? this.#decoder.groups();
    let target = groups.count - 1;
    while (target > 0 && groups.firstFrame[target] > frame) target--;
    let key = target;
    while (key > 0 && !groups.key[key]) key--;
    const begin = groups.offset[key];
    const found = target < 0 ? null : await this.#through(begin, groups.offset[target]);
    this.#ahead = null;
    this.#within = false;
    this.#decoder.takePackets();
    this.#decoder.seek(frame);
    if (found) this.#tellGroup(this.#group(found));
    return found?.end ?? 0;
  }

  /** All groups with their times; where the source gives no parts, those that have arrived. */
  async groups() {
    const { timeBaseNum: num, timeBaseDen: den } = this.#info;
    if (!this.#store.random) return [...this.#seen.values()];
    await this.#know(0);
    const { count, offset, pts, firstFrame, key } = this.#table;
    return Array.from({ length: count }, (_, i) => ({
      offset: offset[i], firstFrame: firstFrame[i], key: key[i] === 1,
      timestamp: microseconds(pts[i], num, den),
    }));
  }

  view({ size, region }) {
    this.#decoder.view(size, region);
  }

  set(options) {
    Object.assign(this.#options, options);
  }

  /** Give the bytes of the file to the decoder at the other end of a channel. */
  share({ port }) {
    this.#store.share(port);
  }

  recycle(buffer) {
    if (this.#spare.length < MOST_SPARE) this.#spare.push(buffer);
    else release(buffer);
  }

  memory() {
    return { modules: this.#decoder.memory, source: this.#store.held };
  }

  close() {
    this.#store.close();
    this.#decoder?.close();
    this.#gpu?.close();
  }

  /** A copy of the frame as it is shown. The first one that WebGPU makes is compared with the same one
   * of WebAssembly, which makes all frames where the two are not the same or WebGPU fails.
   */
  async #render(frame) {
    const decoder = this.#decoder;
    const { network, verify } = this.#options;
    const input = network ? this.#gpuInput() : null;
    const byDecoder = () => this.#copy(frame, decoder.render({ network, verify }));
    // A frame that is its canvas counts as one of the same means as the others.
    if (!input) return { ...byDecoder(), gpu: network && this.#proven };
    const expected = this.#proven ? null : byDecoder();
    try {
      let made = null;
      await this.#gpu.render(input, (bytes) => {
        made = this.#copy(frame, decoder.rendered(bytes, { verify: verify && !expected }));
      });
      if (expected) {
        const [a, b] = [expected, made].map(({ buffer }) => new Uint8Array(buffer));
        if (!sameBytes(a, b)) throw new Error("its pictures are not those of the decoder");
        this.#proven = true;
      }
      return { ...made, gpu: true };
    } catch (error) {
      if (error instanceof NrvError) throw error;
      this.#fallBack(error);
    }
    return { ...(expected ?? byDecoder()), gpu: false };
  }

  /** What the network takes for a frame, if WebGPU makes it. */
  #gpuInput() {
    if (this.#gpu) return this.#decoder.networkInput();
    const shape = this.#adapter && this.#decoder.networkShape();
    if (!shape) return null;
    const adapter = this.#adapter;
    this.#adapter = null;
    GpuNetwork.create(adapter, shape).then(
      (gpu) => (this.#gpu = gpu),
      (error) => this.#fallBack(error),
    );
    return null; // WebAssembly makes frames until WebGPU is ready
  }

  #fallBack(error) {
    this.#gpu?.close();
    this.#gpu = null;
    this.#proven = false;
    postMessage({ fallback: error.message });
  }

  async #begin() {
    let at = null;
    const end = await this.#units.through(FIRST, (unit, offset) => {
      if (isGroup(unit)) at = offset;
      return isAfterHeader(unit);
    });
    const store = this.#store;
    const read = (offset, target) => store.read(offset, target);
    this.#input = { size: store.size ?? 0, read };
    this.#info = this.#decoder.open(this.#input);
    // The decoder keeps what it finds when it scans, though bytes be missing; so #scan() does that.
    if (store.random) {
      this.#input.read = (offset, target) => (offset === FIRST ? 0 : read(offset, target));
    }
    this.#within = false;
    this.#ahead = at === null ? null : { group: this.#group({ at, end }) };
    const { size, region } = this.#options;
    if (size || region) {
      const native = [this.#info.width, this.#info.height];
      this.#decoder.view(size ?? native, region);
    }
  }

  async #nextGroup() {
    if (this.#ahead) {
      this.#tellGroup(this.#ahead.group);
      this.#ahead = null;
      return;
    }
    this.#tellGroup(this.#group(await this.#through(this.#decoder.position)));
  }

  /** Wait for the units to the first group that begins at `least` or later. Gives where they end, and
   * where that group begins, or null.
   */
  async #through(begin, least = 0, units = this.#units) {
    let at = null;
    const end = await units.through(begin, (unit, offset) => {
      if (isGroup(unit) && offset >= least) at = offset;
      return at !== null;
    });
    return { at, end };
  }

  /** What a group that is there holds; null where there is none, or a damaged one. */
  #group({ at, end }) {
    const group = at === null ? null : this.#units.group(at, end);
    if (!group) return null;
    const { timeBaseNum: num, timeBaseDen: den } = this.#info;
    group.timestamp = microseconds(group.pts, num, den);
    delete group.pts;
    return group;
  }

  #tellGroup(group) {
    if (!group || this.#options.quiet || this.#seen.has(group.offset)) return;
    if (!this.#store.random) this.#seen.set(group.offset, group);
    postMessage({ group });
  }

  /** Tell of groups as they arrive, where the source gives no parts. */
  async #watch() {
    let at = FIRST;
    try {
      for (;;) {
        const found = await this.#through(at, 0, this.#watching);
        const group = this.#group(found);
        if (!group) break;
        this.#tellGroup(group);
        this.#seenFrames = group.firstFrame + group.frames;
        at = found.end;
      }
    } catch {
      // The decoder tells it when it comes there.
    }
    this.#watched = true;
  }

  /** Make the table of groups reach as far as `frame`, if the file does. */
  async #know(frame) {
    if (this.#table) return;
    const store = this.#store;
    if (store.random) {
      const end = store.size - FEND_BYTES;
      if (end > FIRST) await store.tail(end);
      const index = end > FIRST ? this.#indexOffset(end) : 0;
      if (index) await store.tail(index);
      const table = this.#decoder.groups();
      this.#table = table.count ? table : await this.#scan();
      return;
    }
    while (this.#seenFrames <= frame && !this.#watched) {
      await this.#units.need(store.received, store.received + 1);
      await new Promise((resolve) => setTimeout(resolve));
    }
    // A table is made once for a file that was opened; this one has more groups.
    await this.#begin();
    if (store.complete) this.#table = this.#decoder.groups();
  }

  /** The table of groups by the heads of units, where there is no sound index (spec 2.8).
   *
   * They are kept apart, as the store may drop some before the last has arrived.
   */
  async #scan(through = Infinity) {
    const units = this.#units;
    const heads = new Map();
    for (let at = FIRST; at < through; ) {
      const unit = await units.head(at);
      if (!unit || unit.type === "FEND") break;
      const end = Math.min(at + SCANNED, unit.end);
      if (!(await units.need(at, end))) break;
      if (heads.size === MOST_UNITS) {
        throw new NrvError("over limit", `The file has no index and more than ${MOST_UNITS} units.`);
      }
      heads.set(at, this.#store.bytes(at, end));
      at = unit.end;
    }
    const { read } = this.#input;
    this.#input.read = (offset, target) => {
      const bytes = heads.get(offset) ?? heads.get(offset - 8)?.subarray(8);
      const part = bytes?.subarray(0, target.length) ?? [];
      target.set(part);
      return part.length;
    };
    this.#scanned = true;
    const table = this.#decoder.groups();
    this.#input.read = read;
    return table;
  }

  #indexOffset(end) {
    const bytes = this.#store.bytes(end, end + FEND_BYTES);
    const type = String.fromCharCode(...bytes.subarray(0, 4));
    const offset = Number(new DataView(bytes.buffer).getBigUint64(FEND_INDEX_AT, true));
    return type === "FEND" && offset < end ? offset : 0;
  }

  #deliverPackets() {
    const packets = this.#decoder.takePackets();
    if (!packets.length) return;
    for (const packet of packets) {
      const { timeBaseNum: num, timeBaseDen: den } = this.#tracks.get(packet.track);
      packet.timestamp = microseconds(packet.pts, num, den);
      packet.duration = microseconds(packet.pts + packet.duration, num, den) - packet.timestamp;
      delete packet.pts;
    }
    postMessage({ packets }, packets.map((packet) => packet.data.buffer));
  }

  #copy(frame, picture) {
    const size = picture.planes.reduce((sum, plane) => sum + plane.bytes.length, 0);
    let buffer = this.#spare.pop();
    if (buffer?.byteLength !== size) {
      if (buffer) release(buffer);
      buffer = new ArrayBuffer(size);
    }
    const all = new Uint8Array(buffer);
    let offset = 0;
    const planes = picture.planes.map(({ bytes, stride, rows }) => {
      all.set(bytes, offset);
      offset += bytes.length;
      return { offset: offset - bytes.length, stride, rows };
    });
    const { width, height } = picture;
    const { index, timestamp, duration, groupFirst, keyGroup } = frame;
    return {
      index, timestamp, duration, groupFirst, keyGroup, width, height, planes, buffer,
    };
  }

  #progress() {
    if (this.#options.quiet) return;
    const now = performance.now();
    if (now - this.#told < PROGRESS_MS && !this.#store.complete) return;
    this.#told = now;
    const { received, size } = this.#store;
    postMessage({ progress: { received, size } });
  }
}

let session = null;
let compiled; // takes the module, or a promise that fails
const module = new Promise((resolve) => (compiled = resolve));
module.catch(() => {}); // a source that cannot be read is told first
let work = Promise.resolve();

async function answer({ id, call, generation, value }) {
  try {
    let result;
    if (call === "open") {
      session = new Session(value.source, value.options);
      result = await session.open();
    } else if (SOUGHT.includes(call) && generation !== session.generation) {
      result = { stale: true };
    } else {
      result = await session[call](value);
    }
    postMessage({ id, result }, result?.buffer ? [result.buffer] : []);
  } catch (error) {
    if (error.kind === "stale") {
      postMessage({ id, result: { stale: true } });
      return;
    }
    const { kind = "internal", message, clause = "", offset = null } = error;
    postMessage({ id, error: { kind, message, clause, offset } });
  }
}

onmessage = ({ data }) => {
  collectSometimes();
  if (data.module || data.failed) {
    compiled(data.module ?? Promise.reject(data.failed));
    return;
  }
  if (data.value?.spare) session?.recycle(data.value.spare);
  // What was asked for before a seek is not wanted any more.
  if (session && session.generation !== data.generation) {
    session.generation = data.generation;
    session.interrupt();
  }
  work = work.then(() => answer(data));
};
