// The decoder in WebAssembly: bytes that are there in, pictures out. Everything is synchronous.
//
// An input is {size, read(offset, target: Uint8Array) -> count}: `size` is 0 while it is unknown,
// `read` gives 0 at the end and throws where bytes are not there.

const OK = 0;
const END = 1;
const REFUSED = 7;

const WHAT = [
  "", "", "The file is incomplete", "The decoded pictures are not those of the file",
  "The file is damaged", "This player cannot decode the file", "The file is larger than allowed",
  "The request cannot be met", "There is not enough memory", "The file cannot be read",
];
const NAMES = [
  "ok", "end", "truncated", "mismatch", "corrupt", "unsupported", "over limit", "refused",
  "no memory", "input",
];

const INFO = [
  "formatVersion", "minReaderVersion", "level", "model", "chromaFormat", "bitDepth", "width",
  "height", "subX", "subY", "planes", "frameRateNum", "frameRateDen", "timeBaseNum", "timeBaseDen",
  "sarNum", "sarDen", "primaries", "transfer", "matrix", "fullRange", "chromaLocation",
  "frameCount", "groupFrames", "network", "tracks", "chapters",
];
const FRAME = [
  "index", "pts", "duration", "group", "groupFirst", "groupFrames", "inGroup", "keyGroup",
];
const TRACK = [
  "number", "kind", "disposition", "timeBaseNum", "timeBaseDen", "rate", "channels", "priming",
];
const TRACK_BYTES = ["codec", "layout", "language", "title", "extradata"];
const LAYER = ["kernel", "inputs", "units", "shift", "weights", "biases"];
const NETWORK_INPUT = [
  "width", "height", "cellsX", "cellsY", "samples", "network", "units", "shift", "canvas", "rows",
  "warps", "result", "quantisers",
];
const OUTPUTS = 6; // planes of the network
const OUTPUT_INPUTS = 67; // of its output layer beside the units
const UNKNOWN_COUNT = 0xffffffff;
const MICROSECONDS = 1000000n;

/** What is wrong with a file or a request: `kind` is a class of spec/nrv.md 2.10 or a reader's own. */
export class NrvError extends Error {
  constructor(kind, message, clause = "", offset = null) {
    super(message);
    this.name = "NrvError";
    this.kind = kind;
    this.clause = clause;
    this.offset = offset;
  }
}

/** Ticks of a time base in microseconds, rounded down. */
export function microseconds(ticks, num, den) {
  const all = BigInt(ticks) * BigInt(num) * MICROSECONDS;
  const whole = all / BigInt(den);
  return Number(all < 0n && whole * BigInt(den) !== all ? whole - 1n : whole);
}

export class Decoder {
  #wasm;
  #input;
  #position = 0;
  #packets = [];
  #wantsPackets;
  #failed = null;
  #info = null;

  /** `module` is a WebAssembly.Module of nrv.wasm; `packets`: keep packets for takePackets(). */
  static async create(module, { packets = true } = {}) {
    const decoder = new Decoder();
    decoder.#wantsPackets = packets;
    const host = {
      read: (target, size) => decoder.#read(target >>> 0, size >>> 0),
      seek: (offset) => {
        decoder.#position = Number(BigInt.asUintN(64, offset));
        return 0;
      },
      packet: (fields, data, length) => decoder.#packet(fields >>> 0, data >>> 0, length >>> 0),
    };
    const instance = await WebAssembly.instantiate(module, { host });
    decoder.#wasm = instance.exports;
    return decoder;
  }

  /** Offset of the byte that is read next. */
  get position() {
    return this.#position;
  }

  /** Bytes of memory that the module has. */
  get memory() {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Begin a file; gives what its header says. */
  open(input) {
    this.#input = input;
    this.#position = 0;
    this.#packets = [];
    this.#judge(this.#wasm.open(BigInt(input.size)));
    this.#info = this.#object(this.#wasm.info(), INFO);
    if (this.#info.frameCount === UNKNOWN_COUNT) this.#info.frameCount = null;
    return this.#info;
  }

  close() {
    this.#wasm.close();
  }

  tracks() {
    return Array.from({ length: this.#info.tracks }, (_, i) => {
      const at = this.#wasm.track(i) >>> 0;
      const track = this.#object(at, TRACK);
      const fields = this.#integers(at + 8 * TRACK.length, 2 * TRACK_BYTES.length);
      TRACK_BYTES.forEach((name, k) => {
        const bytes = this.#bytes(Number(fields[2 * k]), Number(fields[2 * k + 1])).slice();
        track[name] = name === "extradata" ? bytes : new TextDecoder().decode(bytes);
      });
      track.kind = ["audio", "subtitle", "data"][track.kind];
      return track;
    });
  }

  chapters() {
    return Array.from({ length: this.#info.chapters }, (_, i) => {
      const [num, den, start, end, title, length] = this.#integers(this.#wasm.chapter(i) >>> 0, 6);
      return {
        start: microseconds(start, num, den),
        end: microseconds(end, num, den),
        title: new TextDecoder().decode(this.#bytes(Number(title), Number(length))),
      };
    });
  }

  /** Mastering luminance in cd/m2 and light levels; null where the file says nothing. */
  hdr() {
    const at = this.#wasm.hdr() >>> 0;
    if (!at) return null;
    const [flags, max, min, maxCll, maxFall] = this.#integers(at, 5).map(Number);
    return {
      maxLuminance: flags & 2 ? max / 10000 : null,
      minLuminance: flags & 2 ? min / 10000 : null,
      maxCll: flags & 4 ? maxCll : null,
      maxFall: flags & 4 ? maxFall : null,
    };
  }

  /** Groups of the index, or of a scan of what is there: arrays of what groups have. */
  groups() {
    const count = Math.max(0, this.#wasm.groups());
    this.#failed = null; // a scan ends where bytes are not there
    const groups = {
      count, offset: new Float64Array(count), pts: new BigInt64Array(count),
      firstFrame: new Float64Array(count), key: new Uint8Array(count),
    };
    for (let i = 0; i < count; i++) {
      const [offset, pts, firstFrame, key] = this.#integers(this.#wasm.group(i) >>> 0, 4);
      groups.offset[i] = Number(offset);
      groups.pts[i] = pts;
      groups.firstFrame[i] = Number(firstFrame);
      groups.key[i] = Number(key);
    }
    return groups;
  }

  /** The next frame, with its time in microseconds; null after the last. */
  next() {
    const status = this.#wasm.next();
    if (status === END) return null;
    this.#judge(status);
    const fields = this.#integers(this.#wasm.fields() >>> 0, FRAME.length);
    const frame = Object.fromEntries(FRAME.map((name, i) => [name, Number(fields[i])]));
    const { timeBaseNum: num, timeBaseDen: den } = this.#info;
    frame.timestamp = microseconds(fields[1], num, den);
    frame.duration = microseconds(fields[1] + fields[2], num, den) - frame.timestamp;
    return frame;
  }

  seek(frame) {
    const status = this.#wasm.seekFrame(frame);
    if (status === OK || status === REFUSED) this.#failed = null;
    if (status === REFUSED) throw new NrvError("refused", `There is no frame ${frame}.`);
    this.#judge(status);
  }

  /** Show a region {x, y, width, height} of frames of a size [width, height]; null ends that. */
  view(size, region) {
    const [width, height] = size ?? [0, 0];
    const { x, y, width: w, height: h } = region ?? { x: 0, y: 0, width, height };
    if (this.#wasm.view(width, height, x, y, w, h) !== OK) {
      throw new NrvError("refused", "The size or the region is not possible.");
    }
    this.scaled = width > 0;
  }

  /** The samples of the frame that next() gave, as views of memory that the next call overwrites. */
  render({ network = true, verify = false } = {}) {
    this.#judge(this.#wasm.render(network ? 0 : 1));
    return this.#picture(verify && network);
  }

  /** What the fusion network takes for the frame that next() gave, as views of memory; null where it
   * has no part in the frame.
   */
  networkInput() {
    const at = this.#wasm.fusionInput(1) >>> 0;
    if (!at) return null;
    const input = this.#object(at, NETWORK_INPUT);
    const { samples, units } = input;
    return {
      network: input.network,
      canvas: this.#bytes(input.canvas, 2 * samples),
      warps: this.#bytes(input.warps, 4 * samples),
      quantisers: this.#bytes(input.quantisers, 16 * input.cellsX * input.cellsY),
      rows: new Int16Array(
        this.#wasm.memory.buffer, input.rows, OUTPUTS * (OUTPUT_INPUTS + units),
      ),
    };
  }

  /** Shape and weights of the network, for GpuNetwork; null where it has no part in the frame. */
  networkShape() {
    const at = this.#wasm.fusionInput(0) >>> 0;
    if (!at) return null;
    const { width, height, samples, shift } = this.#object(at, NETWORK_INPUT);
    const layers = [];
    for (let network = 0; this.#layer(network, 0); network++) {
      const own = [];
      for (let layer = this.#layer(network, 0); layer; layer = this.#layer(network, own.length)) {
        own.push(layer);
      }
      layers.push(own);
    }
    const { chromaFormat, bitDepth } = this.#info;
    return {
      width: width / 2, height: height / 2, format: chromaFormat, extra: bitDepth - 8, samples, shift,
      layers,
    };
  }

  /** The frame whose planes the network gave: as render(). `bytes` are samples of 16 bits. */
  rendered(bytes, { verify = false } = {}) {
    const { result, samples } = this.#object(this.#wasm.fusionInput(0) >>> 0, NETWORK_INPUT);
    this.#bytes(result, 2 * samples).set(bytes.subarray(0, 2 * samples));
    this.#wasm.fusionOutput();
    return this.#picture(verify);
  }

  /** Packets of tracks that were met since the last call. */
  takePackets() {
    const packets = this.#packets;
    this.#packets = [];
    return packets;
  }

  /** The picture that was rendered, in the view that was asked for. */
  #picture(verify) {
    if (verify) this.#judge(this.#wasm.check());
    if (this.scaled) this.#judge(this.#wasm.scale());
    const count = this.#info.planes;
    const all = this.#integers(this.#wasm.picture() >>> 0, 2 + 3 * count).map(Number);
    const planes = [];
    for (let k = 0; k < count; k++) {
      const [at, stride, rows] = all.slice(2 + 3 * k, 5 + 3 * k);
      planes.push({ bytes: this.#bytes(at, stride * rows), stride, rows });
    }
    return { width: all[0], height: all[1], planes };
  }

  #layer(network, layer) {
    const at = this.#wasm.fusionLayer(network, layer) >>> 0;
    if (!at) return null;
    const found = this.#object(at, LAYER);
    const { buffer } = this.#wasm.memory;
    const count = found.kernel ** 2 * found.inputs * found.units;
    found.weights = new Int16Array(buffer, found.weights, count).slice();
    found.biases = new Int32Array(buffer, found.biases, found.units).slice();
    return found;
  }

  #read(target, size) {
    try {
      const count = this.#input.read(this.#position, this.#bytes(target, size));
      this.#position += count;
      return count;
    } catch (error) {
      this.#failed = error;
      return -1;
    }
  }

  #packet(fields, data, length) {
    if (!this.#wantsPackets) return;
    const [track, key, pts, duration, skip, discard] = this.#integers(fields, 6);
    this.#packets.push({
      track: Number(track), key: key !== 0n, pts, duration, skip: Number(skip),
      discard: Number(discard), data: this.#bytes(data, length).slice(),
    });
  }

  #judge(status) {
    if (status === OK) return;
    if (this.#failed) {
      const error = this.#failed;
      this.#failed = null;
      throw error;
    }
    const [, clause, sentence, offset] = this.#integers(this.#wasm.error() >>> 0, 4).map(Number);
    const where = this.#text(clause);
    const text = `${WHAT[status]}: ${this.#text(sentence)}`;
    throw new NrvError(NAMES[status], `${text} (byte ${offset}).`, where, offset);
  }

  #object(at, names) {
    const values = this.#integers(at >>> 0, names.length);
    return Object.fromEntries(names.map((name, i) => [name, Number(values[i])]));
  }

  #integers(at, count) {
    return Array.from(new BigInt64Array(this.#wasm.memory.buffer, at, count));
  }

  #bytes(at, length) {
    return new Uint8Array(this.#wasm.memory.buffer, at, length);
  }

  #text(at) {
    const bytes = new Uint8Array(this.#wasm.memory.buffer, at, 256);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}
